"""Input files of batch jobs: one line a request, each carrying its key twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from kl_core.sources.calls import Context
from kl_core.sources.gemini_wire import WireSettings, request_body

PREFIX = "k-"  # Vertex turns ids that look like numbers into numbers
_HEAD = b'{"custom_id":"' + PREFIX.encode()
LABEL = "key"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may hold; Vertex allows 200,000 requests and 1 GB."""

    requests: int = 200_000
    size_bytes: int = 900_000_000


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished input file."""

    path: Path
    requests: int
    size_bytes: int


def name_of(key: bytes) -> str:
    """A key as custom_id and label: 63 characters of [a-z0-9_-] at most, never a number."""
    return PREFIX + key.hex()


def key_of(name: Any) -> bytes | None:
    """The key of a custom_id or label; None for what is none of ours."""
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return None
    try:
        return bytes.fromhex(name[len(PREFIX) :])
    except ValueError:
        return None


def request_line(context: Context, settings: WireSettings) -> bytes:
    """The line of a context, newline included.

    Raises:
        InputError: the prompt cannot be asked.
        ValueError: its text has characters that are none.
    """
    name = name_of(context.key)
    body = request_body(context, settings)
    body["labels"] = {LABEL: name}
    return msgspec.json.encode({"custom_id": name, "request": body}) + b"\n"


def keys_in(path: Path) -> Iterator[bytes]:
    """The keys of an input file, in its order."""
    for key, _ in lines_in(path):
        yield key


def lines_in(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """(key, line) of an input file, in its order; reads a line at a time."""
    start = len(_HEAD)
    with path.open("rb") as lines:
        for line in lines:
            yield bytes.fromhex(line[start : line.index(b'"', start)].decode()), line


def write_shards(
    lines: Iterable[bytes], new_path: Callable[[], Path], limits: Limits
) -> Iterator[Shard]:
    """Write `lines` into as few files as the limits allow; each is whole on disk when yielded."""
    out: BinaryIO | None = None
    path, requests, size = Path(), 0, 0
    try:
        for line in lines:
            if requests and (requests == limits.requests or size + len(line) > limits.size_bytes):
                yield _closed(out, path, requests, size)
                out, requests, size = None, 0, 0
            if out is None:
                path = new_path()
                out = path.open("wb")
            out.write(line)
            requests, size = requests + 1, size + len(line)
        if requests:
            yield _closed(out, path, requests, size)
            out = None
    finally:
        if out is not None:
            out.close()


def some_lines(path: Path, wanted: Container[bytes]) -> Iterator[bytes]:
    """The lines of an input file whose keys are wanted."""
    return (line for key, line in lines_in(path) if key in wanted)


def _closed(out: BinaryIO | None, path: Path, requests: int, size: int) -> Shard:
    if out is not None:
        out.flush()
        os.fsync(out.fileno())
        out.close()
    return Shard(path, requests, size)
