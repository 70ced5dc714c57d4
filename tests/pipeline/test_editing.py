"""Edits lie on top of the machine's transcript: journalled, reversible, never lost to another editor."""

from pathlib import Path

import pytest

from db import models, store
from db.search import search
from pipeline import editing, excerpts, mapping, overview
from pipeline.collection import Collection
from pipeline.errors import EditConflict, EditError, NotFound

SENTENCES = ("We met in the park.", "It was very cold.", "Nobody came.")


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "stories.toml").write_text("")
    collection = Collection.open(tmp_path)
    with collection.sessions.begin() as session:
        recording = models.Recording(
            sha256="a" * 64, kind="audio", container="wav", bytes=1, duration_ms=20_000
        )
        recording.speakers = [models.Speaker(number=1), models.Speaker(number=2)]
        session.add(recording)
        session.flush()
        row = store.add_transcript(
            session,
            models.Transcript(recording_id=recording.id, engine="e", model="m", language="en", revision=0),
        )
        ordinal = 0
        for number, sentence in enumerate(SENTENCES):
            first = ordinal
            for text in sentence.split():
                row.words.append(
                    models.Word(
                        ordinal=ordinal,
                        start_ms=ordinal * 500,
                        end_ms=ordinal * 500 + 400,
                        text=f" {text}",
                        probability=0.5,
                    )
                )
                ordinal += 1
            row.segments.append(
                models.Segment(
                    ordinal=number,
                    first_word=first,
                    last_word=ordinal - 1,
                    start_ms=first * 500,
                    end_ms=ordinal * 500 - 100,
                )
            )
        row.attributions.append(
            models.Attribution(first_word=0, last_word=8, speaker_id=recording.speakers[0].id)
        )
        row.attributions.append(
            models.Attribution(first_word=9, last_word=10, speaker_id=recording.speakers[1].id)
        )
    return collection


def texts(collection: Collection) -> list[str]:
    with collection.sessions() as session:
        row = session.get_one(models.Transcript, 1)
        return [segment.text for segment in mapping.current_transcript(session, row).segments]


def test_an_edit_is_journalled_and_the_machine_words_stay(collection: Collection) -> None:
    edited = editing.retext_segment(collection, 1, "5", "It was really very cold.", author="Ruth", revision=0)
    assert edited.revision == 1
    assert texts(collection) == ["We met in the park.", "It was really very cold.", "Nobody came."]
    with collection.sessions() as session:
        (entry,) = store.journal(session, 1)
        assert (entry.author, entry.revision, entry.kind) == ("Ruth", 1, "retext")
        assert [word["text"] for word in entry.inverse["words"]] == [" It", " was", " very", " cold."]
        row = session.get_one(models.Transcript, 1)
        assert [one.text for one in mapping.machine_transcript(session, row).segments] == list(SENTENCES)
        assert [hit.text for hit in search(session, "really")] == ["It was really very cold."]
        assert len(search(session, "cold")) == 1


def test_words_keep_their_identity_and_times_through_an_edit(collection: Collection) -> None:
    edited = editing.retext_segment(collection, 1, "5", "It was really so cold.", author="Ruth", revision=0)
    words = {word.text.strip(): word for word in edited.segments[1].words}
    assert words["It"].id == "5"
    assert words["cold."].id == "8"
    assert (words["cold."].start_ms, words["cold."].end_ms) == (4000, 4400)
    assert any(word.id.startswith("e1.") for word in edited.segments[1].words)


def test_the_journal_alone_gives_the_same_as_the_snapshot(collection: Collection) -> None:
    editing.retext_segment(collection, 1, "0", "We met in a park.", author="Ruth", revision=0)
    editing.retext_segment(collection, 1, "5", "It was warm.", author="Ruth", revision=1)
    edited = editing.retext_segment(
        collection, 1, "5", "It was really quite warm there.", author="Ann", revision=2
    )
    with collection.sessions() as session:
        row = session.get_one(models.Transcript, 1)
        assert mapping.replayed(session, row) == mapping.current_transcript(session, row) == edited


def test_an_edit_survives_other_speakers(collection: Collection) -> None:
    editing.retext_segment(collection, 1, "5", "It was warm.", author="Ruth", revision=0)
    with collection.sessions.begin() as session:
        row = session.get_one(models.Transcript, 1)
        row.attributions[0].last_word = 6
        session.add(models.Attribution(transcript_id=1, first_word=7, last_word=8, speaker_id=2))
        session.flush()
        session.expire(row)
        assert [one.text for one in mapping.replayed(session, row).segments][1] == "It was warm."


def test_two_editors_the_second_is_told(collection: Collection) -> None:
    editing.retext_segment(collection, 1, "5", "It was warm.", author="Ruth", revision=0)
    with pytest.raises(EditConflict, match="revision 1, you saw 0"):
        editing.retext_segment(collection, 1, "0", "We met.", author="Ann", revision=0)
    assert texts(collection)[0] == SENTENCES[0]


@pytest.mark.parametrize(
    ("transcript", "segment", "text", "error"),
    [
        (1, "5", "  ", EditError),
        (1, "6", "No segment begins here.", NotFound),
        (9, "0", "No transcript.", NotFound),
    ],
)
def test_edits_that_cannot_be_made(
    collection: Collection, transcript: int, segment: str, text: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        editing.retext_segment(collection, transcript, segment, text, author="Ruth", revision=0)
    with collection.sessions() as session:
        assert session.get_one(models.Transcript, 1).revision == 0


def test_the_same_text_is_no_edit(collection: Collection) -> None:
    editing.retext_segment(collection, 1, "5", "  It was   very cold. ", author="Ruth", revision=0)
    with collection.sessions() as session:
        assert store.journal(session, 1) == []


def test_a_name_reaches_search_and_the_journal(collection: Collection) -> None:
    editing.name_speaker(collection, 1, 2, name="  Jean  Gray ", role="interviewer", author="Ruth")
    with collection.sessions() as session:
        speaker = store.speaker(session, 1, 2)
        assert speaker is not None
        assert (speaker.name, speaker.role, speaker.role_by) == ("Jean Gray", "interviewer", "editor")
        assert search(session, "nobody")[0].speaker == "Jean Gray"
        assert store.journal(session, 1)[0].inverse == {
            "speaker": 2,
            "name": "",
            "role": "",
            "person": None,
        }
    with pytest.raises(EditError, match="is no role"):
        editing.name_speaker(collection, 1, 2, name="x", role="singer", author="Ruth")
    with pytest.raises(NotFound):
        editing.name_speaker(collection, 1, 3, name="x", role=None, author="Ruth")


def clip(collection: Collection, state: str) -> str:
    slug = excerpts.add(collection, 1, 2_400, 4_500)
    with collection.sessions.begin() as session:
        found = store.clip(session, slug)
        assert found is not None
        found.state = state
    return slug


def link(collection: Collection, slug: str) -> tuple[str, models.ClipLink]:
    with collection.sessions() as session:
        found = store.clip(session, slug)
        assert found is not None
        return found.state, found.links[0]


@pytest.mark.parametrize(("state", "then"), [("approved", "needs review"), ("proposed", "proposed")])
def test_a_clip_follows_its_words_and_an_approval_does_not_outlive_them(
    collection: Collection, state: str, then: str
) -> None:
    slug = clip(collection, state)
    editing.retext_segment(collection, 1, "5", "It was very, very cold.", author="Ruth", revision=0)
    now, held = link(collection, slug)
    assert now == then
    assert (held.quote, held.revision, held.state) == ("It was very, very cold.", 1, "found")


def test_an_edit_elsewhere_leaves_an_approval_alone(collection: Collection) -> None:
    slug = clip(collection, "approved")
    editing.retext_segment(collection, 1, "0", "We met.", author="Ruth", revision=0)
    assert link(collection, slug)[0] == "approved"


def test_slugs_name_nobody_and_are_the_same_each_time() -> None:
    slug = excerpts.slug_for("a" * 64, "5", "8", "keeping-connected")
    assert slug == excerpts.slug_for("a" * 64, "5", "8", "keeping-connected")
    assert slug.startswith("keeping-connected-")
    assert len({excerpts.slug_for("a" * 64, "5", str(last), None) for last in range(100)}) == 100


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("1", "a.wav"),
        ("recordings/a.wav", "a.wav"),
        ("a.wav", "a.wav"),
        ("a", "a.wav"),
        ("The garden", "b-long.mp4"),
        ("the-garden", "b-long.mp4"),
        ("b-lo", "b-long.mp4"),
        ("bbbbbbbb", "b-long.mp4"),
    ],
)
def test_a_recording_is_found_by_what_people_call_it(collection: Collection, wanted: str, found: str) -> None:
    with collection.sessions.begin() as session:
        first = session.get_one(models.Recording, 1)
        first.files = [models.SourceFile(path="recordings/a.wav", bytes=1, mtime_ns=1, sha256=first.sha256)]
        second = models.Recording(sha256="b" * 64, kind="video", container="mov", bytes=1, duration_ms=1)
        second.files = [models.SourceFile(path="recordings/b-long.mp4", bytes=1, mtime_ns=1, sha256="b" * 64)]
        second.story = models.Story(key="the-garden", title="The garden")
        session.add(second)
        session.flush()
        assert overview.name_of(overview.find_recording(session, wanted)) == f"recordings/{found}"
        with pytest.raises(NotFound, match="stories status"):
            overview.find_recording(session, "nobody")
