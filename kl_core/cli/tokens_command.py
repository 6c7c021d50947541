"""`tokens`: high-KL tokens with their prefixes."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kl_core.cli import options
from kl_core.cli.output import figure, one_line, print_json, show_path
from kl_core.jobs.tokens import ScoreType, TokensRequest, extract
from kl_core.records import ProblemLog
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.store.files import write_json


class Score(StrEnum):
    """What the thresholds and the order are about."""

    kl = "kl"
    normalized = "normalized"


def tokens_command(
    results_dir: Annotated[
        Path, typer.Option(help="Folder of _kl.json result files.", show_default=False)
    ],
    min_threshold: Annotated[float, typer.Option(help="Least score to keep.")] = 1.0,
    max_threshold: Annotated[float | None, typer.Option(help="Highest score to keep.")] = None,
    score: Annotated[Score, typer.Option(help="KL in nats, or KL/(H1+H2).")] = Score.kl,
    min_kl: Annotated[
        float, typer.Option(help="normalized: leave out tokens below this KL in nats.")
    ] = NORMALIZED_MIN_KL,
    output_path: Annotated[
        Path | None, typer.Option(help="JSON file to write. [default: print a table]")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Extract the tokens where two models differ, each with the text before it."""
    log = ProblemLog()
    score_type: ScoreType = "kl" if score is Score.kl else "normalized"
    request = TokensRequest(results_dir, min_threshold, max_threshold, score_type, min_kl)
    found = extract(request, log)
    for problem in log.rows:
        print(f"{problem.file} {problem.where}: {one_line(problem.reason, 120)}", file=sys.stderr)
    if output_path is not None:
        output_path.parent.mkdir(parents=True, exist_ok=True)
        write_json(output_path, found)
        print(f"{found['num_entries']:,} tokens in {show_path(output_path)}", file=sys.stderr)
    if as_json:
        print_json(found)
    elif output_path is None and not found["entries"]:
        print(f"No token has a score from {min_threshold:g} up; lower --min-threshold.")
    elif output_path is None:
        for row in found["entries"][:50]:
            before = one_line(row["prefix_response"], 10_000)[-48:]
            print(f"{figure(row['score']):>7}  {before:>48}▶{one_line(row['token'], 30)}")
        if found["num_entries"] > 50:
            print(f"… and {found['num_entries'] - 50:,} more: --output-path FILE keeps them all")
