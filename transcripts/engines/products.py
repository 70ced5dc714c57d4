"""Products with a model's weights, laid out once as the processor reads them quickest."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor


class Linear:
    """A linear layer: ``states`` (..., inputs) to (..., outputs), as ``torch.nn.functional.linear``.

    torch lays bfloat16 weights out anew for each product on a CPU, which takes as long as the product itself when the
    rows are few. Here that is done once, by the layout and the product that torch's own compiler uses.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Keep ``weight`` (outputs, inputs) and ``bias`` (outputs,) of one dtype."""
        self.outputs, self._bias = len(weight), bias
        self._packed = can_pack(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight) if self._packed else weight

    def __call__(self, states: Tensor) -> Tensor:
        """The product and the bias."""
        if self._packed:
            found: Tensor = torch.ops.mkldnn._linear_pointwise(
                states, self._weight, self._bias, "none", [], ""
            )
            return found
        return F.linear(states, self._weight, self._bias)


def can_pack(weight: Tensor) -> bool:
    """Whether such weights can be laid out beforehand here."""
    return weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and _has_packing()


@lru_cache
def _has_packing() -> bool:
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return known and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
