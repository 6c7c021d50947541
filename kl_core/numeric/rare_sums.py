"""An interval for a sum of rare events of unequal size, of which mean and variance are known."""

from __future__ import annotations

from scipy.special import gammaincinv

LEVEL = 0.95


def rare_sum_interval(
    mean: float, variance: float, event: float, level: float = LEVEL
) -> tuple[float, float]:
    """(low, high) from gamma distributions that fit the estimate and one more event.

    Where an estimate rests on a few large values, it is skewed and the normal interval
    misses too often above. A weighted sum of Poisson counts has nearly a gamma's quantiles;
    `high` is that of the sum with one more event of the largest weight, so that it is above
    0 even where nothing was found.

    Args:
        mean: the estimate, at least 0.
        variance: an estimate of its variance, same unit squared.
        event: how much one more event of the largest size would add to `mean`.
        level: the probability that the interval covers, at least nearly; half of the rest a
            side.

    Returns:
        In the unit of `mean`; low ≤ mean ≤ high.

    Source: Fay & Feuer (1997), Statistics in Medicine 16, 791–801.
    """
    tail = (1 - level) / 2
    low = _quantile(tail, mean, variance)
    high = _quantile(1 - tail, mean + event, variance + event**2)
    return min(low, mean), max(high, mean)


def _quantile(share: float, mean: float, variance: float) -> float:
    if not (mean > 0 and variance > 0):
        return mean
    return float(gammaincinv(mean**2 / variance, share) * variance / mean)
