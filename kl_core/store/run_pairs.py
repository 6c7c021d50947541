"""Two runs over the same responses, side by side in one connection.

Prompts belong together by (file, entry) and equal text (a result file counts as the file it was
made from), or by a text that each run has once; responses by slot and equal text, tokens by
position and equal text. What does not is listed or counted with its reason, and is part of
no figure. Differences are always B − A. A finished run is attached READ_ONLY; a live one, or one of
an older schema, is the same tables computed in memory over its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from kl_core.errors import InputError, RunError
from kl_core.store import aggregate, pair_sums, queries, schema
from kl_core.store.build import load_parts
from kl_core.store.parts import committed
from kl_core.store.query import Cursor, Query

# a result file stands for the file it was made from: x_kl.json.gz for x.json
_ENDING = r"(_kl)?\.jsonl?(\.gz)?$"


def _side(name: str) -> str:
    """Prompts of a run with the place they are matched by, and how often their text occurs."""
    return f"""SELECT prompt_id, file, entry, prompt, count(*) OVER (PARTITION BY prompt) AS same,
      CASE WHEN count(*) OVER (PARTITION BY stem, entry) > 1 THEN file ELSE stem END AS place
    FROM (SELECT *, regexp_replace(file, '{_ENDING}', '') AS stem FROM {name}.prompts)"""


_TABLES = (
    # one row a prompt of either run; `reason` is NULL where both have it. A result file of one of
    # several entries has a place of its own: then the text decides, where each run has it once
    f"""CREATE TABLE prompt_match AS
    WITH a AS MATERIALIZED ({_side("run_a")}), b AS MATERIALIZED ({_side("run_b")}),
    placed AS MATERIALIZED (
      SELECT a.prompt_id AS ida, b.prompt_id AS idb FROM a JOIN b
      ON a.place = b.place AND a.entry IS NOT DISTINCT FROM b.entry),
    pairs AS (
      SELECT * FROM placed UNION ALL
      SELECT a.prompt_id, b.prompt_id FROM a JOIN b USING (prompt)
      WHERE a.same = 1 AND b.same = 1 AND a.prompt_id NOT IN (SELECT ida FROM placed)
        AND b.prompt_id NOT IN (SELECT idb FROM placed)),
    both_sides AS (
      SELECT p.prompt_id AS prompt_a, pairs.idb, p.file, p.entry, p.prompt
      FROM a p LEFT JOIN pairs ON p.prompt_id = pairs.ida)
    SELECT p.prompt_a, q.prompt_id AS prompt_b, coalesce(p.file, q.file) AS file,
           coalesce(p.entry, q.entry) AS entry, coalesce(p.prompt, q.prompt) AS prompt,
           CASE WHEN q.prompt_id IS NULL THEN 'only in A' WHEN p.prompt_a IS NULL
                THEN 'only in B' WHEN p.prompt IS DISTINCT FROM q.prompt THEN 'other text'
                END AS reason
    FROM both_sides p FULL JOIN b q ON p.idb = q.prompt_id""",
    """CREATE TABLE response_match AS
    WITH a AS (SELECT m.prompt_a, m.prompt_b, m.file, m.entry, r.slot, r.response_id, r.text
               FROM run_a.responses r JOIN prompt_match m ON r.prompt_id = m.prompt_a
               WHERE r.slot >= 0 AND m.reason IS NULL),
    b AS (SELECT m.prompt_a, m.prompt_b, m.file, m.entry, r.slot, r.response_id, r.text
          FROM run_b.responses r JOIN prompt_match m ON r.prompt_id = m.prompt_b
          WHERE r.slot >= 0 AND m.reason IS NULL)
    SELECT coalesce(a.prompt_a, b.prompt_a) AS prompt_a, coalesce(a.prompt_b, b.prompt_b)
           AS prompt_b, coalesce(a.file, b.file) AS file, coalesce(a.entry, b.entry) AS entry,
           coalesce(a.slot, b.slot) AS slot, a.response_id AS response_a,
           b.response_id AS response_b,
           CASE WHEN b.response_id IS NULL THEN 'only in A' WHEN a.response_id IS NULL
                THEN 'only in B' WHEN a.text IS DISTINCT FROM b.text THEN 'other text'
                END AS reason
    FROM a FULL JOIN b ON a.prompt_a = b.prompt_a AND a.slot = b.slot""",
    """CREATE TABLE prompt_pairs AS
    WITH r AS (SELECT prompt_a, count(*) FILTER (WHERE reason IS NULL) AS paired_responses,
                      count(*) AS all_responses FROM response_match GROUP BY prompt_a)
    SELECT m.prompt_a, m.prompt_b, m.file, m.entry, m.prompt,
           coalesce(r.paired_responses, 0) AS paired_responses,
           coalesce(r.all_responses, 0) AS all_responses
    FROM prompt_match m LEFT JOIN r USING (prompt_a) WHERE m.reason IS NULL
    ORDER BY m.prompt_a""",
    """CREATE TABLE response_pairs AS
    SELECT row_number() OVER (ORDER BY prompt_a, slot) AS pair, prompt_a, prompt_b, slot,
           response_a, response_b
    FROM response_match WHERE reason IS NULL""",
)


@dataclass(frozen=True, slots=True)
class RunPair:
    """Two runs opened together.

    Attributes:
        versions: what was read of A and of B (queries.run_version); part of a cache key.
    """

    connection: duckdb.DuckDBPyConnection
    versions: tuple[str, str]

    def cursor(self) -> Cursor:
        """A cursor of its own for one rerun or thread."""
        return self.connection.cursor()


def open_pair(run_a: Path, run_b: Path) -> RunPair:
    """Open two runs for comparing, whatever their states; reads every token of both once.

    Raises:
        InputError: both are the same run.
        RunError: one was written by a newer version, or is damaged.
    """
    if run_a.resolve() == run_b.resolve():
        raise InputError(f"run {run_a.name} cannot be compared with itself; choose another run")
    connection = duckdb.connect(":memory:")
    try:
        versions = _attach(connection, run_a, "run_a"), _attach(connection, run_b, "run_b")
        for statement in (*_TABLES, pair_sums.table()):
            connection.execute(statement)
    except BaseException:
        connection.close()
        raise
    return RunPair(connection, versions)


def _attach(connection: duckdb.DuckDBPyConnection, run_dir: Path, name: str) -> str:
    """Make the run's tables readable as `name`.*; returns the version that was read."""
    version = queries.run_version(run_dir)
    if not version.startswith("live-"):
        path = str(run_dir / version).replace("'", "''")
        try:
            connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
            found = Query(f"SELECT schema_version FROM {name}.meta").number(connection)
        except duckdb.Error as error:
            raise RunError(
                f"run {run_dir.name} has a damaged database ({error}); resume it"
            ) from error
        if found == schema.SCHEMA_VERSION:
            return version
        if found > schema.SCHEMA_VERSION:
            raise RunError(
                f"run {run_dir.name} has schema {found}, this version reads up to "
                f"{schema.SCHEMA_VERSION}; update KL Explorer"
            )
        connection.execute(f"DETACH {name}")
    connection.execute(f"ATTACH ':memory:' AS {name}")
    connection.execute(f"USE {name}")
    load_parts(connection, run_dir, as_views=True)
    for statement in (aggregate.RESPONSES, aggregate.PROMPTS, aggregate.SUMMARY):
        connection.execute(statement)
    connection.execute("USE memory")
    return version


def counts_query() -> Query:
    """One row: pairs, what one side alone has, and what has other text, by level."""
    levels = (("prompts", "prompt_match"), ("responses", "response_match"))
    columns = [
        f"(SELECT count(*) FROM {table} WHERE {condition}) AS {level}_{name}"
        for level, table in levels
        for name, condition in (
            ("paired", "reason IS NULL"),
            ("only_a", "reason = 'only in A'"),
            ("only_b", "reason = 'only in B'"),
            ("other", "reason = 'other text'"),
        )
    ]
    partly = "(SELECT count(*) FROM prompt_pairs WHERE paired_responses < all_responses)"
    return Query(f"SELECT {', '.join(columns)}, {partly} AS prompts_partly")


def unmatched_query(limit: int | None = None) -> Query:
    """What has no counterpart: run (A or B), level, file, entry, response (from 1), reason, prompt.

    What has another text in the other run is a row of each.
    """
    page = "" if limit is None else f" LIMIT {int(limit)}"
    sides = " UNION ALL ".join(_unmatched(side) for side in ("a", "b"))
    return Query(f"SELECT * FROM ({sides}) ORDER BY file, entry, response NULLS FIRST, run{page}")


def _unmatched(side: str) -> str:
    name = side.upper()
    own = f"reason IN ('only in {name}', 'other text')"
    return f"""SELECT '{name}' AS run, 'prompt' AS level, p.file, p.entry, NULL::INT AS response,
      m.reason, p.prompt
    FROM prompt_match m JOIN run_{side}.prompts p ON p.prompt_id = m.prompt_{side} WHERE m.{own}
    UNION ALL SELECT '{name}', 'response', p.file, p.entry, r.slot + 1, r.reason, p.prompt
    FROM response_match r JOIN run_{side}.prompts p ON p.prompt_id = r.prompt_{side}
    WHERE r.{own}"""


def heads_query() -> Query:
    """Two rows, side A and B: counts, models, measure and scale of each run."""
    columns = (
        "prompts, responses, tokens, scored_tokens, measure, model1, model2, mean_kl, "
        "mean_reverse, mean_surprisal2, p999_kl, listed1, listed2, not_asked"
    )
    return Query(
        f"SELECT 'A' AS side, {columns} FROM run_a.summary "
        f"UNION ALL SELECT 'B', {columns} FROM run_b.summary ORDER BY side"
    )


def prompt_pair(cursor: Cursor, prompt_a: int) -> dict[str, Any] | None:
    """The pair with this prompt of A: ids, file, entry, prompt(_json), paired_responses."""
    sql = """SELECT m.*, p.prompt_json FROM prompt_pairs m
      JOIN run_a.prompts p ON p.prompt_id = m.prompt_a WHERE m.prompt_a = ?"""
    return Query(sql, (prompt_a,)).row(cursor)


def responses_query(prompt_a: int) -> Query:
    """The paired responses of a prompt: pair, slot, both ids, and both runs' mean KL.

    `mean_a`, `mean_b` and `difference` are over the tokens that both runs hold and know.
    """
    sql = """WITH r AS (SELECT * FROM response_pairs WHERE prompt_a = ?),
    m AS (SELECT r.pair, nullif(avg(a.kl), 'nan'::DOUBLE) AS mean_a,
                 nullif(avg(b.kl), 'nan'::DOUBLE) AS mean_b
          FROM r JOIN run_a.tokens a ON a.response_id = r.response_a
            JOIN run_b.tokens b ON b.response_id = r.response_b
              AND b.position = a.position AND b.token = a.token
          WHERE a.kl IS NOT NULL AND b.kl IS NOT NULL GROUP BY r.pair)
    SELECT r.pair, r.slot, r.response_a, r.response_b, m.mean_a, m.mean_b,
           nullif(m.mean_b - m.mean_a, 'nan'::DOUBLE) AS difference
    FROM r LEFT JOIN m USING (pair) ORDER BY r.slot"""
    return Query(sql, (prompt_a,))


def token_query(side: str, response_id: int, position: int) -> Query:
    """One position of run "a" or "b" with its lists."""
    table = {"a": "run_a.tokens", "b": "run_b.tokens"}[side]
    sql = f"SELECT * FROM {table} WHERE response_id = ? AND position = ?"
    return Query(sql, (response_id, position))


def first_prompts(run_dir: Path) -> frozenset[int]:
    """Hashes of the prompts of the run's first part.

    Enough to guess, without opening the run, whether two runs are over the same prompts.
    """
    paths = committed(run_dir, "responses")[:1]
    if not paths:
        return frozenset()
    try:
        found = pq.read_table(paths[0], columns=["prompt"])
    except (OSError, pa.ArrowException):
        return frozenset()
    return frozenset(map(hash, found["prompt"].to_pylist()))
