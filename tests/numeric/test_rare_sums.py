from __future__ import annotations

import math

import pytest
from scipy.stats import chi2

from kl_core.numeric.rare_sums import rare_sum_interval


@pytest.mark.parametrize("events", [1, 2, 5, 40])
def test_equal_events_get_the_exact_poisson_limits(events):
    """k events of size e: Garwood's limits times e."""
    size = 0.07
    low, high = rare_sum_interval(events * size, events * size**2, size)
    assert low == pytest.approx(size * chi2.ppf(0.025, 2 * events) / 2)
    assert high == pytest.approx(size * chi2.ppf(0.975, 2 * events + 2) / 2)


def test_nothing_found_leaves_room_for_events_that_were_missed():
    """3.69 events, the exact limit of a count of 0."""
    low, high = rare_sum_interval(0.0, 0.0, 0.5)
    assert low == 0
    assert high == pytest.approx(-0.5 * math.log(0.025))


def test_without_chance_the_mean_is_the_interval():
    """No variance and no event that could have been missed."""
    assert rare_sum_interval(0.3, 0.0, 0.0) == (0.3, 0.3)


def test_many_small_events_are_nearly_normal():
    """Far from zero and without large events it is the usual interval."""
    low, high = rare_sum_interval(1.0, 1e-4, 1e-6)
    assert low == pytest.approx(1 - 1.96 * 0.01, abs=2e-4)
    assert high == pytest.approx(1 + 1.96 * 0.01, abs=2e-4)
