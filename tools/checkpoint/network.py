"""The training-time forward pass over openai-whisper's own modules, and the export to its checkpoint format.

The exported file holds nothing but the weights of an unmodified ``whisper.model.Whisper``. While training, the network
has a compact vocabulary, two small heads that name the phone and the word in each encoder state, and losses that guide
two layers of cross-attention: with guidance the alignment of words to sound is there after minutes instead of days.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor, nn
from whisper.model import ModelDimensions as Dimensions
from whisper.model import MultiHeadAttention, Whisper, sinusoids

from tools.checkpoint.speech import tokenizer
from tools.checkpoint.windows import IGNORED, STATES, TEXT_CONTEXT, Batch, Vocabulary

FULL_VOCABULARY = 51864  # of openai-whisper's English models
MELS = 80
PINNED, UNUSED_LOGIT = 8.0, -60.0  # channel 0 of the last norm is always 8, so unused rows always score -60
SAMPLED_STATES = 2000  # word identity is asked of so many states a step


@dataclass(frozen=True)
class Size:
    """Width, attention heads, encoder layers, decoder layers."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int


@dataclass(frozen=True)
class Losses:
    """What one step minimises, each averaged over what it judges.

    Attributes:
        token: cross entropy of the wanted tokens.
        phone, word: cross entropy of the phone and of the token that sound in an encoder state.
        attention: negative log of the attention that the last decoder layer gives to the wanted token's span.
        previous: the same of the first layer for the token just read.
        accuracy: the share of wanted tokens that come first.
    """

    token: Tensor
    phone: Tensor
    word: Tensor
    attention: Tensor
    previous: Tensor
    accuracy: Tensor

    @property
    def total(self) -> Tensor:
        """The weighted sum that is minimised."""
        return self.token + 0.3 * self.phone + 0.5 * self.word + 0.4 * (self.attention + self.previous)

    def figures(self) -> dict[str, float]:
        """The losses by name, as numbers."""
        return {name: float(getattr(self, name).detach()) for name in self.__dataclass_fields__}


class Network(nn.Module):
    """An unmodified Whisper of a compact vocabulary, with what training adds."""

    def __init__(self, size: Size, vocabulary: Vocabulary, phones: int) -> None:
        """Initialise every weight; random numbers come from torch's global generator."""
        super().__init__()
        dimensions = Dimensions(
            MELS, STATES, size.width, size.heads, size.encoder_layers,
            len(vocabulary), TEXT_CONTEXT, size.width, size.heads, size.decoder_layers,
        )  # fmt: skip
        self.whisper = Whisper(dimensions)
        self.phone = nn.Linear(size.width, phones)
        self.word = nn.Linear(size.width, len(vocabulary.words))
        self._initialise(vocabulary)
        self.pin()

    @torch.no_grad()
    def _initialise(self, vocabulary: Vocabulary) -> None:
        width = self.whisper.dims.n_audio_state
        for name, weight in self.whisper.named_parameters():
            if weight.ndim == 2 and "blocks" in name:
                scale = width**-0.5 * (0.5 if name.endswith(("out.weight", "mlp.2.weight")) else 1)
                nn.init.normal_(weight, std=scale * (0.5 if "mlp.2" in name else 1))
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        encoder, decoder = self.whisper.encoder, self.whisper.decoder
        encoder.conv1.weight *= 2
        encoder.conv2.weight *= 2
        embedding = decoder.token_embedding.weight
        nn.init.normal_(embedding, std=0.05)
        first = vocabulary.first_timestamp
        embedding[first : first + STATES + 1] += 0.04 * sinusoids(
            STATES + 1, width
        )  # neighbours in time are alike
        decoder.positional_embedding.copy_(0.05 * sinusoids(TEXT_CONTEXT, width))

    @torch.no_grad()
    def pin(self) -> None:
        """Hold the constants that make unused vocabulary rows impossible; to be called after every step."""
        norm, embedding = self.whisper.decoder.ln, self.whisper.decoder.token_embedding.weight
        norm.weight[0] = 0
        norm.bias[0] = PINNED
        embedding[-1] = 0
        embedding[-1, 0] = UNUSED_LOGIT / PINNED

    def hide(self, batch: Batch, share: float, generator: torch.Generator) -> None:
        """Make some words of the history unknown in place, so that the decoder listens instead of guessing."""
        chance = torch.rand(batch.given.shape, generator=generator).to(batch.given.device)
        hidden = (chance < share) & (batch.given < self.word.out_features)
        batch.given[hidden] = len(self.whisper.decoder.token_embedding.weight) - 1

    def forward(self, batch: Batch, first_position: Tensor) -> Losses:
        """The losses of a batch; ``first_position`` (batch,) is where each text stands in the text context."""
        audio = self._listen(batch)
        phone = F.cross_entropy(
            self.phone(audio).float().flatten(0, 1), batch.phones.flatten(), ignore_index=IGNORED
        )
        word = self._word_loss(audio, batch.words.flatten(), phone)
        decoder = self.whisper.decoder
        places = first_position[:, None] + torch.arange(batch.given.shape[1], device=audio.device)
        text = F.embedding(batch.given, decoder.token_embedding.weight) + decoder.positional_embedding[places]
        text = text.to(audio.dtype)
        sounding, known = _span_weights(batch.spans, audio.shape[1])
        attention = previous = torch.zeros((), device=audio.device)
        blocks = decoder.blocks
        aligned = range(len(blocks) // 2, len(blocks))  # the layers whose heads whisper aligns words with
        for number, block in enumerate(blocks):
            text = text + _attend(block.attn, _norm(block.attn_ln, text), causal=True)
            assert block.cross_attn is not None
            before = number == 0 and 0 not in aligned  # the first layer looks at the token just read
            heard, inside = _attend_guided(
                block.cross_attn, _norm(cast(nn.LayerNorm, block.cross_attn_ln), text), audio,
                sounding.roll(1, 1) if before else sounding,
            )  # fmt: skip
            text = text + heard
            if number in aligned:
                attention = attention - inside.mean(1)[known].mean() / len(aligned)
            elif before and inside.shape[1] > 1:  # all its heads but one
                previous = -inside[:, :-1, 1:].mean(1)[known[:, :-1]].mean()
            text = text + block.mlp(_norm(block.mlp_ln, text))
        judged = batch.wanted != IGNORED
        scores = (_norm(decoder.ln, text)[judged] @ decoder.token_embedding.weight.to(text.dtype).T).float()
        wanted = batch.wanted[judged]
        return Losses(
            F.cross_entropy(scores, wanted), phone, word, attention, previous,
            (scores.argmax(-1) == wanted).float().mean(),
        )  # fmt: skip

    def _listen(self, batch: Batch) -> Tensor:
        """The encoder's states (batch, states, width) of windows that stand anywhere in the 30 s."""
        encoder = self.whisper.encoder
        states = F.gelu(encoder.conv1(batch.mel.to(torch.bfloat16)))
        states = F.gelu(encoder.conv2(states)).transpose(1, 2)
        places = batch.offsets[:, None] + torch.arange(states.shape[1], device=states.device)
        states = states + encoder.positional_embedding[places.clamp(max=STATES - 1)].to(states.dtype)
        for block in encoder.blocks:
            states = states + _attend(block.attn, _norm(block.attn_ln, states))
            states = states + block.mlp(_norm(block.mlp_ln, states))
        return _norm(encoder.ln_post, states)

    def _word_loss(self, audio: Tensor, words: Tensor, otherwise: Tensor) -> Tensor:
        sounding = (words >= 0).nonzero()[:, 0]
        if not len(sounding):
            return otherwise * 0
        some = sounding[torch.randperm(len(sounding), device=words.device)[:SAMPLED_STATES]]
        return F.cross_entropy(self.word(audio.flatten(0, 1)[some]).float(), words[some])


def _norm(layer: nn.LayerNorm, states: Tensor) -> Tensor:
    return F.layer_norm(
        states, layer.normalized_shape, layer.weight.to(states.dtype), layer.bias.to(states.dtype)
    )


def _span_weights(spans: Tensor, states: int) -> tuple[Tensor, Tensor]:
    """For each wanted token a mean over its states (batch, tokens, states), and whether its span is known."""
    at = torch.arange(states, device=spans.device)
    inside = ((at >= spans[..., :1]) & (at < spans[..., 1:])).float()
    return inside / inside.sum(-1, keepdim=True).clamp(min=1), spans[..., 0] >= 0


def _heads(states: Tensor, heads: int) -> Tensor:
    batch, length, _ = states.shape
    return states.view(batch, length, heads, -1).transpose(1, 2)


def _attend(layer: MultiHeadAttention, states: Tensor, causal: bool = False) -> Tensor:
    query, key, value = (_heads(part(states), layer.n_head) for part in (layer.query, layer.key, layer.value))
    if causal or states.device.type != "cpu":
        found = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    else:
        found, _ = _attention(query, key, value, False)
    return cast(Tensor, layer.out(found.transpose(1, 2).reshape(states.shape)))


def _attend_guided(
    layer: MultiHeadAttention, states: Tensor, audio: Tensor, spans: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-attention, and the mean log of the weight (batch, heads, tokens) that each token gives to its span.

    ``spans`` (batch, tokens, states) are the weights of that mean. The mean of a query's products is its product with
    the span's mean key, so the logarithms of all weights are never written down.
    """
    keys = layer.key(audio)
    query, key, value, of_span = (
        _heads(part, layer.n_head)
        for part in (layer.query(states), keys, layer.value(audio), spans.to(keys.dtype) @ keys)
    )
    found, normaliser = _attention(query, key, value, True)
    inside = (query.float() * of_span.float()).sum(-1) * query.shape[-1] ** -0.5
    return layer.out(found.transpose(1, 2).reshape(states.shape)), inside - normaliser


def _attention(query: Tensor, key: Tensor, value: Tensor, normalised: bool) -> tuple[Tensor, Tensor]:
    flat = [part.reshape(-1, *part.shape[2:]) for part in (query, key, value)]
    found, normaliser = _Attention.apply(*flat, normalised)  # type: ignore[no-untyped-call]
    return found.view(query.shape), normaliser.view(query.shape[:-1])


class _Attention(torch.autograd.Function):
    """Softmax attention by plain bf16 products, a few heads at a time: on CPUs torch's fused backward is slower."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, normalised: bool
    ) -> tuple[Tensor, Tensor]:
        """(heads, queries, width), (heads, keys, width) twice -> the same as the queries, and log-sum-exp if asked."""
        scale = query.shape[-1] ** -0.5
        at_once = max(1, int(4e6 / (query.shape[1] * key.shape[1])))
        if query.device.type != "cpu":
            at_once = len(query)
        found, kept = torch.empty_like(query), []
        normaliser = torch.zeros(query.shape[:2], device=query.device)
        for first in range(0, len(query), at_once):
            part = slice(first, first + at_once)
            scores = torch.bmm(query[part] * scale, key[part].transpose(1, 2))
            weights = scores.softmax(-1)
            if normalised:
                normaliser[part] = scores.amax(-1).float() - weights.amax(-1).float().log()
            torch.bmm(weights, value[part], out=found[part])
            kept.append(weights)
        ctx.save_for_backward(query, key, value, *kept)
        ctx.at_once, ctx.scale, ctx.normalised = at_once, scale, normalised
        return found, normaliser

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of query, key and value."""
        query, key, value, *kept = ctx.saved_tensors
        gradient, of_normaliser = gradients[0].contiguous(), gradients[1].to(query.dtype)
        of_query, of_key, of_value = (torch.empty_like(part) for part in (query, key, value))
        for number, weights in enumerate(kept):
            part = slice(number * ctx.at_once, (number + 1) * ctx.at_once)
            torch.bmm(weights.transpose(1, 2), gradient[part], out=of_value[part])
            of_weights = torch.bmm(gradient[part], value[part].transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            if ctx.normalised:
                of_scores.addcmul_(weights, of_normaliser[part, :, None])
            torch.bmm(of_scores, key[part] * ctx.scale, out=of_query[part])
            torch.bmm(of_scores.transpose(1, 2), query[part] * ctx.scale, out=of_key[part])
        return of_query, of_key, of_value, None


def export(network: Network, vocabulary: Vocabulary, path: Path) -> None:
    """Write the Whisper in half precision as ``whisper.load_model`` reads it, with the full vocabulary.

    The zip members are deflated: all unused vocabulary rows are the same and pack to nothing.
    """
    weights = {name: value.detach().cpu().half() for name, value in network.whisper.state_dict().items()}
    compact = weights["decoder.token_embedding.weight"]
    full = _unused(compact).repeat(FULL_VOCABULARY, 1)
    full[torch.tensor(vocabulary.tokens)] = compact[: len(vocabulary.tokens)]
    weights["decoder.token_embedding.weight"] = full
    _write(
        {"dims": {**network.whisper.dims.__dict__, "n_vocab": FULL_VOCABULARY}, "model_state_dict": weights},
        path,
    )


def mean_of(paths: Sequence[Path], out: Path) -> None:
    """Write the mean of exported checkpoints that came of each other (Izmailov et al. 2018, "Averaging weights leads to
    wider optima and better generalization").

    Raises:
        RuntimeError: when they are of different sizes, or know different words.
    """
    several = [_read(path) for path in paths]
    words = [spoken_by(path) for path in paths]
    if any(one["dims"] != several[0]["dims"] for one in several) or any(one != words[0] for one in words):
        raise RuntimeError(
            "checkpoints of different sizes or words have no mean: " + ", ".join(map(str, paths))
        )
    weights = {
        name: torch.stack([one["model_state_dict"][name].float() for one in several]).mean(0).half()
        for name in several[0]["model_state_dict"]
    }
    _write({"dims": several[0]["dims"], "model_state_dict": weights}, out)


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    stored, packed = path.with_suffix(".stored"), path.with_suffix(".packed")
    torch.save(checkpoint, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(
                zipfile.ZipInfo(member.filename), source.read(member.filename), zipfile.ZIP_DEFLATED
            )
    stored.unlink()
    packed.replace(path)


def spoken_by(path: Path) -> list[int]:
    """The words' tokens that an exported checkpoint can write."""
    rows = _weights(path)["decoder.token_embedding.weight"]
    first_special = tokenizer().eot
    return cast(list[int], (rows[:first_special] != _unused(rows)).any(1).nonzero()[:, 0].tolist())


@torch.no_grad()
def take_up(network: Network, vocabulary: Vocabulary, path: Path) -> None:
    """Give a network the weights of an exported checkpoint; tokens that are new to it stay as they are.

    A deeper network grows: the blocks that the checkpoint lacks come after its own, begin as its last one does, and add
    nothing at first, so that both say the same (Chen et al. 2016, "Net2Net"; Gong et al. 2019, "Efficient training of
    BERT by progressively stacking").

    Raises:
        RuntimeError: when the checkpoint has another width, or more blocks.
    """
    there, here = _read(path), network.whisper.dims.__dict__
    weights: dict[str, Tensor] = there["model_state_dict"]
    full = weights["decoder.token_embedding.weight"]
    compact = network.whisper.decoder.token_embedding.weight.detach().clone()
    (width, *blocks), (wanted, *deeper) = _size(there["dims"]), _size(here)
    if width != wanted or any(more > most for more, most in zip(blocks, deeper, strict=True)):
        raise RuntimeError(
            f"{path} is of another size: width {width} and {blocks} blocks, not {wanted} and {deeper}"
        )
    given = full[torch.tensor(vocabulary.tokens)].float()
    known = (given != _unused(full)).any(1)
    compact[:-1][known] = given[known].to(compact.device)
    weights |= {"decoder.token_embedding.weight": compact}
    for half, count, most in zip(("encoder", "decoder"), blocks, deeper, strict=True):
        last = f"{half}.blocks.{count - 1}."
        for number in range(count, most):
            for name in [name for name in weights if name.startswith(last)]:
                own = name.removeprefix(last)
                adds = own.startswith(("attn.out", "cross_attn.out", "mlp.2"))
                weights[f"{half}.blocks.{number}.{own}"] = weights[name] * 0 if adds else weights[name]
    network.whisper.load_state_dict(weights)
    network.pin()


def _size(dims: Mapping[str, int]) -> list[int]:
    """Width, blocks of the encoder, blocks of the decoder."""
    return [dims[name] for name in ("n_audio_state", "n_audio_layer", "n_text_layer")]


@torch.no_grad()
def go_back(network: Network, vocabulary: Vocabulary, paths: Sequence[Path], counts: float = 1.0) -> None:
    """Make a network the mean of itself and of exported checkpoints: what its course began from, and kin of that.

    The network itself ``counts`` as so many of them.

    All lie in one valley, and between them less is learned by heart (Wortsman et al. 2022, "Robust fine-tuning of
    zero-shot models").

    Raises:
        RuntimeError: as ``take_up``.
    """
    sums = {name: weight.float() * counts for name, weight in network.whisper.state_dict().items()}
    for path in paths:
        take_up(network, vocabulary, path)
        for name, weight in network.whisper.state_dict().items():
            sums[name] += weight
    for name, weight in network.whisper.state_dict().items():
        weight.copy_(sums[name] / (len(paths) + counts))


def _read(path: Path) -> dict[str, Any]:
    return cast(dict[str, Any], torch.load(path, map_location="cpu", weights_only=True))


def _weights(path: Path) -> dict[str, Tensor]:
    return cast(dict[str, Tensor], _read(path)["model_state_dict"])


def _unused(rows: Tensor) -> Tensor:
    """The row of every token that is never spoken."""
    row = torch.zeros_like(rows[0])
    row[0] = UNUSED_LOGIT / PINNED
    return row
