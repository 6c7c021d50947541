"""What Vertex refuses in the input of a batch job: one bad line fails the whole job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_LINES = 200_000
MOST_BYTES = 1_000_000_000
_DEPTH = 15
Json = dict[str, Any]


class BadInputError(Exception):
    """Why the whole job fails."""


def lines(paths: Sequence[Path]) -> Iterator[bytes]:
    """The lines of all input files that are not blank."""
    for path in paths:
        with path.open("rb") as found:
            yield from (line for line in found if line.strip())


def check_input(paths: Sequence[Path], most_lines: int = MOST_LINES) -> int:
    """How many requests the input has, each held against the rules.

    Raises:
        BadInputError: a line breaks a rule, or the input is too large or empty.
    """
    size = sum(path.stat().st_size for path in paths)
    if size > MOST_BYTES:
        raise BadInputError(f"the input has {size} bytes, more than {MOST_BYTES}")
    check = _Check(most_lines)
    for raw in lines(paths):
        check.line(raw)
    if not check.count:
        raise BadInputError("the input has no requests")
    return check.count


@dataclass(slots=True)
class _Check:
    """Holds lines against the rules; types are compared over all of them."""

    most_lines: int
    count: int = 0
    kinds: dict[tuple[str, ...], str] = field(default_factory=dict)

    def line(self, raw: bytes) -> None:
        self.count += 1
        if self.count > self.most_lines:
            raise BadInputError(f"the input has more than {self.most_lines} requests")
        try:
            row = json.loads(raw)
        except ValueError:
            raise BadInputError(f"line {self.count} is not JSON") from None
        request = row.get("request") if isinstance(row, dict) else None
        if not isinstance(request, dict):
            raise BadInputError(f"line {self.count} has no 'request'")
        if not request.get("contents"):
            raise BadInputError(f"line {self.count}: 'contents' is empty")
        self.no_holes(request["contents"])
        self.one_kind(row, (), 1)

    def no_holes(self, value: Any) -> None:
        if value is None or value == {}:
            raise BadInputError(f"line {self.count}: null or empty struct in 'contents'")
        for each in value.values() if isinstance(value, dict) else value:
            if each is None or isinstance(each, dict | list):
                self.no_holes(each)

    def one_kind(self, value: Any, path: tuple[str, ...], depth: int) -> None:
        """Nesting and types; the table behind a job has one type a column."""
        if depth > _DEPTH:
            raise BadInputError(f"line {self.count}: nested deeper than {_DEPTH} levels")
        kind = _kind(value)
        if kind is not None and self.kinds.setdefault(path, kind) != kind:
            name = ".".join(path)
            raise BadInputError(
                f"line {self.count}: '{name}' is a {kind}, a {self.kinds[path]} in other lines"
            )
        if isinstance(value, dict):
            for key, inner in value.items():
                self.one_kind(inner, (*path, key), depth + 1)
        elif isinstance(value, list):
            for inner in value:
                self.one_kind(inner, (*path, "[]"), depth + 1)


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "struct" if isinstance(value, dict) else "list"
