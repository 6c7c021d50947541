"""A run's work rebuilt from its frozen request: what resuming needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from kl_core.errors import RunError
from kl_core.jobs import batch, compare, endpoint, import_run, prefill, sample, score
from kl_core.jobs.endpoint_options import EndpointOptions
from kl_core.jobs.gemini_job import GeminiRequest
from kl_core.jobs.gemini_options import AskOptions, BatchOptions, PoolOptions, SpendOptions
from kl_core.jobs.scoring import ScoringOptions
from kl_core.jobs.worker import Worker
from kl_core.models.load import ModelSpec
from kl_core.store import runs

PRINTS = ("fingerprint", "against_fingerprint", "tokenizer_fingerprint")
Options = TypeVar("Options", BatchOptions, PoolOptions, SpendOptions)


def work_of(run_dir: Path) -> Callable[[Worker], None]:
    """The work of an existing run.

    Raises:
        RunError: its request cannot be carried out again, or its input has changed.
    """
    params = runs.read_params(run_dir)
    request: dict[str, Any] = params.get("request") or {}
    if "fingerprint" not in request:
        raise RunError(f"run {run_dir.name} ended before it began; start it anew")
    kind = str(params["kind"])
    frozen, _, work = _prepare(kind, request, params.get("settings") or {})
    changed = [name for name in PRINTS if frozen.get(name) != request.get(name)]
    if changed:
        raise RunError(
            f"the files in {_place(request)} have changed since run {run_dir.name} began; "
            "start a new run"
        )
    if frozen.get("base_url") != request.get("base_url"):
        raise RunError(
            f"run {run_dir.name} asked {request.get('base_url') or 'Google'} and would now ask "
            f"{frozen['base_url']}: unset GOOGLE_GEMINI_BASE_URL and GOOGLE_VERTEX_BASE_URL, or "
            "start a new run"
        )
    return work


def _prepare(
    kind: str, request: dict[str, Any], settings: dict[str, Any]
) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    if kind == "import":
        folder, against = Path(request["input_dir"]), request.get("against")
        other = Path(against) if against else None
        return import_run.prepare(import_run.ImportRequest(folder, request["pattern"], other))
    if kind == "prefill":
        options, spend = AskOptions.thawed(request), _of(SpendOptions, settings)
        pool = _of(PoolOptions, settings)
        return prefill.prepare(GeminiRequest(options, pool, spend))
    if kind == "batch":
        options, spend = AskOptions.thawed(request), _of(SpendOptions, settings)
        places, pool = _of(BatchOptions, request), _of(PoolOptions, settings)
        return batch.prepare(GeminiRequest(options, pool, spend), places)
    if kind == "sample":
        return sample.prepare(sample.thawed(request, settings))
    if kind == "endpoint":
        spend, pool = _of(SpendOptions, settings), _of(PoolOptions, settings)
        asked = EndpointOptions.thawed(request)
        return endpoint.prepare(endpoint.EndpointRequest(asked, pool, spend))
    if kind not in ("score", "compare"):
        raise RunError(f"a run of kind {kind!r} cannot be resumed by this version")
    scoring = ScoringOptions.thawed(request)
    if kind == "score":
        return score.prepare(score.ScoreRequest(scoring, ModelSpec(**request["model"])))
    models = ModelSpec(**request["model1"]), ModelSpec(**request["model2"])
    return compare.prepare(compare.CompareRequest(scoring, *models))


def _place(request: dict[str, Any]) -> str:
    """Where a run's input is."""
    prompts = (request.get("config") or {}).get("prompts") or {}
    found = request.get("input_dir") or request.get("from_tokens") or prompts.get("file")
    return str(found or "its configuration")


def _of(kind: type[Options], values: dict[str, Any]) -> Options:
    """Options from those of a run's values that belong to them."""
    return kind(**{each.name: values[each.name] for each in fields(kind) if each.name in values})
