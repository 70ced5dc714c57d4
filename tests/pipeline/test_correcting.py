"""The correction list lies on the machine's transcript as edits that can be seen, and never on an editor's words."""

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from db import models, store
from db.search import search
from pipeline import correcting, editing, mapping
from pipeline.cli import stories
from pipeline.collection import Collection
from pipeline.journey import Journey, Outcome
from pipeline.stages import Work
from pipeline.stages.corrections import Correct
from tests.pipeline.test_journey import Counting, Silent

SENTENCES = ("We met in oban.", "The care manger came.", "Nobody else.")


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "stories.toml").write_text("")
    collection = Collection.open(tmp_path)
    with collection.sessions.begin() as session:
        for name in ("a", "b"):
            recording = models.Recording(
                sha256=name * 64, kind="audio", container="wav", bytes=1, duration_ms=20_000
            )
            recording.speakers = [models.Speaker(number=1), models.Speaker(number=2)]
            session.add(recording)
        session.flush()
    transcribed(collection, 1, SENTENCES)
    transcribed(collection, 2, ("Here is nothing to correct.",))
    return collection


def transcribed(
    collection: Collection, recording_id: int, sentences: tuple[str, ...], origin: str = "machine"
) -> int:
    with collection.sessions.begin() as session:
        row = store.add_transcript(
            session,
            models.Transcript(
                recording_id=recording_id, origin=origin, engine="e", model="m", language="en", revision=0
            ),
        )
        at = 0
        for number, sentence in enumerate(sentences):
            words = sentence.split()
            row.words += [
                models.Word(
                    ordinal=at + n,
                    start_ms=(at + n) * 500,
                    end_ms=(at + n) * 500 + 400,
                    text=f" {text}",
                    probability=0.5,
                )
                for n, text in enumerate(words)
            ]
            at += len(words)
            row.segments.append(
                models.Segment(
                    ordinal=number,
                    first_word=at - len(words),
                    last_word=at - 1,
                    start_ms=(at - len(words)) * 500,
                    end_ms=at * 500 - 100,
                )
            )
        return row.id


def process(collection: Collection, *after: Counting, corrections: str | None = None) -> list[Outcome]:
    if corrections is not None:
        (collection.root / "corrections.txt").write_text(corrections)
    works = [
        Work(collection, number, name * 64, "audio", 20_000, name) for number, name in ((1, "a"), (2, "b"))
    ]
    return Journey(collection, Silent(), [[Correct(), *after]]).run(works, jobs=1)


def texts(collection: Collection, recording_id: int = 1) -> list[str]:
    with collection.sessions() as session:
        row = store.current_transcript(session, recording_id)
        assert row is not None
        seen = mapping.current_transcript(session, row)
        assert mapping.replayed(session, row) == seen
        return [segment.text for segment in seen.segments]


def journal(collection: Collection, transcript_id: int = 1) -> list[models.Edit]:
    with collection.sessions() as session:
        return list(store.journal(session, transcript_id))


def moments(collection: Collection) -> list[datetime]:
    return [edit.made_at for edit in journal(collection)]


def test_every_matching_segment_gets_an_edit_of_its_own(collection: Collection) -> None:
    first, second = process(collection, corrections="oban -> Oban\ncare manger -> care home manager\n")
    assert (first.done, second.done, first.error + second.error) == (["corrections"], ["corrections"], "")
    assert texts(collection) == ["We met in Oban.", "The care home manager came.", "Nobody else."]
    edits = journal(collection)
    assert [(edit.kind, edit.author, edit.revision) for edit in edits] == [
        ("retext", "corrections.txt", 1),
        ("retext", "corrections.txt", 2),
    ]
    assert [word["text"] for word in edits[1].inverse["words"]] == [" The", " care", " manger", " came."]
    assert journal(collection, 2) == []
    with collection.sessions() as session:
        row = session.get_one(models.Transcript, 1)
        assert [one.text for one in mapping.machine_transcript(session, row).segments] == list(SENTENCES)
        words = {word.text.strip(): word for word in mapping.current_transcript(session, row).words()}
        assert (words["Oban."].id, words["manager"].id, words["home"].id) == ("3", "6", "e2.0")
        assert (words["manager"].start_ms, words["manager"].end_ms) == (3000, 3400)
        assert [hit.text for hit in search(session, "manager")] == ["The care home manager came."]
        assert search(session, "manger") == []


def test_a_second_run_changes_nothing(collection: Collection) -> None:
    listed = "oban -> Oban Bay\nnobody -> Nobody\nOban -> Mull\n"
    process(collection, corrections=listed)
    assert texts(collection)[0] == "We met in Oban Bay."
    after = moments(collection)
    assert [outcome.passed for outcome in process(collection)] == [["corrections"], ["corrections"]]
    assert moments(collection) == after


def test_a_changed_list_reaches_only_what_it_matches_and_what_comes_after(collection: Collection) -> None:
    later = Counting("themes")
    process(collection, later, corrections="oban -> Oban\n")
    outcomes = process(collection, later, corrections="oban -> Oban\ncare manger -> care manager\n")
    assert [outcome.done for outcome in outcomes] == [["corrections"], []]
    assert texts(collection) == ["We met in Oban.", "The care manager came.", "Nobody else."]
    assert [edit.change["segment"] for edit in journal(collection)] == ["0", "4"]


def test_a_line_taken_out_is_taken_back(collection: Collection) -> None:
    process(collection, corrections="oban -> Oban\ncare manger -> care manager\n")
    process(collection, corrections="care manger -> caring manager\n")
    assert texts(collection) == ["We met in oban.", "The caring manager came.", "Nobody else."]
    (collection.root / "corrections.txt").unlink()
    process(collection)
    assert texts(collection) == list(SENTENCES)
    assert {edit.author for edit in journal(collection)} == {"corrections.txt"}


@pytest.mark.parametrize("corrected_first", [False, True], ids=["editor first", "list first"])
@pytest.mark.parametrize("wording", ["We met in oban.!", "We met in oban, we did.", "oban"])
def test_an_editors_wording_is_never_overwritten(
    collection: Collection, wording: str, corrected_first: bool
) -> None:
    if corrected_first:
        process(collection, corrections="oban -> Oban\n")
    revision = len(journal(collection))
    editing.retext_segment(collection, 1, "0", wording, author="Ruth", revision=revision)
    for listed in ("oban -> Oban\n", "oban -> Obann\nmet -> sat\nnobody else -> Nobody\n", ""):
        process(collection, corrections=listed)
        assert texts(collection)[0] == wording
    assert texts(collection)[2] == "Nobody else."


def test_an_editor_who_takes_a_correction_back_is_heeded(collection: Collection) -> None:
    process(collection, corrections="oban -> Oban\n")
    editing.retext_segment(collection, 1, "0", SENTENCES[0], author="Ruth", revision=1)
    process(collection, corrections="oban -> Oban\nelse -> more\n")
    assert texts(collection) == [SENTENCES[0], SENTENCES[1], "Nobody more."]


def test_a_named_speaker_is_no_wording(collection: Collection) -> None:
    editing.name_speaker(collection, 1, 1, name="Ann", role=None, author="Ruth")
    process(collection, corrections="oban -> Oban\n")
    assert texts(collection)[0] == "We met in Oban."


def test_other_speakers_do_no_harm(collection: Collection) -> None:
    process(collection, corrections="oban -> Oban\n")
    with collection.sessions.begin() as session:
        session.add(models.Attribution(transcript_id=1, first_word=0, last_word=1, speaker_id=1))
        session.add(models.Attribution(transcript_id=1, first_word=2, last_word=10, speaker_id=2))
        session.delete(session.get_one(models.Snapshot, 1))
    assert texts(collection) == ["We met", "in oban.", *SENTENCES[1:]]
    process(collection, corrections="oban -> Oban\nmet in -> sat in\n")
    assert texts(collection) == ["We met", "in Oban.", *SENTENCES[1:]]
    with collection.sessions.begin() as session:
        session.get_one(models.Attribution, (1, 0)).last_word = 10
        session.delete(session.get_one(models.Attribution, (1, 2)))
        session.delete(session.get_one(models.Snapshot, 1))
    process(collection)
    assert texts(collection) == ["We sat in Oban.", *SENTENCES[1:]]


def test_a_new_machine_transcript_takes_the_place_of_one_that_only_the_list_changed(
    collection: Collection,
) -> None:
    process(collection, corrections="oban -> Oban\n")
    newer = transcribed(collection, 1, ("They met in oban again.",))
    process(collection)
    assert texts(collection) == ["They met in Oban again."]
    editing.retext_segment(collection, newer, "0", "They met.", author="Ruth", revision=1)
    transcribed(collection, 1, ("Who met in oban?",))
    assert texts(collection) == ["They met."]


def test_an_imported_transcript_is_somebodys_wording(collection: Collection) -> None:
    transcribed(collection, 2, ("I was in oban.",), origin="import")
    process(collection, corrections="oban -> Oban\n")
    assert texts(collection, 2) == ["I was in oban."]


def test_a_mistake_in_the_list_is_told_once_and_nothing_is_changed(collection: Collection) -> None:
    outcomes = process(collection, Counting("themes"), corrections="oban -> Oban\nmanger = manager\n")
    assert all(outcome.set_up and outcome.failed_stage == "corrections" for outcome in outcomes)
    assert {outcome.error for outcome in outcomes} == {
        f"{collection.root / 'corrections.txt'}, line 2: there is no ->; write: wrong form -> right form"
    }
    assert journal(collection) == []
    assert process(collection, corrections="oban -> Oban\n")[0].done == ["corrections"]
    assert texts(collection)[0] == "We met in Oban."


def test_a_new_collection_has_an_example_that_changes_nothing(tmp_path: Path) -> None:
    made = CliRunner().invoke(stories, ["init", str(tmp_path / "new"), "--model", "demo"])
    assert made.exit_code == 0
    written = (tmp_path / "new" / "corrections.txt").read_text()
    assert "# oban -> Oban\n" in written
    assert correcting.corrections(Collection.open(tmp_path / "new")).lines == ()
