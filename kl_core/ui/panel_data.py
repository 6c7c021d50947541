"""What the token panel shows of one position: pure data, no widgets.

Both models' lists are aligned on their union: candidates with equal keys are the same
token. A candidate missing from a list is bounded by that list's smallest probability.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from kl_core.ui import figures, visible

_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


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
    rows = align(top1, top2, _caps(token, top1, 1), _caps(token, top2, 2))
    sampled = next((row for row in rows if _is_sampled(row, token)), None)
    if sampled is not None:
        sampled["sampled"] = True
    return {
        "position": token["position"],
        "token": visible.plain(token["token"]),
        "model1": figures.model_name(model1) or "unnamed",
        "name1": model1 or "",
        "name2": model2 or "",
        "model2": (figures.model_name(model2) or "unnamed") if second else None,
        "besides": "" if full else "known besides the list",
        "outside": "beyond these" if full else "unseen",
        "rows": [_public(row) for row in rows],
        "rest1": _rest(token["rest1"], top1),
        "rest2": _rest(token["rest2"], top2),
    }


def align(
    top1: list[dict[str, Any]],
    top2: list[dict[str, Any]],
    cap1: float | None,
    cap2: float | None,
) -> list[dict[str, Any]]:
    """One dict a token of the union, the likeliest under either model first.

    `lp1`, `lp2` are log-probabilities, None outside that list; `cap1`, `cap2` are then
    the most they can be (natural log), None where nothing bounds them.
    """
    rows: dict[Any, dict[str, Any]] = {}
    for side, candidates in ((1, top1), (2, top2)):
        for candidate in candidates:
            row = rows.setdefault(candidate["key"], {"candidate": candidate})
            row[f"lp{side}"] = candidate["logprob"]
            row[f"listed{side}"] = candidate["listed"]
    for row in rows.values():
        for side, candidates, cap in ((1, top1, cap1), (2, top2, cap2)):
            if candidates and f"lp{side}" not in row:
                row[f"cap{side}"] = cap
    return sorted(rows.values(), key=_likeliest, reverse=True)


def _likeliest(row: dict[str, Any]) -> float:
    return max(float(row.get(side, -math.inf)) for side in ("lp1", "lp2"))


def _caps(token: dict[str, Any], top: list[dict[str, Any]], side: int) -> float | None:
    """The most an unlisted token can have: the k-th value, and never more than the rest."""
    listed = [candidate["logprob"] for candidate in top if candidate["listed"]]
    rest = token[f"rest{side}"]
    bounds = [min(listed)] if listed else []
    if rest is not None and rest > 0:  # rounding can leave a list with all of the mass
        bounds.append(math.log(rest))
    return min(bounds, default=None)


def _is_sampled(row: dict[str, Any], token: dict[str, Any]) -> bool:
    candidate = row["candidate"]
    if token["token_id"] is not None and candidate["token_id"] is not None and "lp1" in row:
        return bool(candidate["token_id"] == token["token_id"])
    if candidate["token"] != token["token"] or candidate["special"] != token["special"]:
        return False
    known = token["logprob1"]
    return known is None or "lp1" not in row or math.isclose(row["lp1"], known, abs_tol=1e-6)


def _public(row: dict[str, Any]) -> dict[str, Any]:
    candidate = row["candidate"]
    text = candidate["token"]
    kind = "special" if candidate["special"] else "byte" if _BYTE.fullmatch(text) else ""
    return {
        "token": visible.plain(text, 40),
        "kind": kind,
        "id": candidate["token_id"],
        "sampled": row.get("sampled", False),
        "side1": _side(row, 1),
        "side2": _side(row, 2),
        "delta": _delta(row),
        "share": _share(row),
    }


def _side(row: dict[str, Any], side: int) -> dict[str, Any]:
    if f"lp{side}" in row:
        p = math.exp(row[f"lp{side}"])
        beside = not row[f"listed{side}"]
        return {"p": p, "text": _probability(p), "bounded": False, "beside": beside}
    cap = row.get(f"cap{side}")
    if cap is None:
        return {"p": None, "text": "", "bounded": f"cap{side}" in row, "beside": False}
    p = math.exp(cap)
    return {"p": p, "text": f"≤ {_probability(p)}", "bounded": True, "beside": False}


def _delta(row: dict[str, Any]) -> str:
    """Ln P − ln Q; one-sided where one of them is only bounded."""
    lp1, lp2 = row.get("lp1"), row.get("lp2")
    if lp1 is not None and lp2 is not None:
        return figures.signed(lp1 - lp2)
    if lp1 is not None and row.get("cap2") is not None:
        return f"≥ {figures.signed(lp1 - row['cap2'])}"
    if lp2 is not None and row.get("cap1") is not None:
        return f"≤ {figures.signed(row['cap1'] - lp2)}"
    return ""


def _share(row: dict[str, Any]) -> str:
    """What the token adds to the KL, where both sides are known."""
    lp1, lp2 = row.get("lp1"), row.get("lp2")
    if lp1 is None or lp2 is None:
        return ""
    return f"adds p·ln(p/q) = {figures.signed(math.exp(lp1) * (lp1 - lp2))} nats to KL(1‖2)"


def _rest(rest: float | None, top: Iterable[Any]) -> str:
    return _probability(max(rest, 0.0)) if rest is not None and top else ""


def _probability(p: float) -> str:
    return "0" if p == 0 else f"{p:.3f}" if p >= 0.001 else f"{p:.0e}".replace("e-0", "e−")
