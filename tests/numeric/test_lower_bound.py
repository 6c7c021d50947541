"""The certified bound: golden value, order of the bounds, an independent solver."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kl_core.numeric.divergence import kl
from kl_core.numeric.lower_bound import lower_kl
from kl_core.numeric.topk import ROUNDING, TopK, rest, tail_kl
from tests.numeric.strategies import log_prob_pairs, log_softmax, lower_by_solver, one_row, top_k

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
