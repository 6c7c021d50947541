"""The lines under the charts: what is drawn, what is left out, what a click does."""

from __future__ import annotations

from typing import Any

from kl_core.plots import cumulative, words
from kl_core.plots.means import MOST_GROUPS
from kl_core.plots.registry import CHARTS
from kl_core.ui import figures

Rows = list[dict[str, Any]]
_CLICK = {
    "relative": "Click a bar for its highest token.",
    "histogram": "Click a bar for its tokens.",
    "cumulative": "Click a point for its tokens.",
    "probability": "Click a bar for its highest token.",
    "entropy": "Click a point for the response.",
    "length": "Click a point for the response.",
    "provider": "Click a bar for its prompts.",
    "model": "Click a bar for its prompts.",
    "finish_reason": "Click a bar for its prompts.",
}


def caption(name: str, rows: Rows, facts: dict[str, Any], summary: dict[str, Any]) -> str:
    """Everything under one chart. Only figures and our own words: captions obey markdown."""
    parts = [_finding(name, rows, summary), CHARTS[name].help, words.asked_only(name, summary)]
    parts.append(left_out(name, facts, summary.get("not_asked") or 0))
    parts += _about(name, rows)
    parts.append(_CLICK[name])
    return " ".join(part for part in parts if part)


def left_out(name: str, facts: dict[str, Any], not_asked: int = 0) -> str:
    """Tokens without a finite value, in words; empty where there are none."""
    infinite, missing = facts["infinite"], facts["missing"] - not_asked
    parts = []
    if not_asked and name not in words.BY_ESTIMATE:
        parts.append(f"{figures.counted(not_asked, 'token')} not asked")
    if infinite:
        shown = "is in the last bar" if name == "histogram" else "left out"
        parts.append(f"{figures.counted(infinite, 'token')} of infinite value {shown}")
    if missing:
        parts.append(f"{figures.counted(missing, 'token')} without a value left out")
    return f"{'; '.join(parts)}." if parts else ""


def _finding(name: str, rows: Rows, summary: dict[str, Any]) -> str:
    if name == "histogram":
        sign = words.sign(summary) or "= "
        known = [
            f"{words.number(row['share'])} {sign}{figures.nats(row['low'])}"
            for row in rows
            if row["kind"] == "percentile"
        ]
        return f"Percentiles {', '.join(known)} nats." if known else ""
    return ""


def held(table: Any, summary: dict[str, Any]) -> str:
    """The sentence of the cumulative chart."""
    point = cumulative.held_by(table)
    if point is None:
        return ""
    share = words.number(point["share_tokens"])
    return (
        f"The top {share} of tokens ({figures.count(point['tokens'])}) hold "
        f"{words.number(point['share_total'])} of the {words.value(summary)}."
    )


def _about(name: str, rows: Rows) -> list[str]:
    if name in ("entropy", "length"):
        return _sampled(rows)
    if name == "probability":
        without = sum(row["tokens"] for row in rows if row["low"] is None)
        said = f"{figures.counted(without, 'token')} without a list of model 1 not drawn."
        return [said] if without else []
    if name in ("provider", "model", "finish_reason") and len(rows) > MOST_GROUPS:
        return [f"The {MOST_GROUPS} with most tokens of {figures.count(len(rows))}."]
    return []


def _sampled(rows: Rows) -> list[str]:
    points = [row for row in rows if row["kind"] == "response"]
    everything = sum(row["responses"] for row in rows if row["kind"] == "bin") or len(points)
    said = []
    if sum(row["kind"] == "bin" for row in rows) > 1:
        said.append("The line joins the means of bins of about equally many responses.")
    if everything > len(points):
        said.append(
            f"{figures.count(len(points))} of {figures.count(everything)} responses drawn: the "
            "highest 500 and a fixed sample of the others; the line is over all."
        )
    return said
