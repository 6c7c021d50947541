"""The certified bound: golden value, order of the bounds, an independent solver."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kl_core.numeric.divergence import kl
from kl_core.numeric.lower_bound import lower_kl
from kl_core.numeric.topk import ROUNDING, TopK, rest, tail_kl
from tests.numeric.strategies import (
    log_prob_pairs,
    log_softmax,
    lower_by_bisection,
    lower_by_solver,
    one_row,
    top_k,
)

LIST_P, LIST_Q = {1: 0.5, 2: 0.2}, {1: 0.4, 3: 0.3}


def test_golden_values():
    """P top-2 {1: .5, 2: .2}, Q top-2 {1: .4, 3: .3}: lower .0304788, tail .0204110."""
    p, q = one_row(LIST_P), one_row(LIST_Q)
    assert lower_kl(p, q)[0] == pytest.approx(0.0304788, abs=5e-8)
    assert tail_kl(p, q)[0] == pytest.approx(0.0204110, abs=5e-8)


@settings(max_examples=200)
@given(pair=log_prob_pairs(vocab=12), k1=st.integers(1, 12), k2=st.integers(1, 12))
def test_tail_is_below_lower_and_lower_below_the_full_divergence(pair, k1, k2):
    """tail ≤ lower ≤ full for any two list lengths."""
    p, q = top_k(pair[0], k1), top_k(pair[1], k2)
    lower, tail, full = lower_kl(p, q)[0], tail_kl(p, q)[0], kl(*pair)
    assert tail <= lower + 1e-9
    assert lower <= full + 1e-9


@given(pair=log_prob_pairs(vocab=7))
def test_lower_is_exact_when_the_lists_hold_the_whole_vocabulary(pair):
    """At k = V there is nothing left to minimise over."""
    assert lower_kl(top_k(pair[0], 7), top_k(pair[1], 7))[0] == pytest.approx(kl(*pair), abs=1e-9)


@given(pair=log_prob_pairs(vocab=12), k=st.integers(1, 11))
def test_knowing_more_never_lowers_the_bound(pair, k):
    """Model 2's log-probability at model 1's own candidates can only tighten it."""
    p, q = top_k(pair[0], k), top_k(pair[1], k)
    missing = np.setdiff1d(p.ids[0], q.ids[0])
    more = TopK(
        np.append(q.ids[0], missing)[None],
        np.append(q.logp[0], pair[1][missing])[None],
        np.append(q.listed[0], np.zeros(len(missing), dtype=bool))[None],
    )
    assume(rest(more)[0] > ROUNDING)  # below it the grant for rounding takes over
    assert lower_kl(p, more)[0] >= lower_kl(p, q)[0] - 1e-9
    assert lower_kl(p, more)[0] <= kl(*pair) + 1e-9


def test_it_agrees_with_a_general_convex_solver():
    """Forty random pairs of lists against SLSQP on the programme itself."""
    rng = np.random.default_rng(11)
    for _ in range(40):
        first = log_softmax(rng.normal(size=30) * rng.uniform(0.5, 2.5))
        second = log_softmax(first + rng.normal(size=30) * rng.uniform(0.2, 2))
        k = int(rng.integers(2, 7))
        p, q = top_k(first, k), top_k(second, k)
        assert lower_kl(p, q)[0] == pytest.approx(lower_by_solver(p, q), abs=2e-6)


def test_the_vocabulary_size_does_not_enter():
    """The bound is a function of the lists alone: unused ids and padding change nothing."""
    p, q = one_row(LIST_P), one_row(LIST_Q)
    wide = TopK(
        np.append(p.ids, [[-1, -1]], axis=1),
        np.append(p.logp, [[-np.inf, -np.inf]], axis=1),
        np.append(p.listed, [[False, False]], axis=1),
    )
    far = TopK(np.where(q.ids == 3, 10**9, q.ids), q.logp, q.listed)
    assert lower_kl(wide, far)[0] == pytest.approx(lower_kl(p, q)[0], abs=1e-12)


def test_an_appended_token_is_known_mass_and_never_the_cap():
    """Taken as the cap, a server's appended token would push the bound above the truth."""
    logp = np.log([0.4, 0.3, 0.15, 0.1, 0.05])
    logq = np.log([0.05, 0.1, 0.15, 0.3, 0.4])
    ids = np.array([[0, 1, 4]])
    extra = TopK(ids, logp[ids], np.array([[True, True, False]]))
    as_cap = TopK(ids, logp[ids], np.array([[True, True, True]]))
    q = top_k(logq, 2)
    assert lower_kl(extra, q)[0] <= kl(logp, logq)
    assert lower_kl(extra, q)[0] < lower_kl(as_cap, q)[0]


def test_rounded_lists_that_sum_to_one_do_not_make_it_infinite():
    """Q's list sums to 1 in float32 and misses a candidate of P: large, but finite."""
    p, q = one_row({1: 0.7, 2: 0.3}), one_row({1: 0.7, 3: 0.3})
    assert 1 < lower_kl(p, q)[0] < 10


def test_it_is_never_negative_whatever_rounding_does():
    """Lists that sum above one in their last digits bound nothing, but 0 always holds."""
    p, q = one_row({1: 0.6, 2: 0.4}), one_row({1: 0.600002, 2: 0.400002})
    assert tail_kl(p, q)[0] < 0
    assert lower_kl(p, q)[0] == 0


def test_many_positions_at_once_equal_each_alone():
    """Rows do not leak into each other, empty ones are NaN."""
    rng = np.random.default_rng(5)
    first, second = (
        log_softmax(rng.normal(size=(20, 30)) * 2),
        log_softmax(rng.normal(size=(20, 30))),
    )
    together = lower_kl(top_k(first, 5), top_k(second, 5))
    alone = [lower_kl(top_k(a, 5), top_k(b, 5))[0] for a, b in zip(first, second, strict=True)]
    assert together == pytest.approx(alone, abs=1e-12)
    empty = TopK(np.array([[-1]]), np.array([[-np.inf]]), np.array([[False]]))
    assert np.isnan(lower_kl(empty, one_row(LIST_Q))[0])


def lists(first, second):
    """Two TopK from {id: log-probability}, everything listed."""

    def side(values):
        ids = np.array([list(values)], dtype=np.int64)
        return TopK(ids, np.array([list(values.values())]), np.ones_like(ids, dtype=bool))

    return side(first), side(second)


def test_a_tiny_rest_does_not_cancel_to_infinity():
    """Small candidates beside nearly all the mass: sums from the large end lost them."""
    p, q = lists(
        {
            3: -1.671679104386925e-05,
            2: -11.000016716791045,
            0: -18.000016716791045,
            1: -55.000016716791045,
        },
        {3: -9.842451795805118e-07, 2: -13.83183678459211},
    )
    assert lower_kl(p, q)[0] == pytest.approx(3.1499657722e-05, rel=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_plain_bisection_finds_also_for_extreme_lists(seed):
    """The documented steps taken literally, one position at a time, for all scales and ties."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        size = int(rng.integers(2, 40))
        scale = rng.choice([0.1, 1, 4, 12, 30, 100])
        first = rng.normal(size=size) * scale
        second = first + rng.normal(size=size) * rng.choice([0.01, 0.3, 2, 20])
        if rng.random() < 0.2:
            first, second = np.round(first), np.round(second)
        k1, k2 = (int(k) for k in rng.integers(1, size + 1, 2))
        p, q = top_k(log_softmax(first), k1), top_k(log_softmax(second), k2)
        expected = max(lower_by_bisection(p, q), 0.0)
        assert lower_kl(p, q)[0] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_candidate_of_unknown_identity_certifies_nothing_about_itself():
    """P's unnamed .9 may be Q's first choice: equal models have a bound of 0."""
    named, unnamed = one_row({1: 0.9, 2: 0.05}), one_row({-2: 0.9, 2: 0.05})
    assert lower_kl(unnamed, named)[0] == pytest.approx(0, abs=1e-9)
    assert lower_kl(named, unnamed)[0] == pytest.approx(0, abs=1e-9)
    assert tail_kl(unnamed, named)[0] == pytest.approx(0, abs=1e-9)
    known = one_row({7: 0.9, 2: 0.05})
    assert lower_kl(known, named)[0] > 1


@settings(max_examples=200)
@given(
    pair=log_prob_pairs(vocab=12),
    k=st.integers(2, 11),
    hidden1=st.sets(st.integers(0, 11), max_size=5),
    hidden2=st.sets(st.integers(0, 11), max_size=5),
)
def test_hiding_identities_never_lifts_the_bounds_above_the_truth(pair, k, hidden1, hidden2):
    """Whichever candidates lose their names, tail and lower stay below the full KL."""
    sides = []
    for logp, hidden in zip(pair, (hidden1, hidden2), strict=True):
        side = top_k(logp, k)
        ids = np.where(np.isin(side.ids, list(hidden)), -2 - side.ids, side.ids)
        sides.append(TopK(ids, side.logp, side.listed))
    full = kl(*pair)
    assert lower_kl(*sides)[0] <= full + 1e-9
    assert tail_kl(*sides)[0] <= full + 1e-9
    assert lower_kl(*sides)[0] >= tail_kl(*sides)[0] - 1e-9
