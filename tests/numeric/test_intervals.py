"""Intervals of means over clusters."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from kl_core.numeric import intervals


@pytest.mark.parametrize("clusters", [2, 3, 5, 40, 2000])
def test_the_interval_is_students(clusters: int) -> None:
    """One degree of freedom less than clusters, 95 % two-sided unless told otherwise."""
    expected = stats.t.ppf(0.975, clusters - 1)
    assert intervals.half_width(1.0, clusters) == pytest.approx(expected)
    wider = stats.t.ppf(0.995, clusters - 1)
    assert intervals.half_width(1.0, clusters, 0.99) == pytest.approx(wider)


def test_an_interval_needs_two_clusters() -> None:
    """One prompt tells nothing about another: no interval rather than a narrow one."""
    assert intervals.half_width(None, 5) is None
    assert intervals.half_width(0.1, 1) is None
    assert intervals.half_width(math.inf, 5) is None
    assert intervals.half_width(0.1, None) is None
