"""Row statistics and torch divergences against NumPy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kl_core.models.rows import row_stats, top_indices
from kl_core.models.torch_divergence import js_rows, kl_rows
from kl_core.numeric import divergence


def logits(seed, rows=40, vocab=1000, spread=4.0):
    return torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed)) * spread


def log_softmax64(values):
    return torch.log_softmax(values.double(), 1).numpy()


def test_row_stats_equal_numpy_in_double_precision():
    """Chosen, rank, top-k, entropy and wanted of rows longer than one block."""
    values = logits(0, rows=70)
    targets = torch.arange(70) * 7
    wanted = torch.stack([targets + 1, torch.full((70,), -1)], 1)
    stats = row_stats(values, targets, wanted, 20)
    truth = log_softmax64(values)
    own = truth[np.arange(70), targets.numpy()]
    np.testing.assert_allclose(stats.chosen, own, atol=1e-5)
    np.testing.assert_array_equal(stats.rank, 1 + (truth > own[:, None]).sum(1))
    np.testing.assert_allclose(stats.top_logprobs, -np.sort(-truth, 1)[:, :20], atol=1e-5)
    np.testing.assert_allclose(stats.entropy, divergence.entropy(truth), atol=1e-5)
    np.testing.assert_allclose(
        stats.wanted[:, 0], truth[np.arange(70), targets.numpy() + 1], atol=1e-5
    )
    assert stats.wanted[:, 1].isnan().all()


def test_equal_logits_share_the_better_rank():
    """Rank is one more than the number of strictly larger logits."""
    values = torch.tensor([[1.0, 3.0, 3.0, 0.0]])
    stats = row_stats(values, torch.tensor([2]), torch.empty(1, 0, dtype=torch.int64), 2)
    assert stats.rank.tolist() == [1]


def test_minus_infinity_is_probability_zero():
    """Masked ids neither break the entropy nor the log-probabilities."""
    values = logits(1, rows=3)
    values[:, 500:] = -math.inf
    none = torch.empty(3, 0, dtype=torch.int64)
    stats = row_stats(values, torch.tensor([0, 1, 999]), none, 5)
    np.testing.assert_allclose(stats.entropy, divergence.entropy(log_softmax64(values)), atol=1e-5)
    assert stats.chosen[2] == -math.inf


@given(
    seed=st.integers(0, 10_000),
    vocab=st.integers(1, 2000),
    k=st.integers(0, 30),
    ties=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_two_stage_top_k_is_exact(seed, vocab, k, ties):
    """Any size, block remainders and ties included: the values of a full sort."""
    values = logits(seed, rows=3, vocab=vocab)
    if ties:
        values = values.round()
    k = min(k, vocab)
    found = top_indices(values, k)
    assert all(len(set(row)) == k for row in found.tolist())
    truth = values.sort(1, descending=True).values[:, :k]
    assert torch.equal(values.gather(1, found), truth)


@pytest.mark.parametrize("best", [0, 63, 64, 950, 959, 960, 999])
def test_two_stage_top_k_sees_every_place(best):
    """The largest value is found in the first block, the last and the remainder."""
    values = logits(6, rows=2)
    values[:, best] = 99.0
    assert top_indices(values, 3)[:, 0].tolist() == [best, best]


@pytest.mark.parametrize("spread", [0.5, 3.0, 20.0])
def test_torch_divergences_equal_the_numpy_formulas(spread):
    """KL both ways and JS, from flat to almost deterministic rows."""
    one, two = logits(2, spread=spread), logits(3, spread=spread)
    lp, lq = log_softmax64(one), log_softmax64(two)
    tp, tq = torch.log_softmax(one, 1), torch.log_softmax(two, 1)
    np.testing.assert_allclose(kl_rows(tp, tq), divergence.kl(lp, lq), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(kl_rows(tq, tp), divergence.kl(lq, lp), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        js_rows(tp, tq), divergence.jensen_shannon(lp, lq), rtol=1e-5, atol=1e-6
    )


def test_zeros_give_infinity_one_way_and_nothing_the_other():
    """q = 0 < p is infinite, p = 0 adds nothing, JS stays at most ln 2."""
    p = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]).log()
    q = torch.tensor([[0.5, 0.0, 0.5], [0.25, 0.25, 0.5], [0.0, 0.5, 0.5]]).log()
    with np.errstate(divide="ignore"):
        truth = divergence.kl(p.double().numpy(), q.double().numpy())
    assert kl_rows(p, q).tolist() == pytest.approx(truth.tolist())
    assert kl_rows(p, q).isinf().tolist() == [True, False, True]
    assert js_rows(p, q)[2].item() == pytest.approx(math.log(2))


def test_identical_rows_have_exactly_zero_kl():
    """No rounding noise where there is no difference."""
    same = torch.log_softmax(logits(4), 1)
    assert (kl_rows(same, same) == 0).all()
