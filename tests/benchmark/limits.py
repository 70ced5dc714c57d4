"""How near the engine ``whisper`` comes to what the processor can do: matrix products in its encoder, reading memory in
its decoder. Both limits are measured in the same process, with the same threads; that of memory before and after each
decoding, as it wanders on machines that are shared: by nearly a factor of two within seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import torch

from transcripts.engines import openai_whisper
from transcripts.engines.decoding import Memory, Rules, Search, Start
from transcripts.engines.products import can_halve

TRIES = 3
DECODINGS, AT_MOST = 5, 20
STEADY = 0.15
"""A decoding counts beside which memory gave about the same before and after, so far apart at most."""
STREAM_BYTES = 1 << 30
SIDES = (1024, 2048, 4096)


def measure(model: str, windows: int, beams: Sequence[int]) -> dict[str, Any]:
    """The figures of a model's file: seconds, and shares of the limits, 0 to 1; the decoder's for each of ``beams``.

    ``both_share`` is what the decoder's steps reach of both limits together, the roofline of Williams et al. 2009:
    weights are read or multiplied, whichever takes longer, and what every window and hypothesis has of its own is read.
    """
    loaded = openai_whisper._load(model, "cpu")
    encoder, decoder = loaded.encoder, loaded.decoder
    found: dict[str, Any] = {"dtype": str(encoder.dtype).removeprefix("torch."), "windows": windows}
    mel = torch.randn(windows, loaded.facts.mels, 3000, generator=torch.Generator().manual_seed(0)) * 0.5
    with torch.inference_mode():
        features = encoder(mel)
        peak = found["peak_flops"] = _matrix_peak(encoder.dtype)
        encode_s = _best(lambda: encoder(mel))
        memory, stream = decoder.memory(features), _Stream()
        steps = {width: _steps(loaded, memory, width, stream) for width in beams}
    work = windows * _encoder_flop(loaded.facts.mels, features.shape[1], decoder.width, len(encoder.blocks))
    found |= {"encode_s": encode_s, "encoder_share": work / encode_s / peak, "decoder": []}
    for width, several in steps.items():
        rows, count = windows * width, several[0].tokens
        weights, own = _bytes_a_step(decoder, features.shape[:2], rows, several[0].before, count)
        multiplied_s = 2 * rows * _multiplied(decoder) / peak
        # the one in the middle, by what it reached of the speed that memory had then
        one = sorted(several, key=lambda decoding: decoding.seconds * decoding.rate)[len(several) // 2]
        found["decoder"].append(
            {
                "beams": width,
                "steps": count,
                "decode_s": one.seconds,
                "bytes_a_step": weights + own,
                "bytes_a_second": one.rate,
                "decoder_share": (weights + own) * count / one.seconds / one.rate,
                "step_share": (weights + own) * count / one.steps_s / one.rate,
                "multiplied_s": multiplied_s,
                "both_share": (max(weights / one.rate, multiplied_s) + own / one.rate) * count / one.seconds,
            }
        )
    return found


class _Decoding(NamedTuple):
    """Seconds in all steps with their search, seconds in the steps alone, bytes a second that memory gave meanwhile,
    the tokens written, one a step, those before the text."""

    seconds: float
    steps_s: float
    rate: float
    tokens: int
    before: int


def _best(work: Callable[[], Any], tries: int = TRIES) -> float:
    """The shortest of some tries in seconds."""
    found = []
    for _ in range(tries):
        start = perf_counter()
        work()
        found.append(perf_counter() - start)
    return min(found)


def _matrix_peak(dtype: torch.dtype) -> float:
    """Operations a second in the best of some large products, a multiplication and an addition counted as two."""
    best = 0.0
    for side in SIDES:
        one, other = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
        found = torch.empty_like(one)
        seconds = _best(lambda a=one, b=other, out=found: torch.mm(a, b, out=out), 1 + 3 * SIDES[-1] // side)
        best = max(best, 2 * side**3 / seconds)
    return best


class _Stream:
    """A large array that is read once, in some ways."""

    def __init__(self) -> None:
        numbers, vector = torch.ones(STREAM_BYTES // 4).view(-1, 1 << 14), torch.ones(1 << 14)
        self._ways = (numbers.sum, numbers.amax, lambda: torch.mv(numbers, vector))

    def rate(self) -> float:
        """Bytes a second in the best way."""
        return STREAM_BYTES / min(_best(way) for way in self._ways)


def _encoder_flop(mels: int, states: int, width: int, layers: int) -> float:
    """Operations in a window: convolutions, projections, attention."""
    convolutions = 2 * 3 * width * (mels * 2 * states + width * states)
    projections = 2 * states * width * width * (4 + 8)
    attention = 2 * 2 * states * states * width
    return convolutions + layers * (projections + attention)


def _multiplied(decoder: Any) -> int:
    """How many weights every hypothesis is multiplied with in a step."""
    width = decoder.width
    return len(decoder.layers) * width * width * (3 + 1 + 1 + 1 + 8) + int(decoder.embedding.numel())


def _bytes_a_step(
    decoder: Any, sound: torch.Size, hypotheses: int, before: int, steps: int
) -> tuple[float, float]:
    """What a step must read at least once: weights; and the sound's keys and values with, on average, its own past."""
    width, layers = decoder.width, len(decoder.layers)
    of_sound = layers * 2 * sound.numel() * width
    past = layers * 2 * hypotheses * width * (before + (steps + 1) / 2)
    kept = 2 if can_halve(decoder.embedding) else decoder.dtype.itemsize
    looked_up = 2 if decoder.layout == "halved" else decoder.dtype.itemsize
    return kept * _multiplied(decoder), looked_up * of_sound + decoder.dtype.itemsize * past


def _steps(loaded: Any, memory: Memory, beams: int, stream: _Stream) -> list[_Decoding]:
    """Some decodings; what comes once for a text, the reading of its start, is no step."""
    ear, decoder = loaded.ear("en", ()), loaded.decoder
    start = Start(ear.start, 0, Rules(ear.tokenizer))
    whole, once, steps = _Watch(), _Watch(), _Watch()
    decode = whole.around(decoder.decode)
    decoder.read = once.around(decoder.read)
    decoder.step = steps.around(decoder.step)
    decode(memory, start, Search(beams))  # compiles once
    found: list[_Decoding] = []
    unsteady: list[_Decoding] = []
    before = stream.rate()
    while len(found) < DECODINGS and len(found) + len(unsteady) < AT_MOST:
        for watch in (whole, once, steps):
            watch.seconds, watch.calls = 0.0, 0
        decode(memory, start, Search(beams))
        after = stream.rate()
        seconds, rate = whole.seconds - once.seconds, (before + after) / 2
        kind = found if abs(after - before) < STEADY * rate else unsteady
        kind.append(_Decoding(seconds, steps.seconds, rate, steps.calls, len(ear.start)))
        before = after
    return found or unsteady


class _Watch:
    """Adds up the time in functions, and the calls."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            start = perf_counter()
            result = function(*given, **named)
            self.seconds += perf_counter() - start
            self.calls += 1
            return result

        return timed
