"""The highest tokens of a run, and its tokens grouped by their text: tables and queries.

A score is `kl`, `normalized` (KL/(H1+H2), only where KL reaches a least value) or
`surprisal1` (−ln P of the sampled token), all in nats but the ratio. Bounds are included,
as in `python -m kl_core tokens`. Rows come highest first, then by response and position.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

from kl_core.errors import InputError
from kl_core.store.query import Query
from kl_core.store.schema import NORMALIZED_MIN_KL

TOP_TOKENS = 1000
BEFORE, AFTER = 24, 12  # tokens of context on each side
HIGH_NATS = 1.0
"""Nats from which an occurrence counts as high in the groups."""
Score = Literal["kl", "normalized", "surprisal1"]
SCORES: dict[Score, str] = {"kl": "t.kl", "normalized": "t.normalized", "surprisal1": "-t.logprob1"}
GROUPED: tuple[Score, ...] = ("kl", "surprisal1")
"""The scores that groups are summed by; a sum of ratios would mean nothing."""
GROUP_SORTS = ("total", "mean", "median", "max", "occurrences", "high", "mean_log_ratio")
_ORDER = "ORDER BY score DESC, response_id, position"
_COLUMNS = """c.score, c.response_id, c.position, r.prompt_id, t.token, t.kl, t.kl_lower,
  t.entropy1, t.entropy2, t.normalized, -t.logprob1 AS surprisal1, t.censored, t.special,
  r.slot, r.provider, r.file, left(r.prompt, 200) AS prompt"""


def _in_context(chosen: str) -> str:
    """Rows of `chosen` (score, response_id, position) with figures and surrounding tokens."""
    return f"""WITH c AS MATERIALIZED ({chosen}),
  around AS (
    SELECT c.response_id, c.position,
           list({{'position': n.position, 'token': n.token, 'data': n.data,
                  'special': n.special}} ORDER BY n.position) AS context
    FROM c JOIN tokens n ON n.response_id = c.response_id
     AND n.position BETWEEN c.position - {BEFORE} AND c.position + {AFTER}
    GROUP BY ALL)
  SELECT {_COLUMNS}, around.context
  FROM c
  JOIN tokens t ON t.response_id = c.response_id AND t.position = c.position
  JOIN around ON around.response_id = c.response_id AND around.position = c.position
  JOIN response_rows r ON r.response_id = c.response_id"""


def _with_models(listed: str) -> str:
    """The same rows with model1 of each, and of how many models the run's responses are."""
    return f"""SELECT l.*, m.model1, (SELECT count(DISTINCT model1) FROM response_rows) AS models
  FROM ({listed}) l JOIN (SELECT response_id, model1 FROM response_rows) m USING (response_id)
  {_ORDER}"""


def top_tokens() -> str:
    """The table `top_tokens`: the highest positions of the run by each score, in context."""
    parts = []
    for score, value in SCORES.items():
        least = f"AND t.kl >= {NORMALIZED_MIN_KL}" if score == "normalized" else ""
        chosen = f"""SELECT {value} AS score, t.response_id, t.position FROM tokens t
          WHERE {value} IS NOT NULL {least} {_ORDER} LIMIT {TOP_TOKENS}"""
        parts.append(
            f"""SELECT '{score}' AS score_type, row_number() OVER ({_ORDER}) AS rank, *
            FROM ({_in_context(chosen)})"""
        )
    union = " UNION ALL ".join(f"({part})" for part in parts)
    return f"CREATE TABLE top_tokens AS SELECT * FROM ({union}) ORDER BY score_type, rank"


def token_groups() -> str:
    """The table `token_groups`: one row a score and token text, over its scored occurrences.

    `share` is the part of the run's total, NULL where that is infinite; `high` counts
    occurrences from HIGH_NATS up; the place is that of the highest occurrence.
    """
    parts = []
    for score in GROUPED:
        value = SCORES[score]
        parts.append(f"""
        SELECT '{score}' AS score_type, g.*, r.prompt_id, r.slot
        FROM (
          SELECT t.token, coalesce(t.special, false) AS special, count(*) AS occurrences,
                 count(DISTINCT t.response_id) AS responses,
                 count(DISTINCT r.prompt_id) AS prompts,
                 nullif(avg({value}), 'nan'::DOUBLE) AS mean,
                 quantile_cont({value}, 0.5) AS median, max({value}) AS max,
                 sum({value}) AS total, count(*) FILTER (WHERE {value} >= {HIGH_NATS}) AS high,
                 nullif(avg(t.log_ratio), 'nan'::DOUBLE) AS mean_log_ratio,
                 arg_max(t.response_id, {value}) AS response_id,
                 arg_max(t.position, {value}) AS position
          FROM tokens t JOIN response_rows r USING (response_id)
          WHERE {value} IS NOT NULL GROUP BY t.token, coalesce(t.special, false)) g
        JOIN response_rows r USING (response_id)""")
    return f"""CREATE TABLE token_groups AS
      SELECT *, CASE WHEN isfinite(sum(total) OVER (PARTITION BY score_type))
                THEN total / nullif(sum(total) OVER (PARTITION BY score_type), 0) END AS share
      FROM ({" UNION ALL ".join(parts)}) ORDER BY score_type, total DESC, token, special"""


STATEMENTS: tuple[str, ...] = (top_tokens(), token_groups())


def top_tokens_query(
    score: Score = "kl",
    least: float | None = None,
    most: float | None = None,
    min_kl: float = NORMALIZED_MIN_KL,
    text: str = "",
    limit: int | None = 100,
    offset: int = 0,
    context: bool = True,
) -> Query:
    """The highest tokens with least ≤ score ≤ most, each with its place and its context.

    Args:
        score: what is bounded and sorted by.
        least, most: bounds, both included; None for open.
        min_kl: nats a token's KL needs before `normalized` means anything.
        text: occurs in the token, whatever the case.
        limit, offset: a page; limit None for all.
        context: give the surrounding tokens as a list, and the model (model1) out of `models`
            of the run; without it any number of rows is cheap.

    Raises:
        InputError: the score is none of SCORES, or a bound is not a finite number.
    """
    where, arguments = _condition(score, least, most, min_kl, text)
    page = "" if limit is None else f"LIMIT {int(limit)} OFFSET {int(offset)}"
    known = score != "normalized" or min_kl == NORMALIZED_MIN_KL
    if known and most is None and not text and limit is not None and offset + limit <= TOP_TOKENS:
        columns = "* EXCLUDE (score_type, rank" + (")" if context else ", context)")
        above, bound = ("", ()) if least is None else ("AND score >= ?", (least,))
        stored = f"SELECT {columns} FROM top_tokens WHERE score_type = ? {above} ORDER BY rank"
        found = f"{stored} {page}"
        return Query(_with_models(found) if context else found, (score, *bound))
    chosen = f"SELECT {SCORES[score]} AS score, t.response_id, t.position FROM tokens t"
    chosen = f"{chosen} WHERE {where} {_ORDER} {page}"
    if context:
        return Query(_with_models(_in_context(chosen)), arguments)
    plain = f"""WITH c AS ({chosen}) SELECT {_COLUMNS} FROM c
      JOIN tokens t ON t.response_id = c.response_id AND t.position = c.position
      JOIN response_rows r ON r.response_id = c.response_id {_ORDER}"""
    return Query(plain, arguments)


def top_tokens_count_query(
    score: Score = "kl",
    least: float | None = None,
    most: float | None = None,
    min_kl: float = NORMALIZED_MIN_KL,
    text: str = "",
) -> Query:
    """How many tokens of the whole run these conditions leave."""
    where, arguments = _condition(score, least, most, min_kl, text)
    return Query(f"SELECT count(*) FROM tokens t WHERE {where}", arguments)


def token_groups_query(
    sort: str = "total",
    descending: bool = True,
    text: str = "",
    min_count: int = 1,
    limit: int | None = 100,
    offset: int = 0,
    score: Score = "kl",
) -> Query:
    """Token texts with what their occurrences add up to.

    Args:
        sort: one of GROUP_SORTS, ties by token.
        text: occurs in the token, whatever the case.
        min_count: occurrences a token needs; a mean over one says little.
        score: one of GROUPED.

    Raises:
        InputError: the sort or the score is not known.
    """
    if sort not in GROUP_SORTS:
        raise InputError(f"cannot sort by {sort!r}; choose one of {', '.join(GROUP_SORTS)}")
    where, arguments = _group_condition(text, min_count, score)
    order = f"ORDER BY {sort} {'DESC' if descending else 'ASC'} NULLS LAST, token, special"
    page = "" if limit is None else f"LIMIT {int(limit)} OFFSET {int(offset)}"
    return Query(f"SELECT * FROM token_groups WHERE {where} {order} {page}", arguments)


def token_groups_count_query(text: str = "", min_count: int = 1, score: Score = "kl") -> Query:
    """How many token texts these conditions leave."""
    where, arguments = _group_condition(text, min_count, score)
    return Query(f"SELECT count(*) FROM token_groups WHERE {where}", arguments)


def occurrences_query(
    token: str, special: bool, limit: int = 50, score: Score = "kl", context: bool = True
) -> Query:
    """The highest occurrences of one token text, as `top_tokens_query` gives them."""
    where, arguments = _condition(score, None, None, 0.0, "")
    chosen = f"""SELECT {SCORES[score]} AS score, t.response_id, t.position FROM tokens t
      WHERE {where} AND t.token = ? AND coalesce(t.special, false) = ?
      {_ORDER} LIMIT {int(limit)}"""
    listed = _in_context(chosen)
    if context:
        return Query(_with_models(listed), (*arguments, token, special))
    listed = f"SELECT * EXCLUDE (context) FROM ({listed})"
    return Query(f"{listed} {_ORDER}", (*arguments, token, special))


def around_query(response_id: int, first: int, last: int) -> Query:
    """The tokens of a response from position `first` to `last`, both included."""
    sql = """SELECT position, token, data, special, logprob1, log_ratio FROM tokens
      WHERE response_id = ? AND position BETWEEN ? AND ? ORDER BY position"""
    return Query(sql, (response_id, first, last))


def _condition(
    score: Score, least: float | None, most: float | None, min_kl: float, text: str
) -> tuple[str, tuple[Any, ...]]:
    if score not in SCORES:
        raise InputError(f"no score is called {score!r}; choose one of {', '.join(SCORES)}")
    for bound in (least, most, min_kl):
        if bound is not None and not math.isfinite(bound):
            raise InputError(f"a threshold of {bound} means nothing; give a finite number")
    value = SCORES[score]
    conditions, arguments = [f"{value} IS NOT NULL"], []
    if score == "normalized":
        conditions.append("t.kl >= ?")
        arguments.append(min_kl)
    for sign, bound in ((">=", least), ("<=", most)):
        if bound is not None:
            conditions.append(f"{value} {sign} ?")
            arguments.append(bound)
    more = _contains("t.token", text)
    return " AND ".join([*conditions, *more[0]]), (*arguments, *more[1])


def _group_condition(text: str, min_count: int, score: Score) -> tuple[str, tuple[Any, ...]]:
    if score not in GROUPED:
        raise InputError(f"cannot group by {score!r}; choose one of {', '.join(GROUPED)}")
    more = _contains("token", text)
    conditions = ["score_type = ?", "occurrences >= ?", *more[0]]
    return " AND ".join(conditions), (score, min_count, *more[1])


def _contains(column: str, text: str) -> tuple[list[str], list[str]]:
    if not text:
        return [], []
    return [f"{column} ILIKE ? ESCAPE '\\'"], ["%" + re.sub(r"([%_\\])", r"\\\1", text) + "%"]
