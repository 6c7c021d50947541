"""`runs compare`: two runs over the same responses, prompt by prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kl_core.cli import options
from kl_core.cli.output import figure, one_line, print_json
from kl_core.jobs.worker import counted
from kl_core.store import pair_difference, pair_figures, pair_sums, run_pairs, runs
from kl_core.store.pair_difference import Difference
from kl_core.store.summary import json_number


def compare_command(
    run_a: options.RunId,
    run_b: options.RunId,
    by: Annotated[
        str, typer.Option("--figure", help=f"One of {', '.join(pair_figures.FIGURES)}.")
    ] = pair_figures.DEFAULT,
    limit: Annotated[int, typer.Option(min=0, help="How many prompts to print.")] = 20,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Compare two runs over the same responses; differences are B − A, in nats."""
    root = runs.root_or_default(runs_dir)
    pair_figures.figure(by)
    found = compared(runs.find_run(root, run_a), runs.find_run(root, run_b), by, limit)
    if as_json:
        print_json(found)
    else:
        _print(found)


def compared(run_a: Path, run_b: Path, by: str, limit: int) -> dict[str, Any]:
    """What `--json` prints: both runs, what was matched, the difference, the prompts.

    Raises:
        InputError, RunError: the runs cannot be compared.
    """
    cursor = run_pairs.open_pair(run_a, run_b).cursor()
    heads = run_pairs.heads_query().rows(cursor)
    pairs = pair_figures.prompts_query(by).table(cursor)
    sums = pair_sums.sums_query().table(cursor)
    found = pair_difference.difference(by, pairs, sums, heads)
    tokens = {name: int(sum(sums[name].to_pylist())) for name in _TOKEN_COUNTS}
    return {
        "figure": by,
        "run_a": {"run_id": run_a.name, **_head(heads[0])},
        "run_b": {"run_id": run_b.name, **_head(heads[1])},
        "unlike": pair_difference.unlike(heads),
        "matched": (run_pairs.counts_query().row(cursor) or {})
        | {f"tokens_{name}": value for name, value in tokens.items()},
        "difference": _difference(found),
        "verdict": pair_difference.verdict(found),
        "left_out": pair_difference.left_out(found),
        "prompts": [_prompt(row) for row in pairs.slice(0, limit).to_pylist()],
        "unmatched": run_pairs.unmatched_query(limit).rows(cursor),
    }


_TOKEN_COUNTS = ("tokens", "only_a", "only_b", "other")


def _head(head: dict[str, Any]) -> dict[str, Any]:
    kept = (
        *("model1", "model2", "measure", "prompts", "tokens", "scored_tokens", "mean_kl"),
        *("listed1", "listed2"),
    )
    return {name: json_number(head[name]) for name in kept}


def _difference(found: Difference) -> dict[str, Any]:
    return {
        "mean": json_number(found.mean),
        "se": json_number(found.se),
        "half_interval_95": json_number(found.half),
        "beyond_noise": found.beyond_noise,
        "units": found.units,
        "prompts": found.prompts,
        "up": found.up,
        "down": found.down,
        "level": found.level,
        "unknown": found.unknown,
        **{name: getattr(found, name) for name in pair_sums.TOKENS_APART},
    }


def _prompt(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("file", "entry", "prompt", "figure_a", "figure_b", "difference", "tokens")
    return {name: json_number(row[name]) for name in kept}


def _print(found: dict[str, Any]) -> None:
    for side in ("a", "b"):
        run = found[f"run_{side}"]
        models = " → ".join(str(run[name]) for name in ("model1", "model2") if run[name])
        print(f"{side.upper()}  {run['run_id']}  {one_line(models, 80)}")
    for sentence in found["unlike"]:
        print(one_line(sentence, 200))
    print(f"\n{found['verdict']}")
    print("\n".join([*_left_out(found["matched"]), *_apart(found["difference"])]))
    if not found["prompts"]:
        return
    label = pair_figures.figure(found["figure"]).label
    print(f"\n{label} over the tokens that both runs know, by size of the difference")
    print("      B−A       A       B   tokens  prompt")
    for row in found["prompts"]:
        print(
            f"  {_signed(row['difference']):>7} {figure(row['figure_a']):>7} "
            f"{figure(row['figure_b']):>7} {row['tokens']:>8,}  {one_line(row['prompt'] or '', 60)}"
        )


def _left_out(matched: dict[str, Any]) -> list[str]:
    said = (
        f"matched: {counted(matched['prompts_paired'], 'prompt')}, "
        f"{counted(matched['responses_paired'], 'response')}, "
        f"{counted(matched['tokens_tokens'], 'token')}"
    )
    lines = [said]
    for level in ("prompts", "responses", "tokens"):
        parts = [
            f"{matched[f'{level}_{name}']:,} {said}"
            for name, said in (
                ("only_a", "only in A"),
                ("only_b", "only in B"),
                ("other", "with other text"),
            )
            if matched[f"{level}_{name}"]
        ]
        if parts:
            lines.append(f"not matched, {level}: {', '.join(parts)}")
    return lines


def _apart(found: dict[str, Any]) -> list[str]:
    """Counts of tokens in both runs that no mean can hold; none where there are none."""
    a, b = found["alone_a"], found["alone_b"]
    alone = (
        [f"left out, known in one run alone: {counted(a, 'token')} in A, {b:,} in B"]
        if a or b
        else []
    )
    a, b, both = (found[f"infinite_{where}"] for where in ("a", "b", "both"))
    infinite = [f"infinite tokens: {a:,} in A alone, {b:,} in B alone, {both:,} in both"]
    return alone + (infinite if a or b or both else [])


def _signed(value: Any) -> str:
    text = figure(value)
    return f"+{text}" if isinstance(value, float) and value > 0 else text
