"""How the pages say that a mean is estimated from the positions a budget let be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kl_core.ui.figures import at_least, at_most, count, counted, ordinal, percent

Row = Mapping[str, Any]
ASKED_ONLY = "Of the asked tokens only."
NOT_DRAWN = (
    "the run's budget was for some positions, drawn by chance, and this one was not drawn. What is "
    "unknown here is in the intervals of the estimated means."
)
FOUND_ONLY = "Only of prompts that were asked in full."
INTERVAL_HELP = "95 % interval of the mean KL: how far the positions that were drawn may mislead"


def is_one(row: Row) -> bool:
    """Whether a prompt, a response or a run's summary has an estimate for a mean."""
    return row.get("est_of") is not None


def partial(row: Row) -> bool:
    """Whether positions were left out by a budget, estimate or not."""
    return is_one(row) or bool(row.get("not_asked"))


def interval(row: Row) -> str:
    """`0.0512 – 1.31`, rounded outwards; empty where there is none."""
    low, high = row.get("est_low"), row.get("est_high")
    if low is None or high is None:
        return ""
    return f"{at_least(low)} – {at_most(high)}"


def within(row: Row) -> str:
    """` (0.0512 – 1.31)`, to stand after a mean; empty where there is no interval."""
    said = interval(row)
    return f" ({said})" if said else ""


def asked(row: Row) -> str:
    """`312 of 1,560`: positions asked, of those that could have been."""
    return f"{count(row['est_asked'])} of {count(row['est_of'])}"


def some(summary: Row) -> bool:
    """Whether some prompt of the run has an estimate, though the run may have none."""
    return summary.get("est_cap") is not None


def wanted(request: Row) -> int | None:
    """How many prompts a run searched for (`--top-prompts`), None for no search."""
    k = request.get("top_prompts")
    return k if isinstance(k, int) and k > 0 else None


def asked_for(request: Row) -> list[str]:
    """`20 %`, `seed 3`, `top 3`: what tells runs of the same models apart; empty for whole runs."""
    share, seed, k = request.get("budget"), request.get("seed"), wanted(request)
    said = [f"{100 * share:g} %"] if isinstance(share, int | float) and share < 1 else []
    said += [f"seed {seed}"] if said and seed else []
    return [*said, *([f"top {k}"] if k else [])]


def why_not_asked(row: Row, request: Row) -> str:
    """Why model 2 was not asked at some positions of a response, to stand after a colon.

    Args:
        row: of `responses`.
        request: what the run was asked.
    """
    if is_one(row):
        return NOT_DRAWN
    if wanted(request):
        return "the search gave this prompt up early. It has no mean."
    return "only some positions were, and nothing says how: there is no mean."


def caption(summary: Row, request: Row | None = None, over: bool = True) -> str:
    """What a reader of the whole page has to know; empty where every position was asked.

    Args:
        summary: of the run, `with_mean` included.
        request: what the run was asked.
        over: whether it is done.
    """
    if k := wanted(request or {}):
        return _of_search(summary, k) if over else _searching(summary, k)
    if is_one(summary):
        share = percent(summary["est_asked"] / summary["est_of"])
        return (
            f"Estimates from {share} of the calls ({asked(summary)} positions asked): means of "
            f"responses, prompts and the run {_unbiased(summary)}; {_THE_REST}."
        )
    if not summary.get("not_asked"):
        return ""
    if some(summary):
        without = counted(summary["est_missing"], "prompt")
        return (
            f"{without} without an estimate, so the run has none: means of the other prompts and "
            f"responses {_unbiased(summary)}; {_THE_REST}."
        )
    return (
        f"Model 2 was not asked at {counted(summary['not_asked'], 'token')}, and there is no "
        "estimate for the rest: what is shown is of the asked tokens only, and no mean."
    )


_THE_REST = "everything by token, word or position describes the asked tokens only"


def _unbiased(summary: Row) -> str:
    cap = f" (taking {summary['est_cap']:g} nats as the most a token can differ)"
    return f"are unbiased estimates with 95 % intervals{cap}"


def _searching(summary: Row, k: int) -> str:
    return (
        f"A search for the {_best(k)} that is not finished: a prompt appears when the search has "
        f"given it up or found it. {_THE_REST.capitalize()}."
    )


def _of_search(summary: Row, k: int) -> str:
    """The answer of a search: who was found, who settled it, who was left."""
    found, left = summary.get("with_mean") or 0, summary.get("est_missing") or 0
    if not left:
        return f"All {counted(found, 'prompt')} were asked in full: the search left none out."
    parts = [f"The {_best(min(k, found))} {'stands' if k == 1 else 'stand'} first."]
    extra = found - k
    if extra == 1:
        parts.append(f"A {ordinal(found)} was asked in full to settle the ranking.")
    elif extra > 1:
        parts.append(f"{count(extra)} more were asked in full.")
    parts.append(f"{count(left)} fell behind and {'has' if left == 1 else 'have'} no mean;")
    parts.append("nor has the run.")
    if some(summary):
        parts.append(f"The means {_unbiased(summary)}.")
    return " ".join([*parts, f"{_THE_REST.capitalize()}."])


def _best(k: int) -> str:
    return "most divergent prompt" if k == 1 else f"{count(k)} most divergent prompts"
