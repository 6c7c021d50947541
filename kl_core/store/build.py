"""Build a run's immutable database from its Parquet parts.

`run-<n>.duckdb` is made under a temporary name and moved in, then never changed: a
resumed run builds the next n. Readers take the newest and open it READ_ONLY, so that any
number of processes read while another works.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

import duckdb
import pyarrow as pa

from kl_core.store import schema
from kl_core.store.aggregate import statements
from kl_core.store.parts import committed

_DATABASE = re.compile(r"run-(\d+)\.duckdb")


def newest_database(run_dir: Path) -> Path | None:
    """The run's latest finished database."""
    found = [(int(match[1]), path) for path in run_dir.glob("run-*.duckdb")
             if (match := _DATABASE.fullmatch(path.name))]
    return max(found)[1] if found else None


def build_database(run_dir: Path) -> Path:
    """Make the next `run-<n>.duckdb` from everything that is on disk."""
    newest = newest_database(run_dir)
    number = int(_DATABASE.fullmatch(newest.name)[1]) + 1 if newest else 1  # type: ignore[index]
    temporary = run_dir / f".run-{number}.{uuid.uuid4().hex}.tmp"
    try:
        with duckdb.connect(str(temporary)) as connection:
            connection.execute("SET preserve_insertion_order = true")
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


def load_parts(connection: duckdb.DuckDBPyConnection, run_dir: Path, as_views: bool) -> None:
    """Define `tokens`, `response_rows` and `problems` over the run's whole parts."""
    kind = "VIEW" if as_views else "TABLE"
    order = {"tokens": "response_id, position", "responses": "response_id", "problems": "file"}
    names = {"tokens": "tokens", "responses": "response_rows", "problems": "problems"}
    schemas = {
        "tokens": schema.TOKENS, "responses": schema.RESPONSES, "problems": schema.PROBLEMS
    }
    for table, name in names.items():
        paths = committed(run_dir, table)
        if not paths:
            empty = pa.Table.from_pylist([], schema=schemas[table])
            connection.register(f"empty_{name}", empty)
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM empty_{name}")
            connection.unregister(f"empty_{name}")
            continue
        files = ", ".join(f"'{_quoted(path)}'" for path in paths)
        distinct = "DISTINCT" if table == "problems" else ""
        ordered = "" if as_views else f"ORDER BY {order[table]}"
        connection.execute(
            f"CREATE {kind} {name} AS SELECT {distinct} * FROM read_parquet([{files}]) {ordered}"
        )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
