"""How far a result is from the truth: words, times of speakers, speakers of words. Pure: values in, figures
out."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcripts.model import Turn

_NOT_WORDS = re.compile(r"[^\w'\s]|_")
_APOSTROPHES = str.maketrans("’‘ʼ`", "''''")


@dataclass(frozen=True, slots=True)
class WordErrors:
    """The fewest edits that turn the reference's words into the hypothesis's."""

    substitutions: int
    insertions: int
    deletions: int
    reference_words: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def rate(self) -> float:
        """Errors a reference word; may exceed 1. Without a reference word it is the number of insertions."""
        return self.errors / max(1, self.reference_words)

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
            self.reference_words + other.reference_words,
        )


@dataclass(frozen=True, slots=True)
class DiarizationErrors:
    """Time given to nobody, to somebody though silent, or to the wrong speaker; each speaker's time
    counts."""

    missed_ms: int
    false_alarm_ms: int
    confused_ms: int
    reference_ms: int

    @property
    def rate(self) -> float:
        """The diarization error rate: all errors over the reference's speech; 0 when both are empty."""
        errors = self.missed_ms + self.false_alarm_ms + self.confused_ms
        return errors / self.reference_ms if self.reference_ms else float(errors > 0)

    def __add__(self, other: DiarizationErrors) -> DiarizationErrors:
        return DiarizationErrors(
            self.missed_ms + other.missed_ms,
            self.false_alarm_ms + other.false_alarm_ms,
            self.confused_ms + other.confused_ms,
            self.reference_ms + other.reference_ms,
        )


@dataclass(frozen=True, slots=True)
class WordSpeakerErrors:
    """Of the words that were recognised right, how many stand under the wrong speaker."""

    wrong: int
    words: int

    @property
    def rate(self) -> float:
        """Wrong words a word; 0 when there are none."""
        return self.wrong / self.words if self.words else 0.0


def words_of(text: str) -> list[str]:
    """The words as they are compared: NFKC, without case, punctuation and hyphens, apostrophes kept inside.

    >>> words_of("“Well—we didn’t,” said Dr. REID.")
    ['well', 'we', "didn't", 'said', 'dr', 'reid']
    """
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).casefold()
    bare = (word.strip("'") for word in _NOT_WORDS.sub(" ", plain).split())
    return [word for word in bare if word]


def word_error_rate(reference: str, hypothesis: str) -> WordErrors:
    """Compare two texts word by word, by Levenshtein's distance, without regard to case and punctuation."""
    from rapidfuzz.distance import Levenshtein

    said, written = words_of(reference), words_of(hypothesis)
    kinds = Counter(edit.tag for edit in Levenshtein.editops(said, written))
    return WordErrors(kinds["replace"], kinds["insert"], kinds["delete"], len(said))


def diarization_error(
    reference: Sequence[Turn], hypothesis: Sequence[Turn], *, collar_ms: int = 0
) -> DiarizationErrors:
    """Compare who spoke when, under the naming of speakers that fits best; overlapped speech counts.

    NIST's diarization error rate (Rich Transcription evaluations). Turns of one speaker that overlap count
    once.

    Args:
        reference: the truth.
        hypothesis: what was found.
        collar_ms: time left out of the count on each side of every edge of a reference turn.
    """
    pieces = list(_pieces(reference, hypothesis, collar_ms))
    together: Counter[tuple[int, int]] = Counter()
    for length_ms, said, found in pieces:
        together.update({(one, other): length_ms for one in said for other in found})
    same = _best_naming(together)
    missed = false_alarm = confused = total = 0
    for length_ms, said, found in pieces:
        right = sum((one, other) in same for one in said for other in found)
        missed += length_ms * max(0, len(said) - len(found))
        false_alarm += length_ms * max(0, len(found) - len(said))
        confused += length_ms * (min(len(said), len(found)) - right)
        total += length_ms * len(said)
    return DiarizationErrors(missed, false_alarm, confused, total)


def word_speaker_errors(
    reference: Sequence[tuple[str, int]], hypothesis: Sequence[tuple[str, int | None]]
) -> WordSpeakerErrors:
    """Count recognised words under the wrong speaker, under the naming of speakers that fits best.

    Args:
        reference: every word said and its speaker.
        hypothesis: every word written and the speaker it was given to, None for nobody.
    """
    from rapidfuzz.distance import Levenshtein

    said = [(one, speaker) for word, speaker in reference for one in words_of(word)]
    written = [(one, speaker) for word, speaker in hypothesis for one in words_of(word)]
    blocks = Levenshtein.opcodes([word for word, _ in said], [word for word, _ in written])
    pairs = [
        (said[block.src_start + index][1], written[block.dest_start + index][1])
        for block in blocks
        if block.tag == "equal"
        for index in range(block.src_end - block.src_start)
    ]
    same = _best_naming(Counter((one, other) for one, other in pairs if other is not None))
    return WordSpeakerErrors(sum(pair not in same for pair in pairs), len(pairs))


def parse_rttm(text: str) -> list[Turn]:
    """Turns from NIST's RTTM: speakers are numbered in order of their names' first appearance.

    Raises:
        ValueError: a SPEAKER line without a start and a duration, with its number.
    """
    numbers: dict[str, int] = {}
    turns: list[Turn] = []
    for line_number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start_s, length_s, name = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError) as error:
            raise ValueError(f"line {line_number} is not an RTTM speaker line: {line}") from error
        speaker = numbers.setdefault(name, len(numbers) + 1)
        turns.append(Turn(speaker, round(start_s * 1000), round((start_s + length_s) * 1000)))
    return turns


_REFERENCE, _HYPOTHESIS, _COLLAR = range(3)


def _pieces(
    reference: Sequence[Turn], hypothesis: Sequence[Turn], collar_ms: int
) -> Iterator[tuple[int, set[int], set[int]]]:
    """The time outside collars, cut at every edge: length in ms, who speaks, who was found to."""
    spans = [(turn.start_ms, turn.end_ms, _REFERENCE, turn.speaker) for turn in reference]
    spans += [(turn.start_ms, turn.end_ms, _HYPOTHESIS, turn.speaker) for turn in hypothesis]
    if collar_ms:
        edges = [edge for turn in reference for edge in (turn.start_ms, turn.end_ms)]
        spans += [(edge - collar_ms, edge + collar_ms, _COLLAR, 0) for edge in edges]
    changes = [(start_ms, 1, kind, who) for start_ms, _, kind, who in spans]
    changes += [(end_ms, -1, kind, who) for _, end_ms, kind, who in spans]
    active: Counter[tuple[int, int]] = Counter()
    before_ms = 0
    for time_ms, change, kind, who in sorted(changes):
        if time_ms > before_ms:
            now = [key for key, count in active.items() if count > 0]
            if now and (_COLLAR, 0) not in now:
                said = {one for side, one in now if side == _REFERENCE}
                yield time_ms - before_ms, said, {one for side, one in now if side == _HYPOTHESIS}
            before_ms = time_ms
        active[kind, who] += change


def _best_naming(together: Counter[tuple[int, int]]) -> set[tuple[int, int]]:
    """One hypothesis speaker for each reference speaker, so that they share the most (Hungarian method)."""
    if not together:
        return set()
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    ours, theirs = sorted({one for one, _ in together}), sorted({other for _, other in together})
    shared = np.array([[together[one, other] for other in theirs] for one in ours])
    rows, columns = linear_sum_assignment(shared, maximize=True)
    return {(ours[row], theirs[column]) for row, column in zip(rows, columns, strict=True)}
