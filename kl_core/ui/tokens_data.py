"""What the list of tokens shows, from rows of the store: pure data, no widgets.

A list is `columns` (name, help, kind, width, from which width on they are shown) and
`rows` of ready-made texts by column; the browser side only draws. Text of the input is
made visible (visible.py) and only ever drawn as text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kl_core.store.token_tables import HIGH_NATS, Score
from kl_core.ui import figures, visible
from kl_core.ui.colour_scale import Scale
from kl_core.ui.estimates import ASKED_ONLY
from kl_core.ui.explain import runs_low

BEFORE_CHARS, TOKEN_CHARS, AFTER_CHARS = 110, 48, 70
Column = dict[str, Any]
Row = dict[str, Any]
LABELS: dict[Score, str] = {
    "kl": "KL(1‖2)",
    "normalized": "KL/(H1+H2)",
    "surprisal1": "surprisal",
}
_BOUND = "At least this much, whatever the unseen tokens are, in nats."
LOW = "The estimate runs low here: it lies below the certified bound. Trust the bound."
_HELP: dict[Score, str] = {
    "kl": "Divergence of model 2 from model 1 at this token, in nats.",
    "normalized": "KL divided by the sum of both entropies: large where both models are sure.",
    "surprisal1": "−ln P of the sampled token under model 1, in nats.",
}
GROUP_HELP = {
    "total": "Sum over all its occurrences, in nats.",
    "share": "Part of the run's total that this token holds.",
    "mean": "Mean over its occurrences, in nats.",
    "median": "Half of its occurrences have less, in nats.",
    "max": "Its highest occurrence, in nats.",
    "occurrences": "Scored occurrences in the run.",
    "responses": "Responses it occurs in.",
    "prompts": "Prompts it occurs in.",
    "high": f"Occurrences of {HIGH_NATS:g} nat or more.",
    "mean_log_ratio": "Mean of ln P − ln Q where it was sampled: negative where model 2 likes it "
    "more, in nats.",
}


def _column(name: str, head: str, help_: str, width: str = "68px", **more: Any) -> Column:
    return {"name": name, "head": head, "help": help_, "width": width, "kind": "num"} | more


def columns(score: Score, measure: str | None) -> list[Column]:
    """The columns of single tokens; `hide` 1 leaves one out when narrow, 2 even earlier."""
    exact = measure == "full"
    sign = "" if exact or score != "kl" else "≈ "
    shown = [_column("score", sign + LABELS[score], _HELP[score], "86px")]
    if score == "normalized":
        shown.append(_column("kl", "KL(1‖2)" if exact else "≈ KL(1‖2)", _HELP["kl"], "78px"))
    if score != "surprisal1" and not exact:
        shown.append(_column("bound", "≥ certified", _BOUND, "82px", hide=1))
    place = "Click to open it in its response."
    return [
        *shown,
        _column("context", "in its context", place, "minmax(0, 1fr)", kind="context"),
        _column("prompt", "prompt", "", "minmax(0, 200px)", kind="text", hide=2),
        _column("response", "resp.", "Number of the response to the prompt.", "46px", hide=1),
        _column("position", "pos.", "Position in the response, from 0.", "56px", hide=1),
        _column("provider", "provider", "", "96px", kind="text", hide=3),
    ]


def with_model(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """The columns, with the model's where the run's responses come from several models."""
    if not any(row["cells"].get("model") for row in rows):
        return list(columns)
    help_ = "The model that wrote the response."
    model = _column("model", "model", help_, "minmax(0, 120px)", kind="text", hide=1)
    at = next((n for n, each in enumerate(columns) if each["name"] == "prompt"), len(columns))
    return [*columns[:at], model, *columns[at:]]


def _model(row: dict[str, Any]) -> str:
    """Who wrote the response, where the run's come from several models."""
    if (row.get("models") or 0) < 2:
        return ""
    return visible.plain(figures.shortened(figures.model_name(row["model1"]), 26))


def token_rows(
    rows: Sequence[dict[str, Any]], score: Score, scale: Scale, depth: int = 0
) -> list[Row]:
    """One row a token of `top_tokens_query`; `scale` the run's colours."""
    return [_token_row(row, score, scale, depth) for row in rows]


def _token_row(row: dict[str, Any], score: Score, scale: Scale, depth: int) -> Row:
    before, token, after, part = in_context(row)
    value = row["score"]
    provider = visible.plain(row["provider"] or "", 24)
    prompt = visible.plain(figures.one_line(row["prompt"] or "(empty prompt)", 80), 80)
    label = (
        f"{LABELS[score]} {figures.nats(value)}, token {visible.plain(row['token'])}, "
        f"response {row['slot'] + 1}, position {row['position']}, prompt {prompt}"
    )
    model = _model(row)
    label += f", by {model}" if model else ""
    low = runs_low(row["kl"], row["kl_lower"])
    return {
        "at": [row["prompt_id"], row["slot"], row["position"]],
        "key": f"{row['response_id']}/{row['position']}",
        "label": label,
        "heat": _heat(value, scale),
        "high": value >= scale.threshold,
        "depth": depth,
        "cells": {
            "score": figures.nats(value),
            "kl": figures.nats(row["kl"]),
            "bound": figures.at_least(row["kl_lower"]),
            "context": [before, token, after],
            "prompt": prompt,
            "response": str(row["slot"] + 1),
            "position": figures.count(row["position"]),
            "provider": provider,
            "model": model,
        },
        "titles": dict.fromkeys(("score" if score == "kl" else "kl", "bound"), LOW) if low else {},
        "part": part,
    }


def in_context(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """(text before, the token, text after, what to say of a split character) for display.

    A character that is split over tokens is shown whole; it stands for the token then.
    """
    around = row["context"]
    joined = visible.join_characters(
        [one["token"] for one in around], [one["data"] for one in around]
    )
    place = next(i for i, one in enumerate(around) if one["position"] == row["position"])
    start = place
    while start > 0 and joined[start] is None:
        start -= 1
    text = joined[start] or row["token"]
    split = start != place or (place + 1 < len(joined) and joined[place + 1] is None)
    before = _shown([part for part in joined[:start] if part], BEFORE_CHARS, at_end=True)
    after = _shown([part for part in joined[place + 1 :] if part], AFTER_CHARS)
    cut = text if len(text) <= TOKEN_CHARS else text[: TOKEN_CHARS - 1] + "…"
    part = f"{visible.plain(row['token'])} is a part of this character" if split else ""
    return before, visible.show(cut), after, part


def _shown(parts: Sequence[str], limit: int, at_end: bool = False) -> str:
    """Token texts in a row made visible, cut to `limit` characters next to the token."""
    out: list[str] = []
    for part in reversed(parts) if at_end else parts:
        if limit <= 0:
            break
        kept = part[-limit:] if at_end else part[:limit]
        limit -= len(kept)
        out.append(visible.show(kept))
    return "".join(reversed(out) if at_end else out)


def group_columns(
    sort: str, descending: bool, measure: str | None, partial: bool = False
) -> list[Column]:
    """The columns of grouped tokens; `sort` marks those a click on the head sorts by.

    Args:
        partial: not every token was asked, so that sums and means are of the asked alone.
    """
    asked = " asked" if partial else ""
    numbers = [
        ("total", f"total{asked}", "96px" if partial else "74px", 0),
        ("share", "share", "64px", 1),
        ("mean", f"mean{asked}", "96px" if partial else "70px", 0),
        ("median", "median", "74px", 2),
        ("max", "max", "66px", 0),
        ("occurrences", "count", "66px", 0),
        ("high", f"≥ {HIGH_NATS:g} nat", "66px", 2),
        ("responses", "resp.", "60px", 2),
        ("prompts", "prompts", "66px", 1),
        ("mean_log_ratio", "log-ratio", "84px", 1),
    ]
    out = [_column("token", "token", "The token as the file names it.", "minmax(90px, 1fr)")]
    out[0]["kind"] = "token"
    for name, head, width, hide in numbers:
        if (name == "mean_log_ratio" and measure is None) or (name == "share" and partial):
            continue
        sortable = None if name in ("share", "responses", "prompts") else name
        arrow = ("↓" if descending else "↑") if name == sort else ""
        help_ = GROUP_HELP[name] + (f" {ASKED_ONLY}" if partial else "")
        out.append(_column(name, head, help_, width, hide=hide, sort=sortable))
        out[-1]["arrow"] = arrow
    return out


def group_rows(
    rows: Sequence[dict[str, Any]], scale: Scale, opened: tuple[str, bool] | None
) -> list[Row]:
    """One row a token text of `token_groups_query`; `opened` is the one shown open."""
    return [_group_row(row, scale, opened) for row in rows]


def _group_row(row: dict[str, Any], scale: Scale, opened: tuple[str, bool] | None) -> Row:
    text = visible.plain(row["token"], 60)
    number = ("total", "mean", "median", "max")
    count = ("occurrences", "responses", "prompts", "high")
    label = (
        f"token {text}, total {figures.nats(row['total'])}, mean {figures.nats(row['mean'])}, "
        f"{figures.counted(row['occurrences'], 'occurrence')}"
    )
    return {
        "at": [row["prompt_id"], row["slot"], row["position"]],
        "key": group_key(row["token"], row["special"]),
        "label": label,
        "heat": _heat(row["mean"], scale),
        "high": (row["mean"] or 0) >= scale.threshold,
        "depth": 0,
        "open": opened == (row["token"], row["special"]),
        "cells": {name: figures.nats(row[name]) for name in number}
        | {name: figures.count(row[name]) for name in count}
        | {
            "token": text,
            "kind": "special" if row["special"] else "",
            "share": figures.percent(row["share"]),
            "mean_log_ratio": figures.signed(row["mean_log_ratio"]),
        },
        "titles": {},
        "part": "",
    }


def group_key(token: str, special: bool) -> str:
    """A name of a group that the browser can send back."""
    return ("s" if special else "t") + token


def group_of(key: str) -> tuple[str, bool]:
    """(token, special) of a group's name."""
    return key[1:], key[:1] == "s"


def _heat(value: float | None, scale: Scale) -> float:
    """Share of the full colour, 0 to 1."""
    if value is None or math.isnan(value):
        return 0.0
    return round(min(max((value - scale.low) / (scale.top - scale.low), 0.0), 1.0), 3)
