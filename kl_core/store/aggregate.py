"""The SQL that turns `tokens` and `response_rows` into everything a page sorts or shows.

The same statements build a finished run's database and the in-memory view of a live one.
Run-level and prompt-level means weigh every scored token equally; where a budget asked at
some positions only, estimates stand in for them (estimates.py).
"""

from __future__ import annotations

from kl_core.store import chart_tables, estimates, token_tables
from kl_core.store.schema import NORMALIZED_MIN_KL

SPARK_BINS = 40
# what the text can be coloured by → its size at a token; colours are fixed from its quantiles
SCALED = {
    "kl": "kl",
    "kl_lower": "kl_lower",
    "kl_reverse": "kl_reverse",
    "js": "js",
    "normalized": f"CASE WHEN kl >= {NORMALIZED_MIN_KL} THEN normalized END",
    "log_ratio": "abs(log_ratio)",
    "surprisal1": "-logprob1",
    "surprisal2": "-logprob2",
    "entropy1": "entropy1",
    "entropy2": "entropy2",
    "rank1": "rank1",
    "rank2": "rank2",
}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "top": 1.0}
HISTOGRAM_COLUMNS = ("kl", "kl_lower", "normalized", "surprisal1")
DECADES = (-6, 2)
BINS_A_DECADE = 8

# column name: expression over the tokens of one group; an average over inf and -inf is
# NaN, which DuckDB would sort first: it is no value
STATISTICS = {
    "tokens": "count(*)",
    "scored_tokens": "count(kl)",
    "coverage": "count(kl) / count(*)",
    "censored": "count(*) FILTER (WHERE censored)",
    "not_asked": estimates.COUNT_NOT_ASKED,
    "censored_share": "count(*) FILTER (WHERE censored) / count(*)",
    "mean_kl": "nullif(avg(kl), 'nan'::DOUBLE)",
    "median_kl": "quantile_cont(kl, 0.5)",
    "p90_kl": "quantile_cont(kl, 0.9)",
    "p99_kl": "quantile_cont(kl, 0.99)",
    "min_kl": "min(kl)",
    "max_kl": "max(kl)",
    "total_kl": "sum(kl)",
    "std_kl": "CASE WHEN isfinite(max(kl)) THEN stddev_pop(kl) END",
    # over the tokens that have an estimate, so that it stands beside mean_kl
    "mean_lower": "avg(kl_lower) FILTER (WHERE kl IS NOT NULL)",
    "mean_tail": "avg(kl_tail) FILTER (WHERE kl IS NOT NULL)",
    "mean_rank_kl": "nullif(avg(kl_rank), 'nan'::DOUBLE)",
    "mean_reverse": "nullif(avg(kl_reverse), 'nan'::DOUBLE)",
    "mean_js": "nullif(avg(js), 'nan'::DOUBLE)",
    "mean_normalized": f"avg(normalized) FILTER (WHERE kl >= {NORMALIZED_MIN_KL})",
    "top1_agreement": "avg(same_top::INT) FILTER (WHERE kl IS NOT NULL)",
    "mean_log_ratio": "nullif(avg(log_ratio), 'nan'::DOUBLE)",
    "mean_surprisal1": "nullif(-avg(logprob1), 'nan'::DOUBLE)",
    "mean_surprisal2": "nullif(-avg(logprob2), 'nan'::DOUBLE)",
    "mean_entropy1": "nullif(avg(entropy1), 'nan'::DOUBLE)",
    "mean_entropy2": "nullif(avg(entropy2), 'nan'::DOUBLE)",
}
_STATISTICS_SQL = ",\n  ".join(f"{sql} AS {name}" for name, sql in STATISTICS.items())
# what a prompt or response without any token of its own shows
_ZERO = ("tokens", "scored_tokens", "censored", "not_asked")


def _filled(own: str, alias: str, lower: str) -> str:
    """Statistics `alias` of a row `own`, with its estimate where it has one.

    Args:
        lower: where the row's sum of certified bounds is, for its estimate.
    """
    sql = {name: f"{alias}.{name}" for name in STATISTICS}
    sql |= {name: f"coalesce({alias}.{name}, 0)" for name in _ZERO}
    sql |= estimates.replaced(own, alias, f"{lower}.{estimates.LOWER}")
    return ", ".join(f"{value} AS {name}" for name, value in sql.items())


def _distinct(column: str) -> str:
    return f"list_sort(list_distinct(list({column}) FILTER (WHERE {column} IS NOT NULL)))"


def _standard_error(total: str, count: str) -> str:
    """Of a mean over tokens that come in independent clusters, one row each.

    sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n; no value for fewer than two clusters.
    """
    some = f"FILTER (WHERE {count} > 0)"
    squares = (
        f"sum({total} * {total}) {some}"
        f" - 2 * sum({total}) {some} / sum({count}) {some} * sum({total} * {count}) {some}"
        f" + pow(sum({total}) {some} / sum({count}) {some}, 2) * sum({count} * {count}) {some}"
    )
    clusters = f"count(*) {some}"
    value = f"sqrt(greatest({squares}, 0) * {clusters} / ({clusters} - 1.0)) / sum({count}) {some}"
    return f"CASE WHEN {clusters} > 1 AND isfinite(sum({total})) THEN {value} END"


RESPONSES = f"""
CREATE TABLE responses AS
WITH stats AS (
  SELECT response_id, {_STATISTICS_SQL}, {estimates.SUM_LOWER},
         coalesce(arg_max(position, kl), arg_max(position, -logprob1)) AS max_position
  FROM tokens GROUP BY response_id),
bins AS (
  SELECT t.response_id, t.position * {SPARK_BINS} // greatest(s.tokens, {SPARK_BINS}) AS bin,
         max(CASE WHEN run.scored THEN t.kl ELSE -t.logprob1 END) AS value
  FROM tokens t JOIN stats s USING (response_id),
       (SELECT bool_or(measure IS NOT NULL) AS scored FROM response_rows) AS run
  GROUP BY 1, 2),
-- a curve has no gaps, so what has no value is left out of it and never drawn as 0
sparks AS (SELECT response_id, list(value ORDER BY bin) AS spark FROM bins
           WHERE value IS NOT NULL GROUP BY 1)
SELECT r.*, {_filled("r", "s", "s")}, s.max_position, k.spark
FROM response_rows r LEFT JOIN stats s USING (response_id) LEFT JOIN sparks k USING (response_id)
ORDER BY r.response_id"""

PROMPTS = f"""
CREATE TABLE prompts AS
WITH stats AS (
  SELECT prompt_id, {_STATISTICS_SQL}
  FROM tokens JOIN (SELECT response_id, prompt_id FROM response_rows) USING (response_id)
  GROUP BY prompt_id),
heads AS (
  SELECT prompt_id, any_value(file) AS file, any_value(entry) AS entry,
         any_value(entries_in_file) AS entries_in_file, any_value(prompt) AS prompt,
         any_value(prompt_json) AS prompt_json, any_value(model1) AS model1,
         any_value(model2) AS model2,
         {_distinct("provider")} AS providers, {_distinct("model")} AS models,
         {_distinct("finish_reason")} AS finish_reasons,
         {estimates.of_prompt()},
         {_standard_error("total_kl", "scored_tokens")} AS se_kl,
         count(*) FILTER (WHERE slot >= 0) AS n_responses,
         count(*) FILTER (WHERE tokens > 0) AS with_logprobs,
         coalesce(arg_max(spark, mean_kl), arg_max(spark, mean_surprisal1)) AS spark
  FROM responses GROUP BY prompt_id)
SELECT h.* EXCLUDE ({estimates.LOWER})
         REPLACE ({estimates.standard_error("h", "s", "h.se_kl")} AS se_kl),
       {_filled("h", "s", "h")}
FROM heads h LEFT JOIN stats s USING (prompt_id) ORDER BY h.prompt_id"""


def histogram() -> str:
    """Counts in logarithmic bins; the first bin holds everything below it, 0 included."""
    low, high = DECADES
    last = (high - low) * BINS_A_DECADE

    def edge(bin_sql: str) -> str:
        return f"pow(10, {low} + ({bin_sql}) / {float(BINS_A_DECADE)})"

    def counts(name: str) -> str:
        value = "-logprob1" if name == "surprisal1" else name
        binned = f"least(greatest(floor((log10(v) - {low}) * {BINS_A_DECADE}), -1), {last})"
        return f"""SELECT '{name}' AS metric, bin, count(*) AS count FROM (
            SELECT CASE WHEN v <= 0 THEN -1 WHEN isinf(v) THEN {last} ELSE {binned} END AS bin
            FROM (SELECT {value} AS v FROM tokens) WHERE v IS NOT NULL) GROUP BY bin"""

    union = " UNION ALL ".join(counts(name) for name in HISTOGRAM_COLUMNS)
    return f"""CREATE TABLE histogram AS
        SELECT metric, CASE WHEN bin < 0 THEN 0 ELSE {edge("bin")} END AS lo,
               CASE WHEN bin >= {last} THEN 'infinity'::DOUBLE ELSE {edge("bin + 1")} END AS hi,
               count FROM ({union}) ORDER BY metric, lo"""


_RUN = estimates.replaced("est", "stats", f"est.{estimates.LOWER}")
_ESTIMATED = ", ".join(f"{sql} AS {name}" for name, sql in _RUN.items())

SUMMARY = f"""
CREATE TABLE summary AS
WITH stats AS (SELECT {_STATISTICS_SQL}, quantile_cont(kl, 0.999) AS p999_kl,
                      quantile_cont(-logprob1, 0.999) AS p999_surprisal FROM tokens),
heads AS (
  SELECT count(DISTINCT prompt_id) AS prompts,
         count(*) FILTER (WHERE slot >= 0) AS responses,
         count(*) FILTER (WHERE slot >= 0 AND tokens = 0) AS without_logprobs,
         -- one estimate among exact values makes the whole an estimate
         CASE WHEN bool_or(measure = 'floor') THEN 'floor' ELSE any_value(measure) END AS measure,
         CASE WHEN count(DISTINCT model1) > 1 THEN count(DISTINCT model1) || ' models'
              ELSE any_value(model1) END AS model1,
         CASE WHEN count(DISTINCT model2) > 1 THEN count(DISTINCT model2) || ' models'
              ELSE any_value(model2) END AS model2
  FROM responses)
SELECT heads.*, stats.* REPLACE ({_ESTIMATED}),
       est.* EXCLUDE ({estimates.LOWER}),
       {estimates.standard_error("est", "stats", "clusters.se_kl")} AS se_kl,
       clusters.scored_prompts, lists.*
FROM heads, stats, ({estimates.of_run()}) AS est,
  (SELECT {_standard_error("total_kl", "scored_tokens")} AS se_kl,
          count(*) FILTER (WHERE scored_tokens > 0) AS scored_prompts FROM prompts) AS clusters,
  -- the floor estimate depends on how long the lists are
  (SELECT avg(len(list_filter(top1, lambda c: c.listed))) AS listed1,
          avg(len(list_filter(top2, lambda c: c.listed))) AS listed2
   FROM tokens WHERE kl IS NOT NULL) AS lists"""

# values of the columns of `responses` that prompts are filtered by, most frequent first
FACETS = """
CREATE TABLE facets AS
SELECT name, value, count(*) AS responses FROM (
  SELECT 'provider' AS name, provider AS value FROM responses WHERE slot >= 0
  UNION ALL SELECT 'model', model FROM responses WHERE slot >= 0
  UNION ALL SELECT 'finish_reason', finish_reason FROM responses WHERE slot >= 0)
WHERE value IS NOT NULL GROUP BY ALL ORDER BY name, responses DESC, value"""


def _scales() -> str:
    rows = []
    for name, size in SCALED.items():
        values = f"quantile_cont(v, {list(QUANTILES.values())}) FILTER (WHERE isfinite(v))"
        source = f"(SELECT ({size})::DOUBLE AS v FROM tokens)"
        rows.append(f"SELECT '{name}' AS measure, {values} AS q FROM {source}")
    named = ", ".join(f"q[{n}] AS {name}" for n, name in enumerate(QUANTILES, 1))
    return f"CREATE TABLE scales AS SELECT measure, {named} FROM ({' UNION ALL '.join(rows)})"


SCALES = _scales()


def statements() -> list[str]:
    """Everything to run, in order, once `tokens` and `response_rows` exist."""
    return [
        RESPONSES,
        PROMPTS,
        histogram(),
        SUMMARY,
        FACETS,
        SCALES,
        *token_tables.STATEMENTS,
        *chart_tables.STATEMENTS,
    ]
