"""A whole `prefill` run by its number of positions: time, calls a second and peak memory.

The server makes up its answers (emulate --answers hash) in a process of its own; the run reads
files, plans, calls, journals, scores and builds its database, as a user's does.

    python benchmarks/bench_prefill.py [--positions 1000 20000 200000] [--latency-ms 0]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 100


def main() -> None:
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--positions", type=int, nargs="+", default=[1_000, 20_000, 200_000])
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--max-concurrent", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder) / "port"
        words = ["emulate", "--port", "0", "--port-file", str(port), "--answers", "hash"]
        server = subprocess.Popen(
            [sys.executable, "-m", "kl_core", *words, "--latency-ms", str(args.latency_ms)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not port.exists():
                time.sleep(0.1)
            for count in args.positions:
                print(measure(Path(folder), count, port.read_text().strip(), args.max_concurrent))
        finally:
            server.terminate()
            server.wait(20)


def measure(folder: Path, count: int, port: str, at_once: int) -> str:
    """One run of so many positions."""
    source = folder / f"in-{count}"
    files = max(count // TOKENS, 1)
    options = ["--files", str(files), "--tokens", str(TOKENS), "--distinct", str(files)]
    subprocess.run(
        [sys.executable, "benchmarks/make_responses.py", str(source), *options],
        cwd=ROOT,
        check=True,
    )
    words = ["prefill", "--input-dir", str(source), "--model2", "tiny-tuned", "--json", "--yes"]
    words += ["--base-url", f"http://127.0.0.1:{port}", "--max-concurrent", str(at_once)]
    began = time.monotonic()
    with open(folder / "summary.json", "wb") as out:
        run = subprocess.Popen(
            [sys.executable, "-m", "kl_core", *words],
            cwd=ROOT,
            env=os.environ | {"KL_RUNS_DIR": str(folder / "runs")},
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
    asking, building = 0.0, 0.0
    process = psutil.Process(run.pid)
    while run.poll() is None:
        stage = _stage(folder / "runs")
        rss = _rss_mib(process)
        if stage == "building the database":
            building = max(building, rss)
        else:
            asking = max(asking, rss)
        time.sleep(0.1)
    summary = json.loads((folder / "summary.json").read_text())
    took = time.monotonic() - began
    made = summary["calls"]["made"]
    return (
        f"{count:>8,} positions: {took:7.1f} s, {made:,} calls, {made / took:6.0f} calls/s, "
        f"peak {asking:.0f} MiB while asking, {building:.0f} MiB while building the database"
    )


def _stage(runs: Path) -> str:
    newest = sorted(runs.glob("*/status.json"))[-1:]
    try:
        return str(json.loads(newest[0].read_text())["stage"]) if newest else ""
    except ValueError:
        return ""


def _rss_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


if __name__ == "__main__":
    main()
