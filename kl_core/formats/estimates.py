"""The `estimate` object of result files: a mean of which only some positions were asked."""

from __future__ import annotations

from typing import Any

from kl_core.formats.numbers import number, read_number
from kl_core.records import NOT_ASKED, Estimate, ScoredResponse

Json = dict[str, Any]
KEY = "estimate"
# field of Estimate → key of the object; nats
_FLOATS = {
    "mean": "mean_kl",
    "low": "low",
    "high": "high",
    "variance": "variance",
    "cap": "cap",
}
_COUNTS = ("asked", "of")


def written(estimate: Estimate | None) -> Json:
    """The key with its object, nothing without an estimate."""
    if estimate is None:
        return {}
    floats = {key: number(getattr(estimate, field)) for field, key in _FLOATS.items()}
    return {KEY: {**floats, **{name: getattr(estimate, name) for name in _COUNTS}}}


def read(raw: Json) -> Estimate | None:
    """The estimate of a response or a file.

    Raises:
        ValueError: there is one, but its counts make no sense.
    """
    found = raw.get(KEY)
    if found is None:
        return None
    counts = [found.get(name) if isinstance(found, dict) else None for name in _COUNTS]
    asked, of = (value if type(value) is int else -1 for value in counts)
    if not 0 <= asked <= of < 2**62:
        raise ValueError(f"the estimate was asked at {counts[0]!r} of {counts[1]!r} positions")
    floats = {field: read_number(found.get(key)) for field, key in _FLOATS.items()}
    return Estimate(asked=asked, of=of, **floats)


def means(scored: ScoredResponse, plain: Json) -> Json:
    """`mean_kl` and `total_kl` of the statistics: the estimates, where not all was asked.

    A mean over the asked tokens alone would follow how they were drawn: without an
    estimate there is none.
    """
    estimate = scored.estimate
    if estimate is not None:
        total = estimate.mean * estimate.of
        return {**plain, "mean_kl": number(estimate.mean), "total_kl": number(total)}
    if NOT_ASKED in scored.reasons:
        return {**plain, "mean_kl": None, "total_kl": None}
    return plain
