"""How figures name the value of a run and mark what is only an estimate."""

from __future__ import annotations

from typing import Any


def value(summary: dict[str, Any]) -> str:
    """KL where the run has a second model, surprisal otherwise."""
    return "KL" if summary.get("measure") else "surprisal"


def sign(summary: dict[str, Any]) -> str:
    """What stands before a figure: "≈ " unless it is exact."""
    return "≈ " if summary.get("measure") not in (None, "full") else ""


def number(share: float) -> str:
    """A percentage without needless zeros: 0.01 %, 99.9 %."""
    return f"{share * 100:.3g} %"
