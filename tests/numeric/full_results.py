"""The shipped results of a full run as arrays: what a budget would have drawn from."""

from __future__ import annotations

import gzip
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

SAMPLE = Path(__file__).parents[2] / "sample_data" / "results"


@dataclass(frozen=True)
class FullResponse:
    kl: np.ndarray
    entropy1: np.ndarray
    surprisal1: np.ndarray
    tokens: tuple[str, ...]


@cache
def full_results() -> list[list[FullResponse]]:
    """Scored responses of each prompt of sample_data/results, in the order of the files."""
    paths = sorted(SAMPLE.glob("*_kl.json.gz"))
    return [
        [each for each in map(_response, _read(path)["responses"]) if len(each.kl)]
        for path in paths
    ]


def _read(path: Path) -> dict:
    return json.loads(gzip.decompress(path.read_bytes()))


def _response(raw: dict) -> FullResponse:
    rows = [row for row in raw.get("token_details") or [] if row["kl_divergence"] is not None]

    def column(key: str) -> np.ndarray:
        return np.array([math.nan if row[key] is None else row[key] for row in rows], dtype=float)

    return FullResponse(
        column("kl_divergence"),
        column("entropy1"),
        -column("model1_chosen_logprob"),
        tuple(row["token"] for row in rows),
    )
