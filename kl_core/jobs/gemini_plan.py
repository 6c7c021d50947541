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
MARKS = 12  # characters that the marks of a turn count for
REMEMBERED = 1_000_000  # contexts told apart across prompts; beyond, within a prompt only
CALLS_A_SECOND = 600.0  # about what one process of the client can do, whatever the network
LESS = {
    "online": "take --budget or --max-files",
    "endpoint": "take --max-files",
    "sample": "ask for fewer prompts, samples or tokens in the configuration",
}
PRICES = {
    "online": "--input-price and --output-price",
    "sample": "input_price and output_price of the model in the configuration",
}


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe told.

    Attributes:
        context: what was asked, and `answer` what came back.
        first: the first context of the same response, and `first_tokens` what the server
            counted for it; 0 where it counts nothing.
        latency_s: how long a call takes.
        warnings: sentences to read before spending.
    """

    context: Context
    answer: Answer
    first: Context
    first_tokens: int
    latency_s: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TokenGuess:
    """Input tokens of a call: so many a character of the prompt, and a token of model 1's text.

    Put right by what the server counted for the probe's two calls: the first without text, or
    nearly, the other with.
    """

    prompt: float = 1 / CHARACTERS_A_TOKEN
    text: float = 1.0

    @classmethod
    def learnt(cls, probed: Probed | None) -> TokenGuess:
        """From what the server counted."""
        if probed is None or not probed.first_tokens:
            return cls()
        more = probed.context.tokens - probed.first.tokens
        counted = probed.answer.input_tokens - probed.first_tokens
        text = counted / more if more > 0 and counted > 0 else cls().text
        alone = max(probed.first_tokens - text * probed.first.tokens, 1.0)
        return cls(alone / _prompt_size(probed.first), text)

    def tokens(self, context: Context) -> float:
        """Of one call."""
        return self.prompt * _prompt_size(context) + self.text * context.tokens


def _prompt_size(context: Context) -> int:
    """Characters of the prompt, and about as many as the marks around its turns count for."""
    return sum(len(turn.content) + MARKS for turn in context.prompt) + MARKS


def reckon(
    found: Iterable[Item], answered: Has, probed: Probed | None, price: Price, plan: CallPlan
) -> CallPlan:
    """Count the calls of all items, and what they take.

    Input tokens grow with the square of the length: each position sends the prompt and the
    text before it.

    Args:
        found: all entries with the calls to make for them.
        answered: whether a context's answer is on disk already.
        plan: carries mode and the pool's size.
    """
    seen: set[bytes] = set()
    prompts = responses = positions = unscorable = calls = kept = 0
    guessed, guess = 0.0, TokenGuess.learnt(probed)
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
            guessed += guess.tokens(context)
        if len(seen) < REMEMBERED:
            seen |= own
    input_tokens = round(guessed)
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


def _seconds(calls: int, probed: Probed | None, plan: CallPlan) -> float | None:
    if plan.mode != "online" or probed is None or not plan.max_concurrent:
        return None
    rate = min(plan.max_concurrent / max(probed.latency_s, 1e-3), CALLS_A_SECOND)
    return calls / rate


def permit(worker: Worker, plan: CallPlan, options: SpendOptions, ask: Ask | None) -> None:
    """Go on only where someone has said yes to the cost.

    Calls that nobody charges for need no yes at a prompt; a page always shows the plan first.

    Args:
        ask: shows the plan at the prompt, and asks whether to start where that is needed;
            None where nobody is at a prompt.

    Raises:
        InputError: something is to be asked, and what is spent and the plan together exceed
            --max-cost, or nobody knows what it costs.
        RunWaiting: nobody has said yes; what to do next.
    """
    limit = options.max_cost
    yes = options.yes or spending.is_confirmed(worker.run_dir)
    if limit is not None and plan.calls:
        _keep_to(limit, plan, spending.read_stats(worker.run_dir).cost or 0.0, yes)
    free = plan.cost == 0 and ask is not None
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


def _keep_to(limit: float, plan: CallPlan, spent: float, yes: bool) -> None:
    if plan.cost is not None and spent + plan.cost > limit:
        already = f" besides ${spent:.2f} that is spent" if spent else ""
        raise InputError(
            f"the run would cost about ${plan.cost:.2f}{already} and --max-cost is ${limit:.2f}; "
            f"raise it, or {LESS.get(plan.mode, LESS['online'])} to spend less"
        )
    if plan.cost is None and not yes:
        raise InputError(
            f"nobody knows what {plan.model} costs, so --max-cost cannot be kept; give "
            f"{PRICES.get(plan.mode, PRICES['online'])} (dollars per million tokens), or --yes"
        )
