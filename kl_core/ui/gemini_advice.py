"""When to ask online and when in a batch, from the figures of a plan."""

from __future__ import annotations

from kl_core.store.spending import CallPlan
from kl_core.ui import figures
from kl_core.ui.gemini_money import money

BATCH_SHARE = 0.5  # a batch call's price, of an online call's
WORTH_DOLLARS = 5.0
LONG_S = 3600.0
USUAL_CONCURRENT = 20
GENERAL = {
    "prefill": "Online: one call for each position, or only for a share of them, answered within "
    "minutes to hours. Works with the Developer API and with Vertex AI.",
    "batch": "Batch: half the price and no rate limits, but jobs may queue for up to 72 hours. "
    "Needs Vertex AI and a bucket. It can ask a share of the positions, but not search for the "
    "top prompts.",
}


def advise(plan: CallPlan, dollars: float | None, vertex: bool = True, search: bool = False) -> str:
    """One or two sentences: which way fits this plan, and what the other would change.

    Args:
        dollars: what the plan costs at the prices shown; None where they are not known.
        vertex: whether a Google Cloud project is named; batches need one.
        search: the top prompts are searched for, which batches cannot.
    """
    if plan.mode == "batch":
        return _for_batch(plan, dollars)
    if search:
        return "Online is the way to search for the top prompts: each round waits for the last."
    saved = None if dollars is None else dollars * (1 - BATCH_SHARE)
    long = plan.seconds is not None and plan.seconds > LONG_S
    if not long and (saved is None or saved < WORTH_DOLLARS):
        return _stay(plan, saved)
    gain = [f"save about {money(saved)}"] if saved else []
    gain += ["meet no rate limits"] if long else []
    needs = "" if vertex else " It needs a project on Vertex AI."
    takes = f" Online takes {figures.duration(plan.seconds)} or more." if plan.seconds else ""
    return f"A batch would {' and '.join(gain)}, but may queue for up to 72 hours.{takes}{needs}"


def _stay(plan: CallPlan, saved: float | None) -> str:
    quick = f"{figures.duration(plan.seconds)} or more" if plan.seconds else "answers at once"
    if not saved:
        return f"Online fits: {quick}; a batch may queue for up to 72 hours."
    less = money(saved) if saved < 0.01 else f"only about {money(saved)}"
    return f"Online fits: {quick}. A batch would save {less} and may queue for up to 72 hours."


def _for_batch(plan: CallPlan, dollars: float | None) -> str:
    online_s = _online_s(plan)
    more = None if dollars is None else dollars / BATCH_SHARE - dollars
    takes = f" and take {figures.duration(online_s)} or more" if online_s else ""
    if more is None or more == 0:
        said = f"Online would cost twice as much{takes}" if more is None else ""
        said = said or f"Online would cost the same{takes}"
        return f"{said}; a batch may queue for up to 72 hours."
    extra = money(more) if more < 0.01 else f"about {money(more)}"
    small = more < WORTH_DOLLARS and online_s is not None and online_s < LONG_S
    lead = "Online is worth a look: it would cost" if small else "A batch fits: online would cost"
    return f"{lead} {extra} more{takes}; a batch may queue for up to 72 hours."


def _online_s(plan: CallPlan) -> float | None:
    """How long the same calls would take online, at the probe's latency."""
    if not plan.latency_s or not plan.calls:
        return None
    return plan.calls * plan.latency_s / (plan.max_concurrent or USUAL_CONCURRENT)
