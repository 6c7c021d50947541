from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from kl_core.errors import DistributionError
from kl_core.numeric import stratified_bets
from kl_core.numeric.betting import interval, log_wealth_above, log_wealth_below, stakes_above
from kl_core.numeric.ordered_sampling import draw_order, draw_weights, draws
from kl_core.numeric.stratified_bets import stratified_interval
from tests.numeric.every_sample import every_sample
from tests.numeric.full_results import full_results

CAP = 20.0
WEIGHTS = np.array([1.0, 1.0, 2.0**0.5, 4.0, 8.0])
POPULATIONS = {
    "spread": np.array([0.0, 7.5, 0.01, 0.4, 2.0]),
    "nothing": np.zeros(5),
    "one at the cap, hardly ever drawn": np.array([CAP, 0.0, 0.0, 0.0, 0.0]),
    "one at the cap, often drawn": np.array([0.0, 0.0, 0.0, 0.0, CAP]),
    "all at the cap": np.full(5, CAP),
    "two spikes": np.array([CAP, 0.0, CAP, 0.0, 0.0]),
}


def taken(values, weights, count, rng):
    order = draw_order(weights, rng)[:count]
    return draws(values[order], weights, order)


@pytest.mark.parametrize("values", POPULATIONS.values(), ids=POPULATIONS)
def test_at_the_true_mean_no_bet_gains_on_average(values):
    """Mean wealth after every draw is exactly 1 (a martingale): all samples, all stakes."""
    mean = np.array([values.mean()])
    below = above = np.zeros(4)
    for chance, sample in every_sample(values, WEIGHTS, 4):
        below = below + chance * np.exp(log_wealth_below(sample, mean, CAP)[:, 0])
        above = above + chance * np.exp(log_wealth_above(sample, mean, stakes_above(5))[:, 0])
    np.testing.assert_allclose(below, 1, atol=1e-9)
    np.testing.assert_allclose(above, 1, atol=1e-9)


def test_a_claim_that_is_true_with_room_is_worth_less_than_one():
    """Doubting 'at least m' loses where the mean is larger, 'at most m' where it is smaller."""
    values = POPULATIONS["spread"]
    mean = values.mean()
    pairs = list(every_sample(values, WEIGHTS, 3))
    below = sum(
        p * np.exp(log_wealth_below(s, np.array([0.7 * mean]), CAP)[-1, 0]) for p, s in pairs
    )
    stakes = stakes_above(5)
    above = sum(
        p * np.exp(log_wealth_above(s, np.array([1.5 * mean]), stakes)[-1, 0]) for p, s in pairs
    )
    assert below < 1
    assert above < 1


@pytest.mark.parametrize("values", POPULATIONS.values(), ids=POPULATIONS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_interval_covers_at_least_at_its_level_over_all_samples(values, count):
    """Exact coverage of tiny populations, at levels at which something can be excluded."""
    for level in (0.6, 0.9):
        covered = 0.0
        for chance, sample in every_sample(values, WEIGHTS, count):
            low, high = interval(sample, CAP, level)
            covered += chance * (low <= values.mean() + 1e-12 and values.mean() <= high + 1e-12)
        assert covered >= level


def test_two_strata_cover_at_least_at_their_level_over_all_samples():
    """Exact, over all pairs of samples."""
    first, second = POPULATIONS["spread"], np.array([0.0, 9.0, CAP, 0.3])
    mean = np.concatenate([first, second]).mean()
    ones = np.ones(4)
    for level in (0.7,):
        covered = 0.0
        pairs = product(every_sample(first, WEIGHTS, 2), every_sample(second, ones, 1))
        for (p, one), (q, other) in pairs:
            low, high = stratified_interval([one, other], CAP, level)
            covered += p * q * (low <= mean <= high)
        assert covered >= level


def test_wealth_moves_one_way_in_the_mean():
    """The interval's ends are where a curve crosses; so the curves must not turn."""
    rng = np.random.default_rng(4)
    values, weights = rng.gamma(0.1, 2, 80), 2.0 ** rng.integers(0, 3, 80)
    sample = taken(values, weights, 20, rng)
    means = np.linspace(0, CAP, 300)
    with np.errstate(invalid="ignore"):
        assert not (np.diff(log_wealth_below(sample, means, CAP)[-1]) < -1e-9).any()
        assert not (np.diff(log_wealth_above(sample, means, stakes_above(80))[-1]) > 1e-9).any()


def adversaries():
    """Spiky populations of 60 that break normal intervals, with their weights."""
    zeros, ones = np.zeros(60), np.ones(60)
    uneven = draw_weights(np.r_[np.zeros(50), np.full(10, 2.0)], np.full(60, np.nan))
    spike, spikes = zeros.copy(), zeros.copy()
    spike[0], spikes[:6] = 9, CAP
    half = np.where(np.arange(60) % 2, CAP, 0.0)
    return [(spike, uneven), (spikes, uneven), (spikes, ones), (half, ones), (zeros + 0.5, uneven)]


@pytest.mark.parametrize("case", range(5))
def test_spiky_populations_are_covered(case):
    """200 draws of 6 and of 30 positions: 95 % less 3 standard errors at least."""
    values, weights = adversaries()[case]
    rng = np.random.default_rng(case)
    for count in (6, 30):
        limits = [interval(taken(values, weights, count, rng), CAP) for _ in range(200)]
        covered = np.mean([low <= values.mean() <= high for low, high in limits])
        assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)


def test_stopping_at_the_worst_moment_is_covered():
    """A reader who looks after every draw and stops when the mean is left out, fails still."""
    values, weights = adversaries()[2]
    rng, mean, failed = np.random.default_rng(9), np.array([values.mean()]), 0
    for _ in range(400):
        sample = taken(values, weights, 60, rng)
        below = log_wealth_below(sample, mean, CAP)
        above = log_wealth_above(sample, mean, stakes_above(60))
        failed += max(below.max(), above.max()) >= math.log(40)
    assert failed / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_prompts_of_the_sample_are_covered_where_normal_intervals_are_not():
    """A fifth of each response: bets cover 95 %, estimate ± 1.96 errors far fewer."""
    rng, inside, normal = np.random.default_rng(2), [], []
    prompts = [prompt for prompt in full_results() if max(r.kl.max() for r in prompt) > 1]
    for _ in range(4):
        for prompt in prompts:
            samples = [
                taken(r.kl, draw_weights(r.entropy1, r.surprisal1), len(r.kl) // 5, rng)
                for r in prompt
            ]
            truth = np.concatenate([each.kl for each in prompt]).mean()
            low, high = stratified_interval(samples, CAP)
            inside.append(low <= truth <= high)
            drawn = np.concatenate([sample.values for sample in samples])
            spread = 1.96 * drawn.std(ddof=1) / math.sqrt(len(drawn))
            normal.append(abs(drawn.mean() - truth) <= spread)
    assert np.mean(inside) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / len(inside))
    assert np.mean(normal) < 0.8


def test_nothing_found_excludes_what_would_have_been_seen():
    """Uniform draws, all zero: the limit is near that of the exact count (hypergeometric)."""
    size, count = 400, 80
    sample = taken(np.zeros(size), np.ones(size), count, np.random.default_rng(0))
    missed = np.cumsum(np.log1p(-count / (size - np.arange(size - count))))
    exact = CAP * np.searchsorted(-missed, math.log(40)) / size
    low, high = interval(sample, CAP)
    assert low == 0
    assert exact <= high + CAP / size
    assert high <= 1.2 * exact


def test_everything_drawn_is_exact():
    """No interval where nothing is unknown; one position included."""
    values = POPULATIONS["spread"]
    sample = draws(values, WEIGHTS, np.arange(5))
    assert interval(sample, CAP) == (values.mean(), values.mean())
    assert interval(draws(np.array([25.0]), np.ones(1), np.array([0])), CAP) == (25.0, 25.0)
    both = stratified_interval([sample, draws(values[:2], np.ones(2), np.arange(2))], CAP)
    assert both == pytest.approx([np.r_[values, values[:2]].mean()] * 2, abs=1e-9)


def test_a_value_above_the_cap_leaves_no_upper_limit():
    """The cap was wrong: `high` says so, `low` holds without it. At the cap all is well."""
    rng = np.random.default_rng(1)
    values = np.zeros(50)
    values[:25] = 30
    sample = taken(values, np.ones(50), 20, rng)
    low, high = interval(sample, CAP)
    assert high == math.inf
    assert low == pytest.approx(interval(sample, 1000.0)[0])
    assert sample.values.sum() / 50 < low < 15
    low, high = stratified_interval([sample, sample], CAP)
    assert high == math.inf
    assert low == pytest.approx(stratified_interval([sample, sample], 1000.0)[0])
    assert interval(taken(np.minimum(values, CAP), np.ones(50), 20, rng), CAP)[1] < CAP


def test_what_was_seen_and_what_is_left_bound_the_mean():
    """After one draw of two, with certainty."""
    low, high = interval(draws(np.array([8.0]), np.ones(2), np.array([0])), CAP)
    assert low >= 4
    assert high <= (8 + CAP) / 2


def test_no_draw_at_all_tells_nothing():
    """A stratum may be without answers; the limits are then 0 and the cap."""
    nothing = draws(np.zeros(0), np.ones(5), np.zeros(0, dtype=int))
    assert interval(nothing, CAP) == (0, CAP)
    some = taken(np.full(5, 1.0), np.ones(5), 4, np.random.default_rng(0))
    low, high = stratified_interval([nothing, some], CAP)
    assert 0 <= low <= 0.5
    assert 10 < high <= CAP


def test_one_stratum_is_the_plain_interval_and_two_halves_nearly_so():
    """Strata cost little: two halves of one population against the whole."""
    rng = np.random.default_rng(8)
    values = np.where(rng.random(400) < 0.02, 7.0, 0.001)
    ones = np.ones(200)
    whole = taken(values, np.ones(400), 120, rng)
    assert stratified_interval([whole], CAP) == interval(whole, CAP)
    halves = [taken(values[:200], ones, 60, rng), taken(values[200:], ones, 60, rng)]
    assert stratified_interval(halves, CAP)[1] <= 1.35 * interval(whole, CAP)[1]


def test_the_dual_bound_is_not_below_the_search_it_stands_for():
    """Two strata: no pair of means that nobody got rich against lies above the limit."""
    rng = np.random.default_rng(6)
    first = taken(rng.gamma(0.05, 4, 40), np.ones(40), 12, rng)
    second = taken(rng.gamma(0.2, 1, 30), 2.0 ** rng.integers(0, 3, 30), 9, rng)
    _, high = stratified_interval([first, second], CAP)
    grids = [
        np.linspace(s.values.sum() / s.of, CAP * (1 - len(s.values) / s.of), 500)
        for s in (first, second)
    ]
    stake = ((1.0, 1.0),)
    wealth = [
        log_wealth_below(s, grid, CAP, stake)[-1]
        for s, grid in zip((first, second), grids, strict=True)
    ]
    kept = wealth[0][:, None] + wealth[1][None, :] < math.log(40 / 0.85)
    means = (40 * grids[0][:, None] + 30 * grids[1][None, :]) / 70
    assert means[kept].max() <= high + 1e-9
    assert high <= 1.03 * means[kept].max()


def test_two_strata_of_which_nothing_was_found_share_the_doubt_equally():
    """Equal strata, all zeros: the limit is where half of the needed wealth comes from each."""
    rng = np.random.default_rng(0)
    samples = [taken(np.zeros(100), np.ones(100), 20, rng) for _ in range(2)]
    means = np.linspace(0.5, 4, 20_000)
    wealth = log_wealth_below(samples[0], means, CAP, ((1.0, 1.0),))[-1]
    root = means[np.searchsorted(wealth, math.log(40 / 0.85) / 2)]
    high = stratified_interval(samples, CAP)[1]
    assert root - 1e-3 <= high <= 1.01 * root


def test_the_grid_of_the_dual_bound_cuts_nothing_off():
    """A curve that rises from a bend on: the bound is where it reaches what is needed."""
    for bend in (0.3, 1.0, 7.77):
        curve = lambda m, bend=bend: np.maximum(m - bend, 0) ** 2 * 30  # noqa: E731
        bound = stratified_bets._upper([curve], np.ones(1), [(0.0, 10.0)], 3.7)
        true = bend + (3.7 / 30) ** 0.5
        assert true - 1e-9 <= bound <= 1.1 * true


def test_the_wealth_of_one_stake_is_convex_in_the_mean():
    """The dual bound between grid points rests on it."""
    rng = np.random.default_rng(4)
    sample = taken(rng.gamma(0.1, 2, 80), 2.0 ** rng.integers(0, 3, 80), 20, rng)
    means = np.linspace(sample.values.sum() / 80 + 0.01, 12, 200)
    for part in (0.1, 0.35, 1.0):
        below = log_wealth_below(sample, means, CAP, ((part, 1.0),))[-1]
        above = log_wealth_above(sample, means, ((min(part, 0.7), 1.0),))[-1]
        assert (np.diff(below, 2) > -1e-9).all()
        assert (np.diff(above, 2) > -1e-9).all()


def test_negative_values_are_refused():
    """Bets need a divergence that is never negative; rounding errors pass."""
    with pytest.raises(DistributionError, match="never negative"):
        interval(draws(np.array([-0.2, 1.0]), np.ones(4), np.arange(2)), CAP)
    low, high = interval(draws(np.array([-1e-16, 0.0]), np.ones(4), np.arange(2)), CAP)
    assert low <= 0 < high


def test_a_higher_level_is_wider_and_more_draws_are_narrower():
    """The limits move the way they should."""
    values = np.where(np.arange(100) % 25 == 0, 6.0, 0.0)
    order = draw_order(np.ones(100), np.random.default_rng(5))

    def limits(count, level=0.95):
        return interval(draws(values[order[:count]], np.ones(100), order[:count]), CAP, level)

    assert limits(30, 0.99)[1] > limits(30)[1] > limits(60)[1]
    assert limits(60)[0] >= limits(60, 0.99)[0]
