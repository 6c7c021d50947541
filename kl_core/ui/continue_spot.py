"""Where an answer is continued: the prompt, the text before a token, and what followed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.formats.high_tokens import Bounds, prefix_text, prompt_keys, tokens_object
from kl_core.formats.result_names import result_name
from kl_core.records import Entry, Prompt
from kl_core.store.query import Cursor, Query
from kl_core.store.restore import read_prompt_json


@dataclass(frozen=True, slots=True)
class Spot:
    """A token of a saved response.

    Attributes:
        run: id of the run.
        file, entry, entries_in_file, slot, position: where the token stands.
        prompt: its turns.
        prefix: the text before the token, joined by bytes.
        token: what model 1 had said there.
        rest: bytes of the saved response from the token on.
        specials: special tokens before it, which the text does not hold.
        figures: score, kl_divergence, entropy1 and entropy2, NaN where not known.
    """

    run: str
    file: str
    entry: int
    entries_in_file: int
    slot: int
    position: int
    prompt: Prompt
    prefix: str
    token: str
    rest: bytes
    specials: int
    figures: dict[str, float]

    @property
    def digest(self) -> str:
        """Names the place, the same in every session."""
        place = [self.run, self.file, self.entry, self.slot, self.position]
        return hashlib.sha256(json.dumps(place).encode()).hexdigest()[:16]

    @property
    def problem(self) -> str | None:
        """Why nothing can be continued here, None where it can."""
        if self.prefix.endswith("\ufffd"):
            return (
                "The text before this token ends inside a character, so it cannot be sent as "
                "text; choose the token that begins the character."
            )
        return None

    def tokens(self) -> dict[str, Any]:
        """The object of the `tokens` command, with this token alone."""
        bounds = Bounds(None, None, "kl", 0.0)
        source = Entry(self.file, self.entry, self.entries_in_file, (), None, ())
        entry = {
            **prompt_keys(self.prompt),
            "prefix_response": self.prefix,
            "token": self.token,
            **self.figures,
            "source_file": result_name(source),
            "response_idx": self.slot,
            "token_position": self.position,
        }
        return tokens_object(bounds, [entry])


def spot(run_dir: Path, cursor: Cursor, row: dict[str, Any], token: dict[str, Any]) -> Spot:
    """The place of a row of `tokens` in a response, as the queries give both."""
    position = int(token["position"])
    sql = """SELECT token, data, special FROM tokens WHERE response_id = ? ORDER BY position"""
    all_tokens = Query(sql, (row["response_id"],)).rows(cursor)
    texts = [each["token"] for each in all_tokens]
    data = [b"" if each["special"] else each["data"] for each in all_tokens]
    names = {"score": "kl", "kl_divergence": "kl", "entropy1": "entropy1", "entropy2": "entropy2"}
    return Spot(
        run=run_dir.name,
        file=str(row["file"]),
        entry=int(row["entry"]),
        entries_in_file=int(row["entries_in_file"]),
        slot=int(row["slot"]),
        position=position,
        prompt=read_prompt_json(row["prompt_json"]),
        prefix=prefix_text(texts[:position], data[:position]),
        token=str(token["token"]),
        rest=joined(texts[position:], data[position:]),
        specials=sum(bool(each["special"]) for each in all_tokens[:position]),
        figures={name: _float(token.get(column)) for name, column in names.items()},
    )


def joined(texts: Sequence[str], data: Sequence[bytes | None]) -> bytes:
    """The bytes of tokens; a token of unknown bytes adds its display text."""
    return b"".join(
        known if known is not None else text.encode("utf-8", "replace")
        for text, known in zip(texts, data, strict=True)
    )


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
