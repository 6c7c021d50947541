"""Draw positions one after another, chances by weight, and estimate their mean without bias.

The design is successive sampling without replacement: every draw takes one of the positions
that are left, with probability proportional to its weight. The order of the draws is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kl_core.errors import DistributionError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
UNIFORM_SHARE = 0.75
LARGEST_WEIGHT = 8.0
STEPS_A_DOUBLING = 2


@dataclass(frozen=True, slots=True)
class Draws:
    """n ordered draws from N positions.

    Attributes:
        values: [n] what was found, in the order of the draws.
        chances: [n] the probability each draw had, among the positions left at its time.
        smallest: [n] the smallest probability a position left at that time had.
        of: N.
    """

    values: Floats
    chances: Floats
    smallest: Floats
    of: int


def draw_weights(entropy1: Floats, surprisal1: Floats) -> Floats:
    """How eagerly each position is drawn, from what model 1's log-probabilities tell.

    Three quarters are uniform, one quarter is proportional to entropy1 (surprisal1 where it
    is not known, the mean where neither is). Ordinary noise between two models grows with
    the entropy, but a changed fact shows where model 1 is sure: therefore no position has
    less than 3/4 of the chance that a uniform draw would give it, so that the error is hardly
    more than sqrt(4/3) times that of uniform draws, whatever the values are. Weights are
    rounded down to powers of sqrt 2 and run from 1 to 8.

    Args:
        entropy1: [N] nats, NaN where not known.
        surprisal1: [N] −log P of the sampled token, nats, NaN where not known.

    Returns:
        [N] weights.

    Source: defensive mixture, Hesterberg (1995).
    """
    size = np.maximum(np.where(np.isnan(entropy1), surprisal1, entropy1), 0.0)
    known = ~np.isnan(size)
    mean = float(size[known].mean()) if known.any() else 0.0
    size = np.where(known, size, mean)
    if not mean > 0 or not np.isfinite(mean):
        return np.ones(len(size))
    weight = 1 + (1 - UNIFORM_SHARE) / UNIFORM_SHARE * size / mean
    steps = np.floor(STEPS_A_DOUBLING * np.log2(np.minimum(weight, LARGEST_WEIGHT)) + 1e-9)
    return np.asarray(2.0 ** (steps / STEPS_A_DOUBLING))


def draw_order(weights: Floats, rng: np.random.Generator) -> Ints:
    """Every position once, in the order of successive draws; its first n are a sample of n.

    Args:
        weights: [N], positive.
        rng: the only source of chance.

    Returns:
        [N] places into `weights`.

    Source: the exponential race, Efraimidis & Spirakis (2006).
    """
    return np.argsort(rng.standard_exponential(len(weights)) / weights, kind="stable")


def draws(values: Floats, weights: Floats, order: Ints) -> Draws:
    """Put what was found at the drawn places together with the chances they had.

    Args:
        values: [n] in the order of the draws.
        weights: [N] of the whole population.
        order: [n] distinct places into `weights`.

    Raises:
        DistributionError: lengths differ, a place occurs twice, or a weight is not positive.
    """
    values, order = np.asarray(values, dtype=np.float64), np.asarray(order, dtype=np.int64)
    if len(values) != len(order) or len(np.unique(order)) != len(order):
        raise DistributionError(
            f"{len(values)} values for {len(np.unique(order))} different places out of "
            f"{len(order)}: give one value for each place, and each place once"
        )
    if not (weights > 0).all():
        raise DistributionError(
            f"the smallest of {len(weights)} weights is {weights.min()}: every one must be positive"
        )
    drawn = weights[order]
    # summed from the last draw back, so that the last of all has chance 1 and not 1 − 1e-16
    left_after = weights.sum() - drawn.sum() if len(order) < len(weights) else 0.0
    left = left_after + np.cumsum(drawn[::-1])[::-1]
    return Draws(values, drawn / left, _smallest_left(weights, order) / left, len(weights))


def des_raj(sample: Draws) -> tuple[float, float]:
    """(mean of the N positions, estimate of its variance), both unbiased.

    Each draw alone gives an unbiased guess of the total: what was found before it plus its
    value over its chance. The guesses are uncorrelated; the mean is their mean over N.

    Args:
        sample: n ≥ 1 draws.

    Returns:
        In the values' unit and its square; the variance is NaN for one draw of several, 0
        where all N were drawn (and the mean then that of the values).

    Source: Des Raj (1956), Some estimators in sampling with varying probabilities without
    replacement, JASA 51.
    """
    values, count = sample.values, len(sample.values)
    if count == sample.of:
        return float(values.mean()), 0.0
    guesses = (np.cumsum(values) - values + values / sample.chances) / sample.of
    variance = float(guesses.var(ddof=1)) / count if count > 1 else float("nan")
    return float(guesses.mean()), variance


def stratified_des_raj(samples: Sequence[Draws]) -> tuple[float, float]:
    """(mean of all positions, estimate of its variance) from draws in every stratum.

    Args:
        samples: one a stratum, each of at least one draw; strata weigh by their positions.

    Returns:
        As `des_raj`. A stratum of several positions with one draw has no variance estimate
        of its own: its squared guess stands in, which is too large by its squared mean. NaN
        where one draw is all there is.
    """
    if len(samples) == 1:
        return des_raj(samples[0])
    total = sum(sample.of for sample in samples)
    mean = variance = 0.0
    for sample in samples:
        share = sample.of / total
        one, spread = des_raj(sample)
        mean += share * one
        variance += share**2 * (one**2 if np.isnan(spread) else spread)
    return mean, variance


def _smallest_left(weights: Floats, order: Ints) -> Floats:
    """[n] the smallest weight among the positions left before each draw."""
    place = np.full(len(weights), len(order))
    place[order] = np.arange(len(order))
    by_weight = np.argsort(weights, kind="stable")
    # a weight is the smallest until the last place that holds it, and all below it, is drawn
    gone_after = np.maximum.accumulate(place[by_weight])
    first = np.searchsorted(gone_after, np.arange(len(order)), side="left")
    return np.asarray(weights[by_weight[first]], dtype=np.float64)
