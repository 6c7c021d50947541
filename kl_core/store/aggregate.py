"""The SQL that turns `tokens` and `response_rows` into everything a page sorts or shows.

The same statements build a finished run's database and the in-memory view of a live one.
Run-level and prompt-level means weigh every scored token equally.
"""

from __future__ import annotations

SPARK_BINS = 40
TOP_TOKENS = 1000
NORMALIZED_MIN_KL = 0.01
"""Nats below which KL/(H1+H2) divides noise by noise: such tokens do not count for it."""
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
_ZERO = ("tokens", "scored_tokens", "censored")


def _filled(alias: str) -> str:
    columns = [
        f"coalesce({alias}.{name}, 0) AS {name}" if name in _ZERO else f"{alias}.{name}"
        for name in STATISTICS
    ]
    return ", ".join(columns)


RESPONSES = f"""
CREATE TABLE responses AS
WITH stats AS (
  SELECT response_id, {_STATISTICS_SQL}, arg_max(position, coalesce(kl, -logprob1)) AS max_position
  FROM tokens GROUP BY response_id),
bins AS (
  SELECT t.response_id, t.position * {SPARK_BINS} // greatest(s.tokens, {SPARK_BINS}) AS bin,
         max(coalesce(t.kl, CASE WHEN s.scored_tokens = 0 THEN -t.logprob1 END, 0)) AS value
  FROM tokens t JOIN stats s USING (response_id) GROUP BY 1, 2),
sparks AS (SELECT response_id, list(value ORDER BY bin) AS spark FROM bins GROUP BY 1)
SELECT r.*, {_filled("s")}, s.max_position, k.spark
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
         list_sort(list_distinct(list(provider) FILTER (WHERE provider IS NOT NULL))) AS providers,
         count(*) FILTER (WHERE slot >= 0) AS n_responses,
         count(*) FILTER (WHERE tokens > 0) AS with_logprobs,
         arg_max(spark, coalesce(mean_kl, mean_surprisal1)) AS spark
  FROM responses GROUP BY prompt_id)
SELECT h.*, {_filled("s")}
FROM heads h LEFT JOIN stats s USING (prompt_id) ORDER BY h.prompt_id"""


def top_tokens() -> str:
    """The highest positions of the whole run, by KL and by KL/(H1+H2)."""
    parts = [
        f"""SELECT '{score}' AS score_type, row_number() OVER () AS rank, * FROM (
        SELECT t.{score} AS score, t.response_id, t.position, r.prompt_id, t.token, t.kl,
               t.kl_lower, t.entropy1, t.entropy2
        FROM tokens t JOIN response_rows r USING (response_id)
        WHERE t.{score} IS NOT NULL AND ({score == "kl"} OR t.kl >= {NORMALIZED_MIN_KL})
        ORDER BY t.{score} DESC, t.response_id, t.position LIMIT {TOP_TOKENS})"""
        for score in ("kl", "normalized")
    ]
    return "CREATE TABLE top_tokens AS " + " UNION ALL ".join(f"({part})" for part in parts)


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


SUMMARY = f"""
CREATE TABLE summary AS
WITH stats AS (SELECT {_STATISTICS_SQL}, quantile_cont(kl, 0.999) AS p999_kl,
                      quantile_cont(-logprob1, 0.999) AS p999_surprisal FROM tokens),
heads AS (
  SELECT count(DISTINCT prompt_id) AS prompts,
         count(*) FILTER (WHERE slot >= 0) AS responses,
         count(*) FILTER (WHERE slot >= 0 AND tokens = 0) AS without_logprobs,
         any_value(measure) AS measure,
         CASE WHEN count(DISTINCT model1) > 1 THEN count(DISTINCT model1) || ' models'
              ELSE any_value(model1) END AS model1,
         CASE WHEN count(DISTINCT model2) > 1 THEN count(DISTINCT model2) || ' models'
              ELSE any_value(model2) END AS model2
  FROM responses)
SELECT * FROM heads, stats"""


def statements() -> list[str]:
    """Everything to run, in order, once `tokens` and `response_rows` exist."""
    return [RESPONSES, PROMPTS, top_tokens(), histogram(), SUMMARY]
