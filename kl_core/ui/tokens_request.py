"""Which tokens the Tokens tab lists, read with care from the reader's place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kl_core.store.query import Query
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.store.token_tables import (
    GROUP_SORTS,
    Score,
    token_groups_count_query,
    token_groups_query,
    top_tokens_count_query,
    top_tokens_query,
)
from kl_core.ui.state import Explore

PAGE = 100
MEAN_MIN_COUNT = 5
"""Occurrences a token needs by default where its mean or median is sorted by."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What is listed: single tokens, or with `sort` tokens grouped by their text.

    Attributes:
        score: what single tokens are bounded and sorted by; groups know no ratio.
        least, most: bounds of the score, included; None for open.
        min_kl: nats below which KL/(H1+H2) does not count.
        text: occurs in the token.
        sort: of groups, one of GROUP_SORTS; None for single tokens.
        min_count: occurrences a group needs.
    """

    score: Score
    least: float | None = None
    most: float | None = None
    min_kl: float = NORMALIZED_MIN_KL
    text: str = ""
    sort: str | None = None
    descending: bool = True
    min_count: int = 1

    def query(self, limit: int | None = None, offset: int = 0, context: bool = False) -> Query:
        """A page of what is listed, or with limit None all of it."""
        if self.sort is not None:
            return token_groups_query(
                self.sort, self.descending, self.text, self.min_count, limit, offset, self.score
            )
        return top_tokens_query(
            self.score, self.least, self.most, self.min_kl, self.text, limit, offset, context
        )

    def count_query(self) -> Query:
        """How many rows that is."""
        if self.sort is not None:
            return token_groups_count_query(self.text, self.min_count, self.score)
        return top_tokens_count_query(self.score, self.least, self.most, self.min_kl, self.text)


def scores(measure: str | None) -> list[Score]:
    """What the tokens of a run of this measure can be sorted by; raw data knows surprisal."""
    return ["surprisal1"] if measure is None else ["kl", "normalized"]


def number(text: str | None) -> float | None:
    """A finite number of the address; None for anything else."""
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and math.isfinite(value) else None


def read(place: Explore, measure: str | None, text: str, min_count: int | None) -> TokenRequest:
    """The request of a place; parts of the address that mean nothing are ignored.

    Args:
        text, min_count: of the tab's own boxes; None for the default count.
    """
    known = scores(measure)
    score = next((name for name in known if name == place.score), known[0])
    if place.grouped is None:
        floor = number(place.floor)
        min_kl = NORMALIZED_MIN_KL if floor is None else floor
        return TokenRequest(score, number(place.least), number(place.most), min_kl, text)
    sort, _, order = place.grouped.partition("-")
    sort = sort if sort in GROUP_SORTS else "total"
    count = default_count(sort) if min_count is None else min_count
    descending = order != "asc"
    return TokenRequest(
        known[0], text=text, sort=sort, descending=descending, min_count=max(count, 1)
    )


def default_count(sort: str) -> int:
    """A mean over few occurrences says little."""
    return MEAN_MIN_COUNT if sort in ("mean", "median", "mean_log_ratio") else 1


def sorted_by(grouped: str | None, column: str) -> str:
    """`place.grouped` after a click on a column's head: again turns the order round."""
    return f"{column}-asc" if grouped == column else column


def said(request: TokenRequest, label: str) -> str:
    """What the list holds, in words, after a count."""
    if request.sort is not None:
        least = f" seen {request.min_count} times or more" if request.min_count > 1 else ""
        return f"different tokens{least}"
    bounds = []
    if request.least is not None:
        bounds.append(f"from {request.least:g}")
    if request.most is not None:
        bounds.append(f"up to {request.most:g}")
    what = "tokens" if not bounds else f"tokens with {label} {' '.join(bounds)}"
    if request.score == "normalized":
        what += f" (KL ≥ {request.min_kl:g})"
    return f"{what}, highest first"
