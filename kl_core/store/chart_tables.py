"""What the charts of a run are drawn from: small tables, computed when the run is built.

The value is the KL of a token where the run has a second model, model 1's surprisal
otherwise, in nats (`chart_facts.metric` tells which). Infinite and missing values are
counted beside every mean and left out of it. Where a budget asked at some positions only, a
response counts with its estimate and the positions this is for; what goes token by token
(along the responses, by confidence, histogram, cumulative) is of the asked tokens. Standard
errors are clustered by prompt: sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n over C prompts,
none for fewer than two.
"""

from __future__ import annotations

RELATIVE_BINS = 20
PROBABILITY_EDGES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
HIGHEST_POINTS, SAMPLED_POINTS = 500, 1000
MOST_BINS, RESPONSES_A_BIN = 10, 5
CURVE_DECADES, POINTS_A_DECADE = 4, 10
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
GROUPS = ("provider", "model", "finish_reason")
AXES = ("entropy", "length")

_IS_KL = "(SELECT metric = 'kl' FROM chart_facts)"
_VALUE = f"CASE WHEN {_IS_KL} THEN t.kl ELSE -t.logprob1 END"
_FINITE = "FILTER (WHERE isfinite(value))"
# of one prompt's tokens, or one response's
_SUMS = f"""count(*) AS tokens, count(value) {_FINITE} AS n,
  count(*) FILTER (WHERE isinf(value)) AS infinite, coalesce(sum(value) {_FINITE}, 0) AS total"""
# over the clusters `c`, whose group's mean is g.mean
_SE = """CASE WHEN count(*) FILTER (WHERE c.n > 0) > 1 THEN
  sqrt(sum(pow(c.total - g.mean * c.n, 2)) FILTER (WHERE c.n > 0)
       * count(*) FILTER (WHERE c.n > 0) / (count(*) FILTER (WHERE c.n > 0) - 1.0))
  / sum(c.n) END AS se"""
_GROUP = """sum(tokens)::BIGINT AS tokens, sum(n)::BIGINT AS n, sum(infinite)::BIGINT AS infinite,
  (sum(tokens) - sum(n) - sum(infinite))::BIGINT AS missing, sum(total) AS total,
  sum(total) / nullif(sum(n), 0) AS mean, count(*) FILTER (WHERE n > 0) AS prompts"""

FACTS = f"""
CREATE TABLE chart_facts AS
WITH how AS (SELECT CASE WHEN measure IS NULL THEN 'surprisal1' ELSE 'kl' END AS metric
             FROM summary),
v AS (SELECT CASE WHEN metric = 'kl' THEN t.kl ELSE -t.logprob1 END AS value
      FROM tokens t, how)
SELECT any_value(how.metric) AS metric, sums.*, sums.tokens - sums.n - sums.infinite AS missing
FROM how, (SELECT {_SUMS} FROM v) sums GROUP BY ALL"""


def _by_group(table: str, key: str) -> str:
    """Mean of the value by `key`, an expression over tokens t and responses r.

    `top_*` is the highest token of the group, the first of equals. Tokens whose key is NULL
    are a group of their own, so that shares add up to 1.
    """
    same = "{}.bin IS NOT DISTINCT FROM g.bin"
    return f"""
CREATE TABLE {table} AS
WITH v AS MATERIALIZED (
  SELECT {key} AS bin, r.prompt_id, t.response_id, t.position, {_VALUE} AS value
  FROM tokens t JOIN responses r USING (response_id)),
c AS (SELECT bin, prompt_id, {_SUMS}, max(value) FILTER (WHERE NOT isnan(value)) AS top
      FROM v GROUP BY bin, prompt_id),
g AS (SELECT bin, {_GROUP}, max(top) AS top FROM c GROUP BY bin),
e AS (SELECT g.bin, {_SE} FROM c JOIN g ON {same.format("c")} GROUP BY g.bin),
first AS (SELECT g.bin, min({{'response_id': v.response_id, 'position': v.position}}) AS place
          FROM v JOIN g ON {same.format("v")} WHERE v.value = g.top GROUP BY g.bin)
SELECT g.* EXCLUDE (top), e.se, g.total / nullif((SELECT total FROM chart_facts), 0) AS share_total,
       g.tokens / (SELECT sum(tokens) FROM g) AS share_tokens, g.top AS top_value,
       r.prompt_id AS top_prompt, r.slot AS top_slot, first.place.position AS top_position
FROM g JOIN e ON {same.format("e")} LEFT JOIN first ON {same.format("first")}
LEFT JOIN responses r ON r.response_id = first.place.response_id
ORDER BY bin"""


def _probability_bucket() -> str:
    """0, 1, … by the highest listed probability of model 1; no bucket without a list."""
    first = "exp(t.top1[1].logprob)"
    inner = " + ".join(f"({first} >= {edge})::INT" for edge in PROBABILITY_EDGES[1:-1])
    return f"CASE WHEN t.top1[1].listed THEN {inner} END"


RELATIVE = _by_group("chart_relative", f"t.position * {RELATIVE_BINS} // r.tokens")
PROBABILITY = _by_group("chart_probability", _probability_bucket())

# of a response r with the sums s of its tokens: those of its estimate where it has one
_ESTIMATED = f"{_IS_KL} AND (r.est_of IS NOT NULL OR r.not_asked > 0)"
_N = f"CASE WHEN {_ESTIMATED} THEN if(isfinite(r.est_kl), r.est_of, 0) ELSE s.n END"
_TOTAL = (
    f"CASE WHEN {_ESTIMATED} THEN if(isfinite(r.est_kl), r.est_kl * r.est_of, 0.0) ELSE s.total END"
)

# one row a response, for the two below; dropped again
RESPONSES = f"""
CREATE TEMP TABLE chart_responses AS
WITH sums AS (SELECT t.response_id, {_SUMS} FROM
  (SELECT t.response_id, {_VALUE} AS value FROM tokens t) t GROUP BY t.response_id)
SELECT r.response_id, r.prompt_id, r.slot, r.provider, r.model, r.finish_reason, s.tokens,
       {_N} AS n, s.infinite, {_TOTAL} AS total, {_TOTAL} / nullif({_N}, 0) AS mean,
       r.mean_entropy1 AS entropy
FROM sums s JOIN responses r USING (response_id)"""


def _groups() -> str:
    """Mean by each value of provider, model and finish reason, clustered by prompt."""
    union = " UNION ALL ".join(
        f"""SELECT '{kind}' AS kind, {kind} AS name, prompt_id, count(*) AS responses,
        sum(tokens) AS tokens, sum(n) AS n, sum(infinite) AS infinite, sum(total) AS total
        FROM chart_responses WHERE slot >= 0 GROUP BY {kind}, prompt_id"""
        for kind in GROUPS
    )
    return f"""
CREATE TABLE chart_groups AS
WITH c AS ({union}),
g AS (SELECT kind, name, sum(responses)::BIGINT AS responses, {_GROUP} FROM c GROUP BY kind, name),
e AS (SELECT g.kind, g.name, {_SE} FROM c JOIN g
      ON c.kind = g.kind AND c.name IS NOT DISTINCT FROM g.name GROUP BY g.kind, g.name)
SELECT g.*, e.se FROM g JOIN e ON e.kind = g.kind AND e.name IS NOT DISTINCT FROM g.name
ORDER BY g.kind, g.tokens DESC, g.name"""


def _scatter() -> str:
    """Responses as points, and means of responses in bins of equal count along x.

    Beyond HIGHEST_POINTS + SAMPLED_POINTS responses, the highest by mean are kept and a
    sample of the others that depends on response_id alone. Bins hold every response;
    equal x is never split over two.
    """
    axes = {"entropy": "entropy", "length": "tokens"}
    union = " UNION ALL ".join(
        f"SELECT '{axis}' AS axis, * FROM (SELECT {x}::DOUBLE AS x, * FROM chart_responses)"
        " WHERE mean IS NOT NULL AND isfinite(x)"
        for axis, x in axes.items()
    )
    order = "(response_id * 2654435761) % 4294967296, response_id"
    return f"""
CREATE TABLE chart_scatter AS
WITH v AS (
  SELECT *, count(*) OVER (PARTITION BY axis) AS responses,
         percent_rank() OVER (PARTITION BY axis ORDER BY x) AS along,
         row_number() OVER (PARTITION BY axis ORDER BY mean DESC, response_id) AS by_mean
  FROM ({union})),
points AS (
  SELECT *, row_number() OVER (
    PARTITION BY axis, by_mean <= {HIGHEST_POINTS} ORDER BY {order}) AS by_chance FROM v
  QUALIFY by_mean <= {HIGHEST_POINTS} OR by_chance <= {SAMPLED_POINTS}),
binned AS (
  SELECT *, least({MOST_BINS}, responses // {RESPONSES_A_BIN}) AS bins,
         least(floor(along * bins), bins - 1) AS bin FROM v WHERE bins >= 2),
c AS (SELECT axis, bin, prompt_id, count(*) AS n, sum(mean) AS total, sum(x) AS x,
             sum(tokens) AS tokens FROM binned GROUP BY ALL),
g AS (SELECT axis, bin, sum(total) / sum(n) AS mean, sum(x) / sum(n) AS x,
             sum(n)::BIGINT AS responses, sum(tokens)::BIGINT AS tokens, count(*) AS prompts
      FROM c GROUP BY axis, bin),
e AS (SELECT axis, bin, {_SE} FROM c JOIN g USING (axis, bin) GROUP BY axis, bin)
SELECT axis, 'response' AS kind, x, mean, NULL::DOUBLE AS se, 1::BIGINT AS responses, tokens,
       infinite, NULL::BIGINT AS prompts, response_id, prompt_id, slot FROM points
UNION ALL
SELECT axis, 'bin', x, mean, se, responses, tokens, NULL, prompts, NULL, NULL, NULL
FROM g JOIN e USING (axis, bin)
ORDER BY axis, kind DESC, x, response_id"""


def _cumulative() -> str:
    """Share of the total held by the highest tokens, exact at each stored share of tokens.

    `value` is the lowest value among these tokens: the threshold that finds them.
    """
    steps = CURVE_DECADES * POINTS_A_DECADE
    wanted = f"ceil(n * pow(10, (i - {steps}) / {POINTS_A_DECADE}.0) - 1e-9)::BIGINT"
    return f"""
CREATE TABLE chart_cumulative AS
WITH v AS (SELECT {_VALUE} AS value FROM tokens t),
ranked AS (SELECT value, row_number() OVER down AS rank, sum(value) OVER down AS held,
                  count(*) OVER () AS n
           FROM v WHERE isfinite(value)
           WINDOW down AS (ORDER BY value DESC ROWS UNBOUNDED PRECEDING)),
wanted AS (SELECT DISTINCT greatest({wanted}, 1) AS rank
           FROM (SELECT n FROM chart_facts WHERE n > 0), range({steps + 1}) steps(i))
SELECT rank AS tokens, rank / n AS share_tokens, held / nullif(f.total, 0) AS share_total, value
FROM ranked JOIN wanted USING (rank), (SELECT total FROM chart_facts) f ORDER BY rank"""


STATEMENTS: tuple[str, ...] = (
    FACTS,
    RELATIVE,
    PROBABILITY,
    RESPONSES,
    _groups(),
    _scatter(),
    "DROP TABLE chart_responses",
    _cumulative(),
)
