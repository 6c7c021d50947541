"""Numbers as strict JSON holds them: no NaN or Infinity literals."""

from __future__ import annotations

import math
from typing import Any


def number(value: float | None) -> float | str | None:
    """A number as strict JSON has it: null for NaN, "inf" and "-inf" for infinities."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def read_number(value: Any) -> float:
    """A figure of a result file; NaN where it is null or no number."""
    if value in ("inf", "-inf"):
        return float(value)
    if type(value) is float or type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return math.nan
