"""Compare: two local models on saved responses, whole vocabulary, both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from kl_core.jobs.reading import open_input
from kl_core.jobs.scoring import ScoringOptions, score_all
from kl_core.jobs.worker import Worker
from kl_core.models.load import ModelSpec, check_spec
from kl_core.sources.base import DEFAULT_TOP_K, Source


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What to compare: P is model 1, Q model 2."""

    options: ScoringOptions
    model1: ModelSpec
    model2: ModelSpec


def prepare(request: CompareRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read.
        ModelError: no such model folder, or options that exclude each other.
    """
    for spec in (request.model1, request.model2):
        check_spec(spec)
    options = request.options
    source = open_input(options.input_dir, options.pattern, to_score=True)

    def load() -> Source:
        from kl_core.sources.local_pair import LocalPair

        return LocalPair.load(
            request.model1,
            request.model2,
            options.top_k or DEFAULT_TOP_K,
            options.batch_tokens,
            options.include_reasoning,
        )

    models = {"model1": asdict(request.model1), "model2": asdict(request.model2)}
    title = f"comparison on {options.title}"
    frozen = options.frozen(source) | models
    return frozen, title, lambda worker: score_all(source, worker, load, options)
