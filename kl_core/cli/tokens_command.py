"""`tokens`: high-KL tokens with their prefixes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kl_core.cli import options
from kl_core.cli.output import figure, one_line, print_json, show_path
from kl_core.errors import InputError
from kl_core.formats.high_tokens import ScoreType
from kl_core.jobs.tokens import TokensRequest, extract
from kl_core.records import ProblemLog
from kl_core.store import export, queries, runs
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.store.token_export import Bounds, token_object


class Score(StrEnum):
    """What the thresholds and the order are about."""

    kl = "kl"
    normalized = "normalized"


def tokens_command(
    results_dir: Annotated[
        Path | None, typer.Option(help="Folder of _kl.json result files.", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="A run in place of a folder: its id, or a part of it.")
    ] = None,
    min_threshold: Annotated[float, typer.Option(help="Least score to keep.")] = 1.0,
    max_threshold: Annotated[float | None, typer.Option(help="Highest score to keep.")] = None,
    score: Annotated[Score, typer.Option(help="KL in nats, or KL/(H1+H2).")] = Score.kl,
    min_kl: Annotated[
        float, typer.Option(help="normalized: leave out tokens below this KL in nats.")
    ] = NORMALIZED_MIN_KL,
    output_path: Annotated[
        Path | None, typer.Option(help="JSON file to write. [default: print a table]")
    ] = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Extract the tokens where two models differ, each with the text before it."""
    score_type: ScoreType = "kl" if score is Score.kl else "normalized"
    bounds = Bounds(min_threshold, max_threshold, score_type, min_kl)
    if (results_dir is None) == (run is None):
        raise InputError("give --results-dir FOLDER or --run ID, one of them")
    if results_dir is not None:
        found = _of_files(results_dir, bounds)
    else:
        run_dir = runs.find_run(runs.root_or_default(runs_dir), run or "")
        found = token_object(queries.open_run(run_dir).cursor(), bounds)
    if output_path is not None:
        export.put(export.pretty_json(found), output_path)
        print(f"{found['num_entries']:,} tokens in {show_path(output_path)}", file=sys.stderr)
    if as_json:
        print_json(found)
    elif output_path is None:
        _print_table(found)


def _of_files(results_dir: Path, bounds: Bounds) -> dict[str, Any]:
    log = ProblemLog()
    request = TokensRequest(results_dir, bounds.least, bounds.most, bounds.score, bounds.min_kl)
    found = extract(request, log)
    for problem in log.rows:
        print(f"{problem.file} {problem.where}: {one_line(problem.reason, 120)}", file=sys.stderr)
    return found


def _print_table(found: dict[str, Any]) -> None:
    if not found["entries"]:
        least = found["min_threshold"]
        print(f"No token has a score from {least:g} up; lower --min-threshold.")
    for row in found["entries"][:50]:
        before = one_line(row["prefix_response"], 10_000)[-48:]
        print(f"{figure(row['score']):>7}  {before:>48}▶{one_line(row['token'], 30)}")
    if found["num_entries"] > 50:
        print(f"… and {found['num_entries'] - 50:,} more: --output-path FILE keeps them all")
