"""Dollars: what a plan costs at given prices, and how a sum is written."""

from __future__ import annotations

from kl_core.store.spending import CallPlan
from kl_core.ui import figures


def cost(plan: CallPlan, price_input: float | None, price_output: float | None) -> float | None:
    """Dollars of the plan's tokens at prices per million; None where a price is not known."""
    if price_input is None or price_output is None:
        return None
    return (plan.input_tokens * price_input + plan.output_tokens * price_output) / 1e6


def money(dollars: float | None) -> str:
    """$0, less than $0.01, $3.20, $1,250; a dash where it is not known."""
    if dollars is None:
        return figures.MISSING
    if dollars == 0:
        return "$0"
    if dollars < 0.01:
        return "less than $0.01"
    return f"${dollars:,.2f}" if dollars < 1000 else f"${dollars:,.0f}"


def about(dollars: float) -> str:
    """The same in a sentence: about $3.20, nothing, less than $0.01."""
    if dollars == 0:
        return "nothing"
    return money(dollars) if dollars < 0.01 else f"about {money(dollars)}"


def label(text: str) -> str:
    """Dollar signs in a button's label or a caption, where two of them would begin a formula."""
    return text.replace("$", "\\$")
