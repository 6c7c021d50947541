"""Batches: every sequence once, inside the budget, as cheap as can be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.errors import ModelError
from kl_core.models.batching import Budget, plan_batches

LENGTHS = st.lists(st.integers(1, 40), max_size=9)


@given(lengths=LENGTHS, prefix=st.integers(0, 50), budget=st.integers(1, 400))
def test_every_sequence_is_in_one_batch_within_the_budget(lengths, prefix, budget):
    """The expanded cache counts too; a single sequence is always allowed."""
    plan = plan_batches(lengths, prefix, budget, 10)
    assert sorted(itertools.chain.from_iterable(plan)) == list(range(len(lengths)))
    for batch in plan:
        size = len(batch) * (prefix + max(lengths[index] for index in batch))
        assert size <= budget or len(batch) == 1


def cheapest(lengths, prefix, budget, overhead):
    """All ways to cut the sorted list, tried one by one."""
    if not lengths:
        return 0
    ways = [
        head * lengths[0] + overhead + cheapest(lengths[head:], prefix, budget, overhead)
        for head in range(1, len(lengths) + 1)
        if head == 1 or head * (prefix + lengths[0]) <= budget
    ]
    return min(ways)


@given(
    lengths=LENGTHS,
    prefix=st.integers(0, 30),
    budget=st.integers(1, 300),
    overhead=st.integers(0, 60),
)
def test_plan_is_the_cheapest_of_all_cuts(lengths, prefix, budget, overhead):
    """Padding against the cost of a batch, exactly weighed."""
    plan = plan_batches(lengths, prefix, budget, overhead)
    cost = sum(len(b) * max(lengths[i] for i in b) + overhead for b in plan)
    assert cost == cheapest(sorted(lengths, reverse=True), prefix, budget, overhead)


def test_budget_says_so_when_nothing_is_left_to_halve():
    """Both budgets end in a sentence, not in zero."""
    budget = Budget(4, 2)
    budget.halve_tokens()
    budget.halve_rows()
    assert (budget.tokens, budget.rows) == (2, 1)
    budget.halve_tokens()
    with pytest.raises(ModelError, match="sequence"):
        budget.halve_tokens()
    with pytest.raises(ModelError, match="row"):
        budget.halve_rows()
