"""Sentences beside the token panel: what the figures of one position mean.

A sentence is a list of (text, strong) pieces; pieces may hold text of the input, so
they are only ever shown as text.
"""

from __future__ import annotations

from typing import Any

from kl_core.records import NOT_ASKED
from kl_core.ui import explain_kinds, panel_terms, shared
from kl_core.ui.estimates import NOT_DRAWN
from kl_core.ui.explain_kinds import Around
from kl_core.ui.figures import at_least, down, nats, nearest, ordinal

_SHORT_LIST, _RUNAWAY = 5, 5
Sentence = list[tuple[str, bool]]


def sentences(
    token: dict[str, Any], measure: str | None, around: Around = (), not_asked: str = NOT_DRAWN
) -> list[Sentence]:
    """What to say about a row of `tokens`, the headline first.

    Args:
        measure: the run's, None for raw data.
        around: neighbouring tokens (store.token_tables.around_query), for bytes and spans.
        not_asked: why model 2 was not asked, where it was not (estimates.why_not_asked).
    """
    kind = explain_kinds.sentence(token, around)
    kinds: list[Sentence] = [[(kind, False)]] if kind else []
    if measure is None:
        return [*_raw(token), *kinds]
    out = [_headline(token, measure, around, not_asked), *kinds, _sampled(token, measure)]
    out += _meaning(token, measure)
    return [sentence for sentence in out if sentence]


def _headline(token: dict[str, Any], measure: str, around: Around, not_asked: str) -> Sentence:
    kl, lower = token["kl"], token["kl_lower"]
    if kl is None and token["span_start"] is not None:
        return [
            ("No KL here, an alignment span: ", True),
            (explain_kinds.span(token, around), False),
        ]
    if kl is None and token["reason"] == NOT_ASKED:
        return [("Model 2 was not asked here: ", True), (not_asked, False)]
    if kl is None and (said := shared.why(token["reason"])):
        return said
    if kl is None:
        reason = token["reason"] or "the two sides could not be aligned here"
        bound = f" Certainly it is ≥ {at_least(lower)} nats." if lower is not None else ""
        return [("No KL at this position: ", True), (f"{reason}.{bound}", False)]
    if measure == "full":
        return [("KL here is exactly ", False), (nats(kl), True), (" nats.", False)]
    if lower is None:
        return [("The floor estimate here is ", False), (f"≈ {nats(kl)}", True), (" nats.", False)]
    return [
        ("KL here is certainly ", False),
        (f"≥ {at_least(lower)}", True),
        (" nats, whatever the unseen tokens are; the floor estimate is ", False),
        (f"≈ {nats(kl)}", True),
        (".", False),
    ]


def _meaning(token: dict[str, Any], measure: str) -> list[Sentence]:
    if token["kl"] is None:
        return []
    if measure == "full":
        text = (
            "Both whole vocabularies were compared; nothing is estimated. "
            f"The other way round, KL(2‖1) is {nats(token['kl_reverse'])}."
        )
        return [[(text, False)]]
    certified = (
        "≥ is certified: no full distributions that agree with the lists have less. ≈ fills a "
        "list's gaps with its smallest probability, and certifies nothing."
    )
    if runs_low(token["kl"], token["kl_lower"]):
        certified += " Here ≈ lies below the bound: trust the bound."
    return [[(certified + _doubt(token), False)]]


def _doubt(token: dict[str, Any]) -> str:
    """A warning where a short list lets the floor estimate run away from the bound."""
    kl, lower = token["kl"], token["kl_lower"]
    sizes = [sum(c["listed"] for c in token[side] or []) for side in ("top1", "top2")]
    if lower is None or min(sizes) >= _SHORT_LIST or kl < _RUNAWAY * lower + 0.1:
        return ""
    return (
        f" The lists have {sizes[0]} and {sizes[1]} entries: with so short a list the "
        "estimate can be far too high."
    )


def runs_low(estimate: float | None, bound: float | None) -> bool:
    """Whether the estimate lies below the certified bound, as both are printed."""
    shown, least = nearest(estimate), down(bound)
    return shown is not None and least is not None and shown < least


def _sampled(token: dict[str, Any], measure: str) -> Sentence:
    one, two = _ranked(token, 1, measure), _ranked(token, 2, measure)
    if token["censored"] and measure != "full":
        outside = "not identified in" if _unnamed(token, 2) else "outside"
        return [
            (f"The sampled token is {one} and ", False),
            (f"{outside} model 2's", True),
            (": its ln Q is only bounded from above.", False),
        ]
    if token["rank2"] and token["rank2"] > 0:
        return [(f"The sampled token is {one} and {two}.", False)]
    if token["logprob2"] is None:
        return [(f"The sampled token is {one}.", False)]
    return [(f"The sampled token is {one}; model 2 gave ln Q = {nats(token['logprob2'])}.", False)]


def _ranked(token: dict[str, Any], side: int, measure: str) -> str:
    """The sampled token's rank: in a list where it is listed, else among all tokens."""
    rank, listed = token[f"rank{side}"], sum(c["listed"] for c in token[f"top{side}"] or [])
    if not rank or rank < 1:
        return f"not {'identified ' if _unnamed(token, side) else ''}in model {side}'s list"
    if measure == "full" or rank > listed:
        return f"{ordinal(rank)} under model {side}"
    return f"{ordinal(rank)} in model {side}'s list"


def _unnamed(token: dict[str, Any], side: int) -> bool:
    """Whether a list holds candidates that may be any token."""
    return any(panel_terms.unnamed(one) for one in token[f"top{side}"] or [])


def _raw(token: dict[str, Any]) -> list[Sentence]:
    if token["logprob1"] is None:
        reason = token["reason"] or "the file gives none"
        return [[("No log-probability here: ", True), (f"{reason}.", False)]]
    surprisal: Sentence = [
        ("Model 1's surprisal here is ", False),
        (nats(-token["logprob1"]), True),
        (" nats (−ln P of the sampled token).", False),
    ]
    entropy: Sentence = [
        (f"Entropy of its list is {nats(token['entropy1'])} nats, after renormalising.", False)
    ]
    more: Sentence = [("Score these responses with a second model to see a divergence.", False)]
    shown = [entropy] if token["entropy1"] is not None else []
    return [surprisal, *shown, more]
