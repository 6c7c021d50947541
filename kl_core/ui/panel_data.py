"""What the token panel shows of one position: pure data, no widgets.

Both models' lists are aligned on their union: candidates with equal keys are the same
token. A candidate missing from a list is bounded by what panel_terms.most says of that
list; one of unknown identity may be any token of the other side, so nothing is said there.
The browser side cannot read infinities, so what it gets are texts and bar lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from typing import Any

from kl_core.ui import explain_kinds, figures, panel_terms, visible
from kl_core.ui.panel_terms import Terms


def build(
    token: dict[str, Any], model1: str | None, model2: str | None, measure: str | None = None
) -> dict[str, Any]:
    """The panel's `data` for one row of the store's `tokens`.

    Args:
        token: the row with `top1` and `top2` as lists of candidate dicts.
        model1, model2: names; model2 is None for raw responses.
        measure: the run's; under "full" nothing is unseen, only left out of the lists.
    """
    second, full = bool(token["top2"]) or measure is not None or bool(model2), measure == "full"
    top1, top2 = token["top1"] or [], token["top2"] or []
    rows = align(top1, top2)
    sampled = next((row for row in rows if _is_sampled(row, token)), None)
    if sampled is not None:
        sampled["sampled"] = True
        for side in (1, 2):  # a source may tell the rank among all tokens
            sampled.setdefault(f"rank{side}", _rank(token[f"rank{side}"]))
    terms = panel_terms.terms(token, measure)
    return {
        "position": token["position"],
        "token": visible.plain(token["token"]),
        "model1": figures.model_name(model1) or "unnamed",
        "name1": model1 or "",
        "name2": model2 or "",
        "model2": (figures.model_name(model2) or "unnamed") if second else None,
        "second": bool(top2),  # whether model 2 said anything here
        "besides": "" if full else "known besides the list",
        "outside": "beyond" if full else "unseen",
        "rows": [_public(row, terms, token["kl"], full) for row in rows],
        "rest1": _rest(token["rest1"], top1),
        "rest2": _rest(token["rest2"], top2),
        "sum": _sum(token["kl"], terms, full),
        "adds": "adds to KL" if full else "adds to ≈ KL",
    }


def align(
    top1: list[dict[str, Any]],
    top2: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """One dict a token of the union, the likeliest under either model first.

    `lp1`, `lp2` are log-probabilities, None outside that list; `cap1`, `cap2` are then
    the most they can be (natural log), None where nothing bounds them. `rank1`, `rank2`
    are places in the lists, from 1, `size1`, `size2` the lengths of these, and `from1`,
    `from2` the best place a token missing from them can have. A candidate of unknown
    identity is marked `unnamed`; it has no cap and no place on the other side.
    """
    rows: dict[Any, dict[str, Any]] = {}
    sizes = [sum(bool(one["listed"]) for one in top) for top in (top1, top2)]
    for side, candidates in ((1, top1), (2, top2)):
        for place, candidate in enumerate(candidates, 1):
            unnamed = panel_terms.unnamed(candidate)
            same = (side, place) if unnamed else candidate["key"]
            row = rows.setdefault(same, {"candidate": candidate, "unnamed": unnamed})
            row[f"lp{side}"] = candidate["logprob"]
            row[f"listed{side}"] = candidate["listed"]
            if candidate["listed"]:
                row[f"rank{side}"] = place
    for side, candidates, size in ((1, top1, sizes[0]), (2, top2, sizes[1])):
        cap, place = panel_terms.most(candidates), _best_place(candidates, size)
        for row in rows.values():
            row[f"size{side}"], row[f"from{side}"] = size, place
            if candidates and f"lp{side}" not in row and not row["unnamed"]:
                row[f"cap{side}"] = cap
    return sorted(rows.values(), key=_likeliest, reverse=True)


def _likeliest(row: dict[str, Any]) -> float:
    return max(float(row.get(side, -math.inf)) for side in ("lp1", "lp2"))


def _best_place(candidates: list[dict[str, Any]], size: int) -> int:
    """The best rank of a token that a list does not identify: it may be an unnamed one."""
    places = (n for n, one in enumerate(candidates, 1) if one["listed"])
    return next((n for n in places if panel_terms.unnamed(candidates[n - 1])), size + 1)


def _is_sampled(row: dict[str, Any], token: dict[str, Any]) -> bool:
    candidate = row["candidate"]
    if token["token_id"] is not None and candidate["token_id"] is not None and "lp1" in row:
        return bool(candidate["token_id"] == token["token_id"])
    if candidate["token"] != token["token"] or candidate["special"] != token["special"]:
        return False
    known = token["logprob1"]
    return known is None or "lp1" not in row or math.isclose(row["lp1"], known, abs_tol=1e-6)


def _public(row: dict[str, Any], terms: Terms, kl: float | None, full: bool) -> dict[str, Any]:
    candidate = row["candidate"]
    shown = {
        "token": visible.plain(candidate["token"], 40),
        "kind": explain_kinds.kind(candidate["token"], candidate["special"]),
        "id": candidate["token_id"],
        "sampled": row.get("sampled", False),
        "side1": _side(row, 1),
        "side2": _side(row, 2),
        "delta": _delta(row),
        "term": _term(candidate["key"], terms),
    }
    return shown | {"says": _says(row, shown, terms.of.get(candidate["key"]), kl, full)}


def _side(row: dict[str, Any], side: int) -> dict[str, Any]:
    """One model's view: probability `p`, and its texts as a share, a logarithm, a rank."""
    rank = _rank_text(row, side)
    if f"lp{side}" in row:
        lp = row[f"lp{side}"]
        p, beside = math.exp(lp), not row[f"listed{side}"]
        texts = {"text": _probability(p), "log": figures.nats(lp), "rank": rank}
        return {"p": p, "bounded": False, "beside": beside, **texts}
    cap = row.get(f"cap{side}")
    if cap is None:
        texts = dict.fromkeys(("text", "log"), "") | {"rank": rank}
        return {"p": None, "bounded": f"cap{side}" in row, "beside": False, **texts}
    p = math.exp(cap)
    log = f"≤ {figures.at_most(cap)}"
    texts = {"text": f"≤ {_probability(p, up=True)}", "log": log, "rank": rank}
    return {"p": p, "bounded": True, "beside": False, **texts}


def _rank_text(row: dict[str, Any], side: int) -> str:
    rank, size, best = row.get(f"rank{side}"), row[f"size{side}"], row[f"from{side}"]
    if rank:
        return str(rank)
    if not size or (row["unnamed"] and f"lp{side}" not in row):
        return ""
    return f"> {size}" if best > size else f"≥ {best}"


def _delta(row: dict[str, Any]) -> str:
    """Ln P − ln Q; one-sided where one of them is only bounded."""
    lp1, lp2 = row.get("lp1"), row.get("lp2")
    if lp1 is not None and lp2 is not None:
        return figures.signed(lp1 - lp2)
    if lp1 is not None and row.get("cap2") is not None:
        return f"≥ {figures.signed(figures.down(lp1 - row['cap2']))}"
    if lp2 is not None and row.get("cap1") is not None:
        return f"≤ {figures.signed(figures.up(row['cap1'] - lp2))}"
    return ""


def _term(key: int, terms: Terms) -> dict[str, Any] | None:
    """What the candidate adds to the KL: its text, its bar from −1 to 1, how sure it is."""
    value = terms.of.get(key)
    if value is None:
        return None
    finite = [abs(v) for v in (*terms.of.values(), terms.others or 0.0) if math.isfinite(v)]
    longest = max(finite, default=0.0)
    bar = math.copysign(1.0, value) if math.isinf(value) else value / longest if longest else 0.0
    return {"text": _short(value), "bar": round(bar, 4), "assumed": key in terms.assumed}


def _short(value: float) -> str:
    """A signed figure of at most seven characters, for a narrow column."""
    size = abs(value)
    if size == 0 or size >= 0.1:
        return figures.signed(value)
    text = f"{value:+.3f}" if size >= 0.001 else f"{value:+.0e}".replace("e-0", "e-")
    return text.replace("-", "−")


def _sum(kl: float | None, terms: Terms, full: bool) -> dict[str, str] | None:
    """What the terms shown add up to."""
    if kl is None or not terms.of:
        return None
    if not full:
        return {
            "text": f"= {figures.nats(kl)}",
            "says": "The parts add up to the estimate, ≈ "
            f"{figures.nats(kl)} nats. Hatched: the smallest entry of a list stands in.",
        }
    others = figures.signed(terms.others)
    return {
        "text": f"= {figures.nats(kl)}",
        "says": f"The parts shown and {others} of all other tokens add up to the KL, "
        f"{figures.nats(kl)} nats.",
    }


def _says(
    row: dict[str, Any], shown: dict[str, Any], term: float | None, kl: float | None, full: bool
) -> str:
    """All of a row's figures in one line, for the keyboard and for screen readers."""
    sides = [_said_of(row, shown, 1), _said_of(row, shown, 2) if row["size2"] else ""]
    parts = [f"{shown['token']}: " + "; ".join(said for said in sides if said)]
    if row["unnamed"] and row["size1"] and row["size2"]:
        parts.append(f"not identified, so it may be any token for model {2 if 'lp1' in row else 1}")
    if shown["delta"]:
        parts.append(f"ln P − ln Q {shown['delta']}")
    if term is not None:
        guess = " (the smallest entry of a list stands in)" if shown["term"]["assumed"] else ""
        sign = "" if full else "≈ "
        parts.append(f"adds {figures.signed(term)} to KL {sign}{figures.nats(kl)}{guess}")
    certain = panel_terms.interval(row)
    if certain is not None and not full and row["size2"]:
        parts.append(_said_certain(certain))
    return "; ".join(part for part in parts if part) + "."


def _said_of(row: dict[str, Any], shown: dict[str, Any], side: int) -> str:
    view, size, rank = shown[f"side{side}"], row[f"size{side}"], row.get(f"rank{side}")
    if not view["text"]:
        return ""
    logarithm = f"ln {view['log']}"
    if rank:
        of = f" of {size}" if rank <= size else ""
        return f"{view['text']} ({logarithm}), {figures.ordinal(rank)}{of} for model {side}"
    where = "not identified among" if row[f"from{side}"] <= size else "outside"
    what = "known besides the list" if view["beside"] else f"{where} the {size} listed"
    return f"{view['text']} ({logarithm}) for model {side}, {what}"


def _said_certain(certain: tuple[float, float | None]) -> str:
    least, most = certain
    if most is None:
        return f"its own p·ln(p/q) is ≥ {figures.signed(figures.down(least))}"
    if least == most:
        return f"its own p·ln(p/q) is {figures.signed(least)}"
    low, high = figures.signed(figures.down(least)), figures.signed(figures.up(most))
    return f"its own p·ln(p/q) lies in {low} … {high}"


def _rank(rank: int | None) -> int | None:
    return rank if rank and rank > 0 else None


def _rest(rest: float | None, top: Iterable[Any]) -> str:
    return _probability(max(rest, 0.0)) if rest is not None and top else ""


def _probability(p: float, up: bool = False) -> str:
    """Three decimals, or one digit of a small one; `up` for a figure that stands after ≤."""
    if p == 0:
        return "0"
    if up:
        p = figures.rounded(p, Decimal(1).scaleb(min(-3, Decimal(p).adjusted())), ROUND_CEILING)
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}".replace("e-0", "e-").replace("-", "−")
