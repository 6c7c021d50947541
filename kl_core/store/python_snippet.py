"""`Copy as Python`: code that loads the rows of a view with nothing of ours installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import duckdb

from kl_core.errors import RunError
from kl_core.store import queries, schema
from kl_core.store.build import newest_database
from kl_core.store.query import Query

_CODE = """\
# The rows of a view of KL Explorer, from run {run}.
# Needs: pip install duckdb pandas
import duckdb

with duckdb.connect({path}, read_only=True) as run:
    rows = run.execute(
        {sql},
        {arguments},
    ).df()
print(rows)
"""


def python_snippet(run_dir: Path, query: Query) -> str:
    """Python that opens the run's newest database READ_ONLY and loads the query's rows.

    Raises:
        RunError: there is no database that holds what the page shows.
    """
    database = newest_database(run_dir)
    if database is None or queries.run_version(run_dir) != database.name:
        raise RunError(
            f"run {run_dir.name} is still filling, or was not ended well: its database, and with "
            "it the Python code, comes when it is done"
        )
    if _version(database) < schema.SCHEMA_VERSION:
        raise RunError(
            f"the database of run {run_dir.name} is of an older version and lacks columns that "
            "this view uses; export the rows instead, or make the run again"
        )
    return _CODE.format(
        run=run_dir.name,
        path=repr(str(database.resolve())),
        sql=_text(query.sql),
        arguments="[" + ", ".join(_literal(value) for value in query.arguments) + "]",
    )


def _version(database: Path) -> int:
    try:
        with duckdb.connect(str(database), read_only=True) as connection:
            row = connection.execute("SELECT schema_version FROM meta").fetchone()
    except duckdb.Error as error:
        raise RunError(f"{database} cannot be opened ({error}); resume the run") from error
    return int(row[0]) if row else 0


def _text(sql: str) -> str:
    """SQL as a readable literal: over several lines where it has several."""
    clean = "\n".join(line.strip() for line in sql.strip().splitlines())
    if "\n" in clean and "\\" not in clean and '"""' not in clean and not clean.endswith('"'):
        return '"""\n' + clean + '\n"""'
    return repr(clean)


def _literal(value: Any) -> str:
    """A bound value as Python writes it, infinities included."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(one) for one in value) + "]"
    return repr(value)
