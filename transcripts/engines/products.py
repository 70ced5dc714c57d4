"""Products with a model's weights, laid out once as the processor reads them quickest."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

if TYPE_CHECKING:
    from transcripts.engines.multiplying import PairedLinear

_MOST = 60_000.0
"""Weights up to this have a place in half precision."""
_WIDE = 512
"""From so many inputs and outputs on, products of integers are taken: the width of the model "base"."""


class Linear:
    """A linear layer: ``states`` (..., inputs) to (..., outputs), as ``torch.nn.functional.linear``.

    torch lays bfloat16 weights out anew for each product on a CPU, which takes as long as the product itself when the
    rows are few. Here that is done once, by the layout and the product that torch's own compiler uses. Beside float32
    states the weights are kept in half precision, in which Whisper's are published: half as much is read, and on
    processors whose vectors are short the product is twice as fast when the rows are few.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Keep ``weight`` (outputs, inputs) and ``bias`` (outputs,) of one dtype."""
        self.outputs, self._bias = len(weight), bias
        self._halved = weight.dtype == torch.float32 and can_halve(weight)
        self._packed = can_pack(weight)
        if self._halved:
            self._weight = torch.ops.quantized.linear_prepack_fp16(weight, bias)
        elif self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight)
        else:
            self._weight = weight

    def __call__(self, states: Tensor) -> Tensor:
        """The product and the bias."""
        if states.ndim == 1:
            return self(states[None])[0]
        if self._halved:
            found: Tensor = torch.ops.quantized.linear_dynamic_fp16(states, self._weight)
        elif self._packed:
            found = torch.ops.mkldnn._linear_pointwise(states, self._weight, self._bias, "none", [], "")
        else:
            found = F.linear(states, self._weight, self._bias)
        return found


class Whole(NamedTuple):
    """Rows of float32 as 8-bit integers: (..., inputs), 128 for zero, and each row's greatest (..., 1)."""

    rows: Tensor
    greatest: Tensor


class IntegerLinear:
    """A linear layer of float32 states by products of 8-bit integers.

    Each row of states is scaled by its greatest value, and so are each output's weights: the vector-wise quantization
    of Dettmers et al. 2022, "LLM.int8()". For hundreds of rows it takes half of the time; for few it gains nothing.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """Keep ``weight`` (outputs, inputs) as integers, ``bias`` (outputs,) as it is."""
        # without VNNI two products are added up in 16 bits, where 255 * 127 has no room twice
        most = 127 if torch.cpu._is_vnni_supported() else 63
        self.outputs, self._bias = len(weight), bias
        self._scales = weight.abs().amax(1).clamp(min=1e-8) / most
        whole = (weight / self._scales[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(whole, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)

    @staticmethod
    def heard(states: Tensor) -> Whole:
        """States (..., inputs) as integers, for several layers that read the same."""
        from transcripts.engines.kernels import whole

        return Whole(*whole(states))

    def __call__(self, states: Tensor | Whole) -> Tensor:
        """The product and the bias: (..., inputs) to (..., outputs)."""
        rows, greatest = states if isinstance(states, Whole) else self.heard(states)
        flat = rows.view(-1, rows.shape[-1])
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            flat, 1 / 127, 128, self._weight, self._scales, self._zeros, None, 1.0, 0, torch.float32,
            "none", [], "",
        )  # fmt: skip
        torch.addcmul(self._bias, found, greatest.view(-1, 1), out=found)
        return found.view(*rows.shape[:-1], -1)


def for_sound(weight: Tensor, bias: Tensor) -> Linear | IntegerLinear:
    """The layer for the 1,500 states of a window: by integers where a processor has nothing quicker.

    Narrow layers stay as they are: they take no time, and their errors average out less.
    """
    whole = weight.device.type == "cpu" and weight.dtype == torch.float32 and _has_integers()
    return IntegerLinear(weight, bias) if whole and min(weight.shape) >= _WIDE else Linear(weight, bias)


def for_text(weight: Tensor, bias: Tensor | None, width: int) -> Linear | PairedLinear:
    """The layer for the few rows of a text, of a model whose heads have this width."""
    if can_pair(weight, width):
        from transcripts.engines.multiplying import PairedLinear

        return PairedLinear(weight, bias)
    return Linear(weight, bias)


def can_pack(weight: Tensor) -> bool:
    """Whether such weights can be laid out beforehand here."""
    return weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and _has_packing()


def can_halve(weight: Tensor) -> bool:
    """Whether such weights, or what they make of states, can be kept in half precision here."""
    fits = weight.device.type == "cpu" and weight.dtype == torch.float32 and _has_halves()
    return fits and float(weight.abs().max()) < _MOST


def can_pair(weight: Tensor, width: int) -> bool:
    """Whether attention with such weights is quickest by pairs here, for heads of this width; see ``pairs``."""
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16 or torch.cpu._is_amx_tile_supported():
        return False
    from transcripts.engines import pairs

    return pairs.fits(width)


@lru_cache
def _has_packing() -> bool:
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@lru_cache
def _has_halves() -> bool:
    known = hasattr(torch.ops.quantized, "linear_dynamic_fp16")
    return known and torch.backends.quantized.engine in ("x86", "fbgemm") and _is_avx2()


def _is_avx2() -> bool:
    return torch.backends.cpu.get_cpu_capability().startswith("AVX")


@lru_cache
def _has_integers() -> bool:
    known = hasattr(torch.ops.onednn, "qlinear_pointwise") and hasattr(torch.ops.onednn, "qlinear_prepack")
    return known and _is_avx2()
