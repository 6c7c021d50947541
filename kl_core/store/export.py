"""Carry rows out: any query or table as CSV, JSON or Parquet, in batches, whole or not at all.

Values are never changed. A text that begins with `=` or `@` is therefore written as it is:
open a CSV of other people's text in a spreadsheet as text columns, or take Parquet.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from kl_core.errors import InputError
from kl_core.store.query import Cursor, Query

Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
BATCH_ROWS = 2_000  # rows of two top-k lists are some 4 KB each
GROUP_ROWS = 20_000  # of a Parquet file
Change = Callable[[pa.RecordBatch], pa.RecordBatch]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary neighbour to write to; it becomes `path` at the end, and vanishes on an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put(data: bytes, path: Path) -> None:
    """Write a whole file at once.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); check it") from error


def write(
    source: Query | pa.Table, cursor: Cursor, path: Path, kind: Format, change: Change | None = None
) -> int:
    """Write all rows to a file; returns how many.

    Args:
        change: applied to each batch of rows; adds columns, say.

    Raises:
        InputError: the file cannot be written, or the query cannot be answered.
    """
    try:
        with replacing(path) as temporary, open(temporary, "wb") as stream:
            return write_to(stream, source, cursor, kind, change)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); check it") from error


def write_to(
    stream: BinaryIO,
    source: Query | pa.Table,
    cursor: Cursor,
    kind: Format,
    change: Change | None = None,
) -> int:
    """The same to an open stream.

    JSON is strict: infinities are "inf" and "-inf", NaN is null, bytes are lists of numbers.
    CSV has lists and structures as such JSON; an empty text is `""`, no value is nothing.
    """
    schema, batches = _batches(source, cursor)
    if change is not None:
        schema = change(_empty(schema)).schema
        batches = map(change, batches)
    return _WRITERS[kind](stream, schema, batches)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


def _batches(
    source: Query | pa.Table, cursor: Cursor
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    if isinstance(source, pa.Table):
        return source.schema, iter(source.to_batches(max_chunksize=BATCH_ROWS))
    try:
        found = cursor.sql(source.sql, params=list(source.arguments))
        reader = found.to_arrow_reader(BATCH_ROWS)
    except duckdb.Error as error:
        first = " ".join(str(error).split())[:200]
        raise InputError(f"the rows cannot be read ({first}); the run may be damaged") from error
    return reader.schema, iter(reader)


def _parquet(stream: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows, held, held_rows = 0, [], 0
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        for batch in batches:
            held.append(batch)
            rows, held_rows = rows + batch.num_rows, held_rows + batch.num_rows
            if held_rows >= GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(held, schema))
                held, held_rows = [], 0
        if held:
            writer.write_table(pa.Table.from_batches(held, schema))
    return rows


def _csv(stream: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    flat = pa.schema([(f.name, pa.string() if _as_json(f.type) else f.type) for f in schema])
    rows = 0
    with pa.csv.CSVWriter(stream, flat) as writer:
        for batch in batches:
            writer.write_batch(pa.record_batch([_cell(c) for c in batch.columns], schema=flat))
            rows += batch.num_rows
    return rows


def _as_json(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _cell(column: pa.Array) -> pa.Array:
    if not _as_json(column.type):
        return column
    values = [None if v is None else strict_json(v).decode() for v in column.to_pylist()]
    return pa.array(values, pa.string())


def _json(stream: BinaryIO, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    for batch in batches:
        for row in _plain_rows(batch):
            stream.write(b",\n" if rows else b"[\n")
            stream.write(msgspec.json.encode(row))
            rows += 1
    stream.write(b"\n]\n" if rows else b"[]\n")
    return rows


_WRITERS: dict[Format, Callable[[BinaryIO, pa.Schema, Iterator[pa.RecordBatch]], int]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}


def _plain_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows that strict JSON can hold; only columns that need it are gone through."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if _needs_care(column):
            for row in rows:
                row[name] = plain(row[name])
    return rows


def _needs_care(column: pa.Array) -> bool:
    if pa.types.is_floating(column.type):
        return bool(pc.any(pc.invert(pc.is_finite(column))).as_py())
    return _as_json(column.type)


def plain(value: Any) -> Any:
    """A value as strict JSON has it: null for NaN, "inf", bytes as numbers, all the way down."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return list(value) if isinstance(value, bytes) else value


def strict_json(value: Any) -> bytes:
    """One value as compact strict JSON."""
    return msgspec.json.encode(plain(value))


def pretty_json(value: Any) -> bytes:
    """One object as indented strict JSON."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return text.encode("utf-8", "replace")
