"""What may follow a context: the interface of whoever answers, and drawing from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kl_core.emulator.spelling import Spelling
from kl_core.records import Prompt

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Following:
    """The distribution of the next token at temperature 1.

    Attributes:
        ids: [n] token ids, most likely first.
        logprobs: [n] natural logs, falling.
    """

    ids: Sequence[int] | NDArray[np.int32]
    logprobs: Sequence[float] | NDArray[np.float32]


class Source(Protocol):
    """Whoever answers under one model's name."""

    @property
    def spelling(self) -> Spelling:
        """How its tokens are written."""

    @property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer."""

    def start(self, prompt: Prompt, said: str) -> Ids:
        """Ids of the prompt and of what the model is to have said already.

        Raises:
            ApiError: the prompt cannot be written for this model, or is too long.
        """

    def following(self, ids: Ids) -> Following:
        """The distribution after these ids.

        Raises:
            ApiError: too many of them.
        """


def draw(following: Following, temperature: float, generator: np.random.Generator) -> int:
    """The place in the list of a token drawn at a temperature; 0 takes the first."""
    if temperature == 0:
        return 0
    logits = np.asarray(following.logprobs, np.float64) / temperature
    shares = np.exp(logits - logits.max())
    return int(generator.choice(len(shares), p=shares / shares.sum()))
