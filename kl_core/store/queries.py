"""Everything the pages and the command line ask of a run.

A finished run is its newest database, opened READ_ONLY; a live one is the same tables
computed in memory over the Parquet parts written so far. One connection may be cached
and shared; each rerun or thread takes its own cursor.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kl_core.errors import InputError, RunError
from kl_core.store import estimates, schema
from kl_core.store.aggregate import STATISTICS, statements
from kl_core.store.build import load_parts, newest_database
from kl_core.store.filters import PromptFilter
from kl_core.store.parts import committed
from kl_core.store.query import Cursor, Query

TOKEN_COLUMNS = [name for name in schema.TOKENS.names if name not in schema.LISTS]
SORTS = (*STATISTICS, "se_kl", "est_low", "prompt", "file", "prompt_id", "n_responses")
EVERY = PromptFilter()
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
    if database is not None and not _touched_since(run_dir / "parts", database):
        return database.name
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


def models1(cursor: Cursor) -> list[str]:
    """The models that wrote the responses, by name; entries that name none are left out."""
    sql = "SELECT DISTINCT model1 FROM prompts WHERE model1 IS NOT NULL ORDER BY model1"
    return [row["model1"] for row in Query(sql).rows(cursor)]


def distinct_prompts(cursor: Cursor) -> int:
    """How many different prompts the entries ask; several models may answer the same."""
    return Query("SELECT count(DISTINCT prompt_json) FROM prompts").number(cursor)


def first_responses(run_dir: Path) -> frozenset[int]:
    """Hashes of the prompts and texts of the responses of the run's first part.

    Enough to guess, without opening the run, whether two runs are over the same responses.
    """
    paths = committed(run_dir, "responses")[:1]
    if not paths:
        return frozenset()
    try:
        found = pq.read_table(paths[0], columns=["prompt", "text"])
    except (OSError, pa.ArrowException):
        return frozenset()
    pairs = zip(found["prompt"].to_pylist(), found["text"].to_pylist(), strict=True)
    return frozenset(map(hash, pairs))


def prompts_query(
    sort: str = "mean_kl",
    descending: bool = True,
    limit: int | None = None,
    offset: int = 0,
    where: PromptFilter = EVERY,
    columns: str = "*",
) -> Query:
    """Prompts in order; those without a value in the sort column come last.

    Raises:
        InputError: `sort` is not one of SORTS, or a filter names no figure.
    """
    condition, arguments = where.where()
    page = "" if limit is None else f" LIMIT {int(limit)} OFFSET {int(offset)}"
    order = _order(sort, descending)
    return Query(f"SELECT {columns} FROM prompts WHERE {condition} {order}{page}", arguments)


def prompts(
    cursor: Cursor,
    sort: str = "mean_kl",
    descending: bool = True,
    limit: int = 500,
    offset: int = 0,
    where: PromptFilter = EVERY,
) -> pa.Table:
    """A page of prompts; see prompts_query."""
    return prompts_query(sort, descending, limit, offset, where).table(cursor)


def prompt_order(
    cursor: Cursor, sort: str = "mean_kl", descending: bool = True, where: PromptFilter = EVERY
) -> list[int]:
    """The ids of every matching prompt, in the order of `prompts`."""
    query = prompts_query(sort, descending, where=where, columns="prompt_id")
    ids: list[int] = query.table(cursor)["prompt_id"].to_pylist()
    return ids


def prompt_count(cursor: Cursor, where: PromptFilter = EVERY) -> int:
    """How many prompts the same filter leaves."""
    condition, arguments = where.where()
    return Query(f"SELECT count(*) FROM prompts WHERE {condition}", arguments).number(cursor)


def facets(cursor: Cursor) -> dict[str, dict[str, int]]:
    """`provider`, `model`, `finish_reason` → value → responses with it, the most first."""
    found: dict[str, dict[str, int]] = {"provider": {}, "model": {}, "finish_reason": {}}
    for row in Query("SELECT * FROM facets ORDER BY name, responses DESC, value").rows(cursor):
        found[row["name"]][row["value"]] = row["responses"]
    return found


def scales(cursor: Cursor) -> dict[str, dict[str, float | None]]:
    """Measure → its quantiles over the run (keys of aggregate.QUANTILES), signs left out."""
    rows = Query("SELECT * FROM scales").rows(cursor)
    return {row.pop("measure"): row for row in rows}


def prompt(cursor: Cursor, prompt_id: int) -> dict[str, Any] | None:
    """One prompt's row."""
    return Query("SELECT * FROM prompts WHERE prompt_id = ?", (prompt_id,)).row(cursor)


def responses_query(prompt_id: int) -> Query:
    """The responses of a prompt in their slots, unscorable ones included."""
    sql = "SELECT * FROM responses WHERE prompt_id = ? AND slot >= 0 ORDER BY slot"
    return Query(sql, (prompt_id,))


def responses(cursor: Cursor, prompt_id: int) -> pa.Table:
    """The same, as a table."""
    return responses_query(prompt_id).table(cursor)


def tokens_query(response_id: int) -> Query:
    """Every position of a response without the two top-k lists."""
    columns = ", ".join(TOKEN_COLUMNS)
    sql = f"SELECT {columns} FROM tokens WHERE response_id = ? ORDER BY position"
    return Query(sql, (response_id,))


def tokens(cursor: Cursor, response_id: int) -> pa.Table:
    """The same, as a table."""
    return tokens_query(response_id).table(cursor)


def token_query(response_id: int, position: int) -> Query:
    """One position with both top-k lists."""
    sql = "SELECT * FROM tokens WHERE response_id = ? AND position = ?"
    return Query(sql, (response_id, position))


def token(cursor: Cursor, response_id: int, position: int) -> dict[str, Any] | None:
    """The same as a dict, None where there is no such position."""
    return token_query(response_id, position).row(cursor)


def top_tokens(cursor: Cursor, score_type: str = "kl", limit: int = 100) -> pa.Table:
    """The highest positions of the run, best first."""
    sql = "SELECT * FROM top_tokens WHERE score_type = ? ORDER BY rank LIMIT ?"
    return Query(sql, (score_type, limit)).table(cursor)


def histogram(cursor: Cursor, column: str = "kl") -> pa.Table:
    """(lo, hi, count) of a column over the run, bins of equal ratio."""
    sql = "SELECT lo, hi, count FROM histogram WHERE metric = ? ORDER BY lo"
    return Query(sql, (column,)).table(cursor)


def problems(cursor: Cursor, limit: int = 1000, offset: int = 0) -> pa.Table:
    """Rows (file, place, reason, hint) of what could not be used."""
    sql = "SELECT * FROM problems ORDER BY file, place, reason LIMIT ? OFFSET ?"
    return Query(sql, (limit, offset)).table(cursor)


def problem_count(cursor: Cursor) -> int:
    """How many problem rows there are."""
    return Query("SELECT count(*) FROM problems").number(cursor)


def summary(cursor: Cursor) -> dict[str, Any]:
    """Run-level figures; `kl_scale_max` is the colour maximum fixed for the run.

    `with_mean` and `responses_with_mean` count prompts and responses that have one: a search
    leaves those that fell behind without.
    """
    row = Query("SELECT * FROM summary").row(cursor) or {}
    row["with_mean"] = Query("SELECT count(mean_kl) FROM prompts").number(cursor)
    row["responses_with_mean"] = Query("SELECT count(mean_kl) FROM responses").number(cursor)
    row["est_low"], row["est_high"] = estimates.run_interval(row)
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


def _touched_since(folder: Path, database: Path) -> bool:
    """Whether a file came into the folder after the database was made."""
    try:
        return folder.stat().st_mtime > database.stat().st_mtime
    except FileNotFoundError:
        return False


def _newest(paths: list[Path]) -> float:
    return max(path.stat().st_mtime for path in paths)


def _order(sort: str, descending: bool) -> str:
    if sort not in SORTS:
        raise InputError(f"cannot sort by {sort!r}; choose one of {', '.join(SORTS)}")
    return f"ORDER BY {sort} {'DESC' if descending else 'ASC'} NULLS LAST, prompt_id"


def _nice(value: float | None) -> float:
    if value is None:
        return 1.0
    return next((step for step in _NICE if step >= value), _NICE[-1])
