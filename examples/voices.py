"""System voices with word times: flite and espeak-ng called in-process, so every word's span is exact.

Both engines come from the system's packages (``flite``, ``espeak-ng``).
Speech is 16 kHz mono; times are in seconds.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import cache
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

SAMPLE_RATE_HZ = 16_000
SPEECH_RMS = 0.08  # every sentence is brought here, so that no voice drowns another
LEAD_S, TAIL_S = 0.03, 0.12  # what is kept before the first and after the last word

Samples = npt.NDArray[np.float32]
Phone = tuple[str, float, float]  # the engine's name, start and end in seconds


class VoiceError(Exception):
    """A voice is missing, or an engine lost count of the words; the message says which and what to do."""


class WordsLost(VoiceError):
    """An engine lost count of a sentence's words; another sentence may do."""


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker: an engine, a voice name and the engine's own settings.

    Attributes:
        engine: "flite" (settings ``stretch``, ``f0``) or "espeak" (``rate`` in words a minute, ``pitch``,
            ``range``).
        name: the engine's name for the voice, such as "slt" or "en-gb-scotland+f2".
        factor: plays the result this much faster, pitch and all: another throat from the same voice.
        settings: the engine's settings.
    """

    engine: str
    name: str
    factor: float = 1.0
    settings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SpokenWord:
    """A word as written, with its punctuation, and its span in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Spoken:
    """One spoken sentence: float32 samples (n,) at 16 kHz, its words and its phones in order.

    A phone is the engine's own name for it and its span in seconds.
    """

    samples: Samples
    words: tuple[SpokenWord, ...]
    phones: tuple[Phone, ...] = ()


def echo(count: int, wetness: float, chance: np.random.Generator) -> npt.NDArray[np.float64]:
    """A room's impulse response: the direct sound, then noise that decays by 60 dB, ``wetness`` times as strong."""
    tail = chance.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail *= wetness / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def speak(voice: Voice, sentence: str) -> Spoken:
    """Speak one sentence, trimmed to its words and brought to the common level.

    Raises:
        VoiceError: when the engine or the voice is missing, or it splits the words otherwise than spaces do.
    """
    engines = {"flite": _speak_flite, "espeak": _speak_espeak}
    if voice.engine not in engines:
        raise VoiceError(f"There is no engine {voice.engine!r}; use one of {', '.join(engines)}.")
    samples, rate_hz, spans, phones = engines[voice.engine](voice, sentence)
    texts = sentence.split()
    if len(spans) != len(texts):
        raise WordsLost(
            f"{voice.name} spoke {len(spans)} words where the script has {len(texts)}: {sentence}"
        )
    samples, speed = _resample(samples, rate_hz, voice.factor)
    words = [(text, a / speed, b / speed) for text, (a, b) in zip(texts, spans, strict=True)]
    return _trim(samples, words, [(name, a / speed, b / speed) for name, a, b in phones])


def _resample(samples: Samples, rate_hz: int, factor: float) -> tuple[Samples, float]:
    """Bring samples to 16 kHz, ``factor`` times faster; also the speed really reached."""
    source_hz = round(rate_hz * factor / 50) * 50
    common = gcd(SAMPLE_RATE_HZ, source_hz)
    up, down = SAMPLE_RATE_HZ // common, source_hz // common
    return resample_poly(samples, up, down).astype(np.float32), source_hz / rate_hz


def _trim(samples: Samples, words: list[tuple[str, float, float]], phones: list[Phone]) -> Spoken:
    start_s = max(0.0, words[0][1] - LEAD_S)
    end_s = min(len(samples) / SAMPLE_RATE_HZ, words[-1][2] + TAIL_S)
    kept = samples[int(start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]
    level = SPEECH_RMS / (float(np.sqrt(np.mean(kept**2))) + 1e-6)
    spoken = tuple(SpokenWord(text, max(0.0, a - start_s), max(0.0, b - start_s)) for text, a, b in words)
    heard = tuple((name, max(0.0, a - start_s), max(0.0, b - start_s)) for name, a, b in phones)
    return Spoken((kept * level).astype(np.float32), spoken, heard)


def _library(name: str, package: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise VoiceError(f"{name} is not installed; run: sudo apt-get install {package}") from error


# samples, their rate, words' spans, phones
_Raw = tuple[Samples, int, list[tuple[float, float]], list[Phone]]


# ---- flite ----


class _FliteWave(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    ]


class _FliteVoice(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("features", ctypes.c_void_p)]  # the head of cst_voice


@cache
def _flite() -> ctypes.CDLL:
    library = _library("libflite.so.1", "flite")
    for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
        _library(name, "flite")
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "flite_synth_text": (pointer, [text, pointer]),
        "utt_wave": (ctypes.POINTER(_FliteWave), [pointer]),
        "utt_relation": (pointer, [pointer, text]),
        "relation_head": (pointer, [pointer]),
        "item_next": (pointer, [pointer]),
        "item_feat_float": (ctypes.c_float, [pointer, text]),
        "item_feat_string": (text, [pointer, text]),
        "path_to_item": (pointer, [pointer, text]),
        "delete_utterance": (None, [pointer]),
        "flite_feat_set_float": (None, [pointer, text, ctypes.c_float]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.flite_init()
    return library


@cache
def _flite_voice(name: str) -> int:
    _flite()
    register = getattr(_library(f"libflite_cmu_us_{name}.so.1", "flite"), f"register_cmu_us_{name}")
    register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    return int(register(None))


def _speak_flite(voice: Voice, sentence: str) -> _Raw:
    library, handle = _flite(), _flite_voice(voice.name)
    features = _FliteVoice.from_address(handle).features
    stretch, f0 = voice.settings.get("stretch", 1.0), voice.settings.get("f0", 1.0)
    library.flite_feat_set_float(features, b"duration_stretch", stretch)
    if voice.name.startswith("kal"):  # the diphone voices take a pitch in Hz, the others a ratio
        library.flite_feat_set_float(features, b"int_f0_target_mean", 100.0 * f0)
    else:
        library.flite_feat_set_float(features, b"f0_shift", f0)
    utterance = library.flite_synth_text(sentence.encode(), handle)
    try:
        wave = library.utt_wave(utterance).contents
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)).astype(np.float32) / np.float32(
            32768
        )
        return samples, int(wave.sample_rate), *_flite_spans(library, utterance)
    finally:
        library.delete_utterance(utterance)


def _flite_spans(library: ctypes.CDLL, utterance: int) -> tuple[list[tuple[float, float]], list[Phone]]:
    """The span of each written word (its first phone's start to its last one's end, pauses out), and the phones."""
    spans: list[tuple[float, float]] = []
    phones: list[Phone] = []
    current, previous_end = None, 0.0
    phone = library.relation_head(library.utt_relation(utterance, b"Segment"))
    while phone:
        end = float(library.item_feat_float(phone, b"end"))
        token = library.path_to_item(phone, b"R:SylStructure.parent.parent.R:Token.parent")
        name = library.item_feat_string(phone, b"name").decode()
        phones.append((name, previous_end, end))
        if token and name != "pau":
            if token != current:
                spans.append((previous_end, end))
                current = token
            spans[-1] = (spans[-1][0], end)
        previous_end = end
        phone = library.item_next(phone)
    return spans, phones


# ---- espeak-ng ----

_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_LIST_END, _WORD, _PHONEME = 0, 1, 7
_RATE, _PITCH, _RANGE = 1, 3, 4


class _EspeakId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _EspeakEvent(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EspeakId),
    ]


@dataclass
class _EspeakTape:
    """What one call of the synthesiser sent back."""

    blocks: list[npt.NDArray[np.int16]] = field(default_factory=list)
    words: list[tuple[int, float]] = field(
        default_factory=list
    )  # position in the text from 1, start in seconds
    phones: list[tuple[str, float]] = field(default_factory=list)  # name, start in seconds

    def clear(self) -> None:
        self.blocks.clear()
        self.words.clear()
        self.phones.clear()


@cache
def _espeak() -> tuple[ctypes.CDLL, int, _EspeakTape, Any]:
    library = _library("libespeak-ng.so.1", "espeak-ng")
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS)
    if rate_hz <= 0:
        raise VoiceError(
            "espeak-ng cannot start; its data may be missing: sudo apt-get install espeak-ng-data"
        )
    tape = _EspeakTape()
    prototype = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
    )

    def receive(wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            tape.blocks.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != _LIST_END:
            event = events[index]
            if event.type == _WORD:
                tape.words.append((event.text_position, event.audio_position_ms / 1000))
            elif event.type == _PHONEME:
                tape.phones.append((event.id.string.decode("latin1"), event.audio_position_ms / 1000))
            index += 1
        return 0

    callback = prototype(receive)
    library.espeak_SetSynthCallback(callback)
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    return library, int(rate_hz), tape, callback  # the callback must live as long as the library


def _speak_espeak(voice: Voice, sentence: str) -> _Raw:
    library, rate_hz, tape, _ = _espeak()
    if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
        raise VoiceError(f"espeak-ng has no voice {voice.name!r}; see: espeak-ng --voices")
    for parameter, setting, usual in ((_RATE, "rate", 165), (_PITCH, "pitch", 50), (_RANGE, "range", 50)):
        library.espeak_SetParameter(parameter, int(voice.settings.get(setting, usual)), 0)
    tape.clear()
    text = sentence.encode()
    library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    samples = np.concatenate(tape.blocks).astype(np.float32) / np.float32(32768)
    total_s = len(samples) / rate_hz
    ends = [start for _, start in tape.phones[1:]] + [total_s]
    phones = [(name, start, end) for (name, start), end in zip(tape.phones, ends, strict=True) if end > start]
    return samples, rate_hz, _espeak_spans(tape, phones, sentence, total_s), phones


def _espeak_spans(
    tape: _EspeakTape, phones: list[Phone], sentence: str, total_s: float
) -> list[tuple[float, float]]:
    """The span of each written word: from its event to its last phone that sounds before the next word."""
    starts = _word_starts(tape, sentence.split(), total_s)
    spans = []
    for start, following in zip(starts, [*starts[1:], total_s], strict=True):
        ends = [end for name, begin, end in phones if start <= begin < following and not name.startswith("_")]
        spans.append((start, min(max(ends, default=following), following)))
    return spans


def _word_starts(tape: _EspeakTape, words: list[str], total_s: float) -> list[float]:
    """The start of each written word; where espeak joins words ("of the"), the span is shared by letters."""
    offsets = np.cumsum([0] + [len(word) + 1 for word in words[:-1]])
    known: dict[int, float] = {}
    for position, start in tape.words:
        known.setdefault(int(np.searchsorted(offsets, position - 1, side="right")) - 1, start)
    if 0 not in known:
        raise WordsLost(f"espeak-ng gave no time for the first word of: {' '.join(words)}")
    starts: list[float] = []
    for index in range(len(words)):
        if index not in known:
            following = min((k for k in known if k > index), default=len(words))
            end = known.get(following, total_s)
            before = starts[-1]
            letters = sum(len(word) for word in words[index - 1 : following])
            known[index] = before + (end - before) * len(words[index - 1]) / letters
        starts.append(known[index])
    return starts
