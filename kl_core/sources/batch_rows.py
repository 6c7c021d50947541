"""Prediction files of a batch job: which context a row answers, and with what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kl_core.sources.batch_shards import LABEL, key_of
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.gemini_wire import WireSettings, read_reply

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        key: the context; None where the row does not say it, or says two.
        found: the answer, or why there is none.
    """

    key: bytes | None
    found: Answer | CallError


def read_rows(path: Path, settings: WireSettings) -> Iterator[Row]:
    """The rows of a file, read one at a time."""
    decoder = msgspec.json.Decoder()
    with path.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield _row(decoder, line, settings)


def _row(decoder: msgspec.json.Decoder[Any], line: bytes, settings: WireSettings) -> Row:
    try:
        raw = decoder.decode(line)
    except msgspec.DecodeError:
        raw = None
    if not isinstance(raw, dict):
        return Row(None, CallError("not JSON", "a row of the output is not JSON", "again"))
    try:
        return Row(_key(raw), _answer(raw, settings))
    except CallError as error:
        return Row(_key(raw), error)


def _key(raw: dict[str, Any]) -> bytes | None:
    """By custom_id and label, which must agree where both are readable; never by order."""
    request = raw.get("request")
    labels = request.get("labels") if isinstance(request, dict) else None
    label = key_of(labels.get(LABEL)) if isinstance(labels, dict) else None
    given = key_of(raw.get("custom_id"))
    if given is not None and label is not None and given != label:
        return None
    return given if given is not None else label


def _answer(raw: dict[str, Any], settings: WireSettings) -> Answer:
    status, response = raw.get("status"), raw.get("response")
    if status or not isinstance(response, dict) or not response:
        said = status if isinstance(status, str) and status else "the row has no response"
        raise CallError("row failed", f"the row of the batch failed: {said[:_LONGEST]}", "again")
    return read_reply(response, settings)
