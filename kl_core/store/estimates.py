"""Means of which a budget let only some positions be asked: as columns, and in SQL.

Where there is an estimate, `mean_kl` is it and `total_kl` is estimate × `est_of`; `mean_lower`
takes a position that was not asked as 0, and so stays a certified bound of the mean over all
`est_of`. Where positions were not asked and there is no estimate, there is no mean at all: one
over the asked alone would follow how they were drawn. Every other figure (maxima, quantiles,
means of other measures) is over the asked tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kl_core.numeric.rare_sums import rare_sum_interval
from kl_core.records import NOT_ASKED, Estimate
from kl_core.store import schema

COUNT_NOT_ASKED = f"count(*) FILTER (WHERE reason = '{NOT_ASKED}')"
_MISSING = "count(*) FILTER (WHERE est_of IS NULL AND not_asked > 0)"
# beside the statistics of the statements below: sums of certified bounds
LOWER = "sum_lower"
SUM_LOWER = f"sum(kl_lower) FILTER (WHERE kl IS NOT NULL) AS {LOWER}"


def columns(estimate: Estimate | None, prefix: str = "") -> dict[str, Any]:
    """An estimate's columns, all None without one; NaN is None."""
    if estimate is None:
        return dict.fromkeys(prefix + name for name in schema.ESTIMATE)
    values = (
        estimate.mean,
        estimate.low,
        estimate.high,
        estimate.variance,
        estimate.asked,
        estimate.of,
        estimate.cap,
    )
    return {
        prefix + name: None if math.isnan(value) else value
        for name, value in zip(schema.ESTIMATE, values, strict=True)
    }


def from_columns(row: Mapping[str, Any], prefix: str = "") -> Estimate | None:
    """The estimate back again; None where the row has none."""
    mean, low, high, variance, asked, of, cap = (row[prefix + name] for name in schema.ESTIMATE)
    if of is None:
        return None
    return Estimate(_number(mean), _number(low), _number(high), _number(variance), asked, of, cap)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def replaced(own: str, stats: str, lower: str = "") -> dict[str, str]:
    """Figure → SQL, of what an estimate takes the place of.

    Args:
        own: alias of a row with the columns of an estimate.
        stats: alias of the statistics over its tokens, `not_asked` included.
        lower: SQL of the sum of certified bounds over the positions of the estimate.
    """

    def chosen(estimate: str, plain: str) -> str:
        return (
            f"CASE WHEN {own}.est_of IS NOT NULL THEN {estimate} "
            f"WHEN {stats}.not_asked > 0 THEN NULL ELSE {plain} END"
        )

    return {
        "mean_kl": chosen(f"{own}.est_kl", f"{stats}.mean_kl"),
        "total_kl": chosen(f"{own}.est_kl * {own}.est_of", f"{stats}.total_kl"),
        "mean_lower": chosen(f"{lower} / nullif({own}.est_of, 0)", f"{stats}.mean_lower"),
    }


def of_prompt() -> str:
    """Select list: a prompt's estimate, and its responses' bounds, from rows of `responses`.

    Every response carries its prompt's estimate; one without an estimate of its own is no part
    of it, and its bounds do not count.
    """
    shared = ", ".join(f"any_value({schema.PROMPT}{name}) AS {name}" for name in schema.ESTIMATE)
    return f"{shared}, sum(mean_lower * responses.est_of) AS {LOWER}"


def standard_error(own: str, stats: str, clustered: str) -> str:
    """SQL of `se_kl` in nats: how far the mean may be off.

    With an estimate it is that of the sampling design, over other draws of positions in the
    same responses; else `clustered`, over other responses like these.
    """
    return (
        f"CASE WHEN {own}.est_of IS NOT NULL THEN {_root(f'{own}.est_variance')} "
        f"WHEN {stats}.not_asked > 0 THEN NULL ELSE {clustered} END"
    )


def of_run() -> str:
    """SELECT of one row: the run's estimate from its prompts, all NULL where there is none.

    Prompts are drawn from independently, so that est_kl = Σ of·est / Σ of and est_variance =
    Σ (of / Σ of)²·variance (from one draw alone the mean's square stands in for it, which is
    too large). A prompt that was asked everywhere counts with its tokens and no variance.
    `est_event` is what one position at the cap, had it been drawn, would have added to the
    mean, at most; `est_open` whether some prompt exceeded its cap. `est_missing` prompts have
    positions that were not asked and no estimate. Where there is one, the run has no estimate:
    a search leaves out those that differ least, so that the others' mean is not the run's.
    `est_cap` is there as soon as a prompt has an estimate.
    """
    found = "count(own_of) > 0 AND any_value(missing) = 0"
    return f"""
  SELECT CASE WHEN {found}
              THEN nullif(sum(size * mean_kl) / sum(size), 'nan'::DOUBLE) END AS est_kl,
         CASE WHEN {found} THEN sum(size * size * variance) / pow(sum(size), 2) END AS est_variance,
         CASE WHEN {found} THEN sum(asked)::BIGINT END AS est_asked,
         CASE WHEN {found} THEN sum(size)::BIGINT END AS est_of,
         max(est_cap) AS est_cap,
         max(CASE WHEN asked < size THEN est_cap * size / asked ELSE 0 END) / sum(size)
           AS est_event,
         coalesce(bool_or(isinf(est_high)), false) AS est_open,
         sum(size * mean_lower) AS {LOWER},
         (SELECT {_MISSING} FROM prompts) AS est_missing
  FROM (SELECT est_of AS own_of, coalesce(est_of, scored_tokens) AS size,
               coalesce(est_asked, scored_tokens) AS asked, est_cap, est_high, mean_kl, mean_lower,
               CASE WHEN est_of IS NULL THEN 0.0
                    ELSE coalesce(est_variance, mean_kl * mean_kl) END AS variance,
               (SELECT {_MISSING} FROM prompts) AS missing
        FROM prompts WHERE mean_kl IS NOT NULL)
  WHERE size > 0"""


def run_interval(summary: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """(low, high), the 95 % interval of a run's mean from `of_run`; None where it has none.

    That of a sum of rare, weighted events (numeric.rare_sums): wide enough above for one that
    was missed. Over other draws of positions in the same responses.
    """
    mean, variance = summary.get("est_kl"), summary.get("est_variance")
    if mean is None or variance is None or not math.isfinite(mean + variance):
        return None, None
    if summary["est_asked"] == summary["est_of"]:
        return mean, mean
    low, high = rare_sum_interval(mean, variance, summary["est_event"])
    return low, math.inf if summary["est_open"] else high


def _root(variance: str) -> str:
    return f"CASE WHEN {variance} >= 0 AND isfinite({variance}) THEN sqrt({variance}) END"
