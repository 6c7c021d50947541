"""What the Compare page draws of two runs' tokens: pure data, no widgets.

Differences are B − A. The browser side cannot read NaN or infinities, so values are
rounded numbers, null where not known, and the strings "inf" and "-inf".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from kl_core.records import LEFT_OUT
from kl_core.store.pair_figures import Figure
from kl_core.ui import figures, shared, visible
from kl_core.ui.pair_scale import Scale
from kl_core.ui.token_data import (
    BREAK,
    CENSORED,
    CONTINUES,
    NOT_ASKED,
    PARAGRAPH,
    SPECIAL,
    UNSCORED,
)

Value = float | str | None


def text(tokens: pa.Table, figure: Figure, scale: Scale, identity: str) -> dict[str, Any]:
    """The token view's `data` for one paired response, coloured by the difference.

    Args:
        tokens: pair_tokens.tokens_query of one pair.
        scale: what full colour stands for.
        identity: names what is shown, so that the browser keeps what it has drawn.
    """
    columns = tokens.to_pydict()
    joined = visible.join_characters(columns["token"], columns["data"])
    return {
        "id": identity,
        "text": ["" if one is None else visible.show(one) for one in joined],
        "label": [visible.plain(one) for one in columns["token"]],
        "flags": [_flag(columns, place, joined[place]) for place in range(len(joined))],
        "values": [number(value) for value in columns["difference"]],
        "kl": None,
        "lower": None,
        "logprob1": [number(value) for value in columns["logprob1"]],
        "logprob2": None,
        "reasons": _notes(columns, figure),
        "left_out": shared.words([*columns["reason_a"], *columns["reason_b"]]),
        "kl_sign": "",
        "signed": True,
        "sign": "",
        "measure": f"{short(figure)}, B − A,",
        "unit": "nats",
        "name": "difference",
        "look": f"difference/{scale.top:g}",
        "low": 0,
        "max": scale.top,
        "threshold": scale.top / 4,
        "log": False,
        "said": scale.said,
        "plus": "more in B",
        "minus": "more in A",
        "start": -1,
    }


def short(figure: Figure) -> str:
    """What the figure is at one token: medians and means of KL are of KL."""
    return figure.label if figure.mean and figure.name != "mean_kl" else "KL(1‖2)"


def _flag(columns: dict[str, list[Any]], place: int, text: str | None) -> int:
    flag = CENSORED if columns["censored_a"][place] or columns["censored_b"][place] else 0
    left_out = columns["reason_a"][place] in LEFT_OUT or columns["reason_b"][place] in LEFT_OUT
    if left_out:  # nothing is compared here, so nothing is only bounded either
        flag = 0
    if columns["difference"][place] is None:
        flag |= NOT_ASKED if left_out else UNSCORED
    flag |= SPECIAL if columns["special"][place] else 0
    if text is None:
        return flag | CONTINUES
    if text.endswith("\n") and not columns["special"][place]:
        flag |= BREAK | (PARAGRAPH if text.endswith("\n\n") else 0)
    return flag


def _notes(columns: dict[str, list[Any]], figure: Figure) -> dict[str, str]:
    """Position → both values in words, or why there is no difference."""
    return {str(place): _note(columns, place, figure) for place in range(len(columns["token"]))}


def _note(columns: dict[str, list[Any]], place: int, figure: Figure) -> str:
    if not (columns["in_a"][place] and columns["in_b"][place]):
        return f"only in {'A' if columns['in_a'][place] else 'B'}"
    if not columns["same"][place]:
        return f"B holds another token here: {visible.plain(columns['token_b'][place])}"
    said = [
        f"{side} {figures.nats(columns[f'value_{side.lower()}'][place])}" for side in ("A", "B")
    ]
    reasons = [
        f"\n{side}: {columns[f'reason_{side.lower()}'][place]}"
        for side in ("A", "B")
        if columns[f"reason_{side.lower()}"][place]
    ]
    return "  ".join(said) + "".join(reasons)


def heat_rows(tokens: pa.Table, slots: dict[int, int]) -> list[tuple[str, list[Value]]]:
    """(label, differences by position) of each paired response, in their slots.

    Args:
        tokens: pair_tokens.tokens_query of all pairs of a prompt.
        slots: pair → slot.
    """
    rows: dict[int, list[Value]] = {pair: [] for pair in slots}
    for pair, position, value in zip(
        *(tokens[name].to_pylist() for name in ("pair", "position", "difference")), strict=True
    ):
        row = rows[pair]
        row.extend([None] * (position - len(row)))
        row.append(number(value))
    return [(f"Response {slots[pair] + 1}", row) for pair, row in rows.items()]


def farthest(values: Sequence[Value]) -> int:
    """Place of the largest |value|, infinite ones first; 0 where none is known."""
    sizes = [-1.0 if v is None else math.inf if isinstance(v, str) else abs(v) for v in values]
    return max(range(len(sizes)), key=sizes.__getitem__) if sizes else 0


_TOKEN_FIGURES = (
    ("KL(1‖2)", "kl", 1),
    ("certified ≥", "kl_lower", 1),
    ("KL(2‖1)", "kl_reverse", 1),
    ("log-ratio", "log_ratio", 1),
    ("−ln P", "logprob1", -1),
    ("−ln Q", "logprob2", -1),
    ("entropy of Q", "entropy2", 1),
    ("rank in Q", "rank2", 0),
)


def token_figures(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, str]]:
    """Rows figure, unit, A, B, B − A of one token; what neither run has is left out."""
    rows = []
    for label, column, sign in _TOKEN_FIGURES:
        one, two = a[column], b[column]
        if one is None and two is None:
            continue
        if sign == 0:
            moved = two - one if None not in (one, two) else None
            texts = [figures.count(v) for v in (one, two)]
            said = "0" if moved == 0 else f"{moved or 0:+,}".replace("-", "−")
            texts.append(figures.MISSING if moved is None else said)
        else:
            first, second = (None if v is None else sign * v for v in (one, two))
            moved = None if first is None or second is None else second - first
            plus = "+" if moved is not None and moved > 0 else ""
            texts = [figures.narrow(first), figures.narrow(second), plus + figures.narrow(moved)]
        unit = "nats" if sign else ""
        heads = ("figure", "unit", "A", "B", "B − A")
        rows.append(dict(zip(heads, (label, unit, *texts), strict=True)))
    return rows


def candidates(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """Both runs' lists of model 2 on their union, beside model 1's of A, likeliest first.

    Rows `token`, `P` (as text), `Q in A`, `Q in B` (probabilities, None outside that list)
    and `ln B/A` (natural log, as text). Tokens are the same where their text and kind are.
    """
    rows: dict[tuple[str, bool, int], dict[str, float]] = {}
    for name, listed in (("P", a["top1"]), ("A", a["top2"]), ("B", b["top2"])):
        seen: dict[tuple[str, bool], int] = {}
        for one in listed or []:
            text = one["token"], one["special"]
            seen[text] = seen.get(text, -1) + 1
            rows.setdefault((*text, seen[text]), {})[name] = one["logprob"]
    ordered = sorted(rows.items(), key=lambda item: -max(item[1].values()))
    return [
        {
            "token": visible.plain(token, 40),
            "P": f"{math.exp(found['P']):.3f}" if "P" in found else figures.MISSING,
            "Q in A": _probability(found.get("A")),
            "Q in B": _probability(found.get("B")),
            "ln B/A": figures.signed(found["B"] - found["A"])
            if "A" in found and "B" in found
            else figures.MISSING,
        }
        for (token, _, _), found in ordered
    ]


def _probability(logprob: float | None) -> float | None:
    return None if logprob is None else math.exp(logprob)


def number(value: float | None) -> Value:
    """A value the browser can read."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.6g}")
