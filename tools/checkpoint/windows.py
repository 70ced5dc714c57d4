"""Windows for training, composed from spoken utterances in the log-mel domain: no Fourier transform while training.

A window is cut the way Whisper's sliding window cuts a recording: it begins in a pause or inside a sentence, holds
sentences of several voices, and ends in silence, in literal zeros (the end of a file) or inside a sentence that the
next window will have whole.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset
from whisper.audio import mel_filters

from tools.checkpoint.speech import FRAMES_PER_S, STATES_PER_S, Frames, Shard, tokenizer
from tools.checkpoint.text import held_out

FLOOR = -10.0  # log10 mel power of digital silence
IGNORED = -100  # what torch's cross entropy leaves out
STATES = 1500  # of the encoder, in 30 s
TEXT_CONTEXT, PROMPT_CONTEXT = 448, 223
SHORTEST, LONGEST = 40, 1000  # frames of an utterance that is used
PAUSE_CLOSES_S = 0.16  # a sentence's end is certain after this long
LOUDEST_NOISE = -0.8  # log10 power beside speech: 8 dB below it
ECHOES_TRIED = 4  # of which the one that repeats most is taken
UNKNOWN = -7  # a token of a prompt that training never saw spoken

_MelBins = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Phase:
    """One part of the training: windows of one length.

    Attributes:
        frames: mel frames of a window, at most 3,000.
        batch: windows a step.
        room: most text tokens a window may hold.
        prompts: the share of windows that have an earlier text before them.
        steps: how long it lasts.
        echoes: the share of utterances that are chosen because they say again what was just said: a decoder that
            looks for the word it has read last finds the other one, and leaves out what is between.
        rare: the share that are chosen for one of their words, each word as likely as another: years and names are
            seldom said.
        telephones: the share of windows in the band of one.
        noisy: the share of noises that are loud, 26 to 8 dB below speech; the others may be of any loudness.
    """

    frames: int
    batch: int
    room: int
    prompts: float
    steps: int
    echoes: float = 0.0
    rare: float = 0.0
    telephones: float = 0.2
    noisy: float = 0.3

    @property
    def shifted(self) -> bool:
        """Whether windows stand anywhere in the 30 s, so that short ones teach every timestamp."""
        return self.frames < 3000


@dataclass(frozen=True)
class Utterance:
    """Views into a shard: mel (frames, 80), tokens (n,), spans (n, 2) in seconds, phones (states,)."""

    mel: Frames
    tokens: npt.NDArray[np.int32]
    spans: npt.NDArray[np.float32]
    phones: npt.NDArray[np.int16]


@dataclass
class Window:
    """One training example; ``given`` and ``wanted`` are whisper's token numbers, ``spans`` states or -1."""

    mel: _MelBins
    given: list[int]
    wanted: list[int]
    spans: list[tuple[int, int]]
    phones: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """Tensors of one step; tokens are numbers of the compact vocabulary.

    Attributes:
        mel: (batch, 80, frames) float32, scaled as Whisper scales.
        given, wanted: (batch, tokens) int64; ``wanted`` is ``IGNORED`` in prompts and padding.
        spans: (batch, tokens, 2) the encoder's states in which each wanted token sounds, -1 where none is known.
        phones, words: (batch, states) what sounds in each state, ``IGNORED`` where nothing does.
        offsets: (batch,) the state at which each window stands in the 30 s.
    """

    mel: torch.Tensor
    given: torch.Tensor
    wanted: torch.Tensor
    spans: torch.Tensor
    phones: torch.Tensor
    words: torch.Tensor
    offsets: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            *(getattr(self, name).to(device, non_blocking=True) for name in self.__dataclass_fields__)
        )


class Vocabulary:
    """The tokens that training speaks, numbered without gaps; whisper's other 48,000 share one row."""

    def __init__(self, spoken: Sequence[int]) -> None:
        """Number the spoken tokens first, then the specials and all 1,501 timestamps."""
        tokens = tokenizer()
        specials = [tokens.eot, tokens.sot, tokens.sot_prev, tokens.no_speech, tokens.no_timestamps]
        self.words = sorted(set(spoken))
        self.tokens = [*self.words, *specials, *range(tokens.timestamp_begin, tokens.timestamp_begin + 1501)]
        self._numbers = {token: number for number, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        """How many rows the compact embedding has, the shared row last."""
        return len(self.tokens) + 1

    def number(self, token: int) -> int:
        """The compact number of one of whisper's tokens."""
        return self._numbers.get(token, len(self.tokens))

    @property
    def first_timestamp(self) -> int:
        """The compact number of ``<|0.00|>``."""
        return self.number(tokenizer().timestamp_begin)


class Speech:
    """All utterances of some shards that are not held out, and what they have in common."""

    def __init__(self, shards: Sequence[Shard], known: Sequence[int] = ()) -> None:
        """Cut the shards into utterances; phones of the same name get the same number.

        ``known`` are tokens that belong to the vocabulary even if none of the utterances has them.
        """
        self._known = np.array(known, np.int32)
        numbers: dict[str, int] = {}
        self.utterances: list[Utterance] = []
        for shard in shards:
            table = np.array(
                [numbers.setdefault(name, len(numbers)) for name in shard.phones] + [-1], np.int16
            )
            parts = zip(
                np.split(shard.mel, shard.frame_ends[:-1]),
                np.split(shard.tokens, shard.token_ends[:-1]),
                np.split(shard.spans, shard.token_ends[:-1]),
                np.split(table[shard.states], shard.state_ends[:-1]),
                strict=True,
            )
            for mel, tokens, spans, phones in parts:
                text = tokenizer().decode(tokens).strip()
                if SHORTEST <= len(mel) <= LONGEST and not held_out(text):
                    self.utterances.append(Utterance(mel, tokens, spans, phones))
        self.phones = len(numbers)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Every token that is spoken, in compact numbers."""
        spoken = [one.tokens for one in self.utterances]
        return Vocabulary(np.unique(np.concatenate([self._known, *spoken])).tolist())

    @property
    def seconds(self) -> float:
        """How much speech there is."""
        return sum(len(one.mel) for one in self.utterances) / FRAMES_PER_S


class Windows(Dataset[Batch]):
    """The batch of every step, each composed from its own seed: step n is the same however training got there."""

    def __init__(
        self, speech: Speech, backgrounds: Sequence[Frames], phases: Sequence[Phase], seed: int
    ) -> None:
        """Prepare to compose for these phases, one after the other."""
        self.speech, self.phases, self.seed = speech, list(phases), seed
        self._compose = _Composer(speech.utterances, backgrounds)

    def __len__(self) -> int:
        """How many steps all phases have."""
        return sum(phase.steps for phase in self.phases)

    def phase(self, step: int) -> int:
        """The number of the phase that a step belongs to."""
        for number, phase in enumerate(self.phases):
            if step < phase.steps:
                return number
            step -= phase.steps
        raise IndexError(step)

    def __getitem__(self, step: int) -> Batch:
        """Compose the batch of one step."""
        phase = self.phases[self.phase(step)]
        draw = random.Random(f"window {self.seed} {step}")
        windows, offsets = [], []
        for _ in range(phase.batch):
            offset = draw.randint(0, STATES - phase.frames // 2) if phase.shifted else 0
            windows.append(self._compose(draw, phase, offset))
            offsets.append(offset)
        return self._stacked(windows, offsets)

    def _stacked(self, windows: list[Window], offsets: list[int]) -> Batch:
        vocabulary = self.speech.vocabulary
        length = min(TEXT_CONTEXT, -(-max(len(window.given) for window in windows) // 32) * 32)
        given = torch.full((len(windows), length), vocabulary.number(tokenizer().eot))
        wanted = torch.full((len(windows), length), IGNORED)
        spans = torch.full((len(windows), length, 2), -1)
        words = np.stack([window.words for window in windows])
        for row, window in enumerate(windows):
            count = len(window.given)
            given[row, :count] = torch.tensor([vocabulary.number(token) for token in window.given])
            wanted[row, :count] = torch.tensor(
                [token if token == IGNORED else vocabulary.number(token) for token in window.wanted]
            )
            spans[row, :count] = torch.tensor(window.spans)
        sounding = words != IGNORED
        words[sounding] = [vocabulary.number(int(token)) for token in words[sounding]]
        return Batch(
            torch.from_numpy(np.stack([window.mel for window in windows])), given, wanted, spans,
            torch.from_numpy(np.stack([window.phones for window in windows])), torch.from_numpy(words),
            torch.tensor(offsets),
        )  # fmt: skip


@dataclass
class _Sentence:
    """A whole sentence in a window: its tokens, their spans in seconds, and its own."""

    tokens: list[int]
    spans: npt.NDArray[np.float32]
    start_s: float
    end_s: float


class _Composer:
    """Composes one window: which sentences, when, in what sound, and the tokens that Whisper should answer."""

    def __init__(self, utterances: Sequence[Utterance], backgrounds: Sequence[Frames]) -> None:
        self.utterances = utterances
        self.backgrounds = [frames.astype(np.float32) for frames in backgrounds]
        self.warps = [_vocal_tract(alpha) for alpha in np.linspace(0.88, 1.12, 25)]
        self.bin_hz = _bin_centres_hz()
        tokens = tokenizer()
        self.tokens = tokens
        self.begins_word = [tokens.decode([token]).startswith(" ") for token in range(tokens.eot)]
        self.sounds = [tokens.decode([token])[-1:].isalnum() for token in range(tokens.eot)]

    def __call__(self, draw: random.Random, phase: Phase, offset: int) -> Window:
        """One window that stands ``offset`` states into the 30 s."""
        silent = draw.random() < 0.08
        scene = _Scene(phase.frames)
        if not silent:
            self._fill(draw, scene, phase)
        content = self._end_of_content(draw, scene)
        mel = self._sound(draw, scene, content, phase)
        given, wanted, spans = self._answer(draw, scene, content, offset)
        if draw.random() < phase.prompts:
            prompt = self._prompt(draw, scene)
            given, wanted = prompt + given, [IGNORED] * len(prompt) + wanted
            spans = [(-1, -1)] * len(prompt) + spans
        states = phase.frames // 2
        kept = [
            (max(0, min(states - 1, a)), max(1, min(states, b))) if a >= 0 else (-1, -1) for a, b in spans
        ]
        return Window(mel.T, given, wanted, kept, scene.phones, scene.words)

    def _fill(self, draw: random.Random, scene: _Scene, phase: Phase) -> None:
        """Lay utterances one after the other until the window, its text or this recording is full."""
        frames = phase.frames
        few = draw.randint(1, 3 if frames <= 1200 else 9) if draw.random() < 0.3 else 99
        at = _frames(_lead_s(draw, frames))
        cut = draw.random() < 0.12
        if not cut and draw.random() < 0.2:
            self._remnant(draw, scene)
        text_left = phase.room - 6
        while len(scene.sentences) < few and at < frames:
            one = self._next(draw, scene, phase)
            mel, phones, spans = self._spoken(draw, one)
            tokens = one.tokens
            if cut and not scene.sentences and len(tokens) > 6:
                word = self._inner_word(draw, tokens)
                if word:
                    first = max(0, _frames(float(spans[word][0])))
                    scene.before = tokens[:word].tolist()
                    mel, phones = mel[first:], phones[first // 2 :]
                    spans, tokens = spans[word:] - first / FRAMES_PER_S, tokens[word:]
                    at, scene.starts_inside = 0, True
            if not scene.sentences and at + len(mel) > frames and draw.random() < 0.7:
                at = 0
            spans = spans + at / FRAMES_PER_S
            end_s = self._end_s(tokens, spans)
            text_left -= len(tokens) + 2
            if text_left < 0:  # the recording ends before it
                break
            scene.add(mel + draw.uniform(-0.5, 0.5), phones, tokens, spans, at)
            beyond = frames / FRAMES_PER_S - end_s
            # its end is not heard: the next window's
            if beyond < 0.02 or (beyond < 0.12 and draw.random() < 0.5):
                scene.partial = _Sentence(tokens.tolist(), spans, float(spans[0][0]), end_s)
                return
            scene.sentences.append(_Sentence(tokens.tolist(), spans, float(spans[0][0]), end_s))
            at += len(mel) + _frames(_pause_s(draw))
        scene.ended = at < frames or text_left < 0

    def _next(self, draw: random.Random, scene: _Scene, phase: Phase) -> Utterance:
        """The utterance to follow: any one, one that repeats words of the last two, or one with a rare word."""
        chance = draw.random() if phase.echoes or phase.rare else 1.0
        if chance < phase.echoes:
            said = {token for one in scene.sentences[-2:] for token in one.tokens if self.begins_word[token]}
            if said:
                token = draw.choice(sorted(said))
                several = [self._with(draw, token) for _ in range(ECHOES_TRIED)]
                repeated = [len(said.intersection(one.tokens.tolist())) / len(one.tokens) for one in several]
                return several[repeated.index(max(repeated))]
        elif chance < phase.echoes + phase.rare:
            return self._with(draw, draw.choice(self._words))
        return draw.choice(self.utterances)

    def _with(self, draw: random.Random, token: int) -> Utterance:
        """One of those that have the token."""
        return self.utterances[int(draw.choice(self._having[token]))]

    @cached_property
    def _having(self) -> dict[int, npt.NDArray[np.int32]]:
        """For each token, the numbers of the utterances that have it."""
        tokens = np.concatenate([one.tokens for one in self.utterances])
        numbers = np.repeat(np.arange(len(self.utterances), dtype=np.int32),
                            [len(one.tokens) for one in self.utterances])  # fmt: skip
        order = np.argsort(tokens, kind="stable")
        names, first = np.unique(tokens[order], return_index=True)
        return dict(zip(names.tolist(), np.split(numbers[order], first[1:]), strict=True))

    @cached_property
    def _words(self) -> list[int]:
        """The tokens with which words begin."""
        return [token for token in self._having if self.begins_word[token]]

    def _remnant(self, draw: random.Random, scene: _Scene) -> None:
        """The last moment of a word that belongs to the window before: there to be heard, not to be written."""
        one = draw.choice(self.utterances)
        end = _frames(self._end_s(one.tokens, one.spans))
        rest = one.mel[max(0, end - draw.randint(2, 10)) : end + 10]
        scene.mel[: len(rest)] = np.maximum(scene.mel[: len(rest)], rest)

    def _spoken(
        self, draw: random.Random, one: Utterance
    ) -> tuple[_MelBins, npt.NDArray[np.int16], npt.NDArray[np.float32]]:
        """Mel, phones and spans of an utterance, perhaps faster or slower, perhaps from another throat."""
        mel, phones, spans = one.mel.astype(np.float32), one.phones, one.spans
        if draw.random() < 0.45:
            speed = draw.uniform(0.86, 1.14)
            at = np.minimum(np.arange(int(len(mel) / speed)) * speed, len(mel) - 1.001)
            left = at.astype(int)
            part = (at - left)[:, None].astype(np.float32)
            mel = mel[left] * (1 - part) + mel[left + 1] * part
            states = np.minimum((np.arange((len(mel) + 1) // 2) * speed).astype(int), len(phones) - 1)
            phones, spans = phones[states], spans / speed
        if draw.random() < 0.45:
            left, part = draw.choice(self.warps)
            mel = mel[:, left] * (1 - part) + mel[:, np.minimum(left + 1, 79)] * part
        return mel, phones, spans

    def _inner_word(self, draw: random.Random, tokens: npt.NDArray[np.int32]) -> int:
        inner = [index for index in range(2, len(tokens) - 2) if self.begins_word[tokens[index]]]
        return draw.choice(inner) if inner else 0

    def _end_s(self, tokens: npt.NDArray[np.int32], spans: npt.NDArray[np.float32]) -> float:
        """When the last word ends: punctuation's span is the pause after it."""
        return float(spans[-1][1] if self.sounds[tokens[-1]] else spans[-1][0])

    def _end_of_content(self, draw: random.Random, scene: _Scene) -> int:
        """The frame from which the window is padded, as Whisper pads the end of a recording."""
        if not scene.sentences:
            whole = scene.partial is not None or draw.random() < 0.5
            return scene.frames if whole else draw.randint(scene.frames // 4, scene.frames)
        if not scene.ended:
            return scene.frames
        tail = _frames(draw.uniform(0, 1)) if draw.random() < 0.65 else scene.frames
        return min(scene.frames, _frames(scene.sentences[-1].end_s) + 12 + tail)

    def _sound(self, draw: random.Random, scene: _Scene, content: int, phase: Phase) -> _MelBins:
        """The scene's mel through a microphone and a line, over noise or music, scaled as Whisper scales."""
        silent = not scene.sentences and scene.partial is None
        mel = scene.mel
        if draw.random() < 0.7:
            curve = [draw.uniform(-0.5, 0.5) for _ in range(6)]
            mel = mel + np.interp(np.arange(80), np.linspace(0, 79, 6), curve).astype(np.float32)
        if draw.random() < 0.8:
            background = draw.choice(self.backgrounds)
            first = draw.randrange(len(background) - scene.frames)
            loud = 1.0 if silent else LOUDEST_NOISE
            level = draw.uniform(-2.6, loud) if draw.random() < phase.noisy else draw.uniform(-7, loud)
            over = background[first : first + scene.frames] + np.float32(level)
            mel = together(mel, over, np.random.default_rng(draw.randrange(1 << 30)))
        mel = np.maximum(
            mel + np.float32(draw.uniform(-2.4, 1.2)) + self._line(draw, phase.telephones), np.float32(FLOOR)
        )
        loudest = float(mel[:content].max()) + (draw.uniform(0, 0.8) if draw.random() < 0.6 else 0)
        if silent and draw.random() < 0.6:
            loudest += draw.uniform(0, 6)  # speech elsewhere in the recording was louder
        mel = (np.maximum(mel, loudest - 8) + 4) / 4
        if not silent and draw.random() < 0.35:
            self._mask(draw, mel)
        mel[content:] = 0
        return np.asarray(mel, np.float32)

    def _line(self, draw: random.Random, telephones: float) -> _MelBins:
        """What a line cuts off, in log10 power for each mel bin: most often nothing, or the band of a telephone."""
        loss = np.zeros(80, np.float32)
        chance = draw.random()
        if chance < telephones:
            loss[self.bin_hz > draw.uniform(3300, 4000)] = -20
            loss[self.bin_hz < draw.uniform(80, 330)] -= draw.uniform(0.5, 4)
        elif chance < telephones + 0.1:
            loss[self.bin_hz > draw.uniform(4500, 7500)] = -20
        return loss

    @staticmethod
    def _mask(draw: random.Random, mel: _MelBins) -> None:
        """SpecAugment (Park et al. 2019): hide a few bands and moments."""
        mean = float(mel.mean())
        for _ in range(draw.randint(1, 2)):
            first = draw.randrange(74)
            mel[:, first : first + draw.randint(1, 6)] = mean
        for _ in range(draw.randint(0, 2 * len(mel) // 1000)):
            first = draw.randrange(len(mel) - 8)
            mel[first : first + draw.randint(1, 8)] = mean

    def _answer(
        self, draw: random.Random, scene: _Scene, content: int, offset: int
    ) -> tuple[list[int], list[int], list[tuple[int, int]]]:
        """Tokens given, tokens wanted, and the states each wanted one sounds in."""
        tokens = self.tokens
        sentences, partial = scene.sentences, scene.partial
        if not sentences and partial is not None:
            heard = self._heard(partial, scene.frames / FRAMES_PER_S)
            sentences, partial = ([heard] if heard else []), None
        if not sentences:
            start = self._timestamp(0.0, offset)
            return [tokens.sot, start], [tokens.no_speech, tokens.eot], [(-1, -1), (-1, -1)]
        timed = draw.random() < 0.75  # whisper aligns words with a text that has no timestamps
        found: list[tuple[int, float, float]] = []  # token, seconds from, seconds to
        for index, sentence in enumerate(sentences):
            a, b = sentence.start_s, sentence.end_s
            last = index + 1 == len(sentences)
            following = b + PAUSE_CLOSES_S if last else sentences[index + 1].start_s
            if timed:
                first = index == 0 and not scene.starts_inside
                found.append((self._timestamp(min(a, 1.0) if first else a, offset), a - 0.04, a + 0.04))
            nexts = [*sentence.spans[1:, 0].tolist(), b]
            for token, (start, end), follows in zip(
                sentence.tokens, sentence.spans.tolist(), nexts, strict=True
            ):
                if start >= b - 0.001:  # the closing mark sounds in the pause
                    found.append((token, b, max(b + 0.1, min(following, b + 2))))
                else:  # a short pause is the word's before it: the next one would begin too early
                    found.append((token, start, max(end, follows)))
            if timed:
                found.append((self._timestamp(b, offset), b - 0.04, b + 0.04))
        if timed and partial is not None:
            a = partial.start_s
            found.append((self._timestamp(a, offset), a - 0.04, a + 0.04))
        end_s = sentences[-1].end_s
        found.append((tokens.eot, end_s + PAUSE_CLOSES_S, max(content / FRAMES_PER_S, end_s + 0.3)))
        wanted = [token for token, _, _ in found]
        spans = [_states(a, b) for _, a, b in found]
        given = [tokens.sot, *wanted[:-1]]
        if not timed:
            given, wanted, spans = (
                [tokens.sot, tokens.no_timestamps, *wanted[:-1]], [IGNORED, *wanted], [(-1, -1), *spans],
            )  # fmt: skip
        return given, wanted, spans

    def _heard(self, partial: _Sentence, window_s: float) -> _Sentence | None:
        """The words of a cut sentence that are whole in the window, when nothing else is: better than nothing."""
        whole = [i for i, (_, end) in enumerate(partial.spans.tolist()) if end < window_s - 0.05]
        count = whole[-1] + 1 if whole else 0
        while count and not (count == len(partial.tokens) or self.begins_word[partial.tokens[count]]):
            count -= 1
        if not count:
            return None
        spans = partial.spans[:count]
        tokens = np.array(partial.tokens[:count], np.int32)
        return _Sentence(tokens.tolist(), spans, partial.start_s, self._end_s(tokens, spans))

    def _timestamp(self, seconds: float, offset: int) -> int:
        state = min(STATES, offset + max(0, round(seconds * STATES_PER_S)))
        return int(self.tokens.timestamp_begin) + state

    def _prompt(self, draw: random.Random, scene: _Scene) -> list[int]:
        """An earlier text: other sentences, mostly with their timestamps, and the cut sentence's beginning."""
        tokens, wanted = self.tokens, draw.randint(8, PROMPT_CONTEXT)
        prompt: list[int] = []
        clock = draw.uniform(0, 3)
        while len(prompt) < wanted:
            one = draw.choice(self.utterances)
            start = clock + draw.uniform(0, 0.6)
            end = min(29.9, start + len(one.mel) / FRAMES_PER_S)
            clock = end if end < 27 else 0
            spoken: list[int] = one.tokens.tolist()
            if draw.random() < 0.05:
                spoken[draw.randrange(len(spoken))] = UNKNOWN
            timed = draw.random() < 0.9
            prompt += [self._timestamp(start, 0), *spoken, self._timestamp(end, 0)] if timed else spoken
        if scene.before and draw.random() < 0.6:
            prompt += scene.before
        return [tokens.sot_prev, *prompt[-wanted:]]


class _Scene:
    """What sounds in a window before the microphone."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.mel = np.full((frames, 80), FLOOR, np.float32)
        self.phones = np.full(frames // 2, IGNORED, np.int64)
        self.words = np.full(frames // 2, IGNORED, np.int64)
        self.sentences: list[_Sentence] = []
        self.partial: _Sentence | None = None
        self.before: list[int] = []
        self.starts_inside = False
        self.ended = False

    def add(
        self,
        mel: _MelBins,
        phones: npt.NDArray[np.int16],
        tokens: npt.NDArray[np.int32],
        spans: npt.NDArray[np.float32],
        at: int,
    ) -> None:
        """Add an utterance that starts at frame ``at`` (even); ``spans`` are seconds of the window."""
        count = min(len(mel), self.frames - at)
        self.mel[at : at + count] = np.maximum(self.mel[at : at + count], mel[:count])
        heard = phones[: max(0, min(len(phones), len(self.phones) - at // 2))]
        self.phones[at // 2 : at // 2 + len(heard)] = np.where(heard < 0, IGNORED, heard)
        for token, (start, end) in zip(tokens.tolist(), spans.tolist(), strict=True):
            self.words[int(start * STATES_PER_S) : round(end * STATES_PER_S)] = token


_LN10 = np.float32(np.log(10))


def _frames(seconds: float) -> int:
    """Seconds as an even number of mel frames, so that encoder states do not shift."""
    return int(seconds * FRAMES_PER_S) // 2 * 2


def _states(start_s: float, end_s: float) -> tuple[int, int]:
    """The encoder's states from one moment to another, at least one."""
    first = max(0, int(start_s * STATES_PER_S))
    return first, max(first + 1, round(end_s * STATES_PER_S))


def _lead_s(draw: random.Random, frames: int) -> float:
    chance = draw.random()
    if chance < 0.6:
        return draw.uniform(0, 0.25)
    if chance < 0.92:
        return draw.uniform(0, 1.2)
    return draw.uniform(1, 12 if frames > 1500 else 2)


def _pause_s(draw: random.Random) -> float:
    chance = draw.random()
    if chance < 0.85:
        return draw.uniform(0, 0.9)
    return draw.uniform(0.9, 2.5) if chance < 0.98 else draw.uniform(2.5, 8)


@cache
def _beats() -> _MelBins:
    """(80, 80): standard normal numbers times this are how the cosines between two sounds lie over the mel bins.

    A bin is the weighted sum of Fourier bins, whose cosines vary alone but for what the Hann window ties together.
    """
    weights = mel_filters("cpu", 80).numpy().astype(np.float64)
    weights /= weights.sum(1, keepdims=True)
    apart = np.abs(np.subtract.outer(*[np.arange(weights.shape[1])] * 2))
    tied = np.select([apart == 0, apart == 1, apart == 2], [1.0, (2 / 3) ** 2, (1 / 6) ** 2])
    return np.linalg.cholesky(weights @ tied @ weights.T / 2 + 1e-9 * np.eye(80)).T.astype(np.float32)


def together(one: _MelBins, other: _MelBins, generator: np.random.Generator) -> _MelBins:
    """Log10 power of two sounds at once, (frames, 80) each.

    Their powers do not simply add up: where both are as loud, they strengthen or cancel each other by chance.
    """
    drawn = generator.standard_normal(one.shape, np.float32) @ _beats()
    cosines = np.clip(drawn, -0.97, 1)  # no two sounds cancel each other wholly
    louder, fainter = np.maximum(one, other), np.minimum(one, other)
    ratio = np.exp((fainter - louder) * (_LN10 / 2))
    return np.asarray(louder + np.log1p(ratio * (ratio + 2 * cosines)) / _LN10, np.float32)


def _bin_centres_hz() -> _MelBins:
    """The frequency at which each of Whisper's 80 mel filters is strongest."""
    return np.asarray(mel_filters("cpu", 80).argmax(dim=1).numpy() * 8000 / 200, np.float32)


def _vocal_tract(alpha: float) -> tuple[npt.NDArray[np.int64], _MelBins]:
    """Vocal tract length perturbation (Jaitly and Hinton 2013): for each bin, where its sound came from."""
    centres = np.maximum.accumulate(_bin_centres_hz() + np.arange(80) * 1e-3)
    at = np.interp(centres * alpha, centres, np.arange(80))
    left = np.minimum(at.astype(np.int64), 78)
    return left, (at - left).astype(np.float32)
