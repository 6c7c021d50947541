"""Runs that ask a remote model, in every state, made for the tests of the pages."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from kl_core.jobs import launch
from kl_core.records import CallStats, ScoredEntry
from kl_core.store import runs, spending
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter
from kl_core.store.runs import State, Status
from kl_core.store.spending import CallPlan

PLAN = CallPlan(
    mode="online",
    model="some-model-001",
    prompts=21,
    responses=63,
    positions=4_210,
    unscorable=10,
    calls=3_900,
    kept=0,
    input_tokens=1_240_000,
    output_tokens=3_900,
    cost=0.38175,
    price_input=0.3,
    price_output=2.5,
    price_date="2025-10-01",
    seconds=41.0,
    latency_s=0.52,
    max_concurrent=50,
    warnings=("the continuation does not look literal: <b>x</b> $1 and $2 ![y](http://z/w)",),
)
STATS = CallStats(
    made=1_204,
    reused=30,
    failed=2,
    retried=12,
    errors={"429": 8, "timeout": 4},
    in_flight=18,
    limit=20.0,
    max_concurrent=50,
    rate=41.2,
    input_tokens=120_000,
    output_tokens=1_204,
    cost=0.039,
)
JOBS = (
    {
        "id": "4711000001",
        "state": "JOB_STATE_RUNNING",
        "requests": 3_000,
        "succeeded": 1_200,
        "failed": 3,
    },
    {"id": "4711000002", "state": "JOB_STATE_QUEUED", "requests": 900},
)


def made(
    root: Path,
    state: State,
    *,
    kind: str = "prefill",
    plan: CallPlan | None = PLAN,
    stats: CallStats | None = None,
    confirmed: bool = False,
    entries: Sequence[ScoredEntry] = (),
    short: str = "calls001",
    options: dict[str, object] | None = None,
    **status: object,
) -> Path:
    """A run of `prefill` or `batch` as a worker leaves it."""
    asked = {"input_dir": str(root), "model2": "some-model", "project_id": "my-project"}
    asked = asked | (options or {})
    words = launch.arguments(kind, asked)
    params = {"request": {"input_dir": str(root)}, "title": f"some-model on {root.name}"}
    names = {"model1": "tiny-base", "model2": "some-model-001"}
    command = {"command": ["python", "-m", "kl_core", *words]}
    run_dir = runs.create_run(root, kind, params | names | command, short)
    if plan is not None:
        spending.write_plan(run_dir, plan)
    if stats is not None:
        spending.write_stats(run_dir, stats)
    if confirmed:
        spending.confirm(run_dir)
    if entries:
        with PartWriter(run_dir) as parts:
            for number, entry in enumerate(entries):
                parts.add(number, number * 2, entry)
        if state == "done":
            build_database(run_dir)
    runs.write_status(run_dir, Status(state=state, updated=time.time(), **status))
    return run_dir
