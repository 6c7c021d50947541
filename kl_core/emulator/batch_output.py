"""The rows of a batch job's answer: kept on disk, written shuffled over several files."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.emulator.objects import Storage, Sums, stamp

Json = dict[str, Any]
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


def good_row(row: Json, response: Json) -> Json:
    """An answered row."""
    return {"status": "", "processed_time": stamp(), **_echo(row), "response": response}


def bad_row(row: Json, reason: str) -> Json:
    """A failed row: a status, and no response at all."""
    return {"status": f"Bad Request: {reason}", "processed_time": stamp(), **_echo(row)}


def _echo(row: Json) -> Json:
    """What a line said comes back, but sibling strings that look like numbers become numbers."""
    return {key: value if key == "request" else _coerced(value) for key, value in row.items()}


def _coerced(value: Any) -> Any:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return value
    return float(value) if "." in value else int(value)


@dataclass(frozen=True, slots=True)
class Written:
    """A row on disk: where, whether it is good, and which request it answers."""

    offset: int
    size: int
    good: bool
    mark: str
    key: bytes | None
    tokens: tuple[int, int]


class Spool:
    """The rows of a job in the order in which they were answered, on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Written] = []
        self._out = path.open("w+b")
        self._size = 0

    def add(self, row: Json, mark: str, key: bytes | None) -> None:
        """One row more; `key` names the context that it answers."""
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        usage = row.get("response", {}).get("usageMetadata", {})
        tokens = (usage.get("promptTokenCount", 0), usage.get("candidatesTokenCount", 0))
        self._out.write(line)
        self.rows.append(Written(self._size, len(line), "response" in row, mark, key, tokens))
        self._size += len(line)

    def keep(self, wanted: Callable[[Written], bool]) -> None:
        """Forget the other rows."""
        self.rows = [row for row in self.rows if wanted(row)]

    def write(self, storage: Storage, directory: str, shards: int, seed: int) -> None:
        """To `directory` (gs://bucket/name), shuffled, over at most `shards` files."""
        order = list(self.rows)
        random.Random(seed).shuffle(order)  # noqa: S311 - an order, not a secret
        bucket, _, folder = directory.removeprefix("gs://").partition("/")
        count = max(1, min(shards, len(order)))
        for index in range(count):
            name = "predictions.jsonl" if count == 1 else f"predictions_{index + 1:03d}.jsonl"
            path, sums = storage.new_file(), Sums()
            with path.open("wb") as out:
                for row in order[index::count]:
                    self._out.seek(row.offset)
                    line = self._out.read(row.size)
                    out.write(line)
                    sums.update(line)
            storage.put(bucket, f"{folder}/{name}", path, sums, {"contentType": "text/plain"})

    def close(self) -> None:
        """Delete the rows from disk."""
        self._out.close()
        self.path.unlink(missing_ok=True)
