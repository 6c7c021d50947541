"""High-KL tokens with the text before them, from result files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kl_core.errors import InputError
from kl_core.formats.high_tokens import (
    Bounds,
    ScoreType,
    prefix_text,
    prompt_keys,
    tokens_object,
)
from kl_core.formats.reader import read_entries
from kl_core.numeric.divergence import normalized_kl
from kl_core.records import ProblemLog, ScoredEntry, ScoredResponse
from kl_core.store.schema import NORMALIZED_MIN_KL


@dataclass(frozen=True, slots=True)
class TokensRequest:
    """Which tokens to extract from which files.

    Attributes:
        min_threshold, max_threshold: bounds of the score, both included; None for no bound.
        score: `kl` in nats, or `normalized`, KL/(H1+H2), given only above `min_kl`.
    """

    results_dir: Path
    min_threshold: float | None
    max_threshold: float | None
    score: ScoreType
    min_kl: float = NORMALIZED_MIN_KL

    @property
    def bounds(self) -> Bounds:
        """The same without the folder."""
        return Bounds(self.min_threshold, self.max_threshold, self.score, self.min_kl)


def extract(request: TokensRequest, log: ProblemLog) -> dict[str, Any]:
    """The object the `tokens` command writes, highest score first.

    Raises:
        InputError: no result file in the folder, or a threshold that is no number.
    """
    bounds = request.bounds
    bounds.check()
    entries: list[dict[str, Any]] = []
    results = 0
    for entry in read_entries(request.results_dir, None, log):
        if isinstance(entry, ScoredEntry):
            results += 1
            for scored in entry.responses:
                entries.extend(_of_response(bounds, entry, scored))
    if not results:
        raise InputError(
            f"no result file (_kl.json) in {request.results_dir}; make some with score --output-dir"
        )
    return tokens_object(bounds, entries)


def _of_response(
    bounds: Bounds, entry: ScoredEntry, scored: ScoredResponse
) -> Iterator[dict[str, Any]]:
    values = scored.measures
    score = values.headline
    if bounds.score == "normalized":
        ratio = normalized_kl(values.headline, values.entropy1, values.entropy2)
        score = np.where(values.headline >= bounds.min_kl, ratio, np.nan)
    low = -np.inf if bounds.least is None else bounds.least
    top = np.inf if bounds.most is None else bounds.most
    with np.errstate(invalid="ignore"):
        chosen = np.flatnonzero((score >= low) & (score <= top))
    tokens = [position.token for position in scored.response.positions]
    texts, data = [token.text for token in tokens], [token.data for token in tokens]
    for index in chosen.tolist():
        yield {
            **prompt_keys(entry.entry.prompt),
            "prefix_response": prefix_text(texts[:index], data[:index]),
            "token": tokens[index].text,
            "score": float(score[index]),
            "kl_divergence": float(values.headline[index]),
            "entropy1": float(values.entropy1[index]),
            "entropy2": float(values.entropy2[index]),
            "source_file": entry.entry.file,
            "response_idx": scored.response.index,
            "token_position": index,
        }
