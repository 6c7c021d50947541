"""The panel's details: entropies, unseen mass and what would tighten the bound.

A fact is a label, a figure for each model and one line on what it means; `notes` are
sentences about both.
"""

from __future__ import annotations

import math
from typing import Any

from kl_core.ui import panel_terms
from kl_core.ui.figures import MISSING, at_least, at_most, counted, nats, percent, signed

Fact = dict[str, str]
NEARLY_ALL = 0.95  # of model 1, known under both models
LITTLE_LEFT = 0.1  # of what model 1 has there, for model 2


def build(token: dict[str, Any], measure: str | None) -> dict[str, Any]:
    """`facts` (label, one, two, help) and `notes` for one row of `tokens`."""
    notes = [_others(token, measure), _unseen(token, measure), _tighter(token, measure)]
    return {"facts": _facts(token, measure), "notes": [note for note in notes if note]}


def _facts(token: dict[str, Any], measure: str | None) -> list[Fact]:
    found = [*_of_the_token(token, measure), *_of_the_lists(token, measure == "full")]
    return [fact for fact in found if (fact["one"], fact["two"]) != (MISSING, MISSING)]


def _of_the_token(token: dict[str, Any], measure: str | None) -> list[Fact]:
    exact = measure == "full"
    return [
        _fact(
            "ln P" if measure is None else "ln P, ln Q",
            nats(token["logprob1"]),
            nats(token["logprob2"]),
            "of the sampled token, in nats",
        ),
        _fact(
            "rank of the token", _rank(token["rank1"]), _rank(token["rank2"]), "1 is the likeliest"
        ),
        _fact(
            "entropy of the list",
            MISSING if exact else nats(token["entropy1"]),
            MISSING if exact else nats(token["entropy2"]),
            "in nats, the list renormalised: 0 where the model is sure",
        ),
        _fact(
            "entropy, all tokens",
            nats(token["entropy1_full"]),
            nats(token["entropy2_full"]),
            "in nats, over the whole vocabulary",
        ),
    ]


def _of_the_lists(token: dict[str, Any], exact: bool) -> list[Fact]:
    sizes = [_listed(token[name]) for name in ("top1", "top2")]
    beside = [
        len(token[name] or []) - size for name, size in zip(("top1", "top2"), sizes, strict=True)
    ]
    outside = (
        "probability outside the list; it is part of the KL, only not stored"
        if exact
        else "probability of all tokens whose value is not known"
    )
    return [
        _fact("listed", _count(sizes[0]), _count(sizes[1]), "length of the stored list"),
        _fact(
            "known besides",
            _count(beside[0]),
            _count(beside[1]),
            "values outside the list: the sampled token, or what the model was asked for",
        ),
        _fact(
            "beyond the list" if exact else "unseen",
            _share(token["rest1"]),
            _share(token["rest2"]),
            outside,
        ),
        _fact(
            "most of one unseen",
            MISSING if exact else _cap(token, 1),
            MISSING if exact else _cap(token, 2),
            "no token without a known value has more: the list's smallest entry, what is "
            "unseen, or a candidate that the file does not identify",
        ),
    ]


def _fact(label: str, one: str, two: str, help_: str) -> Fact:
    return {"label": label, "one": one, "two": two, "help": help_}


def _others(token: dict[str, Any], measure: str | None) -> str:
    """The other figures of this position, in a line."""
    if measure is None or token["kl"] is None:
        return ""
    sign = "" if measure == "full" else "≈ "
    parts = [
        f"KL(2‖1) {sign}{nats(token['kl_reverse'])}",
        f"Jensen–Shannon {sign}{nats(token['js'])}",
        f"KL/(H1+H2) {nats(token['normalized'])}",
    ]
    if measure != "full":
        parts.append(f"tail bucket ≥ {at_least(token['kl_tail'])}")
    if token["kl_rank"] is not None:
        parts.append(f"rank metric {signed(token['kl_rank'])} (ignores which token is which)")
    return f"Also here, in nats: {', '.join(parts)}."


def _unseen(token: dict[str, Any], measure: str | None) -> str:
    """What the mass outside both lists means for the bound."""
    if measure != "floor" or not _bounded(token):
        return ""
    said = (
        f"Unseen: {_share(token['rest1'])} of model 1 and {_share(token['rest2'])} of model 2 "
        "lie on tokens with no known value."
    )
    unnamed = [
        sum(math.exp(one["logprob"]) for one in token[name] if panel_terms.unnamed(one))
        for name in ("top1", "top2")
    ]
    if any(unnamed):
        said += (
            f" Another {_share(unnamed[0])} and {_share(unnamed[1])} lie on candidates that the "
            "file does not identify."
        )
    if panel_terms.known(token).whole:
        return (
            f"{said} To within rounding, all of model 1's probability lies on tokens known under "
            "both models, so the certified bound is the KL itself."
        )
    return (
        f"{said} The certified bound takes the split of both that makes the KL smallest, so the "
        "true KL is never below it; nothing in the lists limits it from above."
    )


def _bounded(token: dict[str, Any]) -> bool:
    return token["kl_lower"] is not None and bool(token["top1"]) and bool(token["top2"])


def _tighter(token: dict[str, Any], measure: str | None) -> str:
    """What to ask for, so that the bound comes closer to the KL."""
    if measure != "floor" or not _bounded(token):
        return ""
    best = panel_terms.lever(token)
    if best is None:
        return _tight(panel_terms.known(token))
    were = "were its answer a tenth of the most it can be, the bound would be"
    would = f"{were} ≥ {at_least(best.bound)}"
    if best.where == "ask2":
        return (
            f"To tighten it: ask model 2 for the {counted(best.count, 'candidate')} of model 1 "
            f"it does not list ({_share(best.mass)} of model 1's probability), or for a longer "
            f"list; {would}."
        )
    if best.where == "ask1":
        return (
            f"To tighten it: ask model 1 for the {counted(best.count, 'candidate')} of model 2 "
            f"it does not list ({_share(best.mass)} of model 2's probability); {would}."
        )
    return (
        f"To tighten it: a longer list from model 1 ({_share(best.mass)} of its probability is "
        f"unseen) and model 2 asked for it; were half of that found and model 2's value a tenth "
        "of model 1's (or half of all it has unseen, if that is less), the bound would be "
        f"≥ {at_least(best.bound)}."
    )


def _tight(known: panel_terms.Known) -> str:
    """Why nothing that could be asked for raises the bound much."""
    if known.whole:
        return ""
    if known.shared >= NEARLY_ALL:
        return (
            f"Little would tighten the bound here: nearly all ({percent(known.shared)}) of model "
            "1's probability is known under both models."
        )
    if known.left <= LITTLE_LEFT * known.outside:
        return (
            "Little would tighten the bound here: it already counts that model 2 has almost "
            f"nothing left, ≤ {at_most(known.left)}, for the ≥ {at_least(known.outside)} of model "
            "1's probability that lies on tokens it does not identify."
        )
    return (
        "No single step would raise the bound by much (2 %, or 0.02 nats), were its answer a "
        "tenth of the most it can be: neither asking a model for the other's candidates nor a "
        "longer list of model 1."
    )


def _listed(top: list[dict[str, Any]] | None) -> int:
    return sum(bool(one["listed"]) for one in top or [])


def _count(size: int) -> str:
    return str(size) if size else MISSING


def _cap(token: dict[str, Any], side: int) -> str:
    most = panel_terms.most(token[f"top{side}"])
    return MISSING if most is None else at_most(math.exp(most))


def _rank(rank: int | None) -> str:
    return str(rank) if rank and rank > 0 else MISSING


def _share(value: float | None) -> str:
    """A probability as the panel prints it."""
    return nats(value if value is None else max(value, 0.0))
