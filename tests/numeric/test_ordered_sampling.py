from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest

from kl_core.errors import DistributionError
from kl_core.numeric.ordered_sampling import (
    des_raj,
    draw_order,
    draw_weights,
    draws,
    stratified_des_raj,
)
from tests.numeric.every_sample import every_sample

VALUES = np.array([0.0, 7.5, 0.01, 0.4, 2.0])
WEIGHTS = np.array([1.0, 1.0, 2.0**0.5, 4.0, 8.0])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_the_mean_over_all_samples_is_exactly_the_population_mean(count):
    """Des Raj's estimate is unbiased: not approximately, and for every sample size."""
    pairs = [(p, des_raj(sample)[0]) for p, sample in every_sample(VALUES, WEIGHTS, count)]
    assert math.fsum(p for p, _ in pairs) == pytest.approx(1, abs=1e-12)
    assert math.fsum(p * mean for p, mean in pairs) == pytest.approx(VALUES.mean(), abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_variance_estimate_is_exactly_unbiased(count):
    """Its mean over all samples is the variance of the estimate over all samples."""
    found = [(p, *des_raj(sample)) for p, sample in every_sample(VALUES, WEIGHTS, count)]
    true = math.fsum(p * (mean - VALUES.mean()) ** 2 for p, mean, _ in found)
    assert math.fsum(p * variance for p, _, variance in found) == pytest.approx(true, abs=1e-12)


def test_strata_add_up_to_an_unbiased_mean_and_variance():
    """Over all pairs of samples; strata weigh by their positions."""
    other, weights = np.array([0.1, 5.0, 0.2]), np.array([2.0, 1.0, 1.0])
    population = np.concatenate([VALUES, other])
    found = [
        (p * q, *stratified_des_raj([first, second]))
        for (p, first), (q, second) in product(
            every_sample(VALUES, WEIGHTS, 2), every_sample(other, weights, 2)
        )
    ]
    mean = math.fsum(p * each for p, each, _ in found)
    true = math.fsum(p * (each - population.mean()) ** 2 for p, each, _ in found)
    assert mean == pytest.approx(population.mean(), abs=1e-12)
    assert math.fsum(p * variance for p, _, variance in found) == pytest.approx(true, abs=1e-12)


def test_a_stratum_with_one_draw_never_lowers_the_variance_estimate_on_average():
    """Its squared guess stands in, too large by the squared mean of the stratum."""
    other = np.array([0.1, 5.0, 0.2])
    found = [
        (p * q, *stratified_des_raj([first, second]))
        for (p, first), (q, second) in product(
            every_sample(VALUES, WEIGHTS, 2), every_sample(other, np.ones(3), 1)
        )
    ]
    mean = math.fsum(p * each for p, each, _ in found)
    true = math.fsum(p * (each - mean) ** 2 for p, each, _ in found)
    estimate = math.fsum(p * variance for p, _, variance in found)
    assert estimate == pytest.approx(true + (3 / 8 * other.mean()) ** 2, abs=1e-12)


def test_drawing_everything_gives_the_mean_itself_and_no_variance():
    """The estimate of a full draw is not one."""
    sample = draws(VALUES[::-1], WEIGHTS, np.arange(5)[::-1])
    assert des_raj(sample) == (pytest.approx(VALUES.mean(), abs=1e-15), 0.0)
    assert sample.chances[-1] == 1.0


def test_one_draw_of_several_has_no_variance_estimate():
    """NaN says so; no number is made up."""
    assert math.isnan(des_raj(draws(VALUES[:1], WEIGHTS, np.array([0])))[1])


def test_the_race_draws_in_proportion_to_the_weights_that_are_left():
    """First and second draw against the formula, within 4 standard errors."""
    rng, weights, repeats = np.random.default_rng(7), np.array([1.0, 2.0, 5.0]), 20_000
    orders = np.array([draw_order(weights, rng) for _ in range(repeats)])
    for order in permutations(range(3)):
        first, second, _ = order
        chance = weights[first] / 8 * weights[second] / (8 - weights[first])
        share = (orders == order).all(axis=1).mean()
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / repeats)


def test_the_smallest_chance_left_is_that_of_a_slow_search():
    """Against a loop over what is left before each draw."""
    rng = np.random.default_rng(3)
    weights = 2.0 ** rng.integers(0, 4, 12)
    order = draw_order(weights, rng)[:9]
    sample = draws(np.zeros(9), weights, order)
    for turn in range(9):
        left = np.delete(weights, order[:turn])
        assert sample.smallest[turn] == pytest.approx(left.min() / left.sum())
        assert sample.chances[turn] == pytest.approx(weights[order[turn]] / left.sum())


def test_no_position_gets_less_than_three_quarters_of_a_uniform_chance():
    """Also where one position holds all of the entropy."""
    for entropy in (np.eye(60)[0] * 3, np.random.default_rng(1).gamma(0.2, 1, 500), np.ones(9)):
        weights = draw_weights(entropy, np.full(len(entropy), np.nan))
        assert weights.min() / weights.mean() >= 0.75
        assert weights.min() == 1
        assert weights.max() <= 8


def test_the_weight_follows_the_entropy_and_then_the_surprisal():
    """Surprisal stands in where the entropy is not known, the mean where neither is."""
    nan = math.nan
    weights = draw_weights(np.array([0.0, 2.0, nan, nan]), np.array([9.0, 0.0, 2.0, nan]))
    assert weights[0] < weights[1] == weights[2]
    assert weights[0] <= weights[3] <= weights[1]


def test_positions_of_which_nothing_is_known_are_drawn_uniformly():
    """So are positions that model 1 is sure of throughout."""
    nothing = np.full(4, np.nan)
    assert draw_weights(nothing, nothing).tolist() == [1] * 4
    assert draw_weights(np.zeros(4), nothing).tolist() == [1] * 4


def test_draws_that_cannot_be_are_refused():
    """A place drawn twice, a missing value, a weight of zero."""
    with pytest.raises(DistributionError, match="each place once"):
        draws(VALUES[:2], WEIGHTS, np.array([1, 1]))
    with pytest.raises(DistributionError, match="one value for each place"):
        draws(VALUES[:1], WEIGHTS, np.array([1, 2]))
    with pytest.raises(DistributionError, match="positive"):
        draws(VALUES[:1], np.array([1.0, 0.0]), np.array([0]))
