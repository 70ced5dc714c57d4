"""Whisper's decoder for many windows at once, over the weights of an unmodified openai-whisper model.

The text is what ``whisper.decode`` finds for each window alone: the same rules for timestamps, the same greedy,
sampling and beam search (Radford et al. 2022, section 4.5; openai-whisper's ``decoding.py``). What differs is the work:
weights are converted once, keys and values of the sound are shared by a window's beams, the caches of what was said
are written in place, and a beam that changes its past copies only the part in which the beams differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

from transcripts.engines.past import Past
from transcripts.engines.products import IntegerLinear, Linear, can_halve, can_pair, for_sound, for_text
from transcripts.engines.values import NEVER, Decoded, Search

if TYPE_CHECKING:
    from transcripts.engines.multiplying import PairedLinear
    from transcripts.engines.stepping import Stepper

MAX_INITIAL_TIMESTAMP = 50
"""A window's first timestamp is at most this many steps of 20 ms."""
FINISHED_SHARE = 0.25
"""From this share of finished windows on, the rest go on in a smaller batch."""
_LEAST = -80.0
"""Whose exponential is nothing beside one, and still an ordinary float32."""
_NEVER = float("-inf")


class _Layer(NamedTuple):
    """Weights of one decoder layer in the working precision; norms stay in float32."""

    norm: Any
    qkv: Linear | PairedLinear
    out: Linear | PairedLinear
    cross_norm: Any
    cross_query: Linear | PairedLinear
    cross_key: Linear | IntegerLinear
    cross_value: Linear | IntegerLinear
    cross_out: Linear | PairedLinear
    mlp_norm: Any
    up: Linear | PairedLinear
    down: Linear | PairedLinear


Layout = Literal["upright", "flat", "halved", "paired"]
"""How a sound's keys and values are laid out, as the processor reads them quickest: (windows, heads, width, states);
(windows, heads, states, width); the latter in half precision, the keys in panels, see ``kernels``; in pairs of
bfloat16, see ``pairs``."""


@dataclass(frozen=True)
class Memory:
    """What every layer looks up in the sound of some windows: keys and values."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    layout: Layout
    states: int

    @classmethod
    def of(cls, layers: Iterable[tuple[Tensor, Tensor]], layout: Layout) -> Memory:
        """Lay out keys and values (windows, heads, states, width)."""
        states, found = 0, []
        for key, value in layers:
            states = key.shape[-2]
            found.append(_laid_out(key, value, layout))
        return cls(tuple(found), layout, states)

    def __len__(self) -> int:
        """How many windows."""
        return len(self.layers[0][0])

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Memory:
        """That of some of the windows."""
        return replace(self, layers=tuple((key[rows], value[rows]) for key, value in self.layers))

    def attended(self, layer: int, query: Tensor) -> Tensor:
        """What queries (windows, rows, heads, width) hear, in the same order."""
        if self.layout == "halved":
            from transcripts.engines import kernels

            return kernels.listen(query, *self.layers[layer])
        if self.layout == "paired":
            from transcripts.engines import pairs

            return pairs.listen(query, *self.layers[layer], self.states)
        query = query.transpose(1, 2)
        return self._weighted(layer, self.products(layer, query, slice(None))).transpose(1, 2)

    def products(self, layer: int, query: Tensor, heads: slice | Sequence[int]) -> Tensor:
        """Of some heads' queries (windows, heads, rows, width) with all keys: (windows, heads, rows, states)."""
        key = self.layers[layer][0][:, heads]
        if self.layout == "halved":
            from transcripts.engines import kernels

            key = kernels.unpacked(key, self.states)
        elif self.layout == "paired":
            from transcripts.engines import pairs

            key = pairs.unpacked_keys(key, self.states)
        found: Tensor = query @ (key if self.layout == "upright" else key.transpose(-1, -2))
        return found

    def _weighted(self, layer: int, products: Tensor) -> Tensor:
        """The values (windows, heads, rows, width), weighted by the products' softmax."""
        value, weights = self.layers[layer][1], products.softmax(-1)
        if self.layout != "upright":
            found: Tensor = weights @ value
        elif weights.shape[-2] < value.shape[-2]:  # few rows: values first is quicker
            found = (value @ weights.transpose(-1, -2)).transpose(-1, -2)
        else:
            found = weights @ value.transpose(-1, -2)
        return found

    @classmethod
    def joined(cls, parts: Sequence[Memory]) -> Memory:
        """That of all their windows, in order."""
        by_layer = zip(*(part.layers for part in parts), strict=True)
        return cls(
            tuple(
                (torch.cat([key for key, _ in layer]), torch.cat([value for _, value in layer]))
                for layer in by_layer
            ),
            parts[0].layout,
            parts[0].states,
        )


class Decoder:
    """The text half of a Whisper, ready to read many windows side by side."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        """Take the weights of a ``whisper.model.Whisper`` over in ``dtype``."""
        decoder, dims = model.decoder, model.dims
        self.dtype, self.device, self.context = dtype, model.device, int(dims.n_text_ctx)
        self.heads, self.width = int(dims.n_text_head), int(dims.n_text_state)
        self.embedding: Tensor = decoder.token_embedding.weight.detach().to(dtype)
        self._scored = for_text(self.embedding, None, self.width // self.heads)
        self.positions: Tensor = decoder.positional_embedding.detach().float()
        self.norm = _Norm(decoder.ln)
        self.layers = [self._layer(block) for block in decoder.blocks]
        self.aligned = [tuple(pair) for pair in model.alignment_heads.indices().T.tolist()]
        self._by_integers = isinstance(self.layers[0].cross_key, IntegerLinear)
        self.layout = _layout(self.embedding, self.width // self.heads)
        self._stepper: Stepper | None = None
        if self.layout == "paired":
            from transcripts.engines.stepping import Stepper

            self._stepper = Stepper(self.layers, self.norm, self._scored, self.heads)

    def _layer(self, block: Any) -> _Layer:
        width = self.width // self.heads
        scale = width**-0.5

        def weights(layer: Any, factor: float = 1.0) -> tuple[Tensor, Tensor]:
            bias = torch.zeros(layer.weight.shape[0]) if layer.bias is None else layer.bias.detach()
            weight = (layer.weight.detach().float() * factor).to(self.dtype)
            return weight, (bias.to(self.device).float() * factor).to(self.dtype)

        def taken(layer: Any, factor: float = 1.0) -> Linear | PairedLinear:
            return for_text(*weights(layer, factor), width)

        own, sound = block.attn, block.cross_attn
        parts = [weights(own.query, scale), weights(own.key), weights(own.value)]
        return _Layer(
            _Norm(block.attn_ln),
            for_text(torch.cat([w for w, _ in parts]), torch.cat([b for _, b in parts]), width),
            taken(own.out),
            _Norm(block.cross_attn_ln),
            taken(sound.query, scale),
            for_sound(*weights(sound.key)),
            for_sound(*weights(sound.value)),
            taken(sound.out),
            _Norm(block.mlp_ln),
            taken(block.mlp[0]),
            taken(block.mlp[2]),
        )

    # ---- one pass ----

    def memory(self, features: Tensor) -> Memory:
        """What the layers look up in the encoder's states (windows, states, width); made once, used for every text."""
        features = features.to(self.dtype)

        with torch.inference_mode():
            # all layers read the same: it is made to integers once
            once: Any = IntegerLinear.heard(features) if self._by_integers else features
            return Memory.of(
                # one layer after the other: each is larger before it is laid out
                (
                    (self._split(layer.cross_key(once)), self._split(layer.cross_value(once)))
                    for layer in self.layers
                ),
                self.layout,
            )

    def read(
        self, tokens: Tensor, memory: Memory, *, aligned: bool = True
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Read whole texts at once: states, the aligned heads' products, and each layer's keys and values.

        Args:
            tokens: (windows, length); what stands behind a text's end changes nothing before it.
            memory: of the same windows.
            aligned: whether the products are wanted.

        Returns:
            states (windows, length, width) for ``scores``; products (windows, heads, length, states) of the model's
            alignment heads before their softmax, empty where they are not wanted; keys and values (2, windows, heads,
            length, width) of each layer.
        """
        states = self._embedded(tokens, 0)
        products: list[Tensor] = []
        kept = []
        for number, layer in enumerate(self.layers):
            qkv = layer.qkv(layer.norm(states, self.dtype))
            query, own_key, own_value = (self._split(part) for part in qkv.chunk(3, -1))
            own = F.scaled_dot_product_attention(query, own_key, own_value, is_causal=True, scale=1.0)
            states = states + layer.out(_joined(own))
            kept.append(torch.stack([own_key, own_value]))
            query = layer.cross_query(layer.cross_norm(states, self.dtype))
            if heads := [head for of, head in self.aligned if of == number and aligned]:
                products += memory.products(number, self._split(query)[:, heads], heads).unbind(1)
            heard = memory.attended(number, query.view(*query.shape[:2], self.heads, -1)).flatten(2)
            states = states + layer.cross_out(heard)
            states = self._thought(layer, states)
        return states, torch.stack(products, 1) if products else states[:0], kept

    def scores(self, states: Tensor) -> Tensor:
        """The logits (..., vocabulary), float32, of states (..., width)."""
        return self._logits(states).float()

    def _logits(self, states: Tensor) -> Tensor:
        if self._stepper is not None:
            return self._stepper.scores(states)
        return self._scored(self.norm(states, self.dtype))

    def _embedded(self, tokens: Tensor, at: int) -> Tensor:
        return F.embedding(tokens, self.embedding).float() + self.positions[at : at + tokens.shape[1]]

    def _thought(self, layer: _Layer, states: Tensor) -> Tensor:
        inner = F.gelu(layer.up(layer.mlp_norm(states, self.dtype)))
        return states + layer.down(inner)

    def _split(self, states: Tensor) -> Tensor:
        """(rows, length, width) -> (rows, heads, length, width of a head)."""
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)

    def step(self, tokens: Tensor, past: Past, memory: Memory) -> Tensor:
        """Read one more token of every hypothesis: its state (hypotheses, width).

        Args:
            tokens: (hypotheses,), the hypotheses of a window side by side.
            past: what they said before, to which the token is added.
            memory: of the windows.
        """
        past.make_room()
        states = self._embedded(tokens[:, None], past.at)
        if self._stepper is not None and memory.layout == "paired":
            states = self._stepper.step(states[:, 0], past, memory.layers, memory.states)
            past.at += 1
            return states
        for number, layer in enumerate(self.layers):
            qkv = layer.qkv(layer.norm(states, self.dtype))
            own = past.recall(number, qkv.view(len(qkv), 3, self.heads, -1))
            states = states + layer.out(own.flatten(1))[:, None]
            query = layer.cross_query(layer.cross_norm(states, self.dtype))
            # a window's hypotheses are rows of one product with its sound
            heard = memory.attended(number, query.view(len(memory), -1, self.heads, self.width // self.heads))
            states = states + layer.cross_out(heard.reshape(states.shape))
            states = self._thought(layer, states)
        past.at += 1
        return states[:, 0]

    # ---- the search ----

    @torch.inference_mode()
    def decode(
        self, memory: Memory, start: Start, search: Search, generator: torch.Generator | None = None
    ) -> list[Decoded]:
        """Find the text of every window.

        Args:
            memory: of the windows.
            start: what stands before the text, the same for all windows, and what may be written.
            search: greedy, sampling or beams.
            generator: for sampling.
        """
        windows, width, before = len(memory), search.width, len(start.tokens)
        longest = min(self.context, before + self.context // 2)  # of the whole, as in the library
        first = torch.tensor(start.tokens, device=self.device).expand(windows, -1)
        states, _, kept = self.read(first, memory, aligned=False)
        silence = self.scores(states[:, start.sot]).softmax(-1)[:, start.rules.no_speech]
        past = Past(kept, width, noted=self.layout in ("halved", "paired"))
        hypotheses = _Hypotheses(start.rules, search, windows, self.device, generator)
        scores = self._logits(states[:, -1]).repeat_interleave(width, 0)
        while True:
            hypotheses.extend(scores)
            if hypotheses.done.all() or past.at == longest - 1:
                break
            rows = hypotheses.compact()
            if rows is not None:
                each = (rows[:, None] * width + torch.arange(width, device=self.device)).flatten()
                memory = memory[rows]
                past.keep(each)
            if hypotheses.moved is not None:
                past.follow(hypotheses.moved, hypotheses.common)
            scores = self._logits(self.step(hypotheses.last, past, memory))
        texts = hypotheses.best()
        return [
            Decoded(tuple(tokens), total / (len(tokens) + 1), float(probability))
            for (tokens, total), probability in zip(texts, silence, strict=True)
        ]


class _Norm:
    """Layer norm of float32 states, in the working precision."""

    def __init__(self, layer: Any) -> None:
        self.weight, self.bias = layer.weight.detach().float(), layer.bias.detach().float()

    def __call__(self, states: Tensor, dtype: torch.dtype) -> Tensor:
        return F.layer_norm(states, self.weight.shape, self.weight, self.bias).to(dtype)


def _laid_out(key: Tensor, value: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    if layout == "halved":
        from transcripts.engines import kernels

        return kernels.packed(key), value.to(torch.float16, memory_format=torch.contiguous_format)
    if layout == "paired":
        from transcripts.engines import pairs

        return pairs.packed(key, value)
    if layout == "upright":
        key, value = key.transpose(-1, -2), value.transpose(-1, -2)
    return key.contiguous(), value.contiguous()


def _layout(weights: Tensor, width: int) -> Layout:
    """Which layout of a sound's keys and values is read quickest beside such weights, for heads of this width."""
    if can_pair(weights, width):
        return "paired"
    by_vectors = weights.device.type == "cpu" and not torch.cpu._is_amx_tile_supported()
    if by_vectors and can_halve(weights):
        from transcripts.engines import kernels

        if kernels.fits(width):
            return "halved"
    return "flat" if by_vectors and weights.dtype == torch.bfloat16 else "upright"


def logsumexp(scores: Tensor, *, spent: bool = False) -> Tensor:
    """``scores.logsumexp(-1)`` for scores of which many are impossible: exponentials of those are slow on a CPU.

    ``spent`` scores are written over, as nobody needs them any more.
    """
    top = scores.amax(-1, keepdim=True).clamp_(min=torch.finfo(scores.dtype).min)
    below = scores.sub_(top) if spent else scores - top
    return (below.clamp_(min=_LEAST).exp_().sum(-1, keepdim=True).log_() + top)[..., 0]


def _joined(states: Tensor) -> Tensor:
    """(rows, heads, length, width of a head) -> (rows, length, width)."""
    return states.transpose(1, 2).flatten(2)


# ---- what may be written ----


class Rules:
    """Which token may follow, for many hypotheses at once: Whisper's rules for blanks, symbols and timestamps."""

    def __init__(self, tokenizer: Any, device: torch.device | str = "cpu") -> None:
        """Rules for a text with timestamps in this tokenizer's vocabulary."""
        self.eot, self.first_time = int(tokenizer.eot), int(tokenizer.timestamp_begin)
        self.no_speech = int(tokenizer.no_speech)
        # the library leaves languages possible, which warm sampling may then draw
        special = range(self.eot + 1, self.first_time)
        self.never = torch.tensor(sorted({*tokenizer.non_speech_tokens, *special}), device=device)
        self.never_first = torch.tensor([*tokenizer.encode(" "), self.eot], device=device)
        self.words = torch.zeros(self.first_time, device=device)
        self.words[self.never] = NEVER

    def apply(self, scores: Tensor, state: _Times, first: bool) -> None:
        """Make what may not follow impossible, in place; ``scores`` (hypotheses, vocabulary) are logits."""
        begin = self.first_time
        scores[:, self.never] = _NEVER
        if first:
            scores[:, self.never_first] = _NEVER
            scores[:, :begin] = _NEVER
            scores[:, begin + MAX_INITIAL_TIMESTAMP + 1 :] = _NEVER
            return
        steps = torch.arange(scores.shape[1] - begin, device=scores.device)
        lowest = state.latest + (~(state.timed & ~state.paired)).long()
        scores[:, begin:].masked_fill_(
            (steps < lowest[:, None]) | (state.timed & state.paired)[:, None], _NEVER
        )
        for row in (state.timed & ~state.paired).nonzero()[:, 0].tolist():
            scores[row, : self.eot] = _NEVER
        # a timestamp is due when all of them together are more likely than any one word
        due = logsumexp(scores[:, begin:]) > scores[:, :begin].amax(-1)
        for row in due.nonzero()[:, 0].tolist():
            scores[row, :begin] = _NEVER

    def likeliest(self, scores: Tensor, state: _Times, first: bool, count: int) -> tuple[Tensor, Tensor]:
        """Log-probabilities and tokens (hypotheses, count) of the likeliest that may follow, greatest first.

        ``scores`` (hypotheses, vocabulary) are logits; they may be written over.
        """
        if scores.device.type == "cpu":
            from transcripts.engines.likeliest import likeliest

            bounds = self._bounds(state, first, scores.shape[1])
            return likeliest(scores, self.words, *bounds, self.first_time, count)
        scores = scores.float()
        self.apply(scores, state, first)
        best, tokens = scores.topk(count)
        return best - logsumexp(scores, spent=True)[:, None], tokens

    def _bounds(self, state: _Times, first: bool, vocabulary: int) -> tuple[Tensor, Tensor]:
        """What ``apply`` leaves: from which word on, and the first timestamp and the one after the last."""
        begin = self.first_time
        if first:
            times = torch.tensor([begin, begin + MAX_INITIAL_TIMESTAMP + 1])
            return torch.full_like(state.latest, begin), times.repeat(len(state.latest), 1)
        alone = state.timed & ~state.paired
        since = torch.where(state.timed & state.paired, vocabulary, begin + state.latest + (~alone).long())
        return alone.long() * self.eot, torch.stack([since, torch.full_like(since, vocabulary)], 1)


@dataclass
class _Times:
    """Of each hypothesis: whether its last token is a timestamp, whether the one before is, and its latest time."""

    timed: Tensor
    paired: Tensor
    latest: Tensor

    def follow(self, rows: Tensor | None, tokens: Tensor, first_time: int) -> None:
        """Continue the hypotheses ``rows`` (None: each itself) with these tokens."""
        if rows is not None:
            self.timed, self.latest = self.timed[rows], self.latest[rows]
        time = tokens - first_time
        self.paired, self.timed = self.timed, time >= 0
        self.latest = torch.where(self.timed, time, self.latest)


@dataclass(frozen=True)
class Start:
    """What stands before the text: tokens, the place of the start of transcript among them, and the rules."""

    tokens: tuple[int, ...]
    sot: int
    rules: Rules


class _Hypotheses:
    """The texts under way, ``width`` for each window side by side, and those that are finished."""

    def __init__(
        self,
        rules: Rules,
        search: Search,
        windows: int,
        device: torch.device,
        generator: torch.Generator | None,
    ) -> None:
        self.rules, self.search, self.generator, self.device = rules, search, generator, device
        width, count = search.width, windows * search.width
        self.width = width
        self.totals = torch.zeros(windows, width, device=device)
        self.tokens = torch.zeros(count, 0, dtype=torch.long, device=device)
        self._said = self.tokens  # before they last went on
        yes = torch.ones(count, dtype=torch.bool, device=device)
        # before the first token both count as timestamps: whisper's rule for a pair
        self.times = _Times(yes, yes, torch.full((count,), -1, device=device))
        self.ended = torch.zeros(count, dtype=torch.bool, device=device)
        self.done = torch.zeros(windows, dtype=torch.bool, device=device)
        self.numbers = list(range(windows))  # of the windows still here
        self.finished: list[list[tuple[list[int], float]]] = [[] for _ in range(windows)]
        self.moved: Tensor | None = None

    @property
    def last(self) -> Tensor:
        """The newest token of each hypothesis."""
        return self.tokens[:, -1]

    def extend(self, scores: Tensor) -> None:
        """Add a token to every hypothesis; ``scores`` (hypotheses, vocabulary) are logits, and may be written over."""
        first = self.tokens.shape[1] == 0
        if self.search.temperature > 0:
            self._draw(scores.float(), first)
            return
        count = 1 if self.width == 1 else self.width + 1
        best, tokens = self.rules.likeliest(scores, self.times, first, count)
        if self.width == 1:
            self._add(tokens[:, 0], best[:, 0])
        else:
            self._beams(best, tokens, first)

    def _draw(self, scores: Tensor, first: bool) -> None:
        self.rules.apply(scores, self.times, first)
        chances = (scores / self.search.temperature).softmax(-1)
        token = torch.multinomial(chances.cpu(), 1, generator=self.generator).to(self.device)[:, 0]
        self._add(token, scores.gather(1, token[:, None])[:, 0] - logsumexp(scores, spent=True))

    def _add(self, token: Tensor, logprob: Tensor) -> None:
        """Each hypothesis goes on by itself; one that ended stays as it is."""
        token = torch.where(self.ended, self.rules.eot, token)
        self.totals += torch.where(self.ended, 0.0, logprob).view_as(self.totals)
        self.ended = self.ended | (token == self.rules.eot)
        self.tokens = torch.cat([self.tokens, token[:, None]], 1)
        self.times.follow(None, token, self.rules.first_time)
        self.done = self.ended.view(-1, self.width).all(-1)

    def _beams(self, best: Tensor, tokens: Tensor, first: bool) -> None:
        width = self.width
        best = best + self.totals.view(-1, 1)
        windows = len(self.totals)
        if first:  # all hypotheses of a window are still the same
            best.view(windows, width, -1)[:, 1:] = _NEVER
        totals, order = best.view(windows, -1).topk(2 * width if not first else width + 1)
        rows = order // (width + 1)
        tokens = tokens.view(windows, -1).gather(1, order)
        each, which, what, much = [], [], totals.tolist(), rows.tolist()
        written = tokens.tolist()
        for window in range(windows):
            kept, ended = self._choose(what[window], much[window], written[window])
            if not self.done[window]:
                self._finish(window, ended)
            for row, token, total in kept:
                each.append(window * width + row)
                which.append(token)
                self.totals[window, len(each) - 1 - window * width] = total
        moved = torch.tensor(each, device=self.device)
        chosen = torch.tensor(which, device=self.device)
        same = torch.equal(moved, torch.arange(len(moved), device=self.device))
        self.moved = None if same else moved
        self._said = self.tokens
        past = self.tokens if same else self.tokens[moved]
        self.tokens = torch.cat([past, chosen[:, None]], 1)
        self.times.follow(moved, chosen, self.rules.first_time)

    def common(self) -> int:
        """In how many first tokens all hypotheses of a window agreed, in every window, before they went on."""
        rows, count = self._said.shape
        by_window = self._said.view(rows // self.width, self.width, count)
        alike = (by_window == by_window[:, :1]).all(1).all(0)
        return int(alike.long().cumprod(0).sum())

    def _choose(
        self, totals: list[float], rows: list[int], tokens: list[int]
    ) -> tuple[list[tuple[int, int, float]], list[tuple[int, float]]]:
        """The best continuations of a window, and the ends that are better than the last of them."""
        kept: list[tuple[int, int, float]] = []
        ended = []
        for total, row, token in zip(totals, rows, tokens, strict=True):
            if token == self.rules.eot:
                ended.append((row, total))
            else:
                kept.append((row, token, total))
                if len(kept) == self.width:
                    break
        while len(kept) < self.width:  # too few tokens are allowed: repeat the worst, which never wins
            kept.append((kept[-1][0], kept[-1][1], _NEVER) if kept else (0, self.rules.eot, _NEVER))
        return kept, ended

    def _finish(self, window: int, ended: list[tuple[int, float]]) -> None:
        finished = self.finished[self.numbers[window]]
        for row, total in ended:
            if len(finished) < self.width:
                finished.append((self.tokens[window * self.width + row].tolist(), total))
        self.done[window] = len(finished) >= self.width

    def compact(self) -> Tensor | None:
        """Take finished windows out when enough are: the rows of those that stay, or None for all of them."""
        if self.done.float().mean() < FINISHED_SHARE or len(self.done) == 1:
            return None
        self._collect(self.done.nonzero()[:, 0].tolist())
        rows = (~self.done).nonzero()[:, 0]
        each = (rows[:, None] * self.width + torch.arange(self.width, device=self.device)).flatten()
        if self.moved is not None:
            place = torch.full((len(self.tokens),), -1, device=self.device)
            place[each] = torch.arange(len(each), device=self.device)
            self.moved = place[self.moved[each]]
        self.totals, self.tokens, self.ended = self.totals[rows], self.tokens[each], self.ended[each]
        self.times = _Times(self.times.timed[each], self.times.paired[each], self.times.latest[each])
        self.numbers = [self.numbers[row] for row in rows.tolist()]
        self.done = self.done[rows]
        return rows

    def _collect(self, windows: Sequence[int]) -> None:
        """Write down what hypotheses of these windows were not finished by themselves."""
        for window in windows:
            finished = self.finished[self.numbers[window]]
            rows = range(window * self.width, (window + 1) * self.width)
            totals = self.totals[window].tolist()
            for row, total in sorted(zip(rows, totals, strict=True), key=lambda one: -one[1]):
                if len(finished) < self.width:
                    tokens = self.tokens[row].tolist()
                    end = tokens.index(self.rules.eot) if self.rules.eot in tokens else len(tokens)
                    finished.append((tokens[:end], total))

    def best(self) -> list[tuple[list[int], float]]:
        """The likeliest text of each window and its total log-probability, by the mean of a token's."""
        self._collect(range(len(self.numbers)))
        by_mean: Callable[[tuple[list[int], float]], float] = lambda one: one[1] / max(1, len(one[0]))  # noqa: E731
        return [max(finished, key=by_mean) for finished in self.finished]
