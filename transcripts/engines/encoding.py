"""Whisper's encoder for many windows at once, over the weights of an unmodified openai-whisper model."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

from transcripts.engines.products import can_pair, for_sound


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
        # a CPU is quickest with one window after the other: what a layer writes is still in its cache for the next
        at_once = 1 if self.device.type == "cpu" else len(mel)
        return torch.cat([self._states(part) for part in torch.split(mel.to(self.dtype), at_once)])

    def _states(self, mel: Tensor) -> Tensor:
        states = F.gelu(F.conv1d(mel, *self.convolutions[0], padding=1))
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
        weight = torch.cat([layer.weight.detach().float() * factor for layer, factor in parts]).to(dtype)
        none = torch.zeros(width, device=weight.device)
        bias = torch.cat(
            [none if layer.bias is None else layer.bias.detach().float() * factor for layer, factor in parts]
        )
        self.qkv = for_sound(weight, bias.to(dtype))
        self._paired = can_pair(weight, width // heads)
        self.out = for_sound(*_pair(own.out, dtype))
        self.norm, self.mlp_norm = _pair(block.attn_ln, dtype), _pair(block.mlp_ln, dtype)
        self.up, self.down = (for_sound(*_pair(block.mlp[number], dtype)) for number in (0, 2))

    def __call__(self, states: Tensor) -> None:
        """Change the states (windows, length, width) in place."""
        qkv = self.qkv(F.layer_norm(states, states.shape[-1:], *self.norm))
        states += self.out(self._attend(qkv))
        inner = self.up(F.layer_norm(states, states.shape[-1:], *self.mlp_norm))
        states += self.down(torch.ops.aten.gelu_(inner))

    def _attend(self, qkv: Tensor) -> Tensor:
        if self._paired:
            from transcripts.engines import pairs

            return pairs.attend(qkv, self.heads)
        windows, length, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        query, key, value = qkv.view(windows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        found = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return found.transpose(1, 2).reshape(windows, length, width)


def _pair(layer: Any, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
