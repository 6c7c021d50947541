"""Score: a local model against saved API log-probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from kl_core.jobs.reading import open_input
from kl_core.jobs.scoring import ScoringOptions, score_all
from kl_core.jobs.worker import Worker
from kl_core.models.load import ModelSpec, check_spec
from kl_core.sources.base import Source


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What to score, and with which model."""

    options: ScoringOptions
    model: ModelSpec


def prepare(request: ScoreRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read.
        ModelError: no such model folder, or options that exclude each other.
    """
    check_spec(request.model)
    options = request.options
    source = open_input(options.input_dir, options.pattern, to_score=True)

    def load() -> Source:
        from kl_core.sources.local import LocalScorer

        return LocalScorer.load(
            request.model, options.top_k, options.batch_tokens, options.include_reasoning
        )

    frozen = options.frozen(source) | {"model": asdict(request.model)}
    title = f"score of {options.title}"
    return frozen, title, lambda worker: score_all(source, worker, load, options)
