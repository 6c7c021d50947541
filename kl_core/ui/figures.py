"""Numbers and names as the pages print them: three significant digits, units said once."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

MISSING = "–"
FLOAT_ROUNDING = 1e-9


def nats(value: float | None) -> str:
    """A value in nats with three significant digits; a dash where it is not known."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return _minus(f"{mantissa}e{int(exponent)}")
    shown = float(f"{value:.3g}")
    if abs(shown) >= 1000:
        return _minus(f"{value:,.0f}")
    return _minus(f"{shown:.{max(0, 2 - math.floor(math.log10(abs(shown))))}f}")


def at_least(value: float | None) -> str:
    """What can be said of a value after ≥: as `nats`, rounded down."""
    return nats(down(value))


def at_most(value: float | None) -> str:
    """What can be said of a value after ≤: as `nats`, rounded up."""
    return nats(up(value))


def down(value: float | None) -> float | None:
    """The largest figure that `nats` prints and that is not above the value."""
    return _printable(value, ROUND_FLOOR)


def up(value: float | None) -> float | None:
    """The smallest figure that `nats` prints and that is not below the value."""
    return _printable(value, ROUND_CEILING)


def nearest(value: float | None) -> float | None:
    """The figure that `nats` prints."""
    return _printable(value, ROUND_HALF_EVEN)


def rounded(value: float, step: Decimal, rounding: str) -> float:
    """A multiple of `step`; a value within float rounding (1e-9 of it) of one is that one."""
    whole = float(Decimal(value).quantize(step, ROUND_HALF_EVEN))
    if math.isclose(whole, value, rel_tol=FLOAT_ROUNDING):
        return whole
    return float(Decimal(value).quantize(step, rounding))


def _printable(value: float | None, rounding: str) -> float | None:
    if value is None or value == 0 or not abs(value) < 1e15:  # larger ones are whole
        return value
    digits = min(Decimal(value).adjusted() - 2, 0)  # thousands are printed whole
    return rounded(value, Decimal(1).scaleb(digits), rounding)


def narrow(value: float | None) -> str:
    """The same for a narrow column: two digits below .01, where three would not fit."""
    if value is None or not math.isfinite(value) or abs(value) >= 0.01 or value == 0:
        return nats(value)
    if abs(value) >= 1e-3:
        return _minus(f"{value:.2g}")
    mantissa, exponent = f"{value:.1e}".split("e")
    return _minus(f"{mantissa}e{int(exponent)}")


def signed(value: float | None) -> str:
    """The same with an explicit sign, for differences."""
    text = nats(value)
    return f"+{text}" if value is not None and value > 0 and text != MISSING else text


def count(value: int | None) -> str:
    """A whole number with thousands separated."""
    return MISSING if value is None else f"{value:,}"


def counted(value: int | None, noun: str) -> str:
    """A count with its noun: 1 prompt, 2 prompts."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def percent(value: float | None) -> str:
    """A share as a percentage; never rounded up to 100 % when something is missing."""
    if value is None or math.isnan(value):
        return MISSING
    if value >= 1:
        return "100 %"
    return f"{min(value * 100, 99.9):.3g} %"


def duration(seconds: float | None) -> str:
    """A time span as a person says it: 8 s, 3 min, 2 h 10 min."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def ordinal(rank: int) -> str:
    """A rank as English says it: 1st, 2nd, 3rd, 11th."""
    if 10 <= rank % 100 <= 20:
        return f"{rank}th"
    return f"{rank}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th') }"


def size(size_bytes: int) -> str:
    """A file size as a person says it: 12 kB, 3.4 MB."""
    if size_bytes < 1000:
        return counted(size_bytes, "byte")
    value, unit = (size_bytes / 1e3, "kB") if size_bytes < 1e6 else (size_bytes / 1e6, "MB")
    return f"{value:,.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def one_line(text: str, limit: int = 90) -> str:
    """A prompt or name cut to one line, for a picker."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def model_name(name: str | None) -> str:
    """A model as a heading names it: the last part of a path, a hub id as it is."""
    parts = (name or "").replace("\\", "/").rstrip("/").split("/")
    return parts[-1] if len(parts) > 2 or parts[0] in ("", ".", "..", "~") else "/".join(parts)


def shortened(name: str, limit: int = 26) -> str:
    """A name with its middle left out, so that both of its ends stay visible."""
    if len(name) <= limit:
        return name
    tail = (limit - 1) // 2
    return f"{name[: limit - 1 - tail]}…{name[len(name) - tail :]}"


def plain(text: str) -> str:
    """A word from an address in which no markdown can hide."""
    return "".join(char if char.isalnum() or char == "-" else "?" for char in text[:60])


def _minus(text: str) -> str:
    return text.replace("-", "−")
