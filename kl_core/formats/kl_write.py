"""Write result files: one `<stem>_kl.json` per prompt, strict JSON."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from kl_core.errors import InputError
from kl_core.formats import estimates
from kl_core.formats.numbers import number
from kl_core.formats.result_names import ResultNames
from kl_core.records import (
    Floats,
    Position,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
    prompt_text,
)

FORMAT_VERSION = 1
Json = dict[str, Any]
# field of TokenMeasures → key of a token detail
MEASURE_KEYS = {
    "headline": "kl_divergence",
    "logprob1": "model1_chosen_logprob",
    "logprob2": "model2_chosen_logprob",
    "log_ratio": "log_ratio",
    "entropy1": "entropy1",
    "entropy2": "entropy2",
    "lower": "kl_lower",
    "reverse": "kl_reverse",
    "js": "js_divergence",
    "tail": "kl_tail",
    "rank_kl": "kl_rank",
    "entropy1_full": "entropy1_full",
    "entropy2_full": "entropy2_full",
    "rest1": "model1_rest",
    "rest2": "model2_rest",
}


class ResultWriter:
    """Writes scored entries below a folder; refuses two results of one name."""

    def __init__(self, output_dir: Path) -> None:
        self.output_dir = Path(output_dir)
        self.names = ResultNames()

    def write(self, scored: ScoredEntry) -> Path:
        """Write one result file (temporary name, then rename); returns its path.

        Raises:
            InputError: the name is taken by another entry, or cannot be written.
        """
        path = self.output_dir / self.names.claim(scored.entry)
        scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(encode_result(scored))
            os.replace(scratch, path)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise InputError(f"{path} cannot be written ({error.strerror}); check it.") from error
        return path


def encode_result(scored: ScoredEntry) -> bytes:
    """The result file's bytes: strict JSON (no NaN or Infinity literals) on one line.

    Indented it would be three times as large, and most of it is lists of candidates.
    """
    return msgspec.json.encode(result_object(scored)) + b"\n"


def result_object(scored: ScoredEntry) -> Json:
    """The result file's object; see the format's description in the README.

    Where a budget asked at some positions only, the file and its responses carry an
    `estimate` (records.Estimate, `mean` as `mean_kl`), and a response's statistics.mean_kl and
    total_kl are the estimate and estimate × of; the other statistics are over what was asked.
    """
    entry = scored.entry
    return {
        "prompt": prompt_text(entry.prompt),
        "messages": [{"role": m.role, "content": m.content} for m in entry.prompt],
        "model1": scored.model1,
        "model2": scored.model2,
        "measure": next((r.measure for r in scored.responses if r.measure), None),
        "num_responses": len(scored.responses),
        "format_version": FORMAT_VERSION,
        "source_file": entry.file,
        "source_index": entry.index,
        "source_entries": entry.entries_in_file,
        **estimates.written(scored.estimate),
        "responses": [_response(response) for response in scored.responses],
    }


def statistics(kl: Floats) -> Json:
    """Mean, median, population standard deviation … of the scored positions, nats.

    Args:
        kl: [T], NaN where not scored. An infinite value makes the mean infinite.
    """
    scored = kl[~np.isnan(kl)]
    count = int(scored.size)
    keys = ("mean_kl", "median_kl", "std_kl", "min_kl", "max_kl", "total_kl")
    if count == 0:
        return {**dict.fromkeys(keys), "num_scored": 0}
    with np.errstate(invalid="ignore"):
        figures = (
            scored.mean(),
            np.median(scored),
            scored.std(ddof=0),
            scored.min(),
            scored.max(),
            scored.sum(),
        )
    shown = {key: number(float(v)) for key, v in zip(keys, figures, strict=True)}
    return {**shown, "num_scored": count}


def _response(scored: ScoredResponse) -> Json:
    response = scored.response
    columns = {
        key: [number(v) for v in getattr(scored.measures, field).tolist()]
        for field, key in MEASURE_KEYS.items()
    }
    result: Json = {
        "text": response.text,
        "num_tokens": len(response.positions),
        "kl_per_token": columns["kl_divergence"],
        "token_details": [
            _detail(scored, n, position, {key: values[n] for key, values in columns.items()})
            for n, position in enumerate(response.positions)
        ],
        "statistics": estimates.means(scored, statistics(scored.measures.headline)),
        "index": response.index,
        "measure": scored.measure,
        **estimates.written(scored.estimate),
    }
    for key in ("provider", "model", "finish_reason", "reasoning", "error"):
        result[key] = getattr(response, key)
    return result


def _detail(scored: ScoredResponse, n: int, position: Position, figures: Json) -> Json:
    dist2 = scored.dists2[n]
    span = scored.spans[n] if scored.spans else None
    detail: Json = {"position": n, **_token(position.token), **figures}
    detail["sampled_logprob"] = number(position.logprob)
    detail["censored"] = bool(scored.measures.censored[n])
    for key, ranks in (("rank1", scored.measures.rank1), ("rank2", scored.measures.rank2)):
        detail[key] = int(ranks[n]) if ranks[n] >= 0 else None
    detail["reason"] = scored.reasons[n]
    if position.reason is not None:
        detail["input_reason"] = position.reason
    if span is not None:
        detail["span"] = list(span)
    for side, dist in (("model1", position.dist), ("model2", dist2)):
        detail[f"{side}_top"] = None if dist is None else _candidates(dist, 0, dist.listed)
        if dist is not None and len(dist.tokens) > dist.listed:
            detail[f"{side}_known"] = _candidates(dist, dist.listed, len(dist.tokens))
    return detail


def _candidates(dist: TokenDist, start: int, end: int) -> list[Json]:
    return [
        {**_token(token), "logprob": number(logprob)}
        for token, logprob in zip(dist.tokens[start:end], dist.logprobs[start:end], strict=True)
    ]


def _token(token: Token) -> Json:
    """A token: display text, bytes, and what else is needed to read it back."""
    shown: Json = {
        "token": token.text,
        "token_id": token.id,
        "bytes": None if token.data is None else list(token.data),
    }
    if token.piece != token.text:
        shown["piece"] = token.piece
    if token.special:
        shown["special"] = True
    return shown
