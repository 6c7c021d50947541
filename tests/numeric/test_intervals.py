"""Intervals of means over clusters."""

from __future__ import annotations

import math

import numpy as np
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


def test_the_clustered_error_is_the_formula_over_single_values() -> None:
    """sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n, from totals and counts alone."""
    draw = np.random.default_rng(3)
    clusters = [draw.normal(c % 3, 1, size) for c, size in enumerate((1, 4, 7, 2, 30, 5))]
    values = np.concatenate(clusters)
    squares = sum(sum(s - values.mean() for s in cluster) ** 2 for cluster in clusters)
    totals, counts = (np.array([f(c) for c in clusters], float) for f in (np.sum, len))
    mean, se = intervals.clustered_error(totals, counts)
    assert mean == pytest.approx(values.mean())
    assert se == pytest.approx(math.sqrt(6 / 5 * squares) / len(values))


def test_clusters_of_one_value_have_the_plain_standard_error() -> None:
    """Independent values: the spread with one degree less over the root of their number."""
    values = np.array([0.3, -0.1, 0.25, 1.5, 0.0])
    mean, se = intervals.clustered_error(values, np.ones(5))
    assert mean == pytest.approx(values.mean())
    assert se == pytest.approx(values.std(ddof=1) / math.sqrt(5))


def test_clusters_without_values_do_not_count() -> None:
    """Neither as data nor as evidence; one cluster has no error, none has no mean."""
    totals, counts = np.array([2.0, 0.0, 3.0]), np.array([4.0, 0.0, 2.0])
    kept = counts > 0
    assert intervals.clustered_error(totals, counts) == intervals.clustered_error(
        totals[kept], counts[kept]
    )
    assert intervals.clustered_error(totals[:2], counts[:2]) == (0.5, None)
    assert intervals.clustered_error(totals[1:2], counts[1:2]) == (None, None)
    assert intervals.clustered_error(np.array([]), np.array([])) == (None, None)
