"""Whether a server still answers as it did: one question asked twice."""

from __future__ import annotations

import math

from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.scored_text import unpacked

NOISE = 0.2
"""Nats; bfloat16 and kernels that sum in another order move log-probabilities by up to a tenth."""


def change(before: Answer, now: Answer) -> str | None:
    """What speaks for another model behind the same name, None where nothing does.

    Whole responses are told by the mean difference of their tokens' log-probabilities in nats,
    single lists by the total variation between them.
    """
    if before.model and now.model and before.model != now.model:
        return f"{now.model} answers where {before.model} did"
    if before.error is not None or now.error is not None:
        return None
    if before.body:
        gap = _mean_gap(before.body, now.body)
        if gap > NOISE:
            return f"its log-probabilities of one response differ by {gap:.2g} nats on average"
        return None
    gap = _total_variation(before.top, now.top)
    return f"its lists at one position differ by {100 * gap:.0f} %" if gap > NOISE else None


def _mean_gap(before: bytes, now: bytes) -> float:
    pairs = zip(unpacked(before).tokens, unpacked(now).tokens, strict=False)
    gaps = [abs(one.logprob - other.logprob) for one, other in pairs]
    known = [gap for gap in gaps if not math.isnan(gap)]
    return sum(known) / len(known) if known else 0.0


def _total_variation(before: tuple[Candidate, ...], now: tuple[Candidate, ...]) -> float:
    """Over the tokens that both lists name; what only one names lies below its end."""
    first = {(each.id, each.token): math.exp(each.logprob) for each in before}
    second = {(each.id, each.token): math.exp(each.logprob) for each in now}
    floor1, floor2 = min(first.values(), default=0.0), min(second.values(), default=0.0)
    gaps = [abs(first.get(k, floor1) - second.get(k, floor2)) for k in first.keys() | second.keys()]
    return sum(gaps) / 2
