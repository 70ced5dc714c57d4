"""What the hypotheses of a search have said: the keys and values of their tokens, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

ROOM = 32
"""Texts are given room in steps of so many tokens: a processor keeps what it once prepared for products of a shape, so
few shapes take little memory."""
_NEVER = float("-inf")


class Past:
    """Keys and values of every hypothesis, to which each step adds one token.

    A hypothesis that goes on from another's past does not take a copy where a kernel of our own looks it up: it notes
    in whose row each token stands. For general products the part in which they differ is copied.
    """

    def __init__(self, kept: Sequence[Tensor], width: int, *, noted: bool) -> None:
        """Begin with what was read before the text.

        Args:
            kept: keys and values (2, windows, heads, tokens, width of a head) of each layer.
            width: hypotheses of a window, side by side.
            noted: whether it is looked up by ``recalling.recall``.
        """
        self._layers = [_roomy(layer.repeat_interleave(width, 1)) for layer in kept]
        self.at = self._before = kept[0].shape[-2]
        self._whose: Tensor | None = None
        if noted:
            self._whose = _own_rows(self._layers[0].shape[1], self._layers[0].shape[-2])

    def follow(self, rows: Tensor, common: Callable[[], int]) -> None:
        """Each hypothesis goes on from the past of one of ``rows``; ``common`` tells in how many first tokens a
        window's hypotheses agreed before."""
        if self._whose is not None:
            self._whose = self._whose[rows]
            return
        differing = slice(self._before + common(), self.at)
        if differing.start < differing.stop:
            for layer in self._layers:
                layer[:, :, :, differing] = layer[:, rows, :, differing]

    def keep(self, rows: Tensor) -> None:
        """Let go of all but these hypotheses; a window's are kept or let go together."""
        if self._whose is not None:
            place = torch.zeros(len(self._whose), dtype=self._whose.dtype)
            place[rows] = torch.arange(len(rows), dtype=place.dtype)
            self._whose = place[self._whose[rows].long()]
        self._layers = [layer[:, rows] for layer in self._layers]

    def make_room(self) -> None:
        """See that the next token has a place."""
        if self.at == self._layers[0].shape[-2]:
            self._layers = [_roomy(layer) for layer in self._layers]
            if self._whose is not None:
                self._whose = torch.cat([self._whose, _own_rows(len(self._whose), ROOM)], 1)
        if self._whose is not None:
            self._whose[:, self.at] = torch.arange(len(self._whose), dtype=self._whose.dtype)

    def recall(self, number: int, qkv: Tensor) -> Tensor:
        """What each hypothesis makes of its past in a layer, to which its newest key and value are added.

        Args:
            number: of the layer.
            qkv: (hypotheses, 3, heads, width of a head): query (scaled), key and value of the newest token.

        Returns:
            (hypotheses, heads, width of a head).
        """
        cache = self._layers[number]
        if self._whose is not None:
            from transcripts.engines.recalling import recall

            return recall(qkv, cache, self._whose, self.at).to(qkv.dtype)
        query, *keys_and_values = qkv.unbind(1)
        cache[:, :, :, self.at] = torch.stack(keys_and_values)
        products = query[:, :, None] @ cache[0].transpose(-1, -2)
        products[..., self.at + 1 :] = _NEVER
        return (products.softmax(-1) @ cache[1])[:, :, 0]

    def noted(self, number: int) -> tuple[Any, Any, int]:
        """What ``recalling.recall_into`` looks up in a layer: keys and values, whose they are, how many there were."""
        from transcripts.engines.compiling import as_numbers

        if self._whose is None:
            raise ValueError("what was said is not noted")
        return as_numbers(self._layers[number]), self._whose.numpy(), self.at


def _own_rows(hypotheses: int, room: int) -> Tensor:
    """(hypotheses, room): every token stands in its own hypothesis' row."""
    return torch.arange(hypotheses, dtype=torch.int32)[:, None].repeat(1, room)


def _roomy(past: Tensor) -> Tensor:
    """The past (..., length, width), and zeros behind it up to the next multiple of ``ROOM``."""
    return F.pad(past, (0, 0, 0, ROOM - past.shape[-2] % ROOM))
