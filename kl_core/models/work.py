"""What a scoring engine is asked and what it answers; NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    """One prompt and the responses to score after it.

    Attributes:
        prompt_ids: ids of the templated prompt; empty for a raw prompt without bos.
        responses: token ids of each response, T of them.
        wanted: per response, candidate ids [T, m] whose log-probability is asked
            for besides the top-k, -1 for none; None asks for nothing.
    """

    prompt_ids: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    wanted: tuple[Ints | None, ...] = ()

    def wanted_of(self, index: int) -> Ints | None:
        """Candidate ids of one response, None when none were asked for."""
        return self.wanted[index] if index < len(self.wanted) else None


@dataclass(frozen=True)
class Scores:
    """One response of T tokens under one model; natural logs, nats.

    A position without context (the first token of an empty prompt) holds NaN, rank
    -1 and ids -1, as does every position of a response with an `error`.

    Attributes:
        chosen: [T] log-probability of the response's own token.
        rank: [T] its rank from 1: one more than the number of larger logits.
        top_ids: [T, k] the k likeliest ids, k capped at the vocabulary size.
        top_logprobs: [T, k] their log-probabilities, falling.
        entropy: [T] entropy over the whole vocabulary.
        wanted: [T, m] log-probabilities of the ids asked for, NaN where id is -1.
        error: why this response could not be scored, one sentence; None when it was.
    """

    chosen: Floats
    rank: Ints
    top_ids: Ints
    top_logprobs: Floats
    entropy: Floats
    wanted: Floats
    error: str | None = None


@dataclass(frozen=True)
class PairScores:
    """One response of T tokens under two models, over the whole vocabulary; nats.

    P is model 1, Q is model 2. Unscored positions are marked as in `Scores`.

    Attributes:
        kl: [T] KL(P‖Q); inf where Q gives zero to a token that P can emit.
        kl_reverse: [T] KL(Q‖P).
        js: [T] Jensen-Shannon divergence, at most ln 2.
        scores1, scores2: each model's own view; `scores1.wanted` [T, k] is P's
            log-probability of Q's top-k ids, `scores2.wanted` Q's of P's.
        error: why this response could not be scored; None when it was.
    """

    kl: Floats
    kl_reverse: Floats
    js: Floats
    scores1: Scores
    scores2: Scores
    error: str | None = None


class Engine(Protocol):
    """Scores responses under one local model."""

    @property
    def kind(self) -> str:
        """Which way of computing is in use, for logs and run parameters."""

    def score(self, work: Sequence[Work]) -> list[list[Scores]]:
        """Scores per work item and response, in the order given."""
