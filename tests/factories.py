"""Small scored entries made from seeded random distributions."""

from __future__ import annotations

import numpy as np

from kl_core import measures
from kl_core.records import (
    Entry,
    Message,
    Position,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
)

VOCAB = 40


def token(number: int) -> Token:
    text = f" w{number}"
    return Token(text, text.encode(), number, text)


def distributions(rng: np.random.Generator, apart: float) -> tuple[np.ndarray, np.ndarray]:
    first = rng.normal(size=VOCAB) * 2
    second = first + rng.normal(size=VOCAB) * apart
    return tuple(v - np.logaddexp.reduce(v) for v in (first, second))


def dist(logp: np.ndarray, k: int) -> TokenDist:
    ids = np.argsort(-logp)[:k]
    return TokenDist(tuple(token(int(i)) for i in ids), tuple(float(x) for x in logp[ids]), k)


def response(
    index: int, tokens: int, rng: np.random.Generator, apart: float = 1.0, k: int = 5
) -> ScoredResponse:
    """A response of `tokens` positions; `apart` sets how far the two models lie."""
    positions, dists2 = [], []
    for _ in range(tokens):
        first, second = distributions(rng, apart)
        sampled = int(rng.choice(VOCAB, p=np.exp(first) / np.exp(first).sum()))
        positions.append(Position(token(sampled), float(first[sampled]), dist(first, k)))
        dists2.append(dist(second, k))
    text = "".join(position.token.text for position in positions)
    raw = Response(index, text, tuple(positions), provider="Testbed", model="model-a")
    return measures.score(raw, dists2, (None,) * tokens)


def entry(
    number: int, responses: int = 2, tokens: int = 12, seed: int = 0, apart: float | None = None
) -> ScoredEntry:
    """Prompt `number` in a file of its own; later prompts differ more unless told."""
    rng = np.random.default_rng([seed, number])
    distance = 0.2 * (number + 1) if apart is None else apart
    scored = tuple(response(i, tokens, rng, distance) for i in range(responses))
    source = Entry(
        f"prompt_{number:03}.json",
        0,
        1,
        (Message("user", f"question {number}"),),
        "model-a",
        tuple(one.response for one in scored),
    )
    return ScoredEntry(source, "model-a", "model-b", scored)
