"""Which prompts to show: a text, providers, models, finish reasons, bounds of any figure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kl_core.errors import InputError
from kl_core.store.aggregate import STATISTICS

LENGTH = "length"
BOUNDED = (*STATISTICS, "est_low", "n_responses", LENGTH)
"""What a Range can bound: a figure of the prompt, or the tokens of one of its responses."""


@dataclass(frozen=True, slots=True)
class Range:
    """`low` ≤ figure ≤ `high`, either end None for open; infinities are values as any other."""

    column: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class PromptFilter:
    """All conditions hold at once; those about responses hold for one and the same response.

    Attributes:
        text: occurs in the prompt or in one of its responses, whatever the case.
        providers, models, finish_reasons: one of these; empty for any.
        ranges: bounds of figures; a prompt without the figure is left out.
        prompt_ids: only these prompts (those with a tag, say); None for all.
    """

    text: str = ""
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    finish_reasons: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    prompt_ids: tuple[int, ...] | None = None

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return self != PromptFilter()

    def where(self) -> tuple[str, tuple[Any, ...]]:
        """(SQL condition over `prompts`, its arguments); "true" without a condition.

        Raises:
            InputError: a range bounds something that is not a figure, or by NaN.
        """
        conditions: list[str] = []
        arguments: list[Any] = []
        if self.text:
            inside = "prompt_id IN (SELECT prompt_id FROM responses WHERE text ILIKE ? ESCAPE '\\')"
            conditions.append(f"(prompt ILIKE ? ESCAPE '\\' OR {inside})")
            arguments += [_pattern(self.text)] * 2
        for bound in self.ranges:
            if bound.column not in BOUNDED:
                raise InputError(
                    f"cannot filter by {bound.column!r}; choose one of {', '.join(BOUNDED)}"
                )
            if bound.column != LENGTH:
                _bound(bound.column, bound, conditions, arguments)
        within, more = self._of_a_response()
        if within:
            inside = " AND ".join(within)
            conditions.append(
                f"prompt_id IN (SELECT prompt_id FROM responses WHERE slot >= 0 AND {inside})"
            )
            arguments += more
        if self.prompt_ids is not None:
            conditions.append("list_contains(?::BIGINT[], prompt_id)")
            arguments.append(list(self.prompt_ids))
        return " AND ".join(conditions) or "true", tuple(arguments)

    def _of_a_response(self) -> tuple[list[str], list[Any]]:
        conditions: list[str] = []
        arguments: list[Any] = []
        for column, allowed in (
            ("provider", self.providers),
            ("model", self.models),
            ("finish_reason", self.finish_reasons),
        ):
            if allowed:
                conditions.append(f"{column} IN ({_marks(allowed)})")
                arguments += allowed
        for bound in self.ranges:
            if bound.column == LENGTH:
                _bound("tokens", bound, conditions, arguments)
        return conditions, arguments


def _bound(column: str, bound: Range, conditions: list[str], arguments: list[Any]) -> None:
    for sign, value in ((">=", bound.low), ("<=", bound.high)):
        if value is not None and math.isnan(value):
            raise InputError(f"a bound of {value} of {bound.column} means nothing; give a number")
        if value is not None:
            conditions.append(f"{column} {sign} ?")
            arguments.append(value)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _pattern(text: str) -> str:
    return "%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"
