"""The object of the `tokens` command: high-scoring tokens with the text before them.

One place for what is made of result files (jobs/tokens) and of a run (store/token_export).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kl_core.errors import InputError
from kl_core.formats.numbers import number
from kl_core.records import Prompt, prompt_text

ScoreType = Literal["kl", "normalized"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Which tokens to keep.

    Attributes:
        least, most: bounds of the score, both included; None for no bound. Without a least,
            tokens that rounding put a hair below zero belong to them too.
        score: `kl` in nats, or `normalized`, KL/(H1+H2), given only above `min_kl` nats.
    """

    least: float | None
    most: float | None
    score: ScoreType
    min_kl: float

    def check(self) -> None:
        """Refuse bounds that are no numbers.

        Raises:
            InputError: naming the bound.
        """
        for bound in (self.least, self.most, self.min_kl):
            if bound is not None and not math.isfinite(bound):
                raise InputError(f"a threshold of {bound} means nothing; give a finite number")


def tokens_object(bounds: Bounds, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole object: highest score first, infinities "inf", what is not known null.

    Args:
        entries: rows with the keys of an entry of the object, figures as floats (NaN: unknown).
    """
    ranked = sorted(
        entries, key=lambda row: (-row["score"], row["source_file"], row["response_idx"])
    )
    figures = ("score", "kl_divergence", "entropy1", "entropy2")
    return {
        "score_type": bounds.score,
        "min_threshold": bounds.least,
        "max_threshold": bounds.most,
        "num_entries": len(ranked),
        "entries": [row | {name: number(row[name]) for name in figures} for row in ranked],
    }


def prompt_keys(prompt: Prompt) -> dict[str, Any]:
    """The prompt of an entry: one string, and its turns where that does not tell them."""
    shown: dict[str, Any] = {"prompt": prompt_text(prompt)}
    if len(prompt) == 1 and prompt[0].role == "user":
        return shown
    return shown | {"messages": [{"role": m.role, "content": m.content} for m in prompt]}


def prefix_text(texts: Sequence[str], data: Sequence[bytes | None]) -> str:
    """The text of tokens joined by their bytes; special tokens add nothing.

    A token of unknown bytes adds its display text.
    """
    joined = b"".join(
        known if known is not None else text.encode("utf-8", "replace")
        for text, known in zip(texts, data, strict=True)
    )
    return joined.decode("utf-8", errors="replace")
