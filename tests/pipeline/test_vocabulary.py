"""What the recogniser is told to expect: the recording's own names first, and never an anonymous storyteller's."""

from pathlib import Path

import pytest

from db import models
from pipeline import intake, vocabulary
from pipeline.collection import Collection
from pipeline.stages import Work
from pipeline.stages.transcribe import Transcribe


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "stories.toml").write_text("")
    collection = Collection.open(tmp_path)
    with collection.sessions.begin() as session:
        session.add(
            models.Recording(sha256="a" * 64, kind="audio", container="wav", bytes=1, duration_ms=20_000)
        )
    return collection


def told(collection: Collection, *, listed: str = "", **line: str) -> tuple[str, ...]:
    """The terms for a recording with this intake line and this vocabulary.txt."""
    (collection.root / "vocabulary.txt").write_text(listed)
    with collection.sessions.begin() as session:
        recording = session.get_one(models.Recording, 1)
        intake.apply(session, recording, intake.IntakeLine(line=2, file="a.wav", **line))
        session.flush()
        return vocabulary.terms(recording, collection.root)


ROSS = {"storyteller": "Margaret  Ross", "place": "Fife", "role": "Volunteer", "sector": "Third sector"}


@pytest.mark.parametrize(
    ("line", "listed", "expected"),
    [
        ({**ROSS, "consent": "public"}, "", ("Margaret Ross", "Fife")),
        ({**ROSS, "consent": "internal"}, "", ("Margaret Ross", "Fife")),
        ({**ROSS, "consent": "public"}, "# ours\ncare\n Oban # town\n", ("Margaret Ross", "Fife", "care", "Oban")),
        ({**ROSS, "consent": "public"}, "FIFE\nmargaret ross\nRespite\nrespite", ("Margaret Ross", "Fife", "Respite")),
        ({**ROSS, "place": "Oban, Argyll", "consent": "public"}, "", ("Margaret Ross", "Oban", "Argyll")),
        ({**ROSS, "consent": "anonymous"}, "Oban", ("Fife", "Oban")),
        ({**ROSS, "consent": "anonymous"}, "Margaret Ross", ("Fife", "Margaret Ross")),
        ({**ROSS, "storyteller": "Anonymous carer", "consent": "public"}, "", ("Fife",)),
        ({**ROSS, "storyteller": "", "consent": "public"}, "", ("Fife",)),
        ({"consent": "public", "storyteller": "Zoe\u0308"}, "", ("Zoë",)),
    ],
)  # fmt: skip
def test_the_recordings_own_names_come_first(
    collection: Collection, line: dict[str, str], listed: str, expected: tuple[str, ...]
) -> None:
    assert told(collection, listed=listed, **line) == expected


def test_a_recording_without_a_line_has_the_collections_terms(collection: Collection) -> None:
    (collection.root / "vocabulary.txt").write_bytes(b"\xef\xbb\xbfOban\r\nM\xfcll\r\n")
    with collection.sessions() as session:
        assert vocabulary.terms(session.get_one(models.Recording, 1), collection.root) == (
            "Oban",
            "M\ufffdll",
        )


@pytest.mark.parametrize("scope", ["anonymous", "withdrawn"])
def test_a_later_decision_takes_the_name_away(collection: Collection, scope: str) -> None:
    assert told(collection, **ROSS, consent="public")[0] == "Margaret Ross"
    with collection.sessions.begin() as session:
        recording = session.get_one(models.Recording, 1)
        assert recording.story is not None
        recording.story.consents.append(models.Consent(scope=scope, source="by phone"))
        session.flush()
        assert vocabulary.terms(recording, collection.root) == ("Fife",)


def test_other_terms_are_another_fingerprint(collection: Collection) -> None:
    work = Work(collection, 1, "a" * 64, "audio", 20_000, "a.wav")
    seen = []
    for line, listed in (
        ({**ROSS, "consent": "public"}, ""),
        ({**ROSS, "consent": "public"}, "Oban"),
        ({**ROSS, "consent": "anonymous"}, "Oban"),
        ({**ROSS, "place": "Mull", "consent": "anonymous"}, "Oban"),
    ):
        told(collection, listed=listed, **line)
        seen.append(Transcribe().fingerprint(work, "before"))
    assert len(set(seen)) == 4
    assert Transcribe().fingerprint(work, "before") == seen[-1]
