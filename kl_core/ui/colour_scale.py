"""What colourless and full colour mean: a scale fixed for the run, or the reader's own.

A scale is written in the address as a name of AUTOMATIC's table ("p99", "max") or as the
reader's two ends ("0.1:4"). Anything else means automatic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

QUANTILES = {"p90": "p90", "p95": "p95", "p99": "p99", "p999": "p999", "max": "top"}
WORDS = {
    "p90": "90th percentile of the run",
    "p95": "95th percentile of the run",
    "p99": "99th percentile of the run",
    "p999": "99.9th percentile of the run",
    "max": "largest value of the run",
}
OWN = "yours"
FIXED = "fixed for the run"
_NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """From no colour to full colour.

    Attributes:
        low, top: values of no colour and of full colour, low < top; sizes, signs left out.
        threshold: from here on a token is underlined.
        said: whose scale it is, in the legend's words.
        log: equal ratios, not differences, are equal steps of colour (ranks).
    """

    low: float
    top: float
    threshold: float
    said: str
    log: bool = False


def own(text: str | None) -> tuple[float, float] | None:
    """The reader's two ends of "0.1:4"; None for anything that is not 0 <= low < high."""
    low, separator, high = (text or "").partition(":")
    try:
        ends = float(low), float(high)
    except ValueError:
        return None
    good = separator and all(map(math.isfinite, ends)) and 0 <= ends[0] < ends[1]
    return ends if good else None


def written(low: float, high: float) -> str:
    """The text of the reader's own ends."""
    return f"{low:g}:{high:g}"


def choose(
    text: str | None,
    quantiles: Mapping[str, float | None],
    automatic: float | None = None,
    share: float = 0.25,
    ranks: bool = False,
) -> Scale:
    """The scale that `text` asks for, and in its legend what it is.

    Args:
        quantiles: of the measure over the run (keys of store.aggregate.QUANTILES).
        automatic: full colour without a choice; None for the 99.9th percentile rounded up.
        share: the threshold as a share of the span.
        ranks: whole numbers from 1, in logarithmic steps.
    """
    floor = 1.0 if ranks else 0.0
    low, top, said = floor, automatic or _automatic(quantiles, ranks), FIXED
    ends = own(text)
    if ends is not None and ends[1] > floor:
        low, top, said = max(ends[0], floor), ends[1], OWN
    elif text in QUANTILES:
        value = quantiles.get(QUANTILES[text])
        if value is None or value <= floor:
            at = "not known" if value is None else f"{value:g}"
            said = f"{FIXED}, as the {WORDS[text]} is {at}"
        else:
            top, said = value, WORDS[text]
    return Scale(low, top, _threshold(low, top, share, ranks), said, ranks)


def _automatic(quantiles: Mapping[str, float | None], ranks: bool) -> float:
    """The 99.9th percentile rounded up to a number that is easily read."""
    value = quantiles.get("p999")
    if value is None or not 0 < value < math.inf:
        value = 1.0
    if ranks:
        value = max(value, 10.0)
    power = 10.0 ** math.floor(math.log10(value))
    nice = next((step for step in _NICE if step * power >= value * (1 - 1e-9)), _NICE[-1])
    return float(f"{nice * power:.3g}")


def _threshold(low: float, top: float, share: float, ranks: bool) -> float:
    if ranks:
        return float(math.ceil(low * (top / low) ** share))
    return low + share * (top - low)
