"""Estimates from a share of the calls, and the search for the top prompts, on full results.

    python -m benchmarks.bench_budget [--results DIR_OF_KL_JSON] [--repeats 40]

DIR holds `_kl.json` files (or .gz) of a full run; by default those of sample_data/results.
Draws again and again from what is fully known and compares with the truth.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.special import stdtrit

from kl_core.numeric import ordered_sampling
from kl_core.records import Estimate, Position, Token
from kl_core.sources.budget import Budget, Drawable, entry_estimate, response_estimate
from kl_core.sources.top_prompts import Stratum, TopPrompts, local_contexts, word_starts
from tests.sources.run_reference import run_estimate

SAMPLE = Path(__file__).parent.parent / "sample_data" / "results"
BUDGETS = (0.05, 0.1, 0.2, 0.5)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)


@dataclass(frozen=True)
class Response:
    drawable: Drawable
    kl: np.ndarray
    positions: tuple[Position, ...]


@dataclass(frozen=True)
class Prompt:
    name: str
    responses: tuple[Response, ...]

    @property
    def mean(self) -> float:
        return float(np.concatenate([each.kl for each in self.responses]).mean())


def load(folder: Path) -> list[Prompt]:
    """Prompts with at least one scored response, unscored positions left out."""
    prompts = []
    for path in sorted(folder.rglob("*_kl.json*")):
        text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        raw = json.loads(text)
        loaded = [_response(n, each) for n, each in enumerate(raw["responses"])]
        responses = tuple(each for each in loaded if len(each.kl))
        if responses:
            prompts.append(Prompt(str(path.relative_to(folder)), responses))
    return prompts


def _response(slot: int, raw: dict) -> Response:
    rows = [row for row in raw.get("token_details") or [] if row["kl_divergence"] is not None]
    column = {
        key: np.array([math.nan if row[key] is None else row[key] for row in rows], dtype=float)
        for key in ("kl_divergence", "entropy1", "model1_chosen_logprob")
    }
    positions = tuple(
        Position(Token(row["token"], None, None, row["token"]), None, None) for row in rows
    )
    askable = tuple(range(len(rows)))
    drawable = Drawable(slot, askable, column["entropy1"], -column["model1_chosen_logprob"])
    return Response(drawable, column["kl_divergence"], positions)


def noisy(prompts: list[Prompt], rng: np.random.Generator) -> list[Prompt]:
    """The same prompts with a KL that goes with the entropy, as rounding would give."""

    def one(each: Response) -> Response:
        return replace(each, kl=0.05 * each.drawable.entropy1 * rng.gamma(2, 0.5, len(each.kl)))

    return [
        replace(prompt, responses=tuple(one(each) for each in prompt.responses))
        for prompt in prompts
    ]


class Tally:
    """Coverage, width and error of one kind of interval."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float, float, float]] = []

    def add(self, truth: float, mean: float, low: float, high: float) -> None:
        slack = 1e-9 + 1e-9 * abs(truth)
        self.rows.append((low - slack <= truth <= high + slack, high - low, mean - truth, truth))

    def line(self) -> str:
        covered, width, error, _ = np.array(self.rows, dtype=float).T
        rmse, bias = math.sqrt((error**2).mean()), error.mean()
        return (
            f"{100 * covered.mean():6.1f} {np.median(width):9.3f} {rmse:9.4f} {bias:+9.4f}"
            f" ± {error.std() / math.sqrt(len(error)):.4f}"
        )


def normal(estimate: Estimate) -> tuple[float, float, float]:
    spread = 1.96 * math.sqrt(estimate.variance)
    return estimate.mean, estimate.mean - spread, estimate.mean + spread


def uniform(parts: list[tuple[np.ndarray, int]], rng: np.random.Generator) -> tuple[float, float]:
    """(mean, variance) of simple random draws in each stratum."""
    total = sum(len(values) for values, _ in parts)
    mean = variance = 0.0
    for values, count in parts:
        drawn = rng.choice(values, count, replace=False)
        share = len(values) / total
        spread = drawn.var(ddof=1) if count > 1 else 0.0
        mean += share * drawn.mean()
        variance += share**2 * spread / count * (1 - count / len(values))
    return mean, variance


def intervals(prompts: list[Prompt], repeats: int, title: str) -> None:
    print(f"\n{title}: coverage %, median width, RMSE, bias (nats)")
    for share in BUDGETS:
        tallies: dict[tuple[str, str], Tally] = {}
        for seed in range(repeats):
            one_run(prompts, Budget(share, seed), tallies)
        for (level, kind), tally in sorted(tallies.items()):
            print(f"  budget {share:4.2f}  {level:8s} {kind:26s} {tally.line()}")


def one_run(prompts: list[Prompt], budget: Budget, tallies: dict[tuple[str, str], Tally]) -> None:
    rng = np.random.default_rng(budget.seed)

    def note(level: str, kind: str, truth: float, found: tuple[float, float, float]) -> None:
        if not math.isnan(found[1]):
            tallies.setdefault((level, kind), Tally()).add(truth, *found)

    stored, plain = [], []
    for prompt in prompts:
        drawables = [each.drawable for each in prompt.responses]
        drawn = budget.plan(prompt.name, 0, drawables)
        kl = [each.kl for each in prompt.responses]
        for drawable, chosen, values in zip(drawables, drawn, kl, strict=True):
            estimate = response_estimate(drawable, chosen, values, budget.cap)
            truth = float(values.mean())
            note("response", "bets", truth, (estimate.mean, estimate.low, estimate.high))
            note("response", "Des Raj ± normal", truth, normal(estimate))
            mean, variance = uniform([(values, len(chosen))], rng)
            factor = stdtrit(max(len(chosen) - 1, 1), 0.975)
            spread = factor * math.sqrt(variance) if len(chosen) > 1 else math.nan
            note("response", "uniform ± t", truth, (mean, mean - spread, mean + spread))
        whole = entry_estimate(drawables, drawn, kl, budget.cap)
        stored.append(whole)
        note("prompt", "bets", prompt.mean, (whole.mean, whole.low, whole.high))
        note("prompt", "Des Raj ± normal", prompt.mean, normal(whole))
        parts = [(values, len(chosen)) for values, chosen in zip(kl, drawn, strict=True)]
        plain.extend(parts)
        mean, variance = uniform(parts, rng)
        spread = 1.96 * math.sqrt(variance)
        note("prompt", "uniform ± normal", prompt.mean, (mean, mean - spread, mean + spread))
    run = run_estimate(stored)
    truth = float(np.concatenate([values for values, _ in plain]).mean())
    note("run", "gamma (Fay-Feuer)", truth, (run.mean, run.low, run.high))
    note("run", "Des Raj ± normal", truth, normal(run))
    mean, variance = uniform(plain, rng)
    spread = 1.96 * math.sqrt(variance)
    note("run", "uniform ± normal", truth, (mean, mean - spread, mean + spread))


def strata(prompt: Prompt) -> list[Stratum]:
    return [
        Stratum(
            slot=each.drawable.slot,
            positions=each.drawable.askable,
            contexts=tuple(
                "".join(p.token.text for p in each.positions[:end])
                for end in range(len(each.positions))
            ),
            local=tuple(local_contexts(each.positions)),
            starts=tuple(word_starts(each.positions)),
            wanted=each.drawable.askable,
        )
        for each in prompt.responses
    ]


def searched(prompts: list[Prompt], k: int) -> tuple[list[str], int]:
    """(names of the K found, calls)."""
    search = TopPrompts(k)
    known = {p.name: {e.drawable.slot: e.kl for e in p.responses} for p in prompts}
    for prompt in prompts:
        search.add(prompt.name, strata(prompt))
    calls = 0
    while asked := search.ask():
        calls += sum(len(places) for places in asked.values())
        for name, places in asked.items():
            search.tell(name, {(slot, p): float(known[name][slot][p]) for slot, p in places})
    return [str(each.prompt) for each in search.ranking() if each.won], calls


def recall(prompts: list[Prompt], repeats: int) -> None:
    unique = sum(len({key for s in strata(p) for key in s.contexts}) for p in prompts)
    by_name = {prompt.name: prompt.mean for prompt in prompts}
    truth = sorted(prompts, key=lambda prompt: -prompt.mean)
    print(f"\ntop prompts: {len(prompts)} prompts, {unique} different contexts (= all calls)")
    print("  K  strategy                     calls %   recall   mean KL: found / true")
    for k in (1, 3, 5, 10, 15):
        best = [prompt.name for prompt in truth[:k]]
        full = sum(by_name[name] for name in best)

        def show(
            what: str,
            share: float,
            sets: list[list[str]],
            best: list[str] = best,
            full: float = full,
        ) -> None:
            hits = np.mean([len(set(best) & set(found)) / len(best) for found in sets])
            worth = np.mean([sum(by_name[name] for name in found) for found in sets]) / full
            print(f" {len(best):2d}  {what:28s} {100 * share:6.1f}   {hits:6.2f}   {worth:6.3f}")

        found, calls = searched(prompts, k)
        show("search in rounds", calls / unique, [found])
        for share in SHARES:
            sets = [uniform_top(prompts, share, k, seed) for seed in range(repeats)]
            show("uniform draws", share, sets)
        for share in SHARES:
            sets = [drawn_top(prompts, share, k, seed) for seed in range(repeats)]
            show("budget draws (Des Raj)", share, sets)
        sets = [response_top(prompts, k, seed) for seed in range(repeats)]
        share = np.mean([share for _, share in sets])
        show("one whole response each", float(share), [names for names, _ in sets])


def uniform_top(prompts: list[Prompt], share: float, k: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)

    def score(prompt: Prompt) -> float:
        values = np.concatenate([each.kl for each in prompt.responses])
        return float(rng.choice(values, max(round(share * len(values)), 1), replace=False).mean())

    return _best({prompt.name: score(prompt) for prompt in prompts}, k)


def drawn_top(prompts: list[Prompt], share: float, k: int, seed: int) -> list[str]:
    budget = Budget(share, seed)

    def score(prompt: Prompt) -> float:
        drawables = [each.drawable for each in prompt.responses]
        drawn = budget.plan(prompt.name, 0, drawables)
        samples = [
            ordered_sampling.draws(
                each.kl[list(d)], each.drawable.weights(each.drawable.askable), np.array(d)
            )
            for each, d in zip(prompt.responses, drawn, strict=True)
        ]
        return ordered_sampling.stratified_des_raj(samples)[0]

    return _best({prompt.name: score(prompt) for prompt in prompts}, k)


def response_top(prompts: list[Prompt], k: int, seed: int) -> tuple[list[str], float]:
    rng = np.random.default_rng(seed)
    chosen = {p.name: p.responses[rng.integers(len(p.responses))].kl for p in prompts}
    calls = sum(len(values) for values in chosen.values())
    every = sum(len(each.kl) for prompt in prompts for each in prompt.responses)
    return _best({name: float(values.mean()) for name, values in chosen.items()}, k), calls / every


def _best(scores: dict[str, float], k: int) -> list[str]:
    return sorted(scores, key=lambda name: -scores[name])[:k]


def timings() -> None:
    """Milliseconds for the estimate of long responses and of a small prompt."""
    rng = np.random.default_rng(0)

    def one(size: int, slot: int = 0) -> tuple[Drawable, np.ndarray]:
        kl = np.where(rng.random(size) < 0.01, 8.0, 0.001)
        return Drawable(slot, tuple(range(size)), rng.gamma(0.1, 3, size), np.zeros(size)), kl

    for title, sizes in (("1 x 10,000", [10_000]), ("5 x 30", [30] * 5), ("5 x 2,000", [2000] * 5)):
        made = [one(size, slot) for slot, size in enumerate(sizes)]
        drawables, kl = [each for each, _ in made], [values for _, values in made]
        drawn = Budget(0.2).plan("f", 0, drawables)
        start = perf_counter()
        for _ in range(5):
            entry_estimate(drawables, drawn, kl)
        print(f"  {title:12s} at .2: {200 * (perf_counter() - start):6.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=SAMPLE)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    prompts = load(options.results)
    count = sum(len(each.kl) for prompt in prompts for each in prompt.responses)
    print(f"{len(prompts)} prompts, {count} positions from {options.results}")
    recall(prompts, options.repeats)
    start = perf_counter()
    intervals(prompts, options.repeats, "planted differences (spikes)")
    intervals(noisy(prompts, np.random.default_rng(1)), max(options.repeats // 4, 2), "noise")
    print(f"\n{perf_counter() - start:.0f} s for the intervals")
    timings()


if __name__ == "__main__":
    main()
