"""How fast a run answers the page: sorting, opening a response, opening a token.

    python -m benchmarks.bench_store --tokens 1000000

Makes a run of that many scored tokens through the store's own writer (top-20 lists on both
sides), then times the queries behind the Explore page, first and repeated, and beside them
the plain way: the same answers aggregated from the Parquet parts at every click.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from kl_core.records import (
    Entry,
    Message,
    Position,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
    TokenMeasures,
)
from kl_core.store import parts, queries, runs
from kl_core.store.build import build_database
from kl_core.store.filters import PromptFilter

VOCABULARY = 5_000
TOP = 20
RESPONSES = 5
REPEATS = 20


def make_response(rng: np.random.Generator, tokens: int, vocab: list[Token]) -> ScoredResponse:
    """One scored response with made-up figures; only the shape of the data matters here."""
    ids = rng.integers(0, VOCABULARY, (tokens, TOP))
    logprobs = -np.sort(rng.exponential(3, (2, tokens, TOP)), axis=-1)
    dists = [
        [
            TokenDist(tuple(vocab[i] for i in row), tuple(values), TOP, tuple(row))
            for row, values in zip(ids.tolist(), side.tolist(), strict=True)
        ]
        for side in logprobs
    ]
    kl = rng.exponential(0.05, tokens)
    floats = dict.fromkeys(TokenMeasures.__dataclass_fields__, kl * 1)
    ranks = np.ones(tokens, dtype=np.int64)
    measures = TokenMeasures(**(floats | {"rank1": ranks, "rank2": ranks, "censored": kl < 0}))
    sampled = [vocab[i] for i in ids[:, 0].tolist()]
    positions = tuple(
        Position(token, float(dist.logprobs[0]), dist)
        for token, dist in zip(sampled, dists[0], strict=True)
    )
    text = "".join(token.text for token in sampled)
    response = Response(0, text, positions, provider="P")
    return ScoredResponse(response, tuple(dists[1]), (None,) * tokens, measures, "floor")


def make_run(root: Path, tokens: int, a_response: int) -> Path:
    """A finished run of about `tokens` tokens."""
    rng = np.random.default_rng(0)
    vocab = [Token(f" w{n}", f" w{n}".encode(), n, f" w{n}") for n in range(VOCABULARY)]
    pool = [make_response(rng, a_response, vocab) for _ in range(200)]
    run_dir = runs.create_run(root, "import", {"request": {}})
    prompts = max(tokens // (a_response * RESPONSES), 1)
    with parts.PartWriter(run_dir) as writer:
        for number in range(prompts):
            chosen = [pool[i] for i in rng.integers(0, len(pool), RESPONSES)]
            scale = float(rng.lognormal())
            scored = tuple(
                replace(one, measures=replace(one.measures, headline=one.measures.headline * scale))
                for one in chosen
            )
            prompt = (Message("user", f"question {number}"),)
            entry = Entry(f"{number}.json", 0, 1, prompt, "a", tuple(s.response for s in scored))
            writer.add(number, number * RESPONSES, ScoredEntry(entry, "a", "b", scored))
    return run_dir


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """(first, median of repeats), ms."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return times[0], statistics.median(times[1:])


def plain_sort(run_dir: Path) -> object:
    """Prompts by mean KL without stored columns."""
    tokens = [str(p) for p in parts.committed(run_dir, "tokens")]
    responses = [str(p) for p in parts.committed(run_dir, "responses")]
    with duckdb.connect() as connection:
        return connection.sql(
            "SELECT prompt_id, avg(kl) m FROM read_parquet($t) JOIN read_parquet($r) "
            "USING (response_id) GROUP BY 1 ORDER BY m DESC LIMIT 500",
            params={"t": tokens, "r": responses},
        ).fetchall()


def plain_token(run_dir: Path, response_id: int) -> object:
    """One token's lists from the Parquet parts."""
    tokens = [str(p) for p in parts.committed(run_dir, "tokens")]
    with duckdb.connect() as connection:
        return connection.sql(
            "SELECT * FROM read_parquet($t) WHERE response_id = $r AND position = 50",
            params={"t": tokens, "r": response_id},
        ).fetchall()


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--a-response", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run_dir = make_run(Path(folder), args.tokens, args.a_response)
        written = time.perf_counter()
        database = build_database(run_dir)
        built = time.perf_counter()
        rows = measure(run_dir)
        size = database.stat().st_size
    result = {
        "tokens": args.tokens,
        "write_s": written - began,
        "build_s": built - written,
        "database_bytes": size,
        "ms": {name: {"first": first, "median": median} for name, (first, median) in rows.items()},
    }
    if args.json:
        print(json.dumps(result))
        return
    made = f"parts written in {result['write_s']:.1f} s, database in {result['build_s']:.1f} s"
    print(f"{args.tokens:,} tokens: {made}, {size / 1e6:.0f} MB")
    for name, (first, median) in rows.items():
        print(f"  {name:<44} first {first:8.1f} ms   median {median:8.1f} ms")


def measure(run_dir: Path) -> dict[str, tuple[float, float]]:
    """Each query of the page, and the plain way of two of them."""
    opened = queries.open_run(run_dir)
    count = queries.prompt_count(opened.cursor())
    rng = np.random.default_rng(1)

    def anywhere() -> int:
        return int(rng.integers(0, count * RESPONSES))

    return {
        "open the run": timed(lambda: queries.open_run(run_dir)),
        "sort by mean KL": timed(lambda: queries.prompts(opened.cursor(), "mean_kl")),
        "sort by p99": timed(lambda: queries.prompts(opened.cursor(), "p99_kl")),
        "search a word": timed(
            lambda: queries.prompts(opened.cursor(), where=PromptFilter(text="question 77"))
        ),
        "open a response (its tokens)": timed(lambda: queries.tokens(opened.cursor(), anywhere())),
        "open a token (both lists)": timed(lambda: queries.token(opened.cursor(), anywhere(), 50)),
        "plain: sort by GROUP BY over Parquet": timed(lambda: plain_sort(run_dir)),
        "plain: a token from Parquet": timed(lambda: plain_token(run_dir, anywhere())),
    }


if __name__ == "__main__":
    main()
