"""How large a difference is shown in full colour, the same for every response of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kl_core.store import pair_tokens
from kl_core.store.query import Cursor, Query

RESPONSES = 200  # evenly spread over the paired ones; what is asked of all of them is slow
_NOT_ZERO = 1e-6  # nats; smaller differences come from rounding
_LEAST = 0.05  # nats; what is smaller stays pale, however alike the runs are
_STEPS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Full colour.

    Attributes:
        top: |B − A| of full colour, nats.
        said: what it was chosen by, for the legend.
    """

    top: float
    said: str


def spread_query(responses: int = RESPONSES) -> Query:
    """`pair` of at most twice `responses` paired responses, evenly spread."""
    every = "greatest(1, (SELECT count(*) FROM response_pairs) // ?)"
    return Query(f"SELECT pair FROM response_pairs WHERE pair % {every} = 0", (responses,))


def sizes_query(pairs: Sequence[int], figure: str) -> Query:
    """One row of |B − A| at these responses' tokens where finite: p95 of those not 0, largest.

    Raises:
        InputError: no such figure.
    """
    tokens = pair_tokens.tokens_query(pairs, figure)
    sql = f"""SELECT quantile_cont(size, 0.95) FILTER (WHERE size > {_NOT_ZERO}) AS p95,
      max(size) AS largest
    FROM (SELECT abs(difference) AS size FROM ({tokens.sql}) WHERE isfinite(difference))"""
    return Query(sql, tokens.arguments)


def read(cursor: Cursor, figure: str) -> Scale:
    """The scale of a figure for two runs.

    Raises:
        InputError: no such figure.
    """
    pairs = [row["pair"] for row in spread_query().rows(cursor)]
    row = sizes_query(pairs, figure).row(cursor) or {}
    return scale(row.get("p95"), row.get("largest"))


def scale(p95: float | None, largest: float | None) -> Scale:
    """Full colour is a round value at or above the largest of these, and 20 nats at the most.

    It is never so large that the largest difference of more than 0.05 nats stays short of it.

    Args:
        p95: 95 % quantile of the differences that are not 0, nats; None where there are none.
        largest: the largest difference, nats.
    """
    wanted = (
        (_LEAST, f"at least {_LEAST:g} nats in full colour"),
        ((largest or 0.0) / 10, "about a tenth of the largest in full colour"),
        (p95 or 0.0, "about the largest 5 % in full colour"),
    )
    value, said = max(wanted, key=lambda one: one[0])
    above = next((step for step in _STEPS if step >= value), _STEPS[-1])
    reached = [step for step in _STEPS if step <= (largest or 0.0)]
    top = min(above, reached[-1] if reached else _LEAST)
    return Scale(top, said)
