"""A run's work rebuilt from its frozen request: what resuming needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kl_core.errors import RunError
from kl_core.jobs import compare, import_run, score
from kl_core.jobs.worker import Worker
from kl_core.models.load import ModelSpec
from kl_core.store import runs

_OPTIONS = ("top_k", "max_prompts", "pattern", "batch_tokens", "include_reasoning")


def work_of(run_dir: Path) -> Callable[[Worker], None]:
    """The work of an existing run.

    Raises:
        RunError: its request cannot be carried out again, or its input has changed.
    """
    params = runs.read_params(run_dir)
    request: dict[str, Any] = params.get("request") or {}
    if "input_dir" not in request:
        raise RunError(f"run {run_dir.name} ended before it began; start it anew")
    frozen, _, work = _prepare(str(params["kind"]), request)
    if frozen["fingerprint"] != request.get("fingerprint"):
        raise RunError(
            f"the files in {request['input_dir']} have changed since run {run_dir.name} began; "
            "start a new run"
        )
    return work


def _prepare(
    kind: str, request: dict[str, Any]
) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    folder = Path(request["input_dir"])
    output = Path(request["output_dir"]) if request.get("output_dir") else None
    if kind == "import":
        return import_run.prepare(import_run.ImportRequest(folder, request["pattern"]))
    options = {name: request[name] for name in _OPTIONS}
    if kind == "score":
        model = ModelSpec(**request["model"])
        return score.prepare(score.ScoreRequest(folder, model, output, **options))
    if kind == "compare":
        models = ModelSpec(**request["model1"]), ModelSpec(**request["model2"])
        return compare.prepare(compare.CompareRequest(folder, *models, output, **options))
    raise RunError(f"a run of kind {kind!r} cannot be resumed by this version")
