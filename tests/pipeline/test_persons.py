"""One name for a voice in all its recordings: suggested, confirmed, applied everywhere, and forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from db import backup, models, store
from db.search import search
from pipeline import editing, excerpts, indexing, mapping, persons
from pipeline.cli import stories
from pipeline.collection import Collection
from pipeline.errors import EditError, NotFound
from pipeline.stages import Work, speakers
from pipeline.stages.clips import Clips
from transcripts.model import Turn
from transcripts.span import Span
from transcripts.speakers import Diarization, Voice

ASKED, TOLD = "How was it then?", "It was very cold in the park that year."
NAMES = ["anna", "ben", "carol", "dora", "ewan", "fay"]


class Voices:
    """Embeddings of made-up people: each a direction of its own, and something of the recording added."""

    def __init__(self) -> None:
        self.chance = np.random.default_rng(5)
        self.people = self._unit(self.chance.standard_normal((20, 64)))

    def of(self, who: int) -> np.ndarray:
        return self._unit(self.people[who] + 0.4 * self._unit(self.chance.standard_normal(64)))

    @staticmethod
    def _unit(rows: np.ndarray) -> np.ndarray:
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def interview(session: Any, name: str, consent: str, asks: np.ndarray, tells: np.ndarray) -> None:
    """A recording in which speaker 1 asks for 2 s and speaker 2 answers for 6 s."""
    story = models.Story(
        key=name, title=name, method="interview", consents=[models.Consent(scope=consent, source="intake")]
    )
    recording = models.Recording(
        sha256=name.ljust(64, "0"), story=story, kind="audio", container="wav", bytes=1, duration_ms=8_000
    )
    recording.files = [
        models.SourceFile(path=f"recordings/{name}.wav", bytes=1, mtime_ns=1, sha256=recording.sha256)
    ]
    hidden = consent in ("anonymous", "withdrawn")
    recording.speakers = [
        models.Speaker(
            number=number,
            role=role,
            speech_ms=end_ms - start_ms,
            embedding=None if hidden else voice.tobytes(),
            encoder="made up",
            turns=[models.Turn(start_ms=start_ms, end_ms=end_ms)],
        )
        for number, role, voice, start_ms, end_ms in (
            (1, "interviewer", asks, 0, 2_000),
            (2, "storyteller", tells, 2_000, 8_000),
        )
    ]
    session.add(recording)
    session.flush()
    words = [(f" {word}", index * 500) for index, word in enumerate(ASKED.split())]
    words += [(f" {word}", 2_000 + index * 600) for index, word in enumerate(TOLD.split())]
    row = store.add_transcript(
        session,
        models.Transcript(recording_id=recording.id, engine="e", model="m", language="en", revision=0),
    )
    row.words = [
        models.Word(ordinal=n, start_ms=start, end_ms=start + 450, text=text, probability=0.9)
        for n, (text, start) in enumerate(words)
    ]
    asked = len(ASKED.split())
    for number, (first, last) in enumerate([(0, asked - 1), (asked, len(words) - 1)]):
        row.segments.append(
            models.Segment(
                ordinal=number,
                first_word=first,
                last_word=last,
                start_ms=words[first][1],
                end_ms=words[last][1] + 450,
            )
        )
        row.attributions.append(
            models.Attribution(first_word=first, last_word=last, speaker_id=recording.speakers[number].id)
        )
    session.flush()
    indexing.index(session, row, mapping.current_transcript(session, row))


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Six interviews by one interviewer; Fay's is anonymous."""
    (tmp_path / "stories.toml").write_text("")
    collection = Collection.open(tmp_path)
    voices = Voices()
    with collection.sessions.begin() as session:
        for number, name in enumerate(NAMES):
            consent = "anonymous" if name == "fay" else "public"
            interview(session, name, consent, voices.of(0), voices.of(number + 1))
    return collection


def named(collection: Collection, name: str = "Jean Gray", recording: int = 1) -> None:
    editing.name_speaker(collection, recording, 1, name=name, role="interviewer", author="Ruth")


def names(collection: Collection, number: int = 1) -> list[str]:
    with collection.sessions() as session:
        return [speaker.name for speaker in store.speakers(session) if speaker.number == number]


def voiceprints(collection: Collection) -> list[tuple[int, int]]:
    with collection.sessions() as session:
        return [(one.recording_id, one.number) for one in store.speakers(session, voiced=True)]


def said_by(collection: Collection, recording: int) -> list[tuple[str, str]]:
    """What people see: who says what."""
    with collection.sessions() as session:
        row = store.current_transcript(session, recording)
        assert row is not None
        known = mapping.speaker_names(session.get_one(models.Recording, recording))
        seen = mapping.current_transcript(session, row)
        assert mapping.replayed(session, row) == seen
        return [(known[segment.speaker or 0], segment.text) for segment in seen.segments]


def run(collection: Collection, *arguments: str) -> Result:
    return CliRunner().invoke(stories, ["-C", str(collection.root), *arguments])


def told(collection: Collection, *arguments: str) -> Any:
    ran = run(collection, *arguments, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


# Suggested and confirmed


def test_nothing_is_suggested_before_somebody_has_a_name(collection: Collection) -> None:
    looked = persons.look(collection)
    assert looked.suggestions == []
    (group,) = looked.groups
    assert [(one.recording_id, one.number) for one in group] == [(n, 1) for n in range(1, 6)]


def test_a_name_given_once_is_suggested_in_the_other_recordings_and_not_applied(
    collection: Collection,
) -> None:
    named(collection)
    found = persons.suggestions(collection)
    assert {(one.recording_id, one.number) for one in found} == {(n, 1) for n in range(2, 6)}
    assert found[0].sentence.startswith("Speaker 1 is probably Jean Gray (interviewer), ")
    assert found[0].sentence.endswith(", heard in 1 recording")
    assert names(collection) == ["Jean Gray", "", "", "", "", ""]
    assert persons.look(collection).groups == []


def test_a_confirmed_name_reaches_search_exports_and_every_recording(collection: Collection) -> None:
    named(collection)
    confirmed = persons.confirm_all(collection, least=0.7, author="Ann")
    assert len(confirmed) == 4
    assert names(collection) == ["Jean Gray"] * 5 + [""]
    with collection.sessions() as session:
        assert {hit.speaker for hit in search(session, "how")} == {"Jean Gray", "Speaker 1"}
        entry = store.journal(session, 3)[-1]
        assert (entry.kind, entry.author, entry.change["name"]) == ("name-speaker", "Ann", "Jean Gray")
        assert all(
            speaker.role_by == "editor" for speaker in store.speakers(session) if speaker.person is not None
        )
    assert "<v Jean Gray>How was it then?" in run(collection, "export", "ben").stdout
    assert told(collection, "show", "carol")["speakers"][0]["name"] == "Jean Gray"


def test_renaming_a_person_reaches_every_recording(collection: Collection) -> None:
    named(collection)
    persons.confirm_all(collection, least=0.7, author="Ann")
    editing.name_speaker(collection, 2, 1, name="Jean Grey", role=None, author="Ruth", everywhere=True)
    assert names(collection) == ["Jean Grey"] * 5 + [""]
    with collection.sessions() as session:
        assert {hit.speaker for hit in search(session, "how")} == {"Jean Grey", "Speaker 1"}
        assert [person.name for person in store.persons(session)] == ["Jean Grey"]


def test_another_name_in_one_recording_is_another_person(collection: Collection) -> None:
    named(collection)
    persons.confirm_all(collection, least=0.7, author="Ann")
    editing.name_speaker(collection, 2, 1, name="Ann Lee", role=None, author="Ruth")
    assert names(collection)[:3] == ["Jean Gray", "Ann Lee", "Jean Gray"]
    editing.name_speaker(collection, 2, 1, name="jean gray", role=None, author="Ruth")
    assert names(collection)[1] == "Jean Gray"


def test_a_role_that_an_editor_gave_in_a_recording_outlives_the_person_s(collection: Collection) -> None:
    editing.name_speaker(collection, 2, 1, name="", role="other", author="Ruth")
    named(collection)
    persons.confirm(collection, 2, 1, "Jean Gray", author="Ann")
    persons.confirm(collection, 3, 1, "Jean Gray", author="Ann")
    with collection.sessions() as session:
        roles = [speaker.role for speaker in store.speakers(session) if speaker.name]
    assert roles == ["interviewer", "other", "interviewer"]


def test_who_is_taken_off_is_not_suggested_again(collection: Collection) -> None:
    named(collection)
    persons.confirm(collection, 2, 1, "Jean Gray", author="Ann")
    assert persons.take_off(collection, 2, 1, author="Ruth") == "Jean Gray"
    assert persons.take_off(collection, 3, 1, author="Ruth") == "Jean Gray"
    assert names(collection)[:3] == ["Jean Gray", "", ""]
    assert {one.recording_id for one in persons.suggestions(collection)} == {4, 5}
    with pytest.raises(EditError, match="nobody's voice"):
        persons.take_off(collection, 2, 1, author="Ruth")
    persons.confirm(collection, 2, 1, "Jean Gray", author="Ann")
    assert names(collection)[1] == "Jean Gray"


# Voiceprints and consent


def test_no_voiceprint_of_a_story_that_becomes_anonymous_is_left_to_compare(collection: Collection) -> None:
    named(collection, recording=2)
    with collection.sessions.begin() as session:
        for recording in (2, 3):
            story = session.get_one(models.Recording, recording).story
            assert story is not None
            store.record_consent(story, "anonymous", "consent")
        withdrawn = session.get_one(models.Recording, 4).story
        assert withdrawn is not None
        store.record_consent(withdrawn, "withdrawn", "consent")
    found = persons.suggestions(collection)
    # Recording 2: the interviewer by an editor's word; recording 3: only by the machine's guess.
    assert voiceprints(collection) == [(1, 1), (1, 2), (2, 1), (5, 1), (5, 2)]
    assert {one.recording_id for one in found} == {1, 5}


def test_who_is_no_longer_surely_the_interviewer_of_an_anonymous_story_loses_the_voiceprint(
    collection: Collection,
) -> None:
    named(collection, recording=2)
    with collection.sessions.begin() as session:
        story = session.get_one(models.Recording, 2).story
        assert story is not None
        store.record_consent(story, "anonymous", "consent")
    editing.name_speaker(collection, 2, 1, name="Jean Gray", role="storyteller", author="Ruth")
    assert (2, 1) not in voiceprints(collection)


@pytest.mark.parametrize("name", [False, True])
def test_forgetting_a_person(collection: Collection, name: bool) -> None:
    named(collection)
    persons.confirm_all(collection, least=0.7, author="Ann")
    with collection.sessions() as session:
        held = [one.embedding for one in store.speakers(session, voiced=True) if one.name]
    database = collection.root / "stories.db"
    copy = backup.copy(database, "9999")
    before = b"".join(path.read_bytes() for path in collection.root.glob("stories.db*"))
    assert all(print_ is not None and print_ in before for print_ in held)

    done = persons.forget(collection, "jean gray", name=name, author="Ruth")
    assert (done.voiceprints, done.recordings, done.copies) == (5, 5, (copy,))
    assert names(collection)[:5] == ([""] if name else ["Jean Gray"]) * 5
    assert not set(voiceprints(collection)) & {(n, 1) for n in range(1, 7)}
    left = b"".join(database.with_name(f"stories.db{end}").read_bytes() for end in ("", "-wal"))
    assert not any(print_ in left for print_ in held if print_)
    assert (b"Jean Gray" in left) is not name
    assert (b"Jean Gray" in copy.read_bytes()) is True
    if name:
        with pytest.raises(NotFound, match="no person 'Jean Gray'"):
            persons.forget(collection, "Jean Gray", name=True, author="Ruth")


def test_a_forgotten_voice_is_not_kept_again(collection: Collection) -> None:
    named(collection)
    persons.forget(collection, "Jean Gray", name=False, author="Ruth")
    again(collection, 1)
    assert voiceprints(collection)[:2] == [(1, 2), (2, 1)]
    persons.confirm(collection, 2, 1, "Jean Gray", author="Ruth")
    assert (2, 1) not in voiceprints(collection)


# Merging and parting


def again(collection: Collection, recording: int, *turns: tuple[int, int, int]) -> None:
    """The stage runs anew and finds these voices: (speaker, from, to)."""
    turns = turns or ((1, 0, 2_000), (2, 2_000, 8_000))
    numbers = sorted({number for number, _, _ in turns})
    heard = {n: sum(end - start for number, start, end in turns if number == n) for n in numbers}
    found = Diarization(
        tuple(Turn(*turn) for turn in turns),
        tuple(Voice(n, tuple(Voices().of(n).tolist()), heard[n]) for n in numbers),
    )
    with collection.sessions.begin() as session:
        speakers._write(session, recording, (Span(0, 8_000),), found)


def test_merged_voices_are_one_and_stay_one(collection: Collection) -> None:
    again(collection, 1, (1, 0, 2_000), (2, 2_000, 5_000), (3, 5_000, 8_000))
    editing.name_speaker(collection, 1, 3, name="Anna", role="storyteller", author="Ruth")
    persons.merge_speakers(collection, 1, 2, 3, author="Ruth")
    expected = [("Speaker 1", ASKED), ("Anna", TOLD)]

    def told_together() -> list[tuple[str, str]]:
        """Neighbouring segments of one speaker together."""
        found: list[tuple[str, str]] = []
        for who, text in said_by(collection, 1):
            if found and found[-1][0] == who:
                text = f"{found.pop()[1]} {text}"
            found.append((who, text))
        return found

    assert told_together() == expected
    again(collection, 1, (1, 0, 2_000), (2, 2_000, 5_000), (3, 5_000, 8_000))
    assert told_together() == expected
    with collection.sessions() as session:
        rows = store.speakers(session, recording_id=1)
        assert [(one.number, one.label, one.speech_ms) for one in rows] == [
            (1, "Speaker 1", 2_000),
            (2, "Anna", 6_000),
        ]
        kinds = [(entry.kind, entry.author) for entry in store.journal(session, 1)]
        assert kinds[-1] == ("assign-speaker", "Ruth")


def test_names_and_persons_go_with_their_voices_when_they_are_found_in_another_order(
    collection: Collection,
) -> None:
    named(collection)
    again(collection, 1, (1, 2_000, 8_000), (2, 0, 2_000))
    with collection.sessions() as session:
        rows = {one.number: one for one in store.speakers(session, recording_id=1)}
        assert rows[1].person is not None
        assert (rows[1].name, rows[1].speech_ms, rows[2].name) == ("Jean Gray", 2_000, "")
    assert said_by(collection, 1) == [("Jean Gray", ASKED), ("Speaker 2", TOLD)]


def test_words_given_to_a_new_speaker_stay_theirs(collection: Collection) -> None:
    number, words = persons.give(collection, 1, Span(4_950, 8_000), None, author="Ruth")
    assert (number, words) == (3, 4)
    expected = [
        ("Speaker 1", ASKED),
        ("Speaker 2", "It was very cold in"),
        ("Speaker 3", "the park that year."),
    ]
    assert said_by(collection, 1) == expected
    again(collection, 1)
    assert said_by(collection, 1) == expected
    again(collection, 1, (1, 0, 2_000), (2, 2_000, 4_950), (3, 4_950, 8_000))
    assert said_by(collection, 1) == expected
    with collection.sessions() as session:
        assert store.speakers(session, recording_id=1)[2].speech_ms == 3_050


def test_words_given_back_to_a_speaker_who_is_there(collection: Collection) -> None:
    persons.give(collection, 1, Span(0, 900), 2, author="Ruth")
    assert said_by(collection, 1) == [
        ("Speaker 2", "How was"),
        ("Speaker 1", "it then?"),
        ("Speaker 2", TOLD),
    ]
    with pytest.raises(EditError, match="not this speaker's already"):
        persons.give(collection, 1, Span(2_000, 8_000), 2, author="Ruth")


# Roles and clips


def clip(collection: Collection, *, origin: str, state: str, start_ms: int = 2_000) -> str:
    slug = excerpts.add(collection, 1, start_ms, 8_000)
    with collection.sessions.begin() as session:
        found = excerpts.find_clip(session, slug)
        found.origin, found.state = origin, state
    return slug


def state_of(collection: Collection, slug: str) -> str | None:
    with collection.sessions() as session:
        found = store.clip(session, slug)
        return found.state if found else None


@pytest.mark.parametrize(
    ("origin", "state", "then"),
    [
        ("proposed", "proposed", None),
        ("proposed", "approved", "needs review"),
        ("proposed", "rejected", "rejected"),
        ("added", "proposed", "needs review"),
    ],
)
@pytest.mark.parametrize("how", ["role", "words"])
def test_clips_of_words_that_turn_out_to_be_the_interviewer_s(
    collection: Collection, origin: str, state: str, then: str | None, how: str
) -> None:
    slug = clip(collection, origin=origin, state=state)
    if how == "role":
        editing.name_speaker(collection, 1, 2, name="Jean", role="interviewer", author="Ruth")
    else:
        persons.give(collection, 1, Span(2_000, 3_000), 1, author="Ruth")
    assert state_of(collection, slug) == then


def test_a_clip_with_a_question_in_it_that_an_editor_wanted_is_left_alone(collection: Collection) -> None:
    slug = clip(collection, origin="added", state="approved", start_ms=0)
    editing.name_speaker(collection, 1, 1, name="Jean", role="interviewer", author="Ruth")
    assert state_of(collection, slug) == "approved"


def test_clips_are_proposed_anew_when_somebody_else_tells(collection: Collection) -> None:
    work = Work(collection, 1, "anna".ljust(64, "0"), "audio", 8_000, "anna")
    stage = Clips()
    prints = [stage.fingerprint(work, "u")]
    editing.name_speaker(collection, 1, 2, name="", role="other", author="Ruth")
    prints.append(stage.fingerprint(work, "u"))
    editing.name_speaker(collection, 1, 1, name="", role="storyteller", author="Ruth")
    prints.append(stage.fingerprint(work, "u"))
    persons.give(collection, 1, Span(0, 900), 2, author="Ruth")
    prints.append(stage.fingerprint(work, "u"))
    assert len(set(prints)) == 4
    assert prints[-1] == stage.fingerprint(work, "u")


@pytest.mark.parametrize(
    ("roles", "tellers"),
    [
        ((), None),
        (("storyteller", "interviewer"), {1}),
        (("storyteller", "storyteller", ""), {1, 2}),
        (("", "interviewer", ""), {1, 3}),
        (("interviewer", "other"), set()),
    ],
)
def test_whose_words_can_become_clips(roles: tuple[str, ...], tellers: set[int] | None) -> None:
    rows = [models.Speaker(number=number, role=role) for number, role in enumerate(roles, 1)]
    assert mapping.tellers(models.Recording(speakers=rows)) == tellers


# The command line


def test_the_whole_way_by_commands(collection: Collection) -> None:
    ran = run(collection, "speakers", "name", "anna", "1", "Jean Gray", "--role", "interviewer")
    assert ran.stdout == "speaker 1 of recordings/anna.wav is Jean Gray now\n"
    shown = told(collection, "speakers", "match")
    assert shown["confirmed"] == shown["groups"] == []
    assert [one["person"] for one in shown["suggestions"]] == ["Jean Gray"] * 4
    ran = run(collection, "speakers", "match", "--confirm", "ben", "Speaker 1", "Jean Gray")
    assert "Jean Gray now, heard in 1 other recording too" in ran.stdout
    assert len(told(collection, "speakers", "match", "--confirm-all")["confirmed"]) == 3
    listed = told(collection, "speakers", "list")
    assert listed["persons"][0] | {"id": 0} == {
        "id": 0, "name": "Jean Gray", "role": "interviewer", "notes": "", "recordings": 5, "voiceprints": 5,
    }  # fmt: skip
    (asks, tells) = told(collection, "speakers", "list", "ben")["speakers"]
    assert (asks["person"], asks["role"], asks["speech_ms"]) == ("Jean Gray", "interviewer", 2_000)
    assert (tells["person"], tells["suggestion"]) == (None, None)
    assert "Jean Gray" in run(collection, "speakers", "list").stdout
    ran = run(collection, "speakers", "split", "anna", "--from", "0:02", "--to", "3")
    assert ran.stdout == "2 words given to speaker 3\n"
    assert "speaker 3 is speaker 2 now" in run(collection, "speakers", "merge", "anna", "2", "3").stdout
    assert "not Jean Gray" in run(collection, "speakers", "split", "ben", "1").stdout
    assert told(collection, "speakers", "forget", "Jean Gray")["voiceprints"] == 4


def test_what_changes_speakers_tells_it_as_json_too(collection: Collection) -> None:
    asks = told(collection, "speakers", "name", "anna", "1", "Jean Gray", "--role", "interviewer")
    assert (asks["number"], asks["person"], asks["role"]) == (1, "Jean Gray", "interviewer")
    given = told(collection, "speakers", "split", "anna", "--from", "0:02", "--to", "3")
    assert given == {"recording_id": 1, "speaker": 3, "words": 2}
    merged = told(collection, "speakers", "merge", "anna", "2", "3")
    assert merged == {"recording_id": 1, "speaker": 2, "merged": 3}
    assert told(collection, "speakers", "split", "anna", "1")["not"] == "Jean Gray"
    named(collection, name="Jean", recording=2)
    named(collection, recording=3)
    assert told(collection, "speakers", "merge", "Jean Gray", "Jean") == {
        "person": "Jean Gray", "merged": "Jean", "recordings": 1,
    }  # fmt: skip


def test_two_persons_become_one(collection: Collection) -> None:
    named(collection)
    named(collection, name="Jean", recording=2)
    ran = run(collection, "speakers", "merge", "Jean Gray", "Jean")
    assert ran.stdout == "Jean is Jean Gray now, in 1 recording\n"
    assert names(collection)[:2] == ["Jean Gray", "Jean Gray"]


MISTAKES = [
    (["list", "zoe"], "There is no recording 'zoe'"),
    (["name", "anna", "7", "Jean"], "has no speaker '7'; it has 1 (Jean Gray), 2 (Speaker 2)"),
    (["name", "anna", "2", "jean GRAY"], "Speaker 1 of this recording is Jean Gray already"),
    (["name", "ben", "1", "Jean Gray", "--everywhere"], "There is another person called Jean Gray"),
    (["merge", "anna", "1", "Jean Gray"], "Speaker 1 cannot be merged with itself"),
    (["merge", "Jean Gray", "jean gray"], "Jean Gray cannot be merged with themselves"),
    (["merge", "Jean Gray", "Nobody"], "There is no person 'Nobody'; known by name: Jean, Jean Gray."),
    (["merge", "Jean Gray", "Olga"], "both speak in recordings/anna.wav"),
    (["merge", "anna", "1", "2"], "Jean Gray and Olga are two persons"),
    (["split", "carol", "2"], "is nobody's voice yet"),
    (["match", "--confirm", "carol", "1", "Someone"], "There is no person 'Someone'"),
    (["forget", "Someone"], "There is no person 'Someone'"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(one[0]) for one in MISTAKES])
def test_mistakes_are_told_and_change_nothing(
    collection: Collection, arguments: list[str], said: str
) -> None:
    named(collection)
    named(collection, name="Jean", recording=2)
    if "Olga" in " ".join([*arguments, said]):
        editing.name_speaker(collection, 1, 2, name="Olga", role=None, author="Ruth")
    with collection.sessions() as session:
        before = [(one.recording_id, one.number, one.name, one.role) for one in store.speakers(session)]
    ran = run(collection, "speakers", *arguments)
    assert ran.exit_code != 0
    assert said in str(ran.exception)
    with collection.sessions() as session:
        assert before == [
            (one.recording_id, one.number, one.name, one.role) for one in store.speakers(session)
        ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["merge", "anna"],
        ["split", "anna"],
        ["split", "anna", "1", "--from", "2"],
        ["split", "anna", "--from", "3", "--to", "2"],
        ["name", "anna", "1", "x", "--role", "singer"],
        ["match", "--least", "2"],
    ],
)
def test_wrong_usage(collection: Collection, arguments: list[str]) -> None:
    assert run(collection, "speakers", *arguments).exit_code == 2


def test_a_collection_without_voices_says_so(tmp_path: Path) -> None:
    (tmp_path / "stories.toml").write_text("")
    collection = Collection.open(tmp_path)
    assert "No voices are known yet" in run(collection, "speakers", "match").stdout
    assert "no speakers yet" in run(collection, "speakers", "list").stdout
