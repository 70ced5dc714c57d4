"""What editors say of themes: kept through everything, laid on passages, learned from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select

from db import models, store
from pipeline import codebook, coding, editing, labelling, learning
from pipeline.cli import stories
from pipeline.collection import Collection
from pipeline.errors import NotFound
from pipeline.stages import Work
from pipeline.stages.clips import Clips
from pipeline.stages.themes import Themes

CODEBOOK = """\
themes:
  - name: Grief
    description: People who died, funerals and saying goodbye.
    examples: [We lost eight people that winter., Nobody could hold her hand at the end.]
  - name: Digital
    description: Video calls, tablets and the internet.
    examples: [We moved everything online., She learned how to use a tablet.]
  - name: Gardens
    description: Growing vegetables and flowers together.
    examples: [We planted beans and roses., The children water the plants.]
"""
GRIEF = [
    "Last winter we lost three patients on the ward.",
    "Their families could not come to say goodbye.",
    "I held a woman's hand until she died.",
    "The funeral had only ten people.",
]
TABLETS = [
    "Then we moved the whole service online.",
    "Every older person was given a tablet.",
    "Volunteers explained how a video call works.",
    "Now the weekly online meeting is full.",
]
GARDEN = [
    "In spring we dug up the yard behind the hall.",
    "We planted potatoes, beans and roses.",
    "The children water the vegetables after school.",
    "In summer we eat what we have grown.",
]
BOATS = [
    "My uncle repairs fishing boats in the harbour.",
    "He paints the hull and mends the nets.",
    "The old boat needs a new engine and a mast.",
    "We sail it round the lighthouse on Sundays.",
]
STORIES = {"ann": [GRIEF, TABLETS], "ben": [GARDEN, GRIEF], "cat": [TABLETS, GARDEN]}


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "stories.toml").write_text("")
    (tmp_path / "themes.yaml").write_text(CODEBOOK)
    made = Collection.open(tmp_path)
    for name, parts in STORIES.items():
        tell(made, name, [sentence for part in parts for sentence in part])
        themes_found(made, name)
    labelling.settle(made)
    return made


def tell(collection: Collection, name: str, sentences: list[str]) -> None:
    with collection.sessions.begin() as session:
        recording = store.recording_by_sha256(session, name.ljust(64, "0"))
        if recording is None:
            recording = models.Recording(
                sha256=name.ljust(64, "0"), kind="audio", container="wav", bytes=1, duration_ms=600_000
            )
            recording.story = models.Story(key=name, title=name)
            recording.story.consents = [models.Consent(scope="public", source="intake")]
            recording.files = [
                models.SourceFile(path=f"recordings/{name}.wav", bytes=1, mtime_ns=1, sha256=recording.sha256)
            ]
            session.add(recording)
            session.flush()
        row = models.Transcript(recording_id=recording.id, engine="test", model="test", language="en")
        store.add_transcript(session, row)
        ordinal, at_ms = 0, 0
        for place, sentence in enumerate(sentences):
            words = sentence.split()
            start_ms = at_ms + 1000
            for number, word in enumerate(words):
                at_ms = start_ms + number * 500
                row.words.append(
                    models.Word(
                        ordinal=ordinal + number,
                        start_ms=at_ms,
                        end_ms=at_ms + 450,
                        text=f" {word}",
                        probability=1.0,
                    )
                )
            last = ordinal + len(words) - 1
            row.segments.append(
                models.Segment(
                    ordinal=place, first_word=ordinal, last_word=last, start_ms=start_ms, end_ms=at_ms + 450
                )
            )
            ordinal = last + 1


def work(collection: Collection, name: str) -> Work:
    with collection.sessions() as session:
        recording = store.recording_by_sha256(session, name.ljust(64, "0"))
        assert recording is not None
        return Work(collection, recording.id, recording.sha256, "audio", 600_000, name)


def themes_found(collection: Collection, name: str) -> None:
    write = Themes().run(work(collection, name), lambda share: None)
    with collection.sessions.begin() as session:
        write(session)


def passages(collection: Collection, name: str) -> list[tuple[str, dict[str, str]]]:
    """The first word of each passage and what is said of its themes."""
    with collection.sessions() as session:
        row = store.current_transcript(session, work(collection, name).recording_id)
        assert row is not None
        return [
            (one.quote.split()[0], {s.theme.key: s.state for s in one.themes if s.state != "scored"})
            for one in row.passages
        ]


def say(collection: Collection, name: str, number: int, **says: coding.State | None) -> labelling.Settled:
    coding.mark_passage(
        collection, lambda session: coding.find_passage(session, name, str(number)), dict(says), author="Ruth"
    )
    return labelling.settle(collection)


def run(collection: Collection, *arguments: str) -> str:
    done = CliRunner().invoke(
        stories, ["-C", str(collection.root), "themes", *arguments], env={"STORIES_AUTHOR": "Ruth"}
    )
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


def test_passages_are_proposed_for_what_they_speak_of_and_say_why(collection: Collection) -> None:
    assert passages(collection, "ann") == [("Last", {"grief": "proposed"}), ("Then", {"digital": "proposed"})]
    with collection.sessions() as session:
        row = store.current_transcript(session, work(collection, "ann").recording_id)
        assert row is not None
        for passage in row.passages:
            assert len(passage.themes) == 3
            assert [text for *_, text in passage.sentences] == passage.quote.replace(". ", ".|").split("|")
            (best,) = [one for one in passage.themes if one.state == "proposed"]
            words = {first for first, *_ in passage.sentences}
            assert best.score >= 0.5
            assert 1 <= len(best.why) <= 2
            assert {first for first, *_ in best.why} <= words
            assert best.why[0][2] >= best.why[-1][2] > 0


def test_nothing_changed_is_nothing_to_do(collection: Collection) -> None:
    assert not labelling.settle(collection).written
    assert say(collection, "ann", 1, grief="accepted").written
    again = labelling.settle(collection)
    assert (again.written, again.passages, again.codings) == (False, 6, 1)


def test_an_editors_word_stands_through_a_new_search_for_passages(collection: Collection) -> None:
    say(collection, "ann", 1, grief="rejected", gardens="accepted")
    wanted = {"grief": "rejected", "gardens": "accepted"}
    assert passages(collection, "ann")[0][1] == wanted
    themes_found(collection, "ann")
    labelling.settle(collection)
    assert passages(collection, "ann")[0][1] == wanted
    say(collection, "ann", 1, grief=None, gardens=None)
    assert passages(collection, "ann")[0][1] == {"grief": "proposed"}


def test_a_rejected_theme_is_nothing_a_clip_is_made_of(collection: Collection) -> None:
    held = work(collection, "ann")
    before = Clips().fingerprint(held, "")
    say(collection, "ann", 1, grief="rejected")
    assert Clips().fingerprint(held, "") != before
    write = Clips().run(held, lambda share: None)
    with collection.sessions.begin() as session:
        write(session)
    with collection.sessions() as session:
        themes = {clip.theme.key if clip.theme else None for clip in store.clips(session)}
    assert "grief" not in themes
    assert "digital" in themes


def test_a_coding_of_other_words_cuts_the_passages_there(collection: Collection) -> None:
    held = work(collection, "ann")
    with collection.sessions.begin() as session:
        row = store.current_transcript(session, held.recording_id)
        assert row is not None
        first, second = row.passages[0].sentences[2], row.passages[0].sentences[3]
        mark = coding.Mark(row.id, "gardens", "accepted", first[0], second[1], first[2], second[3], "")
        coding.write(session, [mark], "Ruth")
    assert not Themes().intact(held)
    themes_found(collection, "ann")
    labelling.settle(collection)
    assert Themes().intact(held)
    found = passages(collection, "ann")
    assert [first for first, _ in found] == ["Last", "I", "Then"]
    assert found[1][1]["gardens"] == "accepted"
    assert all("gardens" not in states for place, (_, states) in enumerate(found) if place != 1)


def test_codings_that_overlap_are_both_kept(collection: Collection) -> None:
    held = work(collection, "ann")
    with collection.sessions.begin() as session:
        row = store.current_transcript(session, held.recording_id)
        assert row is not None
        one = row.passages[0].sentences
        for theme, first, last in (("gardens", 0, 2), ("digital", 1, 3)):
            mark = coding.Mark(
                row.id, theme, "accepted", one[first][0], one[last][1], one[first][2], one[last][3], ""
            )
            coding.write(session, [mark], "Ruth")
    themes_found(collection, "ann")
    labelling.settle(collection)
    accepted = [
        {key for key, state in states.items() if state == "accepted"}
        for _, states in passages(collection, "ann")
    ]
    assert accepted == [{"gardens"}, {"gardens", "digital"}, {"digital"}, set()]


def test_codings_come_along_to_a_new_transcript_and_after_an_edit(collection: Collection) -> None:
    say(collection, "ann", 2, digital="accepted", grief="accepted")
    tell(collection, "ann", ["Hello, this is Ann.", *GRIEF, *TABLETS])
    themes_found(collection, "ann")
    labelling.settle(collection)
    found = dict(passages(collection, "ann"))
    assert found["Then"] == {"digital": "accepted", "grief": "accepted"}
    with collection.sessions() as session:
        row = store.current_transcript(session, work(collection, "ann").recording_id)
        assert row is not None
        (segment,) = [one for one in row.passages[-1].sentences if one[4].startswith("Then")]
        transcript_id = row.id
    editing.retext_segment(
        collection,
        transcript_id,
        segment[0],
        "So we moved the entire service online.",
        author="Ruth",
        revision=0,
    )
    themes_found(collection, "ann")
    labelling.settle(collection)
    assert dict(passages(collection, "ann"))["So"] == {"digital": "accepted", "grief": "accepted"}


def test_learning_reaches_the_whole_collection_and_is_told(collection: Collection) -> None:
    for name in ("dan", "eve", "fay", "gus", "hal"):
        tell(collection, name, [f"{sentence[:-1]} near {name}." for sentence in BOATS])
        themes_found(collection, name)
    labelling.settle(collection)
    assert all(
        not states for name in ("dan", "eve", "fay", "gus", "hal") for _, states in passages(collection, name)
    )
    # A theme that the codebook describes as something else is moved to what editors take it for.
    for name in ("dan", "eve", "gus", "hal"):
        say(collection, name, 1, gardens="accepted")
    learned = learning.learn(collection)
    assert passages(collection, "fay")[0][1] == {"gardens": "proposed"}
    assert (learned.looked_at, learned.passages) == (4, 11)
    assert learned.after > learned.before == 0.0
    assert [(one.theme, one.accepted, one.rejected) for one in learned.themes] == [("gardens", 4, 0)]
    assert passages(collection, "ann")[0][1] == {"grief": "proposed"}
    told = run(collection, "learn")
    assert "4 of 11 passages were looked at." in told
    assert json.loads(run(collection, "learn", "--json"))["looked_at"] == 4


def test_what_no_theme_fits_is_offered_as_a_theme(collection: Collection) -> None:
    assert "the codebook misses nothing" in run(collection, "discover")
    for name in ("dan", "eve", "fay"):
        tell(collection, name, [f"{sentence[:-1]} near {name}." for sentence in BOATS])
        themes_found(collection, name)
    labelling.settle(collection)
    (candidate,) = json.loads(run(collection, "discover", "--json"))
    assert {one["recording"] for one in candidate["passages"]} == {
        f"recordings/{n}.wav" for n in ("dan", "eve", "fay")
    }
    assert "boat" in candidate["terms"]
    assert len(candidate["sentences"]) == 3
    run(collection, "discover", "--add", "1", "--name", "Boats and harbours")
    book = codebook.standing(collection).book
    assert book["boats-and-harbours"].examples == tuple(candidate["sentences"])
    assert passages(collection, "fay")[0][1] == {"boats-and-harbours": "proposed"}


def test_commands_accept_reject_move_and_clear(collection: Collection) -> None:
    run(collection, "accept", "ann", "1", "Grief", "gardens")
    assert passages(collection, "ann")[0][1] == {"grief": "accepted", "gardens": "accepted"}
    run(collection, "clear", "ann", "1", "gardens")
    run(collection, "move", "ann", "0:25", "digital", "grief")
    assert passages(collection, "ann")[1][1] == {"digital": "rejected", "grief": "accepted"}
    run(collection, "reject", "ben", "2", "grief")
    assert passages(collection, "ben")[1][1]["grief"] == "rejected"
    with collection.sessions() as session:
        assert set(session.scalars(select(models.Coding.author))) == {"Ruth"}
    looked = json.loads(run(collection, "next", "--json"))
    assert len(looked) == 3
    assert not {("recordings/ann.wav", 1), ("recordings/ann.wav", 2)} & {
        (one["recording"], one["passage"]) for one in looked
    }


@pytest.mark.parametrize(
    ("recording", "passage", "theme", "message"),
    [
        ("ann", "3", "grief", "give a number from 1 to 2 or a moment"),
        ("ann", "9:00", "grief", "has no passage '9:00'"),
        ("zoe", "1", "grief", "zoe"),
        ("ann", "1", "greif", 'did you mean "grief"'),
    ],
)
def test_what_is_not_there_is_named(
    collection: Collection, recording: str, passage: str, theme: str, message: str
) -> None:
    done = CliRunner().invoke(
        stories, ["-C", str(collection.root), "themes", "accept", recording, passage, theme]
    )
    assert isinstance(done.exception, NotFound)
    assert message in str(done.exception)
    with collection.sessions() as session:
        assert session.scalar(select(models.Coding)) is None


def test_codings_made_elsewhere_are_taken_over_under_the_coders_name(
    collection: Collection, tmp_path: Path
) -> None:
    say(collection, "ann", 1, gardens="accepted")
    with collection.sessions.begin() as session:
        for name in STORIES:
            recording = session.get_one(models.Recording, work(collection, name).recording_id)
            recording.renditions = [
                models.Rendition(kind="web", path=f"{name}.m4a", media_type="audio/mp4", bytes=1, sha256="")
            ]
    target = tmp_path / "out.qdpx"
    done = CliRunner().invoke(
        stories, ["-C", str(collection.root), "export", "--qdpx", str(target), "--without-media"]
    )
    assert done.exit_code == 0, done.output
    before = passages(collection, "ann")
    with collection.sessions.begin() as session:
        session.execute(delete(models.Coding))
    labelling.settle(collection)
    assert "gardens" not in passages(collection, "ann")[0][1]
    shown = run(collection, "import", str(target))
    assert "coded elsewhere, not here:" in shown
    assert "gardens" not in passages(collection, "ann")[0][1]
    assert json.loads(run(collection, "import", str(target), "--yes", "--json"))["codings_written"] == 1
    assert passages(collection, "ann") == before
    with collection.sessions() as session:
        (coding_row,) = session.scalars(select(models.Coding))
        assert (coding_row.author, coding_row.theme.key) == ("Ruth", "gardens")
    assert "stands here already" in run(collection, "import", str(target), "--yes")


def test_a_theme_that_left_the_codebook_keeps_what_was_said_of_it(collection: Collection) -> None:
    say(collection, "ann", 1, gardens="accepted")
    before = codebook.standing(collection)
    without = replace(before.book, themes=tuple(one for one in before.book.themes if one.key != "gardens"))
    codebook.change(collection, before, without)
    labelling.settle(collection)
    assert passages(collection, "ann")[0][1] == {"grief": "proposed"}
    now = codebook.standing(collection)
    codebook.change(collection, now, before.book)
    labelling.settle(collection)
    assert passages(collection, "ann")[0][1]["gardens"] == "accepted"
