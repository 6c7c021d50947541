"""Runs of `sample` in every state, made for the tests of its page."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from kl_core.formats.sampling_config import SamplingConfig
from kl_core.jobs import launch
from kl_core.records import ScoredEntry
from kl_core.store import runs, sampled, spending
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter
from kl_core.store.runs import State, Status
from kl_core.store.sampled import SampledModel
from kl_core.store.spending import CallPlan
from kl_core.ui import sample_demo, sample_files

ADDRESS = "http://127.0.0.1:4321"
PLAN = CallPlan(
    mode="sample",
    model="tiny-base, tiny-tuned",
    prompts=12,
    responses=36,
    calls=34,
    kept=2,
    input_tokens=900,
    output_tokens=1632,
    cost=0.0,
    seconds=3.0,
    latency_s=0.1,
    max_concurrent=20,
    warnings=("X gave no log-probabilities for <b>m</b> $1 and $2",),
)
MODELS = [
    SampledModel("tiny-base", "tiny-base", 18, 6, 18, 3, 0, {}, {"": 18}),
    SampledModel("tiny-tuned", "tiny-tuned", 18, 6, 17, 0, 1, {"X": 5}, {"X": 17}),
]


def made(
    root: Path,
    state: State,
    *,
    plan: CallPlan | None = PLAN,
    models: list[SampledModel] = MODELS,
    confirmed: bool = False,
    entries: tuple[ScoredEntry, ...] = (),
    config: SamplingConfig | None = None,
    **status: object,
) -> Path:
    """A run of `sample` as a worker leaves it."""
    out = str(root.parent / "uploads" / "sampled-20260101")
    config = config or sample_demo.config(ADDRESS)
    path = sample_files.keep(msgspec.structs.replace(config, output_dir=out))
    words = launch.arguments("sample", {"config": str(path), "max_concurrent": 7})
    params = {"request": {}, "title": "tiny", "command": ["python", "-m", "kl_core", *words]}
    run_dir = runs.create_run(root, "sample", params, "sample01")
    if plan is not None:
        spending.write_plan(run_dir, plan)
    if models:
        sampled.write_sampled(run_dir, models)
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
