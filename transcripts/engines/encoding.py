"""Whisper's encoder for many windows at once, over the weights of an unmodified openai-whisper model."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

AT_ONCE = 6_000_000
"""Attention weights held at a time on a CPU: they should stay in its cache."""


class Encoder:
    """The sound half of a Whisper: log-mel windows to states."""

    def __init__(self, model: Any, dtype: torch.dtype) -> None:
        """Take the weights of a ``whisper.model.Whisper`` over in ``dtype``."""
        encoder, dims = model.encoder, model.dims
        self.dtype, self.device, self.heads = dtype, model.device, int(dims.n_audio_head)
        self.convolutions = [_pair(layer, dtype) for layer in (encoder.conv1, encoder.conv2)]
        self.positions: Tensor = encoder.positional_embedding.detach().to(dtype)
        self.blocks = [_Block(block, dtype, self.heads) for block in encoder.blocks]
        self.norm = _pair(encoder.ln_post, dtype)

    @torch.inference_mode()
    def __call__(self, mel: Tensor) -> Tensor:
        """States (windows, 1500, width) of log-mel windows (windows, bins, 3000), in the working precision."""
        states = F.gelu(F.conv1d(mel.to(self.dtype), *self.convolutions[0], padding=1))
        states = F.gelu(F.conv1d(states, *self.convolutions[1], stride=2, padding=1))
        states = (states.transpose(1, 2) + self.positions).contiguous()
        for block in self.blocks:
            block(states)
        return F.layer_norm(states, states.shape[-1:], *self.norm)


class _Block:
    def __init__(self, block: Any, dtype: torch.dtype, heads: int) -> None:
        own, self.heads = block.attn, heads
        width = own.query.weight.shape[0]
        scale = (width // heads) ** -0.5
        parts = [(own.query, scale), (own.key, 1.0), (own.value, 1.0)]
        weight = torch.cat([layer.weight.detach().float() * factor for layer, factor in parts])
        none = torch.zeros(width, device=weight.device)
        bias = torch.cat(
            [none if layer.bias is None else layer.bias.detach().float() * factor for layer, factor in parts]
        )
        self.qkv = weight.to(dtype), bias.to(dtype)
        self.out = _pair(own.out, dtype)
        self.norm, self.mlp_norm = _pair(block.attn_ln, dtype), _pair(block.mlp_ln, dtype)
        self.up, self.down = _pair(block.mlp[0], dtype), _pair(block.mlp[2], dtype)

    def __call__(self, states: Tensor) -> None:
        """Change the states (windows, length, width) in place."""
        qkv = F.linear(F.layer_norm(states, states.shape[-1:], *self.norm), *self.qkv)
        states += F.linear(self._attend(qkv), *self.out)
        inner = F.linear(F.layer_norm(states, states.shape[-1:], *self.mlp_norm), *self.up)
        states += F.linear(F.gelu(inner), *self.down)

    def _attend(self, qkv: Tensor) -> Tensor:
        windows, length, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        split = qkv.view(windows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if qkv.device.type != "cpu" or qkv.dtype != torch.bfloat16:
            query, key, value = split.unbind(0)
            found = F.scaled_dot_product_attention(query, key, value, scale=1.0)
            return found.transpose(1, 2).reshape(windows, length, width)
        # plain products use the processor's bf16 matrix units, which torch's fused attention does not
        query, key, value = (part.reshape(windows * self.heads, length, -1) for part in split.unbind(0))
        found = torch.empty_like(query)
        at_once = max(1, AT_ONCE // length**2)
        for first in range(0, len(query), at_once):
            part = slice(first, first + at_once)
            weights = torch.bmm(query[part], key[part].transpose(1, 2)).softmax(-1)
            torch.bmm(weights, value[part], out=found[part])
        return found.view(windows, self.heads, length, -1).transpose(1, 2).reshape(windows, length, width)


def _pair(layer: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
