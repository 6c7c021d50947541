"""Where a click in a chart leads: a token, a response, the list of tokens, filtered prompts."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any, Literal

from kl_core.ui import state
from kl_core.ui.state import Explore

Row = dict[str, Any]
Follow = Callable[[Explore, Row], None]


def highest_token(place: Explore, row: Row) -> None:
    """The highest token of a bin or bucket."""
    if row["top_position"] is not None:
        place.open(row["top_prompt"], row["top_slot"], row["top_position"])
        state.forget_pickers()


def response(place: Explore, row: Row) -> None:
    """The response that a point stands for."""
    if row["prompt_id"] is not None:
        place.open(row["prompt_id"], row["slot"])
        state.forget_pickers()


def tokens_of_bin(place: Explore, row: Row) -> None:
    """The tokens of one bar of the histogram; the last bar is open above."""
    high = None if row["high"] == float("inf") else row["high"]
    _tokens(place, row["score"], row["low"] if row["low"] > 0 else None, high)


def tokens_from(place: Explore, row: Row) -> None:
    """The tokens that hold the share of a point, and those equal to the lowest of them."""
    _tokens(place, row["score"], row["value"], None)


def group(field: Literal["provider", "model", "finish"]) -> Follow:
    """The prompts that have a response of a group."""

    def follow(place: Explore, row: Row) -> None:
        if row["name"] is not None:
            setattr(place, field, (row["name"],))
            place.view = None
            place.choose_prompt(None)
            state.forget_pickers()

    return follow


def _rounded(bound: float, way: str) -> str:
    """Nine digits, rounded outward: no token that lies on the bound is lost."""
    return repr(float(Context(prec=9, rounding=way).create_decimal(bound)))


def _tokens(place: Explore, score: str, low: float | None, high: float | None) -> None:
    place.view, place.score, place.grouped = "tokens", score, None
    place.least = None if low is None else _rounded(low, ROUND_FLOOR)
    place.most = None if high is None else _rounded(high, ROUND_CEILING)
    state.forget_pickers()


def position(place: Explore, row: Row, at: int) -> None:
    """A position of a response."""
    place.open(row["prompt_id"], row["slot"], at)
    state.forget_pickers()
