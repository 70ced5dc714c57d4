"""Every format is read back by somebody else's reader; captions keep their sizes and the words' times."""

from __future__ import annotations

import csv
import html
import io
import itertools
import json
import random
import unicodedata
from collections.abc import Mapping

import pytest
import srt
import webvtt

from transcripts.formats import FORMATS, clip_captions, write
from transcripts.formats.captions import LINE_CHARS, LONGEST_MS, SHORTEST_MS, captions
from transcripts.model import Segment, Transcript, Word
from transcripts.span import Span

NAMES = {1: "Zoë & <Co>", 2: "Bo"}


def told(
    *turns: tuple[int | None, str], word_ms: int = 300, gap_ms: int = 60, pause_ms: int = 400
) -> Transcript:
    at_ms, ids, segments = 0, itertools.count(), []
    for speaker, text in turns:
        words = []
        for token in text.split():
            words.append(Word(str(next(ids)), at_ms, at_ms + word_ms, f" {token}", 0.9))
            at_ms += word_ms + gap_ms
        at_ms += pause_ms
        segments.append(Segment(tuple(words), speaker))
    return Transcript("en", tuple(segments), 4)


STORY = told(
    (1, "Please tell us about that winter, Bo."),
    (
        2,
        "Last winter, we lost patients on the ward, and families could not visit because nobody was allowed in.",
    ),
    (2, "Yes."),
    (2, "I sat with an older man at night; he told me he felt frightened & <alone> --> that was hard."),
    (None, "Cafe\u0301 noise."),
)


def written(transcript: Transcript, form: str, names: Mapping[int, str] = NAMES, offset_ms: int = 0) -> str:
    out = io.StringIO()
    write(transcript, form, out, speaker_names=names, offset_ms=offset_ms)
    assert unicodedata.is_normalized("NFC", out.getvalue())
    return out.getvalue()


def clipped(
    transcript: Transcript, span: Span, names: Mapping[int, str] | None = None
) -> list[webvtt.Caption]:
    out = io.StringIO()
    clip_captions(transcript.segments, span, out, speaker_names=names)
    return list(webvtt.from_string(out.getvalue(), strict=True).captions)


def in_ms(time: str) -> int:
    hours, minutes, seconds = time.replace(".", "").split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + int(seconds)


def plain(transcript: Transcript) -> list[str]:
    return unicodedata.normalize("NFC", transcript.text).split()


def test_webvtt_is_read_back_with_voices_and_marks() -> None:
    cues = webvtt.from_string(written(STORY, "vtt"), strict=True).captions
    assert [html.unescape(word) for cue in cues for word in cue.text.split()] == plain(STORY)
    assert {html.unescape(cue.voice) for cue in cues if cue.voice} == {"Zoë & <Co>", "Bo"}
    assert cues[-1].voice is None
    assert "Zoë &amp; &lt;Co&gt;" in cues[0].raw_text
    assert all("--&gt;" in cue.raw_text for cue in cues if "--" in cue.raw_text)


def test_srt_is_read_back_and_says_who_begins() -> None:
    cues = list(srt.parse(written(STORY, "srt")))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    said = " ".join(cue.content.replace("\n", " ") for cue in cues)
    question, *answers, noise = STORY.segments
    answer = " ".join(segment.text for segment in answers).replace("-->", "->")
    assert said == f"Zoë & <Co>: {question.text} Bo: {answer} {unicodedata.normalize('NFC', noise.text)}"


def test_text_has_a_paragraph_for_each_turn() -> None:
    paragraphs = written(STORY, "txt").split("\n\n")
    assert [paragraph[:12] for paragraph in paragraphs] == ["Zoë & <Co>: ", "Bo: Last win", "Café noise.\n"]
    assert "allowed in. Yes. I sat" in paragraphs[1]


def test_a_table_has_a_line_for_each_segment() -> None:
    transcript = told((1, 'She said "no"'), (2, "tab\there"), (7, "unnamed"), (None, "nobody"))
    rows = list(csv.DictReader(io.StringIO(written(transcript, "tsv")), dialect="excel-tab"))
    assert [row["text"] for row in rows] == ['She said "no"', "tab here", "unnamed", "nobody"]
    assert [row["speaker"] for row in rows] == ["Zoë & <Co>", "Bo", "7", ""]
    assert [int(row["start_ms"]) for row in rows] == [segment.start_ms for segment in transcript.segments]


def test_json_holds_every_word() -> None:
    document = json.loads(written(STORY, "json"))
    assert document["language"] == "en"
    assert document["revision"] == 4
    words = [word for segment in document["segments"] for word in segment["words"]]
    assert [(word["id"], word["start_ms"], word["end_ms"]) for word in words] == [
        (word.id, word.start_ms, word.end_ms) for word in STORY.words()
    ]
    assert document["segments"][1]["speaker_name"] == "Bo"
    assert document["segments"][-1]["speaker_name"] is None


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_nothing_said_is_an_empty_file_of_its_format(form: str) -> None:
    text = written(Transcript("en", ()), form)
    expected = {"vtt": "WEBVTT\n", "srt": "", "txt": "", "tsv": "start_ms\tend_ms\tspeaker\ttext\n"}
    assert form == "json" or text == expected[form]
    assert form != "json" or json.loads(text)["segments"] == []


@pytest.mark.parametrize(
    ("offset_ms", "start", "end"),
    [
        (0, "00:00:00.000", "00:00:01.000"),
        (3_600_000, "01:00:00.000", "01:00:01.000"),
        (360_000_001, "100:00:00.001", "100:00:01.001"),
        (-100, "00:00:00.000", "00:00:01.000"),
    ],
)
def test_an_offset_moves_every_time(offset_ms: int, start: str, end: str) -> None:
    (cue,) = webvtt.from_string(written(told((1, "Hello.")), "vtt", offset_ms=offset_ms)).captions
    assert (cue.start, cue.end) == (start, end)


def test_an_unknown_format_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="json, srt, tsv, txt, vtt"):
        write(STORY, "docx", io.StringIO(), speaker_names={})


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Short.", [("Short.",)]),
        (
            "Last winter, we lost patients on the ward, and nobody came.",
            [("Last winter, we lost patients on the ward,", "and nobody came.")],
        ),
        ("We cried. Then we laughed.", [("We cried. Then we laughed.",)]),
        (
            "The volunteers delivered a hot meal to the people who live alone",
            [("The volunteers delivered a hot meal", "to the people who live alone")],
        ),
        ("x" * 100, [("x" * 42,), ("x" * 42, "x" * 16)]),
    ],
)
def test_lines_break_where_a_reader_pauses(text: str, lines: list[tuple[str, ...]]) -> None:
    assert [caption.lines for caption in captions(told((1, text)).segments)] == lines


def test_writing_without_spaces_is_wrapped_too() -> None:
    text = "今日は雨が降っていますがとても静かな朝です。" * 4
    words = tuple(Word(str(n), n * 120, n * 120 + 110, character) for n, character in enumerate(text))
    shown = captions([Segment(words, 1)])
    assert "".join(line for caption in shown for line in caption.lines) == text
    assert all(len(line) <= LINE_CHARS for caption in shown for line in caption.lines)


WORDS = "we lost her, in the spring. And then it was over; naïve café's 3.5 Dr. no! extraordinarily-long-thing".split()


def random_story(seed: int) -> Transcript:
    chance = random.Random(seed)
    turns = [
        (chance.choice([1, 1, 2, None]), " ".join(chance.choices(WORDS, k=chance.randint(1, 30))))
        for _ in range(chance.randint(1, 12))
    ]
    return told(
        *turns,
        word_ms=chance.choice([0, 40, 250, 900]),
        gap_ms=chance.choice([0, 50, 900]),
        pause_ms=chance.choice([0, 300, 4000]),
    )


@pytest.mark.parametrize("seed", range(60))
def test_captions_keep_their_sizes_their_words_and_their_order(seed: int) -> None:
    transcript = random_story(seed)
    shown = captions(transcript.segments)
    assert " ".join(line for caption in shown for line in caption.lines) == " ".join(plain(transcript))
    for caption in shown:
        assert 1 <= len(caption.lines) <= 2
        assert max(len(line) for line in caption.lines) <= LINE_CHARS
        assert 0 < caption.span.duration_ms <= LONGEST_MS
    for one, other in itertools.pairwise(shown):
        assert one.span.end_ms <= other.span.start_ms
        free_ms = other.span.start_ms - one.span.start_ms
        assert one.span.duration_ms >= min(SHORTEST_MS, free_ms)


@pytest.mark.parametrize("seed", range(20))
def test_captions_follow_the_words(seed: int) -> None:
    chance = random.Random(seed)
    turns = [(1, " ".join(chance.choices(WORDS, k=chance.randint(8, 30)))) for _ in range(6)]
    transcript = told(*turns, word_ms=300)
    starts = {word.start_ms for word in transcript.words()}
    ends = {word.end_ms for word in transcript.words()}
    for caption in captions(transcript.segments):
        assert caption.span.start_ms in starts
        assert caption.span.end_ms in ends or caption.span.duration_ms <= SHORTEST_MS


def test_people_who_speak_at_once_get_captions_one_after_the_other() -> None:
    one, other = (
        told((1, "I was saying that we all came.")).segments[0],
        told((2, "Yes. Indeed we did.")).segments[0],
    )
    shown = captions([one, other])
    assert [caption.speaker for caption in shown] == [1, 2]
    assert shown[0].span.end_ms <= shown[1].span.start_ms


@pytest.mark.parametrize("seed", range(60))
def test_clip_captions_lie_within_the_clip(seed: int) -> None:
    chance = random.Random(seed)
    transcript = random_story(seed)
    end_ms = max(word.end_ms for word in transcript.words()) + 1_000
    start_ms = chance.randrange(end_ms)
    span = Span(start_ms, chance.randint(start_ms + 1, end_ms))
    cues = clipped(transcript, span, NAMES)
    times = [in_ms(time) for cue in cues for time in (cue.start, cue.end)]
    assert times == sorted(times)
    assert all(0 <= time <= span.duration_ms for time in times)
    heard = [
        w for w in transcript.words() if w.start_ms < span.end_ms and max(w.end_ms, w.start_ms + 1) > start_ms
    ]
    if span.duration_ms > 400 * len(heard):
        assert [html.unescape(t) for cue in cues for t in cue.text.split()] == plain(
            Transcript("en", (Segment(tuple(heard)),)) if heard else Transcript("en", ())
        )


def test_clip_captions_are_in_the_clips_own_time() -> None:
    span = Span(STORY.segments[2].start_ms - 100, STORY.segments[3].end_ms + 200)
    cues = clipped(STORY, span, NAMES)
    assert cues[0].start == "00:00:00.100"
    assert cues[0].voice == "Bo"
    assert html.unescape(" ".join(cue.text for cue in cues)).split() == plain(
        Transcript("en", STORY.segments[2:4])
    )
    assert clipped(STORY, Span(10_000_000, 10_000_500)) == []
