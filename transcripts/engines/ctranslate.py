"""Checkpoints of openai-whisper for CTranslate2: the same weights in its layout, written once and kept.

The layout is what ``ctranslate2.converters`` makes of Hugging Face's Whisper (``WhisperLoader``); here it is made of
openai-whisper's own modules, so nothing else need be installed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from transcripts.engines.checkpoints import open_weights, user_cache
from transcripts.errors import ModelUnavailable

VERSION = 1
"""Raise it when the same weights would be written in another way."""
CONTEXT = 448
"""The tokens that a Whisper reads and writes at most, where its folder does not say otherwise."""


def cache() -> Path:
    """The folder of the converted checkpoints."""
    return user_cache() / "stories" / "ctranslate2"


def converted(name: str, weights: Path, sha256: str) -> Path:
    """The folder that CTranslate2 can load; made now when it is not there yet.

    Args:
        name: what the user calls the model, for errors.
        weights: the checkpoint.
        sha256: of the checkpoint; its conversion is kept under it.

    Raises:
        ModelDamaged: the file holds no Whisper.
        ModelUnavailable: the file cannot be read, or the cache cannot be written.
    """
    folder = cache() / f"{sha256}-{VERSION}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _write(name, weights, sha256, folder)
    except OSError as error:
        raise ModelUnavailable(
            name,
            f"its converted form cannot be written to {folder.parent}: {error.strerror or error}",
            "make room there, or let XDG_CACHE_HOME name a folder that can be written",
        ) from error
    return folder


def context(folder: Path) -> int:
    """How many tokens a converted model reads and writes at most."""
    return int(json.loads((folder / "config.json").read_bytes()).get("text_context", CONTEXT))


def _write(name: str, weights: Path, sha256: str, folder: Path) -> None:
    """Convert beside the folder, then rename; what an interrupted try left is written over."""
    model = open_weights(name, str(weights), "cpu")
    _set_alignment_heads(model, sha256)
    spec = specification(model)
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        spec.save(str(part))
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _set_alignment_heads(model: Any, sha256: str) -> None:
    """The library knows the heads of its own checkpoints by name; a file is one of them when its hash is."""
    import whisper

    for name, address in whisper._MODELS.items():
        if sha256 in address.split("/"):
            model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])


def specification(model: Any) -> Any:
    """A ``ctranslate2.specs.WhisperSpec`` of a ``whisper.model.Whisper``, ready to be saved."""
    from ctranslate2.specs import WhisperSpec

    dims = model.dims
    spec = WhisperSpec(dims.n_audio_layer, dims.n_audio_head, dims.n_text_layer, dims.n_text_head)
    _fill_encoder(spec.encoder, model.encoder)
    _fill_decoder(spec.decoder, model.decoder)
    _configure(spec, model)
    spec.validate()
    spec.optimize("float16" if _halves(model) else None)
    return spec


def _halves(model: Any) -> bool:
    """Whether half precision holds every weight as it is: the library's own checkpoints are kept so."""
    import torch

    return all(torch.equal(one, one.half().to(one.dtype)) for one in model.state_dict().values())


def _fill_encoder(spec: Any, encoder: Any) -> None:
    for target, layer in ((spec.conv1, encoder.conv1), (spec.conv2, encoder.conv2)):
        target.weight, target.bias = layer.weight.detach(), layer.bias.detach()
    spec.position_encodings.encodings = encoder.positional_embedding.detach()
    _fill_norm(spec.layer_norm, encoder.ln_post)
    for target, block in zip(spec.layer, encoder.blocks, strict=True):
        _fill_block(target, block)


def _fill_decoder(spec: Any, decoder: Any) -> None:
    spec.embeddings.weight = spec.projection.weight = decoder.token_embedding.weight.detach()
    spec.position_encodings.encodings = decoder.positional_embedding.detach()
    _fill_norm(spec.layer_norm, decoder.ln)
    for target, block in zip(spec.layer, decoder.blocks, strict=True):
        _fill_block(target, block)
        sound = block.cross_attn
        _fill_norm(target.attention.layer_norm, block.cross_attn_ln)
        _fill_linear(target.attention.linear, [sound.query], [sound.key, sound.value], [sound.out])


def _fill_block(spec: Any, block: Any) -> None:
    """What the layers of encoder and decoder have in common."""
    own = block.attn
    _fill_norm(spec.self_attention.layer_norm, block.attn_ln)
    _fill_linear(spec.self_attention.linear, [own.query, own.key, own.value], [own.out])
    _fill_norm(spec.ffn.layer_norm, block.mlp_ln)
    _fill_linear([spec.ffn.linear_0, spec.ffn.linear_1], [block.mlp[0]], [block.mlp[2]])


def _fill_norm(spec: Any, norm: Any) -> None:
    spec.gamma, spec.beta = norm.weight.detach(), norm.bias.detach()


def _fill_linear(targets: Sequence[Any], *sources: Sequence[Any]) -> None:
    """Each target gets its layers one below the other; a layer without bias adds zero."""
    import torch

    for target, layers in zip(targets, sources, strict=True):
        none = torch.zeros(layers[0].weight.shape[0])
        target.weight = torch.cat([layer.weight.detach() for layer in layers])
        target.bias = torch.cat([none if layer.bias is None else layer.bias.detach() for layer in layers])


def _configure(spec: Any, model: Any) -> None:
    """The vocabulary, and what may be written: CTranslate2 keeps both beside the weights."""
    from whisper.tokenizer import get_tokenizer

    from transcripts.engines.decoding import Rules

    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    special = {number: text for text, number in tokenizer.special_tokens.items()}
    encoding = tokenizer.encoding
    # only the special tokens are looked up by name: of the others each byte becomes a letter
    spec.register_vocabulary(
        [
            special.get(number) or encoding.decode_single_token_bytes(number).decode("latin-1")
            for number in range(model.dims.n_vocab)
        ]
    )
    rules, config = Rules(tokenizer), spec.config
    config.suppress_ids, config.suppress_ids_begin = rules.never.tolist(), rules.never_first.tolist()
    config.lang_ids = [tokenizer.sot + 1 + number for number in range(model.num_languages)]
    config.alignment_heads = model.alignment_heads.indices().T.tolist()
    config.add_attribute("text_context", model.dims.n_text_ctx)
