"""The plan of a run by a server, in words: what the server gives, and what is counted."""

from __future__ import annotations

from kl_core.store.spending import CallPlan
from kl_core.ui import figures

MODE = "endpoint"
TOKENS_HELP = (
    "Each request sends the prompt and what was said after it. Counted by model 2's tokenizer "
    "where it is here, else reckoned from the number of characters."
)


def whole(plan: CallPlan) -> bool:
    """Whether one request answers for a whole response."""
    return plan.calls + plan.kept <= max(plan.responses, 1)


def gives(plan: CallPlan) -> str:
    """What the probe found."""
    if whole(plan):
        return "It gives the log-probabilities of a whole response in one request."
    return "It does not score a whole response in one request, so each position is asked."


def requests_help(plan: CallPlan) -> str:
    """What one request is for."""
    each = "response" if whole(plan) else "position"
    return f"One for each {each} that can be asked; equal ones once."


def scope_line(plan: CallPlan) -> str:
    """What the requests are made for, so that the counts add up."""
    parts = [
        figures.counted(plan.prompts, "prompt"),
        figures.counted(plan.responses, "response"),
        figures.counted(plan.positions, "position"),
    ]
    left = (plan.responses if whole(plan) else plan.positions) - plan.calls - plan.kept
    if left > 0:
        verb = "is" if left == 1 else "are"
        parts.append(f"{figures.count(left)} {verb} equal to others or cannot be asked")
    if plan.kept:
        parts.append(f"{figures.count(plan.kept)} answered already")
    return " · ".join(parts)
