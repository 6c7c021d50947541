"""Prompts as one line of a table: what the user asked last, cut where the column ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from kl_core.store.prompt_titles import last_user_message
from kl_core.ui import figures

__all__ = ["last_user_message", "shown", "title"]

_CHARACTER_PX = 6.7  # about; so that a text that is cut ends in …


def shown(table: pa.Table, width_px: int) -> pa.Table:
    """The same table with its `prompt` column fit for a column of this width."""
    limit = int(width_px / _CHARACTER_PX)
    pairs = zip(table["prompt"].to_pylist(), table["prompt_json"].to_pylist(), strict=True)
    texts = [figures.one_line(last_user_message(*pair), limit) for pair in pairs]
    place = table.schema.get_field_index("prompt")
    return table.set_column(place, "prompt", pa.array(texts, pa.string()))


def title(row: Mapping[str, Any]) -> tuple[str, str]:
    """(what stands over a prompt, the whole prompt where that is more) of a row of `prompts`."""
    whole = row.get("prompt") or "(empty prompt)"
    last = last_user_message(whole, row.get("prompt_json"))
    return last, "" if last == whole else whole
