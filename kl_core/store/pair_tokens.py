"""Two runs token by token.

Both tables of tokens are matched by response pair and position; a difference is B − A and
exists where both runs hold the same token and both know the figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from kl_core.store.pair_figures import DEFAULT, Figure, figure
from kl_core.store.query import Query

SAME = "coalesce(a.token = b.token, false)"


def tokens_query(pairs: Sequence[int], name: str = DEFAULT) -> Query:
    """Positions of paired responses: pair, position, the token and the values of both runs.

    `value_a`, `value_b` and `difference` are the figure's at the token, NULL where not
    known; `same` says whether both runs hold this token here, `token_b` what B holds.

    Raises:
        InputError: no such figure.
    """
    one = figure(name)
    kept = (
        "data, t.special, t.censored, t.reason, t.kl, t.kl_lower, t.kl_reverse, t.log_ratio, "
        "t.logprob1, t.logprob2"
    )
    sql = f"""WITH {sides(kept, pairs)}
    SELECT coalesce(a.pair, b.pair) AS pair, coalesce(a.position, b.position) AS position,
      coalesce(a.token, b.token) AS token, b.token AS token_b,
      CASE WHEN a.pair IS NULL THEN b.data ELSE a.data END AS data,
      coalesce(a.special, b.special) AS special, {SAME} AS same,
      a.pair IS NOT NULL AS in_a, b.pair IS NOT NULL AS in_b,
      coalesce(a.censored, false) AS censored_a, coalesce(b.censored, false) AS censored_b,
      a.reason AS reason_a, b.reason AS reason_b, a.logprob1, a.logprob2 AS logprob2_a,
      b.logprob2 AS logprob2_b, {one.token.format("a")} AS value_a,
      {one.token.format("b")} AS value_b, {_difference(one)} AS difference
    FROM a FULL JOIN b ON a.pair = b.pair AND a.position = b.position ORDER BY 1, 2"""
    return Query(sql, (*pairs, *pairs))


def sides(columns: str, pairs: Sequence[int] | None = None) -> str:
    """Common tables `a` and `b`: tokens of paired responses, of some pairs alone or of all."""
    where = "" if pairs is None else f"WHERE r.pair IN ({', '.join('?' * len(pairs)) or 'NULL'})"
    return ",\n".join(
        f"""{side} AS (SELECT r.pair, r.prompt_a, t.position, t.token, t.{columns}
        FROM run_{side}.tokens t JOIN response_pairs r ON t.response_id = r.response_{side}
        {where})"""
        for side in ("a", "b")
    )


def _difference(one: Figure) -> str:
    value = f"{one.token.format('b')} - {one.token.format('a')}"
    return f"CASE WHEN a.token = b.token THEN nullif({value}, 'nan'::DOUBLE) END"
