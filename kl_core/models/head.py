"""From hidden states to logits, a few rows at a time, as the model itself does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Head(Protocol):
    """Maps hidden states [r, D] to float32 logits [r, V]."""

    @property
    def vocabulary(self) -> int:
        """V, padded entries included."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Float32 logits; the tensor may be overwritten by the next call."""


@dataclass
class LinearHead:
    """The model's output embedding, then its logit scale, then its soft-capping.

    The module itself is called, so biases, adapters and quantised weights hold. A
    plain float32 layer on a CPU writes into one buffer that is kept between calls.
    """

    module: Any
    scale: float = 1.0
    cap: float | None = None
    buffer: Tensor | None = field(default=None, repr=False)

    @property
    def vocabulary(self) -> int:
        """Rows of the output embedding (a quantised weight is stored in another shape)."""
        return int(getattr(self.module, "out_features", self.module.weight.shape[0]))

    def logits(self, hidden: Tensor) -> Tensor:
        """[r, D] -> [r, V] float32."""
        values = self._project(hidden)
        if self.scale != 1.0:
            values = values.mul_(self.scale)
        if self.cap is not None:
            values = values.div_(self.cap).tanh_().mul_(self.cap)
        return values.float()

    def _project(self, hidden: Tensor) -> Tensor:
        weight = self.module.weight
        if not self._plain(hidden):
            out: Tensor = self.module(hidden.to(weight.dtype) if _is_float(weight) else hidden)
            return out
        if self.buffer is None or len(self.buffer) < len(hidden):
            self.buffer = hidden.new_empty(len(hidden), self.vocabulary)
        out = self.buffer[: len(hidden)]
        if self.module.bias is None:
            return torch.mm(hidden, weight.t(), out=out)
        return torch.addmm(self.module.bias, hidden, weight.t(), out=out)

    def _plain(self, hidden: Tensor) -> bool:
        weight = self.module.weight
        return (
            type(self.module) is nn.Linear
            and not hasattr(self.module, "_hf_hook")
            and weight.device.type == hidden.device.type == "cpu"
            and weight.dtype == hidden.dtype == torch.float32
        )


@dataclass(frozen=True)
class NoHead:
    """For bodies that already give logits."""

    vocabulary: int

    def logits(self, hidden: Tensor) -> Tensor:
        """[r, V] -> [r, V] float32."""
        return hidden.float()


def candidate_heads(model: Any) -> list[LinearHead]:
    """Every head the model's configuration may mean; the start-up check picks one.

    Families name their logit scale differently and some divide by it; soft-capping
    is always `cap * tanh(logits / cap)`.
    """
    module = model.get_output_embeddings()
    if module is None or getattr(module, "weight", None) is None:
        return []
    configs = (model.config, model.config.get_text_config())
    scales = {1.0}
    for config in configs:
        for name in ("logit_scale", "lm_head_multiplier", "output_multiplier", "logits_scaling"):
            value = getattr(config, name, None)
            if isinstance(value, int | float) and value:
                scales |= {float(value), 1.0 / float(value)}
    caps = {getattr(config, "final_logit_softcapping", None) for config in configs}
    cap = next((float(value) for value in caps if value), None)
    return [LinearHead(module, scale, cap) for scale in sorted(scales)]


def _is_float(weight: Tensor) -> bool:
    return bool(weight.is_floating_point()) and weight.dtype.itemsize >= 2
