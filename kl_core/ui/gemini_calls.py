"""How the calls of a run go: counts, the limiter, errors by kind, money, batch jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store import spending
from kl_core.store.runs import Status
from kl_core.store.spending import CallPlan, CallStats
from kl_core.ui import figures, visible
from kl_core.ui.gemini_money import money
from kl_core.ui.markup import inert

_COUNTS = ("requests", "succeeded", "failed")


def concerns(run_dir: Path) -> bool:
    """Whether a run makes calls."""
    return "-prefill-" in run_dir.name or "-batch-" in run_dir.name


def lines(stats: CallStats, plan: CallPlan | None, status: Status) -> list[str]:
    """What is known beside the status, a line an idea; nothing where no call was made."""
    told = status.active and status.unit == "calls"  # the status says number and rate
    said = [_counts(stats, told), "", _errors(stats), _money(stats, plan, status)]
    if status.active:
        said[1] = _speed(stats, told)
    return [line for line in said if line]


def job_rows(stats: CallStats) -> list[dict[str, Any]]:
    """The batch jobs as rows of a table."""
    return [
        {
            "job": visible.plain(str(job.get("id", "")), 40),
            "state": str(job.get("state", "")).removeprefix("JOB_STATE_").lower().replace("_", " "),
            **{name: _count(job.get(name)) for name in _COUNTS},
        }
        for job in stats.jobs
    ]


def _count(value: Any) -> str:
    return figures.count(value) if isinstance(value, int) else figures.MISSING


def show(run_dir: Path, status: Status) -> None:
    """Draw it inside the progress card; nothing for a run that makes no calls."""
    if not concerns(run_dir):
        return
    stats = spending.read_stats(run_dir)
    said = lines(stats, spending.read_plan(run_dir), status)
    if said:
        st.caption("  \n".join(inert(line) for line in said))
    if stats.jobs:
        right = st.column_config.TextColumn(alignment="right")
        columns = dict.fromkeys(_COUNTS, right)
        st.dataframe(job_rows(stats), hide_index=True, width="stretch", column_config=columns)


def _counts(stats: CallStats, told: bool) -> str:
    parts = []
    if stats.made and not told:
        parts.append(f"{figures.counted(stats.made, 'call')} answered")
    if stats.reused:
        parts.append(f"{figures.count(stats.reused)} taken from finished runs")
    if stats.failed:
        parts.append(f"{figures.count(stats.failed)} given up: their positions have no value")
    return " · ".join(parts)


def _speed(stats: CallStats, told: bool) -> str:
    parts = []
    if stats.rate and not told:
        parts.append(f"{figures.nats(stats.rate)} calls a second")
    if stats.limit is not None:
        most = "" if stats.max_concurrent is None else f" (at most {stats.max_concurrent:,})"
        parts.append(f"{stats.in_flight:,} under way, limiter allows {stats.limit:.0f}{most}")
    return " · ".join(parts)


def _errors(stats: CallStats) -> str:
    kinds = sorted(stats.errors.items(), key=lambda item: (-item[1], item[0]))
    counts = ", ".join(f"{visible.plain(kind, 30)} × {count:,}" for kind, count in kinds if count)
    repeated = f"{figures.counted(stats.retried, 'call')} repeated" if stats.retried else ""
    errors = f"errors: {counts}" if counts else ""
    return " · ".join(part for part in (repeated, errors) if part)


def _money(stats: CallStats, plan: CallPlan | None, status: Status) -> str:
    """What was spent over all starts; at work also what it will come to.

    A plan covers what its own start had left to ask, so the rest of it is added.
    """
    if not stats.input_tokens and not stats.cost:
        return ""
    tokens = (
        f"{figures.count(stats.input_tokens)} tokens in, {figures.count(stats.output_tokens)} out"
    )
    if stats.cost is None:
        return f"{tokens} so far; the price is not known"
    if stats.cost == 0:
        return f"free of charge · {tokens}"
    spent = f"{money(stats.cost)} spent"
    if status.active and plan is not None and plan.cost is not None and status.total:
        left = plan.cost * max(0.0, 1 - status.done / status.total)
        spent += f", about {money(stats.cost + left)} in all"
    return f"{spent} · {tokens}"
