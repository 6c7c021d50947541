"""A model's scores at one position as a TokenDist over its own vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from kl_core.formats.align import Vocabulary
from kl_core.models.work import Scores
from kl_core.records import Ints, TokenDist


def dist_of(
    scores: Scores, row: int, vocab: Vocabulary, chosen_id: int, wanted: Ints | None
) -> TokenDist:
    """Top-k first, then what else is known: the candidates asked for, the chosen token.

    Args:
        row: the position; ids of -1 fill a list that is shorter than others, at its end.
        wanted: [T, m] ids whose log-probabilities were asked for, -1 for none; a NaN in
            `scores.wanted` is one the model did not tell.
    """
    ids = [number for number in scores.top_ids[row].tolist() if number >= 0]
    listed = len(ids)
    logprobs = scores.top_logprobs[row].tolist()[:listed]
    known = set(ids)
    extras: list[tuple[int, float]] = []
    if wanted is not None:
        extras = list(zip(wanted[row].tolist(), scores.wanted[row].tolist(), strict=True))
    extras.append((chosen_id, float(scores.chosen[row])))
    for number, logprob in extras:
        if number >= 0 and number not in known and not math.isnan(logprob):
            known.add(number)
            ids.append(number)
            logprobs.append(logprob)
    tokens = tuple([vocab.token(number) for number in ids])
    return TokenDist(tokens, tuple(logprobs), listed, keys=tuple(ids))


def id_matrix(rows: Iterable[Iterable[int]], count: int) -> Ints:
    """Ragged candidate ids as [T, m], negative and missing ones as -1."""
    lists = [[number for number in row if number >= 0] for row in rows]
    width = max((len(row) for row in lists), default=0)
    matrix = np.full((count, width), -1, dtype=np.int64)
    for index, row in enumerate(lists):
        matrix[index, : len(row)] = row
    return matrix
