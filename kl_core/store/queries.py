"""Everything the pages and the command line ask of a run.

A finished run is its newest database, opened READ_ONLY; a live one is the same tables
computed in memory over the Parquet parts written so far. One connection may be cached
and shared; each rerun or thread takes its own cursor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from kl_core.errors import InputError, RunError
from kl_core.store import schema
from kl_core.store.aggregate import STATISTICS, statements
from kl_core.store.build import load_parts, newest_database
from kl_core.store.parts import committed

Cursor = duckdb.DuckDBPyConnection
TOKEN_COLUMNS = [name for name in schema.TOKENS.names if name not in ("top1", "top2")]
SORTS = (*STATISTICS, "prompt", "file", "prompt_id", "n_responses")
_NICE = (0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0)


@dataclass(frozen=True, slots=True)
class RunConnection:
    """A run opened for reading.

    Attributes:
        version: changes whenever there is more to read; part of a cache key.
        live: whether it reads the parts of a run without a database.
    """

    run_dir: Path
    connection: duckdb.DuckDBPyConnection
    version: str
    live: bool

    def cursor(self) -> Cursor:
        """A cursor of its own for one rerun or thread."""
        return self.connection.cursor()


def run_version(run_dir: Path) -> str:
    """A cheap key: the newest database, or how many parts a live run has."""
    database = newest_database(run_dir)
    heads = committed(run_dir, "responses")
    if database is None or (heads and _newest(heads) > database.stat().st_mtime):
        return f"live-{len(heads)}"
    return database.name


def open_run(run_dir: Path) -> RunConnection:
    """Open a run for reading, whatever its state.

    Raises:
        RunError: it was written by a newer version, or nothing is there to read.
    """
    version = run_version(run_dir)
    if version.startswith("live-"):
        return RunConnection(run_dir, _over_parts(run_dir), version, live=True)
    path = run_dir / version
    try:
        connection = duckdb.connect(str(path), read_only=True)
        row = connection.execute("SELECT schema_version FROM meta").fetchone()
    except duckdb.Error as error:
        raise RunError(f"run {run_dir.name} has a damaged database ({error}); resume it") from error
    if row is None or row[0] > schema.SCHEMA_VERSION:
        raise RunError(
            f"run {run_dir.name} has schema {row and row[0]}, this version reads up to "
            f"{schema.SCHEMA_VERSION}; update KL Explorer"
        )
    if row[0] < schema.SCHEMA_VERSION:  # made before an upgrade: its parts have everything
        connection.close()
        connection = _over_parts(run_dir)
    return RunConnection(run_dir, connection, version, live=False)


def prompts(
    cursor: Cursor,
    sort: str = "mean_kl",
    descending: bool = True,
    limit: int = 500,
    offset: int = 0,
    search: str = "",
) -> pa.Table:
    """A page of prompts; those without a value in the sort column come last.

    Raises:
        InputError: `sort` is not one of SORTS.
    """
    where, arguments = _matching(search)
    sql = f"SELECT * FROM prompts {where} {_order(sort, descending)} LIMIT ? OFFSET ?"
    return _table(cursor, sql, [*arguments, limit, offset])


def prompt_order(
    cursor: Cursor, sort: str = "mean_kl", descending: bool = True, search: str = ""
) -> list[int]:
    """The ids of every matching prompt, in the order of `prompts`.

    Raises:
        InputError: `sort` is not one of SORTS.
    """
    where, arguments = _matching(search)
    sql = f"SELECT prompt_id FROM prompts {where} {_order(sort, descending)}"
    ids: list[int] = _table(cursor, sql, arguments)["prompt_id"].to_pylist()
    return ids


def prompt_count(cursor: Cursor, search: str = "") -> int:
    """How many prompts the same search finds."""
    where, arguments = _matching(search)
    return _scalar(cursor.execute(f"SELECT count(*) FROM prompts {where}", arguments))


def prompt(cursor: Cursor, prompt_id: int) -> dict[str, Any] | None:
    """One prompt's row."""
    return _row(cursor, "SELECT * FROM prompts WHERE prompt_id = ?", [prompt_id])


def responses(cursor: Cursor, prompt_id: int) -> pa.Table:
    """The responses of a prompt in their slots, unscorable ones included."""
    sql = "SELECT * FROM responses WHERE prompt_id = ? AND slot >= 0 ORDER BY slot"
    return _table(cursor, sql, [prompt_id])


def tokens(cursor: Cursor, response_id: int) -> pa.Table:
    """Every position of a response without the two top-k lists."""
    columns = ", ".join(TOKEN_COLUMNS)
    sql = f"SELECT {columns} FROM tokens WHERE response_id = ? ORDER BY position"
    return _table(cursor, sql, [response_id])


def token(cursor: Cursor, response_id: int, position: int) -> dict[str, Any] | None:
    """One position with both top-k lists, None where there is none."""
    sql = "SELECT * FROM tokens WHERE response_id = ? AND position = ?"
    return _row(cursor, sql, [response_id, position])


def top_tokens(cursor: Cursor, score_type: str = "kl", limit: int = 100) -> pa.Table:
    """The highest positions of the run, best first."""
    sql = "SELECT * FROM top_tokens WHERE score_type = ? ORDER BY rank LIMIT ?"
    return _table(cursor, sql, [score_type, limit])


def histogram(cursor: Cursor, column: str = "kl") -> pa.Table:
    """(lo, hi, count) of a column over the run, bins of equal ratio."""
    sql = "SELECT lo, hi, count FROM histogram WHERE metric = ? ORDER BY lo"
    return _table(cursor, sql, [column])


def problems(cursor: Cursor, limit: int = 1000, offset: int = 0) -> pa.Table:
    """Rows (file, place, reason, hint) of what could not be used."""
    sql = "SELECT * FROM problems ORDER BY file, place, reason LIMIT ? OFFSET ?"
    return _table(cursor, sql, [limit, offset])


def problem_count(cursor: Cursor) -> int:
    """How many problem rows there are."""
    return _scalar(cursor.execute("SELECT count(*) FROM problems"))


def summary(cursor: Cursor) -> dict[str, Any]:
    """Run-level figures; `kl_scale_max` is the colour maximum fixed for the run."""
    row = _row(cursor, "SELECT * FROM summary") or {}
    row["kl_scale_max"] = _nice(row.get("p999_kl"))
    row["surprisal_scale_max"] = _nice(row.get("p999_surprisal"))
    return row


def _over_parts(run_dir: Path) -> duckdb.DuckDBPyConnection:
    """The tables of a database, computed in memory over the Parquet parts."""
    connection = duckdb.connect(":memory:")
    load_parts(connection, run_dir, as_views=True)
    for statement in statements():
        connection.execute(statement)
    return connection


def _newest(paths: list[Path]) -> float:
    return max(path.stat().st_mtime for path in paths)


def _order(sort: str, descending: bool) -> str:
    if sort not in SORTS:
        raise InputError(f"cannot sort by {sort!r}; choose one of {', '.join(SORTS)}")
    return f"ORDER BY {sort} {'DESC' if descending else 'ASC'} NULLS LAST, prompt_id"


def _matching(search: str) -> tuple[str, list[Any]]:
    if not search:
        return "", []
    pattern = "%" + re.sub(r"([%_\\])", r"\\\1", search) + "%"
    inside = "prompt_id IN (SELECT prompt_id FROM responses WHERE text ILIKE ? ESCAPE '\\')"
    return f"WHERE prompt ILIKE ? ESCAPE '\\' OR {inside}", [pattern, pattern]


def _nice(value: float | None) -> float:
    if value is None:
        return 1.0
    return next((step for step in _NICE if step >= value), _NICE[-1])


def _scalar(result: Cursor) -> int:
    rows = result.fetchall()  # to the end: an open result blocks the cursor
    return int(rows[0][0]) if rows else 0


def _table(cursor: Cursor, sql: str, arguments: list[Any] | None = None) -> pa.Table:
    return cursor.sql(sql, params=arguments or []).to_arrow_table()


def _row(cursor: Cursor, sql: str, arguments: list[Any] | None = None) -> dict[str, Any] | None:
    rows: list[dict[str, Any]] = _table(cursor, sql, arguments).to_pylist()
    return rows[0] if rows else None
