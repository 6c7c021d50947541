"""The summary object of a run: what `--json` prints."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kl_core.store import queries, runs, spending
from kl_core.store.prompt_titles import last_user_message
from kl_core.store.query import Cursor
from kl_core.store.sampled import read_sampled

TOP_PROMPTS = 10
_FIGURES = {
    "measure": "measure",
    "mean_kl": "mean_kl",
    "median_kl": "median_kl",
    "max_kl": "max_kl",
    "total_kl": "total_kl",
    "mean_kl_lower": "mean_lower",
    "mean_rank_kl": "mean_rank_kl",
    "mean_kl_reverse": "mean_reverse",
    "coverage": "coverage",
    "censored_tokens": "censored",
}


_CALLS = ("made", "reused", "failed", "retried")


def run_summary(run_dir: Path) -> dict[str, Any]:
    """Counts, figures and problems of a run, absent values None, infinities "inf".

    Raises:
        RunError: the run cannot be opened.
    """
    info = runs.run_info(run_dir)
    opened = queries.open_run(run_dir)
    cursor = opened.cursor()
    figures = queries.summary(cursor)
    result: dict[str, Any] = {
        "run_id": info.id,
        "run_dir": str(run_dir),
        "kind": info.kind,
        "state": info.state,
        "error": info.status.error or None,
        "prompts": figures.get("prompts", 0),
        "responses": figures.get("responses", 0),
        "tokens": figures.get("tokens", 0),
        "scored_tokens": figures.get("scored_tokens", 0),
        "without_logprobs": figures.get("without_logprobs", 0),
        "model1": figures.get("model1") or info.model1,
        "model2": figures.get("model2") or info.model2,
    }
    if figures.get("measure") or info.kind != "import":
        result |= {name: json_number(figures.get(key)) for name, key in _FIGURES.items()}
        stats = spending.read_stats(run_dir)  # all 0 for local and imported runs
        result["calls"] = {name: getattr(stats, name) for name in _CALLS}
        result["cost"] = stats.cost
        result["prompts_left"] = figures.get("est_missing") or 0
        result["estimate"] = _estimate(figures)
        k = info.request.get("top_prompts")
        result["searched_for"] = k
        result["top_prompts"] = _top_prompts(cursor, max(TOP_PROMPTS, (k or 0) + 1))
    if against := info.request.get("against"):
        result["against"] = against
        result["shared_contexts"] = runs.read_params(run_dir).get("shared_contexts")
    if info.kind == "endpoint":
        asked = runs.read_params(run_dir).get("identity2") or {}
        result |= {key: asked.get(key) for key in ("server", "asked_by", "by_text")}
    if info.kind == "sample":
        result["output_dir"] = info.request.get("output_dir")
        result["models"] = [asdict(model) for model in read_sampled(run_dir)]
    rows = queries.problems(cursor, limit=2**62).to_pylist()
    result["problems"] = [
        {"file": r["file"], "where": r["place"], "reason": r["reason"], "hint": r["hint"]}
        for r in rows
    ]
    result["elapsed_s"] = elapsed_s(run_dir)
    return result


def elapsed_s(run_dir: Path) -> float | None:
    """Seconds of work over all starts of the run, from its events."""
    total = 0.0
    try:
        lines = (run_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        try:
            total += float(json.loads(line).get("elapsed_s", 0.0))
        except (ValueError, AttributeError):
            continue
    return round(total, 3)


def json_number(value: Any) -> Any:
    """A value that strict JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def _estimate(figures: dict[str, Any]) -> dict[str, Any] | None:
    """The run's mean as a sample of its positions tells it, None where all were asked."""
    if figures.get("est_of") is None:
        return None
    return {
        "mean_kl": json_number(figures["est_kl"]),
        "low": json_number(figures["est_low"]),
        "high": json_number(figures["est_high"]),
        "asked": figures["est_asked"],
        "of": figures["est_of"],
        "cap": json_number(figures["est_cap"]),
    }


def _interval(row: dict[str, Any]) -> dict[str, Any]:
    if row["est_of"] is None:
        return {}
    return {"low": json_number(row["est_low"]), "high": json_number(row["est_high"])}


def _top_prompts(cursor: Cursor, limit: int) -> list[dict[str, Any]]:
    rows = queries.prompts(cursor, "mean_kl", limit=limit).to_pylist()
    return [
        {
            "prompt": row["prompt"],
            "title": last_user_message(row["prompt"], row["prompt_json"]),
            "mean_kl": json_number(row["mean_kl"]),
            "lower": json_number(row["mean_lower"]),
            "tokens": row["tokens"],
            **_interval(row),
        }
        for row in rows
        if row["mean_kl"] is not None
    ]
