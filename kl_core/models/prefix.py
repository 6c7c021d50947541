"""A prompt's key/value cache, shared read-only by batches of its responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from kl_core.errors import ModelError


class SharedLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer of a prompt's cache, seen by a batch of continuations.

    `update` returns prompt and continuation joined and stores nothing: a batch is one
    forward pass, and what it adds is not needed again, so only one layer's joined
    keys and values exist at a time.
    """

    def __init__(self, source: Any, batch: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.source = source
        self.is_sliding = source.is_sliding
        if source.is_sliding:
            self.sliding_window = source.sliding_window
        self.dtype, self.device = source.dtype, source.device
        self.keys: Tensor = source.keys.expand(batch, -1, -1, -1)
        self.values: Tensor = source.values.expand(batch, -1, -1, -1)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, P + L, D] of prompt and continuation."""
        keys = torch.cat([self.keys, key_states], dim=-2)
        return keys, torch.cat([self.values, value_states], dim=-2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """(length, offset) of what the mask must cover."""
        sizes: tuple[int, int] = self.source.get_mask_sizes(query_length)
        return sizes

    def get_seq_length(self) -> int:
        """Tokens of the prompt, whatever the sliding window kept of them."""
        return int(self.source.get_seq_length())


@dataclass(frozen=True)
class PromptCache:
    """The cache that one prompt left, of batch size 1."""

    layers: tuple[Any, ...]

    @classmethod
    def run(cls, base: Any, ids: Tensor) -> tuple[PromptCache, Tensor]:
        """Run a prompt [1, P]; returns its cache and its last hidden state [1, D].

        Raises:
            ModelError: the model keeps something other than keys and values.
        """
        out = base(input_ids=ids, use_cache=True)
        cache = getattr(out, "past_key_values", None)
        layers: tuple[Any, ...] = tuple(cache.layers) if isinstance(cache, DynamicCache) else ()
        for layer in layers:
            if type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer):
                raise ModelError(f"A {type(layer).__name__} cache cannot be shared; run unshared.")
            if not layer.is_initialized:
                raise ModelError("A layer without keys of its own cannot be shared; run unshared.")
        if not layers:
            raise ModelError(f"A {type(cache).__name__} cache cannot be shared; run unshared.")
        return cls(layers), out.last_hidden_state[:, -1]

    def shared(self, batch: int) -> DynamicCache:
        """The same cache as `batch` continuations see it."""
        cache = DynamicCache()
        cache.layers = [SharedLayer(layer, batch) for layer in self.layers]
        return cache
