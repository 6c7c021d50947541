"""Measures of two truncated lists."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kl_core.errors import DistributionError
from kl_core.numeric import topk
from kl_core.numeric.divergence import jensen_shannon, kl
from tests.numeric.strategies import log_prob_pairs, one_row, top_k


def floor_slowly(p, q):
    """The floor measure with dictionaries and no arrays."""
    cap_p, cap_q = min(p.values()), min(q.values())
    union = set(p) | set(q)
    full_p = {token: p.get(token, cap_p) for token in union}
    full_q = {token: q.get(token, cap_q) for token in union}
    sum_p, sum_q = sum(full_p.values()), sum(full_q.values())
    return sum(full_p[t] / sum_p * np.log((full_p[t] / sum_p) / (full_q[t] / sum_q)) for t in union)


def test_floor_by_hand():
    """Union {1, 2, 3}; the missing tokens get .2 and .3; both sides renormalised."""
    value = topk.floor_kl(one_row({1: 0.5, 2: 0.2}), one_row({1: 0.4, 3: 0.3}))[0]
    p, q = np.array([0.5, 0.2, 0.2]) / 0.9, np.array([0.4, 0.3, 0.3])
    assert value == pytest.approx((p * np.log(p / q)).sum(), abs=1e-12)


@given(pair=log_prob_pairs(vocab=15), k1=st.integers(1, 15), k2=st.integers(1, 15))
def test_floor_equals_its_slow_definition_and_is_never_negative(pair, k1, k2):
    """Vectorised and dictionary forms agree, also for lists of different length."""
    p, q = top_k(pair[0], k1), top_k(pair[1], k2)
    slow = floor_slowly(
        dict(zip(p.ids[0].tolist(), np.exp(p.logp[0]), strict=True)),
        dict(zip(q.ids[0].tolist(), np.exp(q.logp[0]), strict=True)),
    )
    value = topk.floor_kl(p, q)[0]
    assert value == pytest.approx(slow, abs=1e-10)
    assert value >= -1e-12


def test_what_is_known_besides_a_list_does_not_enter_the_floor():
    """The sampled token's own log-probability is not part of either list."""
    plain = topk.floor_kl(one_row({1: 0.5, 2: 0.2}), one_row({1: 0.4, 3: 0.3}))
    extra = topk.floor_kl(one_row({1: 0.5, 2: 0.2, 9: 0.01}, extras={9}), one_row({1: 0.4, 3: 0.3}))
    assert extra == pytest.approx(plain)


@given(pair=log_prob_pairs(vocab=8))
def test_floor_with_whole_vocabularies_is_the_exact_divergence(pair):
    """At k = V nothing is missing: floor and its JS are exact."""
    p, q = top_k(pair[0], 8), top_k(pair[1], 8)
    assert topk.floor_kl(p, q)[0] == pytest.approx(kl(*pair), abs=1e-10)
    assert topk.floor_js(p, q)[0] == pytest.approx(jensen_shannon(*pair), abs=1e-10)


@pytest.mark.filterwarnings("ignore:reduction")
def test_rank_metric_is_what_torch_computes():
    """F.kl_div(lq, lp, reduction="mean", log_target=True) over the k ranks of one token."""
    rng = np.random.default_rng(3)
    logp, logq = -np.sort(rng.exponential(2, (1, 5))), -np.sort(rng.exponential(2, (1, 5)))
    expected = torch.nn.functional.kl_div(
        torch.from_numpy(logq), torch.from_numpy(logp), reduction="mean", log_target=True
    )
    assert topk.rank_kl(logp, logq)[0] == pytest.approx(float(expected), abs=1e-12)


def test_rank_metric_ignores_identity_and_may_be_negative():
    """A name for what it is: not a divergence."""
    assert topk.rank_kl(np.log([[0.1, 0.1]]), np.log([[0.5, 0.5]]))[0] < 0


def test_ranks_beyond_the_shorter_list_do_not_count():
    """NaN marks the end of a list; the mean is over the ranks both have."""
    logp = np.array([[-0.1, -3.0, np.nan]])
    logq = np.array([[-0.2, -2.0, -5.0]])
    two = topk.rank_kl(logp[:, :2], logq[:, :2])
    assert topk.rank_kl(logp, logq) == pytest.approx(two)


def test_unequal_rank_counts_are_refused():
    """The caller cuts both to one k; a silent cut would compare other ranks."""
    with pytest.raises(DistributionError, match="one k"):
        topk.rank_kl(np.zeros((1, 5)), np.zeros((1, 3)))


def test_entropy_of_a_list_is_over_the_renormalised_list():
    """Two equal candidates of .1 each: ln 2, whatever lies outside."""
    assert topk.listed_entropy(one_row({1: 0.1, 2: 0.1}))[0] == pytest.approx(np.log(2))


def test_rest_is_what_neither_list_nor_extras_show_and_never_negative():
    """1 − .5 − .2 − .1, and 0 where rounding makes a list sum above one."""
    assert topk.rest(one_row({1: 0.5, 2: 0.2, 3: 0.1}, extras={3}))[0] == pytest.approx(0.2)
    assert topk.rest(one_row({1: 0.7, 2: 0.300001}))[0] == 0


def test_candidates_of_unknown_identity_are_left_out_of_the_union():
    """They match nothing on the other side and no other of their kind."""
    p, q = one_row({1: 0.5, 2: 0.3, -2: 0.001}), one_row({1: 0.5, 2: 0.3, -2: 0.001})
    logp, logq = topk.union(p, q)
    assert np.exp(logp[np.isfinite(logp)]) == pytest.approx([0.625, 0.375])
    assert np.exp(logq[np.isfinite(logq)]) == pytest.approx([0.625, 0.375])


def test_the_cap_is_never_below_an_unidentified_candidate():
    """It may be any token that the other side lists."""
    assert np.exp(topk.cap(one_row({1: 0.5, -2: 0.3, 2: 0.1})))[0] == pytest.approx(0.3)
    assert np.exp(topk.cap(one_row({1: 0.5, 2: 0.1})))[0] == pytest.approx(0.1)
