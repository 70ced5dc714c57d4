"""What a transcript is made of: frozen values, times in integer milliseconds.

The key fact: a word's identity outlives every correction. A machine's word is known by its ordinal in the
transcript ("0", "1", …); a word that an editor adds gets an identity of its own ("e7.0": first word added by
revision 7). Passages and clips point at words by these identities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from transcripts.span import Span

SAMPLE_RATE_HZ = 16_000
"""The rate of every array of samples in this room: float32, mono, -1 to 1, shape (n,)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as spoken.

    ``text`` keeps the space before it, as Whisper writes it, so that joining words gives the text back in any
    language. ``probability`` is the recogniser's, 0 to 1; an editor's word has 1.
    """

    id: str
    start_ms: int
    end_ms: int
    text: str
    probability: float = 1.0

    @property
    def span(self) -> Span:
        """When it is spoken."""
        return Span(self.start_ms, self.end_ms)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, or what is nearest to one: at least one word, one speaker.

    ``speaker`` is the speaker's number within the recording (1, 2, …), None when nobody was found.
    """

    words: tuple[Word, ...]
    speaker: int | None = None

    @property
    def id(self) -> str:
        """The identity of its first word."""
        return self.words[0].id

    @property
    def start_ms(self) -> int:
        """When its first word starts."""
        return self.words[0].start_ms

    @property
    def end_ms(self) -> int:
        """When its last word ends."""
        return self.words[-1].end_ms

    @property
    def span(self) -> Span:
        """From its first word's start to its last word's end."""
        return Span(self.start_ms, self.end_ms)

    @property
    def text(self) -> str:
        """What is said, without the space at its edges."""
        return "".join(word.text for word in self.words).strip()


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that is said in one recording, in order of time."""

    language: str
    segments: tuple[Segment, ...]
    revision: int = 0

    def words(self) -> Iterator[Word]:
        """Every word, in order."""
        return (word for segment in self.segments for word in segment.words)

    @property
    def text(self) -> str:
        """The whole text, one segment after the other, with single spaces between."""
        return " ".join(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class TranslatedLine:
    """A line in English of what is said in another language in its time."""

    start_ms: int
    end_ms: int
    text: str

    @property
    def span(self) -> Span:
        """When it is spoken."""
        return Span(self.start_ms, self.end_ms)


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch in which one voice speaks, as diarization found it. Turns may overlap."""

    speaker: int
    start_ms: int
    end_ms: int

    @property
    def span(self) -> Span:
        """When the voice is heard."""
        return Span(self.start_ms, self.end_ms)


@dataclass(frozen=True, slots=True)
class ThemeScore:
    """How well a passage fits one theme: the theme's key, and a score whose scale the labeller documents."""

    theme: str
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of whole segments on one subject.

    ``scores`` holds every theme of the codebook, best first; ``proposed`` the keys of those that fit well enough to be
    proposed, best first.
    """

    segments: tuple[Segment, ...]
    scores: tuple[ThemeScore, ...] = ()
    proposed: tuple[str, ...] = ()

    @property
    def span(self) -> Span:
        """From its first segment's start to its last segment's end."""
        return Span(self.segments[0].start_ms, self.segments[-1].end_ms)

    @property
    def text(self) -> str:
        """What is said in it."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def theme(self) -> str | None:
        """The key of the theme that fits best, None when unsure."""
        return self.proposed[0] if self.proposed else None

    @property
    def unsure(self) -> bool:
        """Whether no theme fits well enough to be proposed without a person's word."""
        return not self.proposed

    def score_of(self, theme: str | None) -> float:
        """The score of the theme of that key; 0 when it has none."""
        return next((one.score for one in self.scores if one.theme == theme), 0.0)


@dataclass(frozen=True, slots=True)
class ClipProposal:
    """An excerpt worth a look: whole segments of one speaker in one passage.

    ``span`` is the cut, its edges laid in silence around the words; ``score`` orders proposals, higher first.
    """

    span: Span
    segments: tuple[Segment, ...]
    theme: str | None
    score: float
    reasons: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """The quote."""
        return " ".join(segment.text for segment in self.segments)
