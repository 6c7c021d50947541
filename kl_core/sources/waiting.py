"""How long a server asks to wait."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds of a Retry-After header, which may be a fraction or a date; None without one."""
    written = headers.get("Retry-After") if headers is not None else None
    if written is None:
        return None
    wait = seconds_of(written)
    return wait if wait is not None else _until(written)


def seconds_of(written: str) -> float | None:
    """A number of seconds, None for what is none."""
    try:
        value = float(written)
    except ValueError:
        return None
    return max(value, 0.0) if math.isfinite(value) else None


def _until(written: str) -> float | None:
    try:
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
