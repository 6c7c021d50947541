"""The columns of a run: Arrow schemas of its Parquet parts.

A run's database (build.py) has the same `tokens`, and `responses`, `prompts`,
`top_tokens`, `histogram`, `problems` and `meta` computed from the parts.
"""

import pyarrow as pa

SCHEMA_VERSION = 3
NORMALIZED_MIN_KL = 0.01
"""Nats below which KL/(H1+H2) divides noise by noise: such tokens do not count for it."""

CANDIDATE = pa.struct(
    [
        ("token", pa.string()),
        ("token_id", pa.int64()),
        ("key", pa.int64()),
        ("logprob", pa.float64()),
        ("listed", pa.bool_()),
        ("special", pa.bool_()),
    ]
)

MEASURES = (
    "kl",
    "kl_reverse",
    "js",
    "kl_lower",
    "kl_tail",
    "kl_rank",
    "normalized",
    "entropy1",
    "entropy2",
    "entropy1_full",
    "entropy2_full",
    "logprob1",
    "logprob2",
    "log_ratio",
    "rest1",
    "rest2",
)

# What only the result files need (restore.py): model 1's log-probability and reason as they
# were read, and the candidates' bytes and pieces where they do not follow from the text
# (forms.py). `form1` and `form2` are never NULL but in parts of versions before schema 2.
RESTORING = {
    "sampled_logprob": pa.float64(),
    "input_reason": pa.string(),
    "form1": pa.int8(),
    "form2": pa.int8(),
    "pieces1": pa.list_(pa.string()),
    "pieces2": pa.list_(pa.string()),
    "data1": pa.list_(pa.binary()),
    "data2": pa.list_(pa.binary()),
}

# lists of candidates and what belongs to them: large, read where they are needed alone
LISTS = ("top1", "top2", "form1", "form2", "pieces1", "pieces2", "data1", "data2")

TOKENS = pa.schema(
    [
        ("response_id", pa.int64()),
        ("position", pa.int32()),
        ("token", pa.string()),
        ("piece", pa.string()),
        ("data", pa.binary()),
        ("token_id", pa.int64()),
        ("special", pa.bool_()),
        *[(name, pa.float64()) for name in MEASURES],
        ("rank1", pa.int64()),  # result files of other programs may say anything
        ("rank2", pa.int64()),
        ("censored", pa.bool_()),
        ("same_top", pa.bool_()),
        ("reason", pa.string()),
        ("span_start", pa.int32()),
        ("span_end", pa.int32()),
        ("top1", pa.list_(CANDIDATE)),
        ("top2", pa.list_(CANDIDATE)),
        *RESTORING.items(),
    ]
)

# records.Estimate, where a budget asked at some positions only: of the response, and with
# PROMPT before the name of its whole prompt. `est_of` is NULL where there is none.
ESTIMATE = {
    "est_kl": pa.float64(),
    "est_low": pa.float64(),
    "est_high": pa.float64(),
    "est_variance": pa.float64(),
    "est_asked": pa.int64(),
    "est_of": pa.int64(),
    "est_cap": pa.float64(),
}
PROMPT = "prompt_"

RESPONSES = pa.schema(
    [
        ("response_id", pa.int64()),
        ("prompt_id", pa.int64()),
        ("slot", pa.int32()),
        ("file", pa.string()),
        ("entry", pa.int32()),
        ("entries_in_file", pa.int32()),
        ("prompt", pa.string()),
        ("prompt_json", pa.string()),
        ("text", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("finish_reason", pa.string()),
        ("reasoning", pa.string()),
        ("error", pa.string()),
        ("measure", pa.string()),
        ("model1", pa.string()),
        ("model2", pa.string()),
        *ESTIMATE.items(),
        *[(PROMPT + name, kind) for name, kind in ESTIMATE.items()],
    ]
)

PROBLEMS = pa.schema(
    [
        ("file", pa.string()),
        ("place", pa.string()),
        ("reason", pa.string()),
        ("hint", pa.string()),
    ]
)
