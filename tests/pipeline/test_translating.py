"""An English text for subtitles: asked for in stories.toml, kept beside the transcript, written by export."""

import io
import json
from pathlib import Path

import pytest
import soundfile
import srt
import webvtt
from click.testing import CliRunner, Result

from db import models, store
from pipeline import editing, mapping
from pipeline.cli import stories
from pipeline.collection import Collection
from pipeline.journey import Journey, Outcome
from pipeline.stages import Work
from pipeline.stages.transcribe import Transcribe
from tests.journey.collections import say
from tests.pipeline.test_journey import Silent
from tests.transcripts.bilingual import MEANT, save_teller
from transcripts.model import TranslatedLine


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a speech rendition and a model that hears Swedish in everything."""
    folder = tmp_path_factory.mktemp("spoken")
    samples, rate_hz = soundfile.read(say("Small things matter to us all.", folder / "said.wav"))
    soundfile.write(folder / "speech.flac", samples, rate_hz, subtype="PCM_16")
    save_teller(folder / "teller.pt")
    return folder


def collected(root: Path, spoken: Path, translate: bool, language: str = "") -> Collection:
    said = "true" if translate else "false"
    (root / "stories.toml").write_text(
        f'[transcription]\nmodel = "{spoken / "teller.pt"}"\nbeam_size = 1\nlanguage = "{language}"\n'
        f"translate = {said}\n"
    )
    collection = Collection.open(root)
    with collection.sessions.begin() as session:
        if store.recordings(session):
            return collection
        recording = models.Recording(
            sha256="a" * 64, kind="audio", container="wav", bytes=1, duration_ms=3_000
        )
        recording.files = [
            models.SourceFile(path="recordings/said.wav", bytes=1, mtime_ns=1, sha256="a" * 64)
        ]
        recording.renditions = [
            models.Rendition(
                kind="speech",
                path=str(spoken / "speech.flac"),
                media_type="audio/flac",
                bytes=1,
                sha256="b" * 64,
            )
        ]
        recording.story = models.Story(
            key="garden",
            title="A garden",
            storyteller=models.Storyteller(key="margaret-ross", name="Margaret Ross", place="Fife"),
            consents=[models.Consent(scope="public", source="intake")],
        )
        session.add(recording)
    return collection


def process(collection: Collection) -> Outcome:
    work = Work(collection, 1, "a" * 64, "audio", 3_000, "said.wav")
    (outcome,) = Journey(collection, Silent(), [[Transcribe()]]).run([work], jobs=1)
    return outcome


def run(collection: Collection, *arguments: str) -> Result:
    return CliRunner().invoke(stories, ["-C", str(collection.root), *arguments])


def lines(collection: Collection) -> list[TranslatedLine]:
    with collection.sessions() as session:
        return mapping.translated_lines(store.translation(session, 1))


def test_a_translation_is_written_with_the_transcript_and_not_made_twice(
    tmp_path: Path, spoken: Path
) -> None:
    collection = collected(tmp_path, spoken, translate=True)
    assert process(collection).error == ""
    found = lines(collection)
    assert [line.text for line in found] == [" ".join([MEANT.strip()] * 3)] * len(found)
    assert len(found) == 2
    assert 0 <= found[0].start_ms < found[0].end_ms <= found[1].start_ms < found[1].end_ms <= 3_000
    with collection.sessions() as session:
        row = store.current_transcript(session, 1)
        assert row is not None
        assert (row.language, row.prompted) == ("sv", ["Margaret Ross", "Fife"])
        assert [line.ordinal for line in row.translation] == [0, 1]
    assert process(collection).passed == ["transcribe"]
    shown = run(collection, "show", "said")
    assert "told to expect: Margaret Ross, Fife\n" in shown.output


@pytest.mark.parametrize("language", ["", "sv"])
def test_asking_for_it_later_hears_again(tmp_path: Path, spoken: Path, language: str) -> None:
    process(collected(tmp_path, spoken, translate=False, language=language))
    collection = collected(tmp_path, spoken, translate=True, language=language)
    assert process(collection).done == ["transcribe"]
    assert len(lines(collection)) == 2


@pytest.mark.parametrize("language", ["en", "English"])
def test_what_is_told_in_english_is_not_heard_again(tmp_path: Path, spoken: Path, language: str) -> None:
    process(collected(tmp_path, spoken, translate=False, language=language))
    collection = collected(tmp_path, spoken, translate=True, language=language)
    assert process(collection).passed == ["transcribe"]
    assert lines(collection) == []
    refused = run(collection, "export", "said", "--translation")
    assert refused.exit_code != 0
    assert "told in English" in str(refused.exception)


def test_a_translation_made_after_an_editors_work_is_found(tmp_path: Path, spoken: Path) -> None:
    collection = collected(tmp_path, spoken, translate=False)
    process(collection)
    editing.retext_segment(collection, 1, "0", "Vi pratar.", author="Ruth", revision=0)
    missing = run(collection, "export", "said", "--translation")
    assert "translate = true" in str(missing.exception)
    process(collected(tmp_path, spoken, translate=True))
    assert len(lines(collection)) == 2
    assert run(collection, "export", "said", "--format", "txt").output == "Vi pratar.\n"


def test_a_model_that_cannot_translate_is_a_broken_set_up(tmp_path: Path, spoken: Path) -> None:
    collection = collected(tmp_path, spoken, translate=True)
    outcome = process(Collection(collection.root, collection.settings.with_model("demo")))
    assert outcome.set_up
    assert outcome.error.startswith('the model "demo" cannot translate (it knows English only): ')


# Export, from values
LINES = [
    TranslatedLine(0, 2_000, "We met & talked."),
    TranslatedLine(6_500, 9_000, "It was cold, that winter."),
]


@pytest.fixture
def translated(tmp_path: Path, spoken: Path) -> Collection:
    collection = collected(tmp_path, spoken, translate=True)
    with collection.sessions.begin() as session:
        row = store.add_transcript(
            session,
            models.Transcript(
                recording_id=1,
                engine="e",
                model="m",
                language="sv",
                revision=0,
                translation=mapping.translation_rows(LINES),
            ),
        )
        row.words.append(models.Word(ordinal=0, start_ms=0, end_ms=3_000, text=" Hej.", probability=1.0))
        row.segments.append(models.Segment(ordinal=0, first_word=0, last_word=0, start_ms=0, end_ms=3_000))
        speaker = models.Speaker(recording_id=1, number=1, name="Margaret")
        session.add(speaker)
        session.flush()
        row.attributions.append(models.Attribution(first_word=0, last_word=0, speaker_id=speaker.id))
    return collection


def exported(collection: Collection, form: str, *more: str) -> str:
    done = run(collection, "export", "said", "--format", form, *more)
    assert done.exit_code == 0, done.output
    return done.output


def test_every_format_writes_the_translation(translated: Collection) -> None:
    assert "Hej." in exported(translated, "txt")
    assert exported(translated, "txt", "--translation") == (
        "Margaret: We met & talked.\n\nIt was cold, that winter.\n"
    )
    captions = webvtt.from_buffer(io.StringIO(exported(translated, "vtt", "--translation")))
    assert [(one.start, one.end, one.voice) for one in captions] == [
        ("00:00:00.000", "00:00:02.000", "Margaret"),
        ("00:00:06.500", "00:00:09.000", None),
    ]
    subtitles = list(srt.parse(exported(translated, "srt", "--translation")))
    assert [one.content.replace("\n", " ") for one in subtitles] == [
        "Margaret: We met & talked.", "It was cold, that winter."
    ]  # fmt: skip
    assert exported(translated, "tsv", "--translation").splitlines() == [
        "start_ms\tend_ms\tspeaker\ttext",
        "0\t2000\tMargaret\tWe met & talked.",
        "6500\t9000\t\tIt was cold, that winter.",
    ]
    document = json.loads(exported(translated, "json", "--translation"))
    assert document["language"] == "en"
    assert [one["text"] for one in document["segments"]] == [line.text for line in LINES]


def test_no_name_is_written_of_an_anonymous_storyteller(translated: Collection) -> None:
    with translated.sessions.begin() as session:
        session.add(models.Consent(story_id=1, scope="anonymous", source="by phone"))
    assert "Margaret" not in exported(translated, "vtt", "--translation")


def test_a_translation_goes_with_its_transcript(translated: Collection) -> None:
    with translated.sessions.begin() as session:
        session.delete(session.get_one(models.Transcript, 1))
    assert lines(translated) == []
