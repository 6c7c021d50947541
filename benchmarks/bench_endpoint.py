"""`endpoint` by one request a response against one call a position, on one server in one run.

The sample responses are scored by the tiny model behind the local server (real answers) in a
process of its own, first whole, then with `--server` ways turned off and `--fallback completion`.

    python -m benchmarks.bench_endpoint [--latency-ms 20] [--max-concurrent 16]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESPONSES = "sample_data/responses/openrouter"
TOKENIZER = "sample_data/models/tiny-tuned"
WAYS = {
    "vLLM, one request a response": ["--server", "vllm"],
    "SGLang, one request a response": ["--server", "sglang"],
    "echo, one request a response": ["--server", "echo"],
    "one call a position": ["--fallback", "completion"],
}


def main() -> None:
    """Print one line a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=20.0)
    parser.add_argument("--max-concurrent", type=int, default=16)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder) / "port"
        words = ["emulate", "--port", "0", "--port-file", str(port)]
        server = subprocess.Popen(
            [sys.executable, "-m", "kl_core", *words, "--latency-ms", str(args.latency_ms)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not port.exists():
                time.sleep(0.1)
            address = f"http://127.0.0.1:{port.read_text().strip()}"
            rates: dict[str, float] = {}
            for name, words in WAYS.items():
                _set(address, {"scoring": [] if name == "one call a position" else list(_kinds())})
                rates[name] = measure(Path(folder), name, words, address, args.max_concurrent)
            slow = rates["one call a position"]
            for name, rate in rates.items():
                print(f"{name}: {rate / slow:.1f} times the positions a second")
        finally:
            server.terminate()
            server.wait(20)


def _kinds() -> tuple[str, ...]:
    from kl_core.emulator.settings import SCORING

    return SCORING


def _set(address: str, values: dict[str, object]) -> None:
    request = urllib.request.Request(  # noqa: S310 - of this machine
        f"{address}/emulator/settings", json.dumps(values).encode(), method="PUT"
    )
    urllib.request.urlopen(request).read()  # noqa: S310


def measure(folder: Path, name: str, more: list[str], address: str, at_once: int) -> float:
    """Positions a second of one run, from the first request to the last answer."""
    words = ["endpoint", "--input-dir", RESPONSES, "--model2", "tiny-tuned", "--json", "--yes"]
    words += ["--base-url", f"{address}/v1", "--tokenizer", TOKENIZER, *more]
    words += ["--max-concurrent", str(at_once)]
    began = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "kl_core", *words],
        cwd=ROOT,
        env=os.environ | {"KL_RUNS_DIR": str(folder / name.replace(" ", "-"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    summary = json.loads(run.stdout)
    events = [json.loads(line) for line in _events(Path(summary["run_dir"]))]
    stages = {event["name"]: event["time"] for event in events if event["event"] == "stage"}
    asking = stages["building the database"] - stages["asking"]
    whole = time.monotonic() - began
    print(
        f"{name}: {summary['calls']['made']:,} requests for {summary['scored_tokens']:,} positions "
        f"in {asking:.2f} s ({summary['scored_tokens'] / asking:,.0f} positions/s); the whole "
        f"command {whole:.1f} s; mean KL {summary['mean_kl']:.6f}"
    )
    return float(summary["scored_tokens"] / asking)


def _events(run_dir: Path) -> list[str]:
    return (run_dir / "events.jsonl").read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    main()
