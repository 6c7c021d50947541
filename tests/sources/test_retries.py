"""When a context is asked again."""

import pytest

from kl_core.sources.calls import CallError
from kl_core.sources.retries import RetryPolicy, Tries

POLICY = RetryPolicy(max_retries=5, base_s=1.0, cap_s=8.0, deadline_s=1000.0)


def waits(retry, policy=POLICY, seed="s", retry_after_s=None, step=0.0):
    tries, found, now = Tries(policy, seed, 0.0), [], 0.0
    while (wait := tries.wait_after(CallError("x", "x", retry, retry_after_s), now)) is not None:
        found.append(wait)
        now += wait + step
    return found


@pytest.mark.parametrize(
    ("retry", "calls"), [("again", 6), ("odd", 4), ("stop", 3), ("refused", 1), ("denied", 1)]
)
def test_each_kind_of_failure_has_its_number_of_calls(retry, calls):
    """What may pass up to max_retries, the odd four times, a contradiction three, others once."""
    assert len(waits(retry)) + 1 == calls


def test_waits_are_spread_and_bounded_and_repeatable():
    """Full jitter under a doubling bound; the same seed gives the same waits."""
    found = waits("again")
    assert all(0 <= wait <= min(8.0, 2.0**n) for n, wait in enumerate(found))
    assert found == waits("again")
    assert found != waits("again", seed="t")


def test_the_server_s_wish_is_a_least_wait():
    """max(Retry-After, back-off)."""
    assert all(wait >= 5.0 for wait in waits("again", retry_after_s=5.0))


def test_no_call_begins_after_the_deadline():
    """A total deadline over all waits, Retry-After included."""
    policy = RetryPolicy(max_retries=100, deadline_s=30.0)
    assert sum(waits("again", policy, retry_after_s=7.0)) <= 30.0
    assert waits("again", policy, retry_after_s=3600.0) == []


def test_what_failed_calls_cost_is_summed():
    """Blocked prompts are billed too."""
    tries = Tries(POLICY, "s", 0.0)
    for _ in range(2):
        tries.wait_after(CallError("blocked", "x", "odd", None, 7, 5), 0.0)
    assert (tries.made, tries.input_tokens, tries.output_tokens) == (2, 14, 10)
