"""One pass over every token of two runs: what prompts and runs are compared by.

Everything is over tokens of paired responses that both runs hold at the same place, and, for
a figure, over those of them where both know it; the others are counted.
"""

from __future__ import annotations

from kl_core.store import pair_tokens
from kl_core.store.pair_figures import FIGURES, Figure
from kl_core.store.query import Query

_VALUES = tuple(one for one in FIGURES.values() if one.mean)
# counted at each figure's tokens; those of the last three have a value in both runs
TOKENS_APART = ("alone_a", "alone_b", "infinite_a", "infinite_b", "infinite_both")


def table() -> str:
    """SQL of `pair_sums`, a row a prompt pair; needs both runs' tokens and `response_pairs`.

    `tokens` (the same in both), `only_a`, `only_b`, `other` (same place, other token). For each
    value at tokens, by the name of its mean: `known_` in both, `n_` finite in both, `sum_` of
    B − A over the finite ones, `alone_a_`, `alone_b_` known in one run alone, `infinite_a_`,
    `infinite_b_` in one run alone, `infinite_both_`. For each figure `a_` and `b_`.
    """
    kept = "kl, t.kl_lower, t.log_ratio, t.logprob2, t.kl_reverse"
    values = ", ".join(
        f"CASE WHEN a.token = b.token THEN {one.token.format(side)} END AS {side}_{one.name}"
        for one in _VALUES
        for side in ("a", "b")
    )
    return f"""CREATE TABLE pair_sums AS WITH {pair_tokens.sides(kept)},
    joined AS (SELECT coalesce(a.prompt_a, b.prompt_a) AS prompt_a, a.pair IS NOT NULL AS in_a,
                      b.pair IS NOT NULL AS in_b, {pair_tokens.SAME} AS same, {values}
               FROM a FULL JOIN b ON a.pair = b.pair AND a.position = b.position)
    SELECT prompt_a, count(*) FILTER (WHERE same) AS tokens,
           count(*) FILTER (WHERE NOT in_b) AS only_a,
           count(*) FILTER (WHERE NOT in_a) AS only_b,
           count(*) FILTER (WHERE in_a AND in_b AND NOT same) AS other,
           {", ".join(_counts(one.name) for one in _VALUES)},
           {", ".join(_figures(one) for one in FIGURES.values())}
    FROM joined GROUP BY prompt_a ORDER BY prompt_a"""


def sums_query() -> Query:
    """All of `pair_sums`."""
    return Query("SELECT * FROM pair_sums ORDER BY prompt_a")


def _counts(name: str) -> str:
    a, b = f"a_{name}", f"b_{name}"
    conditions = {
        "known": f"{a} IS NOT NULL AND {b} IS NOT NULL",
        "n": f"isfinite({a}) AND isfinite({b})",
        "alone_a": f"{a} IS NOT NULL AND {b} IS NULL",
        "alone_b": f"{a} IS NULL AND {b} IS NOT NULL AND same",
        "infinite_a": f"isinf({a}) AND isfinite({b})",
        "infinite_b": f"isfinite({a}) AND isinf({b})",
        "infinite_both": f"isinf({a}) AND isinf({b})",
    }
    counts = [f"count(*) FILTER (WHERE {sql}) AS {n}_{name}" for n, sql in conditions.items()]
    total = f"coalesce(sum({b} - {a}) FILTER (WHERE {conditions['n']}), 0) AS sum_{name}"
    return ", ".join([*counts, total])


def _figures(one: Figure) -> str:
    """Of A and B over what both know; no value where infinities of both signs meet."""
    a, b = f"a_{one.value}", f"b_{one.value}"
    known = f"FILTER (WHERE {a} IS NOT NULL AND {b} IS NOT NULL)"
    both = {side: f"{one.over.format(value)} {known}" for side, value in (("a", a), ("b", b))}
    return ", ".join(
        f"nullif({sql}, 'nan'::DOUBLE) AS {side}_{one.name}" for side, sql in both.items()
    )
