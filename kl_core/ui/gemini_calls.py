"""How the calls of a run go: counts, the limiter, errors by kind, money, batch jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.records import CallStats
from kl_core.store import runs, spending
from kl_core.store.runs import Status
from kl_core.store.spending import CallPlan
from kl_core.store.summary import elapsed_s
from kl_core.ui import figures, gemini_demo, visible
from kl_core.ui.gemini_money import money
from kl_core.ui.markup import inert

_KINDS = ("prefill", "batch", "endpoint", "sample")
COUNTED = ("calls", "requests", "rows")
"""Units of a status that are calls."""
_COUNTS = ("requests", "succeeded", "failed")
_OVER = ("succeeded", "failed", "cancelled", "expired", "partially succeeded")
_STAGES = {
    "waiting for batch jobs": "Waiting for batch jobs",
    "scoring": "Scoring the answers",
    "reading prompts": "Reading the prompts",
    "looking at what is there": "Looking at what is there already",
    "probing the models": "Asking each model for one sample",
    "sampling": "Sampling",
    "building the database": "Building the database",
}
_ASKED_AGAIN = " until you resume (in finished prompts for good)"
_HELP = (
    "The limiter finds out how many calls at a time the server takes: it allows more while all "
    "goes well, and fewer after an overload or a slow answer."
)


def concerns(run_dir: Path) -> bool:
    """Whether a run makes calls."""
    return any(f"-{kind}-" in run_dir.name for kind in _KINDS)


def headline(run_dir: Path, status: Status) -> str:
    """What a run is at, or how long it took; empty where the state alone says it."""
    if not concerns(run_dir):
        return ""
    if status.state == "done":
        took = elapsed_s(run_dir)
        return f"Done in {figures.duration(took)}" if took is not None else ""
    if status.state != "running":
        return ""
    agreed = spending.is_confirmed(run_dir)
    if status.stage in ("probing the model", "estimating the cost"):
        if agreed:
            return "Preparing"
        if status.stage == "estimating the cost":
            return "Estimating the cost"
        return f"Probing {_model(run_dir)}"
    if status.stage == "asking":
        return f"Asking {_model(run_dir)}"
    return _STAGES.get(status.stage, "")


def again(run_dir: Path, kept: bool) -> str:
    """What beginning again is called: before the yes there is only a probe to repeat."""
    early = concerns(run_dir) and not kept and not spending.is_confirmed(run_dir)
    return "Probe again" if early else "Resume"


def _model(run_dir: Path) -> str:
    try:
        request = runs.read_params(run_dir).get("request") or {}
    except KLExplorerError:
        request = {}
    plan = spending.read_plan(run_dir)
    name = request.get("model2") or (plan.model if plan else "") or "the model"
    return visible.plain(str(name), 60)


def lines(
    stats: CallStats,
    plan: CallPlan | None,
    status: Status,
    total: int | None = None,
    local: bool = False,
) -> list[str]:
    """What is known beside the status, a line an idea; nothing where no call was made.

    Args:
        total: calls of the whole run, where that is known.
        local: a server on this machine was asked, which charges nothing.
    """
    told = status.active and status.unit in COUNTED  # the status says number and rate
    said = [_counts(stats, told, status, total, plan), _errors(stats, plan, status)]
    said += [_money(stats, plan, status, local), _speed(stats, told) if status.active else ""]
    return [line for line in said if line]


def job_rows(stats: CallStats) -> list[dict[str, Any]]:
    """The batch jobs as rows of a table."""
    return [
        {
            "job": visible.plain(str(job.get("id", "")).rstrip("/").rsplit("/", 1)[-1], 40),
            "state": _state(job),
            **{name: _count(job.get(name)) for name in _COUNTS},
        }
        for job in stats.jobs
    ]


def waiting(stats: CallStats) -> str:
    """`waiting for 2 jobs (queued, running)`; empty where all jobs are over."""
    states = [_state(job) for job in stats.jobs if _state(job) not in _OVER]
    if not states:
        return ""
    named = ", ".join(dict.fromkeys(states))
    return f"waiting for {figures.counted(len(states), 'job')} ({visible.plain(named, 80)})"


def _state(job: dict[str, Any]) -> str:
    return str(job.get("state", "")).removeprefix("JOB_STATE_").lower().replace("_", " ")


def _count(value: Any) -> str:
    return figures.count(value) if isinstance(value, int) else figures.MISSING


def show(run_dir: Path, status: Status) -> None:
    """Draw it inside the progress card; nothing for a run that makes no calls."""
    if not concerns(run_dir):
        return
    stats, plan = spending.read_stats(run_dir), spending.read_plan(run_dir)
    total = whole(run_dir, plan)
    said = lines(stats, plan, status, total, gemini_demo.is_local(run_dir))
    if said:
        limited = status.active and stats.limit is not None
        text = "  \n".join(inert(line) for line in said)
        st.caption(text, help=_HELP if limited else None)
    if stats.jobs:
        right = st.column_config.TextColumn(alignment="right")
        columns = dict.fromkeys(_COUNTS, right)
        st.dataframe(job_rows(stats), hide_index=True, width="stretch", column_config=columns)


def whole(run_dir: Path, plan: CallPlan | None) -> int | None:
    """Calls of the whole run; None where the plan does not tell.

    A plan covers the prompts that were not finished at its start, and is a guess where the
    top prompts are searched for.
    """
    try:
        request = runs.read_params(run_dir).get("request") or {}
        events = (run_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
        starts = [each for each in map(json.loads, events) if each.get("event") == "start"]
    except (KLExplorerError, OSError, ValueError, AttributeError):
        return None
    if plan is None or request.get("top_prompts") is not None or not starts:
        return None
    return None if starts[-1].get("resumed_prompts") else plan.calls + plan.kept


def brief(run_dir: Path, status: Status) -> str:
    """How many calls are made, in a few words, for a run that ended early."""
    if not concerns(run_dir) or status.active or status.state == "done":
        return ""
    stats = spending.read_stats(run_dir)
    return _answered(stats, whole(run_dir, spending.read_plan(run_dir))) if stats.made else ""


def _answered(stats: CallStats, total: int | None) -> str:
    if total is not None and total >= stats.made + stats.reused:
        return f"{figures.count(stats.made)} of {figures.counted(total, 'call')}"
    return figures.counted(stats.made, "call")


def _counts(
    stats: CallStats, told: bool, status: Status, total: int | None, plan: CallPlan | None
) -> str:
    sampled = plan is not None and plan.mode == "sample"
    missing = "their responses are missing" if sampled else "their positions have no value"
    parts = []
    if stats.made and not told:
        parts.append(f"{_answered(stats, None if status.state == 'done' else total)} answered")
    if stats.reused:
        parts.append(f"{figures.count(stats.reused)} taken from finished runs")
    if stats.failed:
        lost = f"{figures.count(stats.failed)} given up: {missing}"
        ended = status.state in ("cancelled", "failed", "died")
        parts.append(lost + (_ASKED_AGAIN if ended else ""))
    return " · ".join(parts)


def _speed(stats: CallStats, told: bool) -> str:
    parts = []
    if stats.rate and not told:
        parts.append(f"{figures.nats(stats.rate)} calls a second")
    if stats.limit is not None:
        most = "" if stats.max_concurrent is None else f" (at most {stats.max_concurrent:,})"
        parts.append(f"{stats.in_flight:,} under way, limiter allows {stats.limit:.0f}{most}")
    return " · ".join(parts)


def _errors(stats: CallStats, plan: CallPlan | None, status: Status) -> str:
    kinds = sorted(stats.errors.items(), key=lambda item: (-item[1], item[0]))
    counts = ", ".join(f"{visible.plain(kind, 30)} × {count:,}" for kind, count in kinds if count)
    attempts = sum(stats.errors.values())
    if status.state == "done" and attempts and not stats.failed:
        failed = figures.counted(attempts, "failed attempt")
        return f"{failed}, all repeated with success: {counts}"
    repeated = f"{figures.counted(stats.retried, 'call')} repeated" if stats.retried else ""
    if stats.retried and plan is not None and plan.mode == "batch":
        were = "was" if stats.retried == 1 else "were"
        repeated = f"{figures.counted(stats.retried, 'row')} failed and {were} sent once more"
    errors = f"errors: {counts}" if counts else ""
    return " · ".join(part for part in (repeated, errors) if part)


def _money(stats: CallStats, plan: CallPlan | None, status: Status, local: bool) -> str:
    """What the calls of all starts come to; at work also what all of them will.

    A plan covers what its own start had left to ask, so the rest of it is added.
    """
    if not stats.input_tokens and not stats.cost:
        return ""
    tokens = (
        f"{figures.count(stats.input_tokens)} tokens in, {figures.count(stats.output_tokens)} out"
    )
    if local or stats.cost == 0:
        typed = f" ({_sum(stats.cost)} at the prices you typed)" if stats.cost else ""
        return f"nothing is charged{typed} · {tokens}"
    if stats.cost is None:
        return f"{tokens} so far; the price is not known"
    said = f"{_sum(stats.cost)} at these prices"
    if status.active and plan is not None and plan.cost is not None and status.total:
        left = plan.cost * max(0.0, 1 - status.done / status.total)
        said = f"{_sum(stats.cost)} of about {money(stats.cost + left)} at these prices"
    return f"{said} · {tokens}"


def _sum(dollars: float) -> str:
    """≈ $0.02, or less than $0.01."""
    return money(dollars) if dollars < 0.01 else f"≈ {money(dollars)}"
