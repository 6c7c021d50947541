"""Before anything is spent: probe the model, reckon what the run takes, get a yes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from kl_core.errors import InputError, RunWaiting
from kl_core.jobs.gemini_entries import Item
from kl_core.jobs.gemini_options import SpendOptions
from kl_core.jobs.worker import Worker
from kl_core.sources.calls import Answer, Context
from kl_core.sources.pricing import Price
from kl_core.store import spending
from kl_core.store.spending import CallPlan

Has = Callable[[bytes], bool]
Ask = Callable[[CallPlan, bool], bool]
CHARACTERS_A_TOKEN = 4.0
REMEMBERED = 1_000_000  # contexts told apart across prompts; beyond, within a prompt only
CALLS_A_SECOND = 600.0  # about what one process of the client can do, whatever the network


@dataclass(frozen=True, slots=True)
class Probed:
    """What the one call told.

    Attributes:
        context: what was asked.
        answer: what came back.
        latency_s: how long it took.
        warnings: sentences to read before spending.
    """

    context: Context
    answer: Answer
    latency_s: float
    warnings: tuple[str, ...]


def reckon(
    found: Iterable[Item], answered: Has, probed: Probed | None, price: Price, plan: CallPlan
) -> CallPlan:
    """Count the calls of all items, and what they take.

    Input tokens grow with the square of the length: each position sends the prompt and the
    text before it. They are guessed from the number of characters, four a token, and put
    right by what the server counted for the probe.

    Args:
        found: all entries with the calls to make for them.
        answered: whether a context's answer is on disk already.
        plan: carries mode and the pool's size.
    """
    seen: set[bytes] = set()
    prompts = responses = positions = unscorable = calls = kept = 0
    guessed = 0.0
    for item in found:
        entry = item.prepared.entry
        prompts += 1
        responses += len(entry.responses)
        for response in item.prepared.responses:
            positions += len(response.contexts)
            unscorable += len(response.contexts) - len(response.askable)
        own: set[bytes] = set()
        for context in item.contexts:
            if context.key in seen or context.key in own:
                continue
            own.add(context.key)
            if answered(context.key):
                kept += 1
                continue
            calls += 1
            guessed += guessed_tokens(context)
        if len(seen) < REMEMBERED:
            seen |= own
    factor = 1.0
    if probed is not None and probed.answer.input_tokens:
        factor = probed.answer.input_tokens / max(guessed_tokens(probed.context), 1.0)
    input_tokens = round(guessed * factor)
    return replace(
        plan,
        prompts=prompts,
        responses=responses,
        positions=positions,
        unscorable=unscorable,
        calls=calls,
        kept=kept,
        input_tokens=input_tokens,
        output_tokens=calls,
        cost=price.cost(input_tokens, calls),
        price_input=price.input,
        price_output=price.output,
        price_date=price.date,
        seconds=_seconds(calls, probed, plan),
        latency_s=probed.latency_s if probed else None,
        warnings=plan.warnings + (probed.warnings if probed else ()),
    )


def guessed_tokens(context: Context) -> float:
    """About how many tokens a call sends."""
    characters = sum(len(turn.content) for turn in context.prompt) + context.end
    return characters / CHARACTERS_A_TOKEN + 4 * (len(context.prompt) + 1)


def _seconds(calls: int, probed: Probed | None, plan: CallPlan) -> float | None:
    if plan.mode != "online" or probed is None or not plan.max_concurrent:
        return None
    rate = min(plan.max_concurrent / max(probed.latency_s, 1e-3), CALLS_A_SECOND)
    return calls / rate


def permit(
    worker: Worker, plan: CallPlan, options: SpendOptions, free: bool, ask: Ask | None
) -> None:
    """Go on only where someone has said yes to the cost.

    Args:
        free: nothing is charged (a server of this machine) and nobody watches a page.
        ask: shows the plan at the prompt, and asks whether to start where that is needed;
            None where nobody is at a prompt.

    Raises:
        InputError: the plan costs more than --max-cost, or nobody knows what it costs.
        RunWaiting: nobody has said yes; what to do next.
    """
    limit = options.max_cost
    yes = options.yes or spending.is_confirmed(worker.run_dir)
    if limit is not None and plan.cost is not None and plan.cost > limit:
        raise InputError(
            f"the run would cost about ${plan.cost:.2f} and --max-cost is ${limit:.2f}; raise it, "
            "or take --budget or --max-files to spend less"
        )
    if limit is not None and plan.cost is None and not yes:
        raise InputError(
            f"nobody knows what {plan.model} costs, so --max-cost cannot be kept; give "
            "--input-price and --output-price (dollars per million tokens), or --yes"
        )
    needed = not (yes or limit is not None or plan.calls == 0 or free)
    agreed = ask(plan, needed) if ask is not None else False
    if not needed:
        return
    if agreed:
        spending.confirm(worker.run_dir)
        return
    cost = f"about ${plan.cost:.2f}" if plan.cost is not None else "an unknown price"
    raise RunWaiting(
        f"the run would make {plan.calls:,} calls for {cost}; add --yes to go on, or --max-cost "
        "with the most you would spend"
    )
