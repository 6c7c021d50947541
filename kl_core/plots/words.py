"""How figures name the value of a run and mark what is only an estimate."""

from __future__ import annotations

from typing import Any


def value(summary: dict[str, Any]) -> str:
    """KL where the run has a second model, surprisal otherwise."""
    return "KL" if summary.get("measure") else "surprisal"


def sign(summary: dict[str, Any]) -> str:
    """What stands before a figure: "≈ " unless it is exact."""
    estimated = summary.get("est_cap") is not None
    return "≈ " if estimated or summary.get("measure") not in (None, "full") else ""


# charts that a run asked in part draws from the responses' estimates, not from tokens
BY_ESTIMATE = ("entropy", "length", "provider", "model", "finish_reason")


def asked_only(chart: str, summary: dict[str, Any]) -> str:
    """What a chart is of where a budget left positions out; empty where none was."""
    if not summary.get("not_asked"):
        return ""
    left, drawn = summary.get("est_missing"), summary.get("est_cap") is not None
    if chart in BY_ESTIMATE:
        said = _of_some(summary, drawn) if left else "Each response counts with its estimate."
        return f"{said} {_OTHER_INTERVAL}" if chart in GROUPS and drawn and not left else said
    if left and not drawn:
        return "Of the asked tokens only, most of them of the prompts that a search kept."
    uneven = ", and not drawn evenly" if chart in ("relative", "probability") else ""
    return f"Of the asked tokens only{uneven}."


GROUPS = ("provider", "model", "finish_reason")
_OTHER_INTERVAL = (
    "The interval here is over other prompts like these; that of the run's mean under Prompts is "
    "over other draws of positions in the same responses."
)


def _of_some(summary: dict[str, Any], drawn: bool) -> str:
    """What a chart of responses is of where a search, or failed calls, left some without a mean."""
    number = f"{summary.get('responses_with_mean', 0):,}"
    if drawn:
        return (
            f"Only the {number} responses with a mean: other prompts were left out, and not by "
            "chance, so this is not the mean of the run."
        )
    return (
        f"Only the {number} responses asked in full, which a search chooses because they differ "
        "most: this is not the mean of the run."
    )


def number(share: float) -> str:
    """A percentage without needless zeros: 0.01 %, 99.9 %."""
    return f"{share * 100:.3g} %"
