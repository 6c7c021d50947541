"""Intervals for a mean over N positions from ordered draws, by betting against each mean.

A gambler who doubts that the mean is at least m stakes money on small values, at odds that
are fair if it is exactly m and unfavourable if it is larger. Under that doubted claim the
wealth exceeds 1/α with probability at most α, whatever the values are and whenever one stops
(Ville 1939). The means against which nobody got rich are the interval. It needs no normal
approximation, which fails where nearly every value is 0 and a few are large.

Source: Waudby-Smith & Ramdas (2024), JRSS B 86; for weighted draws without replacement
Shekhar, Xu, Lipton, Liang & Ramdas (2023), UAI. Own choice of bets; all natural logs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kl_core.errors import DistributionError
from kl_core.numeric.ordered_sampling import Draws

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]
Stakes = Sequence[tuple[float, float]]  # (part of the purse staked at every draw, purse)
LEVEL = 0.95
STAKES_BELOW: Stakes = ((1.0, 0.85), (0.35, 0.15))
_STAKES_ABOVE = 4
_ROUNDING = 1e-9
_ROUNDING_OF_SUMS = 1e-12
_GRID = 24
_ROUNDS = 4


def interval(sample: Draws, cap: float, level: float = LEVEL) -> tuple[float, float]:
    """(low, high) for the mean of all N positions, valid for every n and at every stop.

    Args:
        sample: the draws so far, values in [0, cap].
        cap: the largest value a position can have.
        level: the probability that the interval covers, at least; half of the rest a side.

    Returns:
        In the values' unit. `high` is inf where a value exceeds the cap, `low` does not
        depend on it. What was seen bounds the mean from below, what is left from above; both
        are the mean itself once all were drawn.

    Raises:
        DistributionError: a value is negative by more than rounding.
    """
    check_values(sample)
    if len(sample.values) == sample.of:
        mean = float(sample.values.mean())
        return mean, mean
    low, high = sure_limits(sample, cap)
    need = np.log(2 / (1 - level))
    if len(sample.values):
        above = partial(log_wealth_above, sample, stakes=stakes_above(sample.of))
        low = _edge(lambda m: -_best(above(m)), (low, min(high, largest_guess(sample))), -need)[0]
    if len(sample.values) and np.isfinite(high):
        below = partial(log_wealth_below, sample, cap=cap)
        high = _edge(lambda m: _best(below(m)), (low, high), need)[1]
    return low, high


def stakes_above(of: int) -> Stakes:
    """Stakes of those who doubt that the mean over `of` positions is as small as m.

    Small ones suit rare large values: with few positions few of them are seen.
    """
    parts = np.geomspace(min(5 / of, 0.5), 0.7, _STAKES_ABOVE)
    return tuple((float(part), 1 / _STAKES_ABOVE) for part in parts)


def log_wealth_below(
    sample: Draws, means: Floats, cap: float, stakes: Stakes = STAKES_BELOW
) -> Floats:
    """Log-wealth after each draw of those who doubt that the mean is at least m.

    At every draw y = value / chance has mean R = N m − seen, and y ≤ B = cap / smallest
    chance. What is staked is multiplied by (B − y)/(B − R), which is fair.

    Args:
        sample: n draws, values in [0, cap].
        means: [G].
        cap: the largest value.
        stakes: of the gamblers, whose wealth is summed.

    Returns:
        [n, G]; does not fall in m. inf where m is no longer possible.
    """
    left = _left(sample, means)
    bound = (cap / sample.smallest)[:, None]
    worth = (sample.values / sample.chances)[:, None]
    return _wealth(_factor(np.maximum(bound - worth, 0.0), bound - left, bound), stakes)


def log_wealth_above(sample: Draws, means: Floats, stakes: Stakes) -> Floats:
    """Log-wealth after each draw of those who doubt that the mean is at most m.

    What is staked is multiplied by y / R at every draw, which is fair; see
    `log_wealth_below`.

    Args:
        sample: n draws, values at least 0; no cap is needed.
        means: [G].
        stakes: of the gamblers, whose wealth is summed.

    Returns:
        [n, G]; does not rise in m. inf where more than m was seen.
    """
    left = _left(sample, means)
    worth = np.maximum(sample.values / sample.chances, 0.0)[:, None]
    total = sample.of * np.asarray(means)[None, :]
    return _wealth(_factor(worth, left, total), stakes)


def _factor(paid: Floats, fair: Floats, scale: Floats) -> Floats:
    """[n, G] paid / fair; inf where the mean is impossible, 1 (no bet) where that is a close call.

    Args:
        paid: [n, 1], at least 0 (−1e-16 by rounding was raised to it).
        fair: [n, G], the mean of what is paid; negative where the mean is impossible.
        scale: the size of what `fair` was subtracted from, for its rounding error.
    """
    slack = _ROUNDING_OF_SUMS * scale
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(fair > slack, paid / fair, 1.0)
    return np.where(fair < -slack, np.inf, factor)


def _left(sample: Draws, means: Floats) -> Floats:
    """[n, G] what is left of the total before each draw, if the mean is m."""
    seen = (np.cumsum(sample.values) - sample.values)[:, None]
    return np.asarray(sample.of * np.asarray(means)[None, :] - seen)


def _wealth(factor: Floats, stakes: Stakes) -> Floats:
    """[n, G] log of the summed money of those who stake a fixed part every time."""
    total = np.full(factor.shape, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        for part, purse in stakes:
            wealth = np.cumsum(np.log1p(part * (factor - 1)), axis=0)
            # 0 × inf: ruined before the mean became impossible; impossible it is
            wealth[np.isnan(wealth)] = np.inf
            total = np.logaddexp(total, wealth + np.log(purse))
    return total


def _best(wealth: Floats) -> Floats:
    """[G] the largest log-wealth at any time (Ville's inequality covers it)."""
    return np.asarray(wealth.max(axis=0))


def largest_guess(sample: Draws) -> float:
    """No one who doubts that the mean is as small as m gains at a larger m."""
    if not len(sample.values):
        return 1.0
    seen = np.cumsum(sample.values) - sample.values
    return float((seen + sample.values / sample.chances).max()) / sample.of


def _edge(rising: Curve, ends: tuple[float, float], need: float) -> tuple[float, float]:
    """The bracket in which a curve that does not fall reaches `need`, by repeated grids."""
    start, end = ends
    for turn in range(_ROUNDS):
        steps = np.linspace(0, 1, _GRID) if turn else np.geomspace(1e-6, 1, _GRID)
        grid = start + (end - start) * steps
        grid[-1] = end
        reached = np.flatnonzero(rising(grid) >= need)
        first = int(reached[0]) if len(reached) else len(grid) - 1
        start, end = (float(grid[first - 1]) if first else start), float(grid[first])
    return start, end


def sure_limits(sample: Draws, cap: float) -> tuple[float, float]:
    """What the mean cannot lie below or above, whatever is left; inf where the cap is broken."""
    values = sample.values
    seen = float(values.sum())
    unseen = sample.of - len(values)
    broken = len(values) > 0 and float(values.max()) > cap
    high = np.inf if broken and unseen else (seen + cap * unseen) / sample.of
    return seen / sample.of, high


def check_values(sample: Draws) -> None:
    """Raises DistributionError where a value is negative by more than rounding."""
    if len(sample.values) and not sample.values.min() >= -_ROUNDING:
        raise DistributionError(
            f"a value of {sample.values.min():g} among {len(sample.values)} draws: bets need "
            "values of at least 0, use a divergence that is never negative"
        )
