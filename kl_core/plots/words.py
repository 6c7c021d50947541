"""How figures name the value of a run and mark what is only an estimate."""

from __future__ import annotations

from typing import Any


def value(summary: dict[str, Any]) -> str:
    """KL where the run has a second model, surprisal otherwise."""
    return "KL" if summary.get("measure") else "surprisal"


def sign(summary: dict[str, Any]) -> str:
    """What stands before a figure: "≈ " unless it is exact."""
    estimated = summary.get("est_of") is not None
    return "≈ " if estimated or summary.get("measure") not in (None, "full") else ""


# charts that a run asked in part draws from the responses' estimates, not from tokens
BY_ESTIMATE = ("entropy", "length", "provider", "model", "finish_reason")


def asked_only(chart: str, summary: dict[str, Any]) -> str:
    """What a chart is of where a budget left positions out; empty where none was."""
    if not summary.get("not_asked"):
        return ""
    if chart in BY_ESTIMATE:
        return "Each response counts with its estimate."
    drawn = ", and not drawn evenly" if chart in ("relative", "probability") else ""
    return f"Of the asked tokens only{drawn}."


def number(share: float) -> str:
    """A percentage without needless zeros: 0.01 %, 99.9 %."""
    return f"{share * 100:.3g} %"
