"""How long the server works on each click of the Explore page.

    python -m benchmarks.bench_explore --tokens 1000000

Makes a run of that many scored tokens (or takes one with --run), opens the page in Streamlit's
test harness (the real script, its widgets and messages, no browser), and times one script run for
each interaction: the median of several, each with another value, so that nothing is answered from
a cache of the same question. Fragments are timed as whole pages here: the harness knows no less.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from benchmarks.bench_store import make_run
from kl_core.store import queries
from kl_core.store.build import build_database
from kl_core.ui import sample

APP = Path(__file__).resolve().parents[1] / "app.py"
REPEATS = 7
Step = Callable[[AppTest, int], None]


class AsServed(PagesManager):
    """Keeps the harness from running a page's file without app.py (see tests/conftest.py)."""


PagesManager.uses_pages_directory = False
app_test.PagesManager = AsServed


def address(name: str, values: list[str]) -> Step:
    """Another value of a part of the address."""

    def change(app: AppTest, turn: int) -> None:
        app.query_params[name] = values[turn % len(values)]

    return change


def steps(prompts: int) -> dict[str, Step]:
    """What a reader does, each as a change before the next run of the script."""
    anywhere = [str(n * max(prompts // 11, 1) % prompts) for n in range(1, 11)]
    sorts = ["max_kl", "p99_kl", "total_kl", "median_kl", "mean_lower", "mean_entropy1", "p90_kl"]
    return {
        "nothing changed": lambda app, turn: None,
        "open a prompt": address("prompt", anywhere),
        "open a response": address("response", list("01234")),
        "open a token": address("position", [str(n) for n in range(3, 90, 7)]),
        "sort": address("sort", sorts),
        "search a word": address("q", [f"question {n}" for n in range(7)]),
        "filter by a bound": address("range", [f"max_kl:0.{n}:" for n in range(1, 8)]),
        "colour by": address("measure", ["log_ratio", "kl_lower", "surprisal1", "entropy1", "kl"]),
        "layout: cells, pair, grid": address("layout", ["cells", "pair", "grid"]),
        "Tokens": address("view", ["tokens"]),
        "Tokens: a threshold": address("least", [f"0.{n}" for n in range(1, 8)]),
        "Charts": address("view", ["charts"]),
    }


def measure(run: str, prompts: int) -> dict[str, tuple[float, float]]:
    """Step → (first, median) ms of a script run."""
    found = {}
    for name, change in steps(prompts).items():
        app = AppTest.from_file(str(APP), default_timeout=120)
        app.query_params["run"] = run
        if name.startswith("Tokens:"):
            app.query_params["view"] = "tokens"
        app.run()
        times = []
        for turn in range(REPEATS):
            change(app, turn)
            began = time.perf_counter()
            app.run()
            times.append(1000 * (time.perf_counter() - began))
            if app.exception:
                raise SystemExit(f"{name}: {app.exception[0].message}")
        found[name] = (times[0], statistics.median(times[1:]))
    return found


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--run", type=Path, help="a finished run to use instead")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = args.run
        if run_dir is None:
            run_dir = make_run(Path(folder) / "runs", args.tokens, 100)
            build_database(run_dir)
        os.environ["KL_RUNS_DIR"] = str(run_dir.parent)
        sample.folder = lambda: Path(folder) / "none"
        opened = queries.open_run(run_dir)
        prompts = queries.prompt_count(opened.cursor())
        tokens = queries.summary(opened.cursor())["tokens"]
        rows = measure(run_dir.name, prompts)
    if args.json:
        print(json.dumps({"tokens": tokens, "prompts": prompts, "ms": rows}))
        return
    print(f"{tokens:,} tokens, {prompts:,} prompts: ms of one script run")
    for name, (first, median) in rows.items():
        print(f"  {name:<28} first {first:7.1f}   median {median:7.1f}")


if __name__ == "__main__":
    main()
