"""Scoring saved responses with a local model: the plain way against the engine.

The plain way runs one response at a time: the whole sequence through the model's
public call, a float32 log-softmax over every position, then the token's own
log-probability and the top 20. The engine gives these and also rank and entropy. The
models are Llama-shaped with random weights (hidden 512, 8 layers). Every measurement is
a fresh process; the variants take turns, medians are compared. On a machine that others
use too, wall time says little: read the processor-time ratio, with `--threads 1`.

    python benchmarks/bench_scoring.py [--vocab 32000] [--prompts 5] [--rounds 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TOP_K = 20
PROMPT_TOKENS = 300
RESPONSES = 10
VARIANTS = ("plain", "engine")


def build_model(vocab: int) -> Any:
    """A random Llama with weights scaled so that its distributions are not flat."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    model.lm_head.weight.mul_(4.0)
    return model


def build_work(vocab: int, prompts: int) -> list[tuple[list[int], list[list[int]]]]:
    """Prompts of 300 tokens with 10 responses of 20 to 200 tokens each."""
    random = np.random.default_rng(1)
    lengths = np.linspace(20, 200, RESPONSES).astype(int)
    return [
        (
            random.integers(vocab, size=PROMPT_TOKENS).tolist(),
            [random.integers(vocab, size=n).tolist() for n in random.permutation(lengths)],
        )
        for _ in range(prompts)
    ]


def plain(model: Any, work: list[tuple[list[int], list[list[int]]]]) -> list[np.ndarray]:
    """Log-probabilities of every response token, one response at a time."""
    import torch

    found = []
    with torch.inference_mode():
        for prompt, responses in work:
            for response in responses:
                ids = torch.tensor([prompt + response])
                logp = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
                rows = logp[len(prompt) - 1 : -1]
                torch.topk(rows, TOP_K, dim=-1)
                found.append(rows.gather(1, torch.tensor(response)[:, None])[:, 0].numpy().copy())
    return found


def engine(
    model: Any, work: list[tuple[list[int], list[list[int]]]]
) -> tuple[list[np.ndarray], str]:
    """The same through the engine, start-up check included."""
    from kl_core.models.engine import PrefixCacheEngine, Work
    from kl_core.models.load import LoadedModel, ModelSpec

    loaded = LoadedModel(model, None, {"name": "bench"}, ModelSpec("bench"))
    scorer = PrefixCacheEngine(loaded, TOP_K)
    items = [Work(tuple(p), tuple(tuple(r) for r in responses)) for p, responses in work]
    scores = scorer.score(items)
    return [score.chosen for row in scores for score in row], scorer.kind


def memory_mb(field: str) -> float:
    """VmRSS or VmHWM of this process in MB (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def measure(variant: str, vocab: int, prompts: int, threads: int, save: Path) -> None:
    """One fresh-process measurement; prints one JSON line."""
    import torch

    torch.set_num_threads(threads)
    model = build_model(vocab)
    work = build_work(vocab, prompts)
    plain(model, [(work[0][0][:8], [work[0][1][0][:4]])])
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mb("VmRSS")
    start, start_cpu = time.perf_counter(), time.process_time()
    kind = "plain"
    if variant == "plain":
        logprobs = plain(model, work)
    else:
        logprobs, kind = engine(model, work)
    elapsed, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    extra = memory_mb("VmHWM") - before
    np.save(save, np.concatenate(logprobs))
    print(json.dumps({"seconds": elapsed, "cpu_seconds": cpu, "extra_mb": extra, "kind": kind}))


def run_child(variant: str, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure one variant in a process of its own."""
    save = folder / f"{variant}.npy"
    command = [sys.executable, __file__, "--child", variant, "--vocab", str(args.vocab),
               "--prompts", str(args.prompts), "--threads", str(args.threads),
               "--save", str(save)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def compare(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Alternate the variants for some rounds and summarise."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for round_ in range(args.rounds):
        for name in VARIANTS if round_ % 2 == 0 else VARIANTS[::-1]:
            runs[name].append(run_child(name, args, folder))
            print(f"round {round_ + 1} {name}: {runs[name][-1]}", file=sys.stderr)
    seconds, cpu, extra = (
        {name: statistics.median(run[key] for run in runs[name]) for name in VARIANTS}
        for key in ("seconds", "cpu_seconds", "extra_mb")
    )
    ratios = [
        p["seconds"] / e["seconds"] for p, e in zip(runs["plain"], runs["engine"], strict=True)
    ]
    gap = np.abs(np.load(folder / "plain.npy") - np.load(folder / "engine.npy"))
    return {
        "vocab": args.vocab,
        "prompts": args.prompts,
        "responses": args.prompts * RESPONSES,
        "threads": args.threads,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "ratio": seconds["plain"] / seconds["engine"],
        "cpu_ratio": cpu["plain"] / cpu["engine"],
        "ratio_per_round": ratios,
        "extra_mb": extra,
        "max_abs_logprob_difference": float(gap.max()),
        "mean_abs_logprob_difference": float(gap.mean()),
        "engine_kind": runs["engine"][0]["kind"],
    }


def report(result: dict[str, Any]) -> None:
    """The summary for a reader."""
    print(f"vocabulary {result['vocab']}, {result['responses']} responses, median seconds:")
    for name in VARIANTS:
        print(
            f"  {name:8s} {result['seconds'][name]:7.2f} s   "
            f"{result['extra_mb'][name]:6.0f} MB above the weights"
        )
    print(
        f"  ratio {result['ratio']:.2f}x, by processor time {result['cpu_ratio']:.2f}x "
        f"({result['engine_kind']})"
    )
    print(
        f"  |difference of log-probabilities| max {result['max_abs_logprob_difference']:.1e}, "
        f"mean {result['mean_abs_logprob_difference']:.1e}"
    )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab", type=int, default=32000, help="32000 or 128256, say")
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--child", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--save", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if args.child:
        measure(args.child, args.vocab, args.prompts, args.threads, args.save)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        result = compare(args, Path(folder))
    if args.json:
        print(json.dumps(result))
    else:
        report(result)


if __name__ == "__main__":
    main()
