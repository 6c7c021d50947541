"""One question to a run as a value: run for a page, exported, or copied as Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

Cursor = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT with its bound arguments.

    Attributes:
        sql: DuckDB SQL over the tables of a run, `?` for each argument.
        arguments: numbers and strings, in order.
    """

    sql: str
    arguments: tuple[Any, ...] = ()

    def table(self, cursor: Cursor) -> pa.Table:
        """The answer as Arrow."""
        return cursor.sql(self.sql, params=list(self.arguments)).to_arrow_table()

    def rows(self, cursor: Cursor) -> list[dict[str, Any]]:
        """The answer as one dict a row."""
        found: list[dict[str, Any]] = self.table(cursor).to_pylist()
        return found

    def row(self, cursor: Cursor) -> dict[str, Any] | None:
        """The first row, None without one."""
        rows = self.rows(cursor)
        return rows[0] if rows else None

    def number(self, cursor: Cursor) -> int:
        """The single whole number the query gives."""
        rows = cursor.execute(self.sql, list(self.arguments)).fetchall()  # to the end: an
        return int(rows[0][0]) if rows else 0  # open result blocks the cursor
