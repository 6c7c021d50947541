"""Runs of `endpoint` in this process against a server in a thread, and what `score` says."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

from kl_core.errors import RunWaiting
from kl_core.jobs import endpoint, score, worker
from kl_core.jobs.endpoint_options import EndpointOptions
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions
from kl_core.jobs.scoring import ScoringOptions
from kl_core.models.load import ModelSpec

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
RESPONSES = SAMPLE / "responses" / "openrouter"
TUNED = str(SAMPLE / "models" / "tiny-tuned")
MODEL = "tiny-tuned"


def serve(root: Path, address: str, *, input_dir: Path = RESPONSES, yes: bool = True, **more):
    """One run to its end; returns its folder."""
    names = ("max_concurrent", "max_retries", "reuse", "timeout_s")
    pool = {name: more.pop(name) for name in names if name in more}
    names = ("max_cost", "input_price", "output_price")
    spend = SpendOptions(yes=yes, **{name: more.pop(name) for name in names if name in more})
    more.setdefault("tokenizer", TUNED)
    options = EndpointOptions(
        input_dir, more.pop("model2", MODEL), more.pop("base_url", f"{address}/v1"), **more
    )
    request = endpoint.EndpointRequest(options, PoolOptions(**pool), spend)
    frozen, title, work = endpoint.prepare(request)
    run_dir = worker.folder_for("endpoint", frozen, root, title)
    with nullcontext() if yes else suppress(RunWaiting):
        worker.carry_out(run_dir, work)
    return run_dir


def scored_here(root: Path, output_dir: Path, input_dir: Path = RESPONSES, **spec) -> Path:
    """The same weights in this process; returns the run's folder."""
    options = ScoringOptions(input_dir, output_dir)
    model = ModelSpec(TUNED, device="cpu", **spec)
    frozen, title, work = score.prepare(score.ScoreRequest(options, model))
    run_dir = worker.folder_for("score", frozen, root, title)
    worker.carry_out(run_dir, work)
    return run_dir
