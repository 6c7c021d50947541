"""What sampling takes: calls, tokens, and what it costs at most."""

from __future__ import annotations

from collections.abc import Sequence

from kl_core.jobs.gemini_options import PoolOptions
from kl_core.jobs.gemini_plan import CALLS_A_SECOND
from kl_core.jobs.sample_model import SampledBy
from kl_core.jobs.sample_probe import guessed_tokens
from kl_core.sources.journal import Journal
from kl_core.store.spending import CallPlan


def reckon(
    models: Sequence[SampledBy], journal: Journal, pool: PoolOptions, warnings: Sequence[str]
) -> CallPlan:
    """Count the calls of all models that can be asked, and what they take at most.

    No response is longer than `max_tokens`, so that the output tokens and the cost are upper
    bounds, but for the input tokens, which are guessed from what the server counted.
    """
    asked = [by for by in models if not by.failed]
    calls = kept = 0
    tokens_in = tokens_out = 0
    cost: float | None = 0.0
    seconds = 0.0
    for by in asked:
        own, answered, guess = _calls(by, journal)
        most = own * by.settings.max_tokens
        price = by.price.cost(guess, most)
        cost = None if cost is None or (price is None and own) else cost + (price or 0.0)
        calls, kept = calls + own, kept + answered
        tokens_in, tokens_out = tokens_in + guess, tokens_out + most
        at_once = by.max_concurrent or pool.max_concurrent
        rate = min(at_once / max(by.latency_s, 1e-3), CALLS_A_SECOND)
        seconds = max(seconds, own / min(rate, pool.rate_limit or rate))
    prices = {by.price for by in asked}
    one = prices.pop() if len(prices) == 1 else None
    return CallPlan(
        "sample",
        ", ".join(by.counts.shown for by in asked),
        prompts=sum(len(by.tickets) for by in asked),
        responses=sum(len(t.contexts) for by in asked for t in by.tickets),
        calls=calls,
        kept=kept,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost=cost,
        price_input=one.input if one is not None else None,
        price_output=one.output if one is not None else None,
        price_date=one.date if one is not None else "",
        seconds=seconds,
        latency_s=max((by.latency_s for by in asked), default=None),
        max_concurrent=pool.max_concurrent,
        warnings=tuple(warnings),
    )


def _calls(by: SampledBy, journal: Journal) -> tuple[int, int, int]:
    """(calls to make, answered already, input tokens of the calls) of one model."""
    calls = answered = 0
    guess = 0.0
    for ticket in by.tickets:
        missing = sum(not journal.has(question.key) for question in ticket.contexts)
        answered += len(ticket.contexts) - missing
        calls += missing
        guess += missing * guessed_tokens(ticket.asked.prompt)
    return calls, answered, round(guess * by.scale)
