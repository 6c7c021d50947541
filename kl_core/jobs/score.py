"""Score: a local model against saved API log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.jobs.reading import open_input
from kl_core.jobs.scoring import model_request, score_all
from kl_core.jobs.worker import Worker
from kl_core.models.load import ModelSpec, check_spec
from kl_core.sources.base import Source


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What to score and how; paths are resolved, so that equal requests compare equal."""

    input_dir: Path
    model: ModelSpec
    output_dir: Path | None = None
    top_k: int | None = None
    max_prompts: int | None = None
    pattern: str | None = None
    batch_tokens: int = 8192
    include_reasoning: bool = False


def prepare(request: ScoreRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read.
        ModelError: no such model folder, or options that exclude each other.
    """
    check_spec(request.model)
    source = open_input(request.input_dir, request.pattern, to_score=True)
    frozen = {
        "input_dir": str(request.input_dir.resolve()),
        "output_dir": str(request.output_dir.resolve()) if request.output_dir else None,
        "fingerprint": source.fingerprint,
        "model": model_request(request.model),
        "top_k": request.top_k,
        "max_prompts": request.max_prompts,
        "pattern": request.pattern,
        "batch_tokens": request.batch_tokens,
        "include_reasoning": request.include_reasoning,
    }

    def load() -> Source:
        from kl_core.sources.local import LocalScorer

        return LocalScorer.load(
            request.model, request.top_k, request.batch_tokens, request.include_reasoning
        )

    def work(worker: Worker) -> None:
        score_all(source, worker, load, request.output_dir, request.max_prompts)

    return frozen, f"score of {request.input_dir.resolve().name}", work
