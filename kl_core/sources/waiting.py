"""How long a server asks to wait."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which may be a fraction or a date; None without one."""
    written = headers.get("Retry-After")
    if written is None:
        return None
    try:
        seconds = float(written)
    except ValueError:
        return _until(written)
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _until(written: str) -> float | None:
    try:
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
