"""A run's work rebuilt from its frozen request: what resuming needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kl_core.errors import RunError
from kl_core.jobs import compare, import_run, score
from kl_core.jobs.scoring import ScoringOptions
from kl_core.jobs.worker import Worker
from kl_core.models.load import ModelSpec
from kl_core.store import runs


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
    if kind == "import":
        folder = Path(request["input_dir"])
        return import_run.prepare(import_run.ImportRequest(folder, request["pattern"]))
    if kind not in ("score", "compare"):
        raise RunError(f"a run of kind {kind!r} cannot be resumed by this version")
    options = ScoringOptions.thawed(request)
    if kind == "score":
        return score.prepare(score.ScoreRequest(options, ModelSpec(**request["model"])))
    models = ModelSpec(**request["model1"]), ModelSpec(**request["model2"])
    return compare.prepare(compare.CompareRequest(options, *models))
