"""Values of a server's JSON, whatever it wrote in their place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MOST_TOKENS = 2**31 - 1  # APIs count in 32 bits; more is no count


def finite(value: Any) -> float | None:
    """A number that can be a log-probability, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def count(usage: Mapping[str, Any], name: str) -> int:
    """Tokens billed, 0 where the server does not say or says what cannot be."""
    value = usage.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if 0 < value <= MOST_TOKENS else 0
