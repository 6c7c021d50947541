"""Build a run's immutable database from its Parquet parts.

`run-<n>.duckdb` is made under a temporary name and moved in, then never changed: a
resumed run builds the next n. Readers take the newest and open it READ_ONLY, so that any
number of processes read while another works.
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kl_core.store import schema
from kl_core.store.aggregate import statements
from kl_core.store.parts import committed

MEMORY_LIMIT = "4GB"  # beyond it DuckDB spills beside the run
_DATABASE = re.compile(r"run-(\d+)\.duckdb")


def newest_database(run_dir: Path) -> Path | None:
    """The run's latest finished database."""
    found = [
        (int(match[1]), path)
        for path in run_dir.glob("run-*.duckdb")
        if (match := _DATABASE.fullmatch(path.name))
    ]
    return max(found)[1] if found else None


def build_database(run_dir: Path) -> Path:
    """Make the next `run-<n>.duckdb` from everything that is on disk."""
    newest = newest_database(run_dir)
    number = int(_DATABASE.fullmatch(newest.name)[1]) + 1 if newest else 1  # type: ignore[index]
    temporary = run_dir / f".run-{number}.{uuid.uuid4().hex}.tmp"
    try:
        with duckdb.connect(str(temporary)) as connection:
            connection.execute("SET preserve_insertion_order = true")
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            connection.execute(f"SET temp_directory = '{_quoted(run_dir / '.spill')}'")
            load_parts(connection, run_dir, as_views=False)
            for statement in statements():
                connection.execute(statement)
            connection.execute(
                f"CREATE TABLE meta AS SELECT {schema.SCHEMA_VERSION} AS schema_version"
            )
            connection.execute("CHECKPOINT")
        final = run_dir / f"run-{number}.duckdb"
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(temporary.name + ".wal").unlink(missing_ok=True)
    return final


@dataclass(frozen=True, slots=True)
class _Source:
    """One kind of part and the table it becomes."""

    part: str
    table: str
    columns: pa.Schema
    order: str


_SOURCES = (
    _Source("tokens", "tokens", schema.TOKENS, "response_id, position"),
    _Source("responses", "response_rows", schema.RESPONSES, "response_id"),
    _Source("problems", "problems", schema.PROBLEMS, "file"),
)


def load_parts(connection: duckdb.DuckDBPyConnection, run_dir: Path, as_views: bool) -> None:
    """Define `tokens`, `response_rows` and `problems` over the run's whole parts."""
    kind = "VIEW" if as_views else "TABLE"
    for source in _SOURCES:
        paths = committed(run_dir, source.part)
        if not paths:
            connection.register("nothing", source.columns.empty_table())
            connection.execute(f"CREATE TABLE {source.table} AS SELECT * FROM nothing")
            connection.unregister("nothing")
            continue
        paths, in_order = _in_order(paths)
        files = ", ".join(f"'{_quoted(path)}'" for path in paths)
        columns = _columns(source, paths)
        distinct = "DISTINCT" if source.part == "problems" else ""
        order = "" if as_views or in_order else f"ORDER BY {source.order}"
        connection.execute(
            f"CREATE {kind} {source.table} AS "
            f"SELECT {distinct} {columns} "
            f"FROM read_parquet([{files}], union_by_name = true) {order}"
        )


def _columns(source: _Source, paths: list[Path]) -> str:
    """The select list; a column that older parts do not have reads as NULL."""
    there = {name for path in (paths[0], paths[-1]) for name in pq.read_schema(path).names}
    return ", ".join(
        field.name if field.name in there else f"{_null(field.type)} AS {field.name}"
        for field in source.columns
    )


def _null(kind: pa.DataType) -> str:
    """No value, of a kind that can be reckoned with."""
    numbers = {pa.float64(): "NULL::DOUBLE", pa.int64(): "NULL::BIGINT"}
    return numbers.get(kind, "NULL")


def _in_order(paths: list[Path]) -> tuple[list[Path], bool]:
    """Parts by their first response, and whether none overlaps the next.

    Rows within a part are in order, so that parts which do not overlap need no sorting:
    only a run that was resumed may have parts that do.
    """
    spans = []
    for path in paths:
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
        ranges = [g.column(0).statistics for g in groups if g.num_rows]
        if metadata.schema.column(0).name != "response_id" or not all(
            found is not None and found.has_min_max for found in ranges
        ):
            return paths, False
        low = min((found.min for found in ranges), default=0)
        spans.append((low, max((found.max for found in ranges), default=low), path))
    spans.sort(key=lambda span: span[:2])
    apart = all(before[1] < after[0] for before, after in pairwise(spans))
    return [span[2] for span in spans], apart


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
