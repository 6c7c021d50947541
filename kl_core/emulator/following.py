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


@dataclass(frozen=True, slots=True)
class Whole:
    """What a model makes of a text of n tokens, found in one pass; natural logs.

    Row i is about token i + 1: nothing comes before the first.

    Attributes:
        ids: [n] the text.
        logprobs: [n - 1] of the text's own tokens.
        ranks: [n - 1] theirs, from 1.
        top_ids: [n - 1, k] the likeliest tokens, most likely first.
        top_logprobs: [n - 1, k] theirs.
        after: what may follow the whole text.
    """

    ids: Ids
    logprobs: NDArray[np.float32]
    ranks: NDArray[np.int64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float32]
    after: Following


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

    @property
    def bos(self) -> int | None:
        """The id that texts begin with; None for none."""

    @property
    def positions(self) -> int | None:
        """Longest context in tokens; None for no limit."""

    def closed(self, prompt: Prompt) -> Ids:
        """Ids of a prompt whose turns are all over, the next turn begun.

        Raises:
            ApiError: the prompt cannot be written for this model.
        """

    def encode(self, text: str, special: bool) -> Ids:
        """Ids of a bare text, names of special tokens read as such.

        Args:
            special: with what the tokenizer adds of its own, such as bos.
        """

    def whole(self, ids: Ids, top: int) -> Whole:
        """Every token of a text in one pass; ids not empty and all in the vocabulary.

        Raises:
            ApiError: too many of them.
        """


def draw(
    following: Following, temperature: float, generator: np.random.Generator, top_p: float = 1.0
) -> int:
    """The place in the list of a token drawn at a temperature; 0 takes the first.

    Args:
        top_p: only the likeliest tokens that together reach this share may be drawn.
    """
    if temperature == 0:
        return 0
    logits = np.asarray(following.logprobs, np.float64) / temperature
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    if top_p < 1:
        shares = shares[: int(np.searchsorted(shares.cumsum(), top_p)) + 1]
        shares /= shares.sum()
    return int(generator.choice(len(shares), p=shares))
