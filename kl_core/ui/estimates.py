"""How the pages say that a mean is estimated from the positions a budget let be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kl_core.ui.figures import at_least, at_most, count, counted, percent

Row = Mapping[str, Any]
ASKED_ONLY = "Of the asked tokens only."
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


def caption(summary: Row) -> str:
    """What a reader of the whole page has to know; empty where every position was asked."""
    if not is_one(summary):
        if not summary.get("not_asked"):
            return ""
        return (
            f"Model 2 was not asked at {counted(summary['not_asked'], 'token')}, and there is no "
            "estimate for the rest: what is shown is of the asked tokens only, and no mean."
        )
    share = percent(summary["est_asked"] / summary["est_of"])
    missing = summary.get("est_missing") or 0
    without = f" {counted(missing, 'prompt')} without an estimate left out." if missing else ""
    return (
        f"Estimates from {share} of the calls ({asked(summary)} positions asked): means are "
        "unbiased estimates with 95 % intervals; maxima, medians and charts of tokens describe "
        f"the asked tokens only.{without}"
    )
