"""High-KL tokens with the text before them, from result files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kl_core.errors import InputError
from kl_core.formats.reader import read_entries
from kl_core.numeric.divergence import normalized_kl
from kl_core.records import ProblemLog, ScoredEntry, ScoredResponse, prompt_text
from kl_core.store.schema import NORMALIZED_MIN_KL

ScoreType = Literal["kl", "normalized"]


@dataclass(frozen=True, slots=True)
class TokensRequest:
    """Which tokens to extract.

    Attributes:
        min_threshold, max_threshold: bounds of the score, both included.
        score: `kl` in nats, or `normalized`, KL/(H1+H2), given only above `min_kl`.
    """

    results_dir: Path
    min_threshold: float
    max_threshold: float | None
    score: ScoreType
    min_kl: float = NORMALIZED_MIN_KL


def extract(request: TokensRequest, log: ProblemLog) -> dict[str, Any]:
    """The object the `tokens` command writes, highest score first.

    Raises:
        InputError: no result file in the folder, or a threshold that is no number.
    """
    for bound in (request.min_threshold, request.max_threshold, request.min_kl):
        if bound is not None and not np.isfinite(bound):
            raise InputError(f"a threshold of {bound} means nothing; give a finite number")
    entries: list[dict[str, Any]] = []
    results = 0
    for entry in read_entries(request.results_dir, None, log):
        if isinstance(entry, ScoredEntry):
            results += 1
            for scored in entry.responses:
                entries.extend(_of_response(request, entry, scored))
    if not results:
        raise InputError(
            f"no result file (_kl.json) in {request.results_dir}; make some with score --output-dir"
        )
    entries.sort(key=lambda row: (-row["score"], row["source_file"], row["response_idx"]))
    for row in entries:
        for name in ("score", "kl_divergence", "entropy1", "entropy2"):
            row[name] = _plain(row[name])
    return {
        "score_type": request.score,
        "min_threshold": request.min_threshold,
        "max_threshold": request.max_threshold,
        "num_entries": len(entries),
        "entries": entries,
    }


def _of_response(
    request: TokensRequest, entry: ScoredEntry, scored: ScoredResponse
) -> Iterator[dict[str, Any]]:
    values = scored.measures
    score = values.headline
    if request.score == "normalized":
        ratio = normalized_kl(values.headline, values.entropy1, values.entropy2)
        score = np.where(values.headline >= request.min_kl, ratio, np.nan)
    top = np.inf if request.max_threshold is None else request.max_threshold
    with np.errstate(invalid="ignore"):
        chosen = np.flatnonzero((score >= request.min_threshold) & (score <= top))
    tokens = [position.token for position in scored.response.positions]
    for index in chosen.tolist():
        yield {
            "prompt": prompt_text(entry.entry.prompt),
            "prefix_response": prefix_text(tokens[:index]),
            "token": tokens[index].text,
            "score": float(score[index]),
            "kl_divergence": float(values.headline[index]),
            "entropy1": float(values.entropy1[index]),
            "entropy2": float(values.entropy2[index]),
            "source_file": entry.entry.file,
            "response_idx": scored.response.index,
            "token_position": index,
        }


def prefix_text(tokens: list[Any]) -> str:
    """The text before a token, joined by bytes; special tokens add nothing."""
    data = b"".join(
        token.data if token.data is not None else token.text.encode("utf-8", "replace")
        for token in tokens
    )
    return data.decode("utf-8", errors="replace")


def _plain(value: float) -> float | str | None:
    if np.isnan(value):
        return None
    return value if np.isfinite(value) else "inf"
