"""The rows behind each chart, as queries: drawn on a page, exported, or copied as Python."""

from __future__ import annotations

from typing import Any, Literal

from kl_core.store import chart_tables
from kl_core.store.query import Cursor, Query

Axis = Literal["entropy", "length"]
Group = Literal["provider", "model", "finish_reason"]
_MEAN = "mean, se, prompts, tokens, n AS with_value, infinite, missing"
_TOP = "top_prompt, top_slot, top_position, top_value"


def facts_query() -> Query:
    """One row: metric ("kl" or "surprisal1"), tokens, n with a value, infinite, missing, total."""
    return Query("SELECT * FROM chart_facts")


def facts(cursor: Cursor) -> dict[str, Any]:
    """The same as a dict."""
    return facts_query().row(cursor) or {}


def relative_query() -> Query:
    """Mean by position over length, in equal bins: low ≤ position / length < high."""
    size = f"{chart_tables.RELATIVE_BINS}.0"
    sql = f"SELECT bin / {size} AS low, (bin + 1) / {size} AS high, {_MEAN}, {_TOP}"
    return Query(f"{sql} FROM chart_relative ORDER BY bin")


def probability_query() -> Query:
    """Mean by model 1's highest probability: low ≤ p < high, the last with its end.

    A row without edges holds the tokens that have no list of model 1.
    """
    edges = f"{list(chart_tables.PROBABILITY_EDGES)}::DOUBLE[]"
    sql = f"""SELECT ({edges})[bin + 1] AS low, ({edges})[bin + 2] AS high, {_MEAN},
      share_tokens, share_total, {_TOP} FROM chart_probability ORDER BY bin NULLS LAST"""
    return Query(sql)


def groups_query(kind: Group) -> Query:
    """Mean by provider, model or finish reason of the response, the most tokens first."""
    sql = f"SELECT name, responses, {_MEAN} FROM chart_groups WHERE kind = ?"
    return Query(f"{sql} ORDER BY tokens DESC, name", (kind,))


def scatter_query(axis: Axis) -> Query:
    """Responses as points (kind "response"), then means in bins along x (kind "bin").

    x is the mean entropy of model 1 in nats, or the length in tokens.
    """
    sql = "SELECT * EXCLUDE (axis) FROM chart_scatter WHERE axis = ?"
    return Query(f"{sql} ORDER BY kind DESC, x, response_id", (axis,))


def cumulative_query() -> Query:
    """Share of the total held by the highest tokens; `value` is the lowest among them."""
    return Query("SELECT * FROM chart_cumulative ORDER BY tokens")


def histogram_query(column: str | None = None) -> Query:
    """Tokens by value (kind "bin"), then the run's percentiles (kind "percentile").

    A percentile has low = high = its value in nats and its share of the finite values.

    Args:
        column: one of aggregate.HISTOGRAM_COLUMNS, None for the charts' value.
    """
    columns = ", ".join(chart_tables.PERCENTILES)
    shares = list(chart_tables.PERCENTILES.values())
    sql = f"""WITH m AS (SELECT coalesce(?, metric) AS metric FROM chart_facts),
    q AS (SELECT unnest([{columns}]) AS value, unnest({shares}) AS share
          FROM scales JOIN m ON scales.measure = m.metric)
    SELECT 'bin' AS kind, lo AS low, hi AS high, count AS tokens, NULL::DOUBLE AS share
    FROM histogram JOIN m USING (metric)
    UNION ALL SELECT 'percentile', value, value, NULL, share FROM q WHERE value IS NOT NULL
    ORDER BY kind, low, share"""
    return Query(sql, (column,))


def position_query(response_id: int) -> Query:
    """The charts' value at each position of a response, in nats; NULL where not known."""
    value = "CASE WHEN metric = 'kl' THEN kl ELSE -logprob1 END AS value"
    sql = f"SELECT position, {value} FROM tokens, chart_facts WHERE response_id = ?"
    return Query(f"{sql} ORDER BY position", (response_id,))


def open_response_query(prompt_id: int | None, slot: int | None) -> Query:
    """The response that is open: of a prompt and slot, the most divergent where not told."""
    conditions, arguments = ["tokens > 0"], []
    for column, value in (("prompt_id", prompt_id), ("slot", slot)):
        if value is not None:
            conditions.append(f"{column} = ?")
            arguments.append(value)
    sql = f"""SELECT response_id, prompt_id, slot, not_asked FROM responses
      WHERE {" AND ".join(conditions)}
      ORDER BY coalesce(mean_kl, mean_surprisal1) DESC NULLS LAST, response_id LIMIT 1"""
    return Query(sql, tuple(arguments))
