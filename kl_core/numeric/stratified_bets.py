"""Intervals for a mean over several strata, each with its own ordered draws.

Source: the product of supermartingales over strata, Spertus & Stark (2022), Sweeter than
SUITE; bounded here by weak duality. The bets are those of betting.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kl_core.numeric.betting import (
    LEVEL,
    STAKES_BELOW,
    check_values,
    interval,
    largest_guess,
    log_wealth_above,
    log_wealth_below,
    stakes_above,
    sure_limits,
)
from kl_core.numeric.ordered_sampling import Draws

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]
_CURVE_GRID = 96
_FINE_GRID = 20
_PRICES = 25
_REACHES = (1e5, 3.0, 1.5, 1.1, 1.02)  # how far from the best price so far the next are tried
_APART = 1e-9  # of the whole range: closer grid points are one
_LONGER = 1e-4
_HALF = np.geomspace(1e-5, 0.5, _CURVE_GRID // 2)
_SPREAD = np.concatenate([[0.0], _HALF, 1 - _HALF[-2::-1], [1.0]])  # dense at both ends


def stratified_interval(
    samples: Sequence[Draws], cap: float, level: float = LEVEL
) -> tuple[float, float]:
    """(low, high) for the mean over all positions of all strata; never too narrow.

    Every gambler of `interval` plays all strata with one purse: at the true means, his wealth
    (the product over the strata) exceeds 1/α times the whole money with probability at most
    α times his purse. Of all means at which none of them got that rich, the largest average is
    bounded by weak duality: for every price ν ≥ 0 it is at most
    ν log(1/α) + Σ_r max_m [w_r m − ν log W_r(m)], w_r the stratum's share of the positions.

    Args:
        samples: one a stratum, drawn independently; as many draws each as was fixed before.
        cap, level: as in `interval`.

    Returns:
        As `interval`; `high` is inf where any value exceeds the cap.
    """
    if len(samples) == 1:
        return interval(samples[0], cap, level)
    for sample in samples:
        check_values(sample)
    need = float(np.log(2 / (1 - level)))
    shares = np.array([sample.of for sample in samples], dtype=np.float64)
    shares /= shares.sum()
    sure = [sure_limits(sample, cap) for sample in samples]
    low, high = (float(shares @ [ends[side] for ends in sure]) for side in (0, 1))
    stakes = stakes_above(sum(sample.of for sample in samples))
    low = max(low, *(_lower(samples, shares, sure, stake, need) for stake in stakes))
    if np.isfinite(high):
        for part, purse in STAKES_BELOW:
            wealth = partial(log_wealth_below, cap=cap, stakes=((part, 1.0),))
            curves = [_last(wealth, sample) for sample in samples]
            high = min(high, _upper(curves, shares, sure, need - np.log(purse)))
    return low, high


def _lower(
    samples: Sequence[Draws],
    shares: Floats,
    sure: Sequence[tuple[float, float]],
    stake: tuple[float, float],
    need: float,
) -> float:
    """The dual bound from below: m → −m turns it into one from above. Uses no cap."""
    part, purse = stake
    wealth = partial(log_wealth_above, stakes=((part, 1.0),))
    curves, ends, beyond = [], [], []
    for sample, (start, _) in zip(samples, sure, strict=True):
        whole = len(sample.values) == sample.of
        curves.append(_mirror(_last(wealth, sample)))
        ends.append((-start if whole else -max(start, largest_guess(sample)), -start))
        # the most that can be lost, however large the mean
        beyond.append(len(sample.values) * float(np.log1p(-part)) if not whole else np.inf)
    return -_upper(curves, shares, ends, need - float(np.log(purse)), beyond)


def _mirror(curve: Curve) -> Curve:
    return lambda means: curve(-means)


def _last(wealth: Callable[[Draws, Floats], Floats], sample: Draws) -> Curve:
    """Log-wealth at the end as a function of m; 0 where there was no bet or no doubt."""
    if len(sample.values) in (0, sample.of):
        return lambda means: np.zeros(len(means))
    return lambda means: np.asarray(wealth(sample, means)[-1])


def _upper(
    curves: Sequence[Curve],
    shares: Floats,
    ends: Sequence[tuple[float, float]],
    need: float,
    beyond: Sequence[float] | None = None,
) -> float:
    """The dual bound on Σ w_r m_r where the curves sum to less than `need`.

    No curve falls in m, all are convex; the grid makes the bound a little larger, never too
    small. Where m may lie below `ends` too, `beyond` says how low the curves may get there.
    """
    grids = [start + (end - start) * _SPREAD for start, end in ends]
    values = [curve(grid) for curve, grid in zip(curves, grids, strict=True)]
    scale = float(shares @ [end - start for start, end in ends])
    price, best = max(scale, np.finfo(float).tiny) / need, np.inf
    for reach in _REACHES:
        prices = price * np.geomspace(1 / reach, reach, _PRICES)
        bound, price, places = _priced(
            grids, values, shares=shares, prices=prices, need=need, beyond=beyond
        )
        best = min(best, bound)
        for r, place in enumerate(places):
            grids[r], values[r] = _refined(grids[r], values[r], curves[r], place)
    return best


def _refined(grid: Floats, value: Floats, curve: Curve, place: int) -> tuple[Floats, Floats]:
    """More grid points in and around a cell."""
    near = grid[max(place - 1, 0)], grid[min(place + 2, len(grid) - 1)]
    fine = np.linspace(*near, _FINE_GRID)
    order = np.argsort(np.concatenate([grid, fine]), kind="stable")
    grid, value = np.concatenate([grid, fine])[order], np.concatenate([value, curve(fine)])[order]
    apart = np.r_[True, np.diff(grid[:-1]) > _APART * (grid[-1] - grid[0]), True]
    return grid[apart], value[apart]


def _least_at_ends(grid: Floats, value: Floats) -> Floats:
    """[G−1] how low a convex curve can be at the upper end of each cell, from what lies before.

    Every stake's log-wealth is convex in m: it lies above the line through the two grid points
    before. So between two grid points no mean scores more than at the cell's two ends.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.diff(grid)
        slope = np.diff(value[:-1]) / steps[:-1]
        further = value[1:-1] + slope * steps[1:]
        # over a far longer step the line would carry rounding errors
        usable = np.isfinite(further) & (steps[:-1] > _LONGER * steps[1:])
    return np.concatenate([value[:1], np.where(usable, further, value[1:-1])])


def _priced(
    grids: Sequence[Floats],
    values: Sequence[Floats],
    *,
    shares: Floats,
    prices: Floats,
    need: float,
    beyond: Sequence[float] | None,
) -> tuple[float, float, list[int]]:
    """(lowest bound over the prices, its price, the cell each stratum attains it in)."""
    bounds = prices * need
    cells = []
    for r, (grid, value) in enumerate(zip(grids, values, strict=True)):
        score = shares[r] * grid[None, 1:] - prices[:, None] * _least_at_ends(grid, value)[None, :]
        cells.append(score.argmax(axis=1))
        most = np.maximum(score.max(axis=1), shares[r] * grid[0] - prices * value[0])
        if beyond is not None:
            most = np.maximum(most, shares[r] * grid[0] - prices * beyond[r])
        bounds = bounds + most
    best = int(bounds.argmin())
    return float(bounds[best]), float(prices[best]), [int(cell[best]) for cell in cells]
