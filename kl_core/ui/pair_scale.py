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
        said: by what it was chosen, for the legend.
    """

    top: float
    said: str


def spread_query(responses: int = RESPONSES) -> Query:
    """`pair` of at most twice `responses` paired responses, evenly spread."""
    every = "greatest(1, (SELECT count(*) FROM response_pairs) // ?)"
    return Query(f"SELECT pair FROM response_pairs WHERE pair % {every} = 0", (responses,))


def sizes_query(pairs: Sequence[int], figure: str) -> Query:
    """One row of |B − A| at these responses' tokens where finite: p99 of those not 0, largest.

    Raises:
        InputError: no such figure.
    """
    tokens = pair_tokens.tokens_query(pairs, figure)
    sql = f"""SELECT quantile_cont(size, 0.99) FILTER (WHERE size > {_NOT_ZERO}) AS p99,
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
    return scale(row.get("p99"), row.get("largest"))


def scale(p99: float | None, largest: float | None) -> Scale:
    """Full colour is a round value at or above the largest of these, and 20 nats at the most.

    Args:
        p99: 99 % quantile of the differences that are not 0, nats; None where there are none.
        largest: the largest difference, nats.
    """
    wanted = (
        (_LEAST, f"full colour at {_LEAST:g} nats at least"),
        ((largest or 0.0) / 10, "full colour from a tenth of the largest"),
        (p99 or 0.0, "full colour for the largest 1 % of differences"),
    )
    value, said = max(wanted, key=lambda one: one[0])
    top = next((step for step in _STEPS if step >= value), _STEPS[-1])
    return Scale(top, f"{said}, the same for both runs")
