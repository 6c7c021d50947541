"""Prompts as one line of a table: what the user asked last, cut where the column ends."""

from __future__ import annotations

import json

import pyarrow as pa

from kl_core.ui import figures

_CHARACTER_PX = 6.7  # about; so that a text that is cut ends in …


def shown(table: pa.Table, width_px: int) -> pa.Table:
    """The same table with its `prompt` column fit for a column of this width."""
    limit = int(width_px / _CHARACTER_PX)
    pairs = zip(table["prompt"].to_pylist(), table["prompt_json"].to_pylist(), strict=True)
    texts = [figures.one_line(last_user_message(*pair), limit) for pair in pairs]
    place = table.schema.get_field_index("prompt")
    return table.set_column(place, "prompt", pa.array(texts, pa.string()))


def last_user_message(prompt: str | None, messages_json: str | None) -> str:
    """What the user said last; the whole prompt where that cannot be told."""
    try:
        messages = json.loads(messages_json or "[]")
        said = [m["content"] for m in messages if m["role"] == "user" and m["content"]]
    except (ValueError, TypeError, KeyError):
        said = []
    return str(said[-1]) if said else prompt or "(empty prompt)"
