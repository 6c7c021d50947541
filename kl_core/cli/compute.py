"""`import`, `score` and `compare`: options in, a run, its summary out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from kl_core.cli import options
from kl_core.cli.output import ProgressPrinter, print_json, print_summary
from kl_core.errors import KLExplorerError, RunCancelled
from kl_core.jobs import compare, import_run, score
from kl_core.jobs.scoring import ScoringOptions
from kl_core.jobs.worker import Worker, carry_out, folder_for
from kl_core.models.load import ModelSpec
from kl_core.sources.base import DEFAULT_TOP_K
from kl_core.store import runs
from kl_core.store.parts import finished_prompts
from kl_core.store.summary import run_summary

Work = Callable[[Worker], None]


def run_in_foreground(
    kind: str, prepared: tuple[dict[str, Any], str, Work], runs_dir: Path | None, as_json: bool
) -> None:
    """Do a job in this process and print its summary, of a cancelled run too."""
    frozen, title, work = prepared
    root = runs.root_or_default(runs_dir)
    finish(folder_for(kind, frozen, root, title), work, as_json)


def finish(run_dir: Path, work: Work, as_json: bool) -> None:
    """Carry out a run's work in this process, then print its summary.

    Raises:
        RunCancelled: after the summary of what was finished.
    """
    printer = ProgressPrinter()
    kept = len(finished_prompts(run_dir))
    if kept:
        print(f"going on with {run_dir.name}: {kept:,} prompts are finished", file=sys.stderr)
    cancelled = None
    try:
        carry_out(run_dir, work, printer)
    except RunCancelled as error:
        cancelled = error
    except KLExplorerError:
        printer.close()
        print(f"{run_dir.name}: {runs.read_status(run_dir).state}", file=sys.stderr)
        raise
    finally:
        printer.close()
    summary = run_summary(run_dir)
    print_json(summary) if as_json else print_summary(summary)
    if cancelled is not None:
        raise cancelled


def import_command(
    input_dir: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder, zip or file.", show_default=False)
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            help="Folder, zip or file of another model's responses to the same prompts: compared "
            "wherever both came to the same text, without a call. They are model 2 (Q)."
        ),
    ] = None,
    pattern: options.Pattern = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Read any directory, zip or file of responses or results into a run."""
    second = against.expanduser() if against else None
    request = import_run.ImportRequest(input_dir.expanduser(), pattern, second)
    run_in_foreground("import", import_run.prepare(request), runs_dir, as_json)


def score_command(
    input_dir: options.InputDir,
    model: Annotated[str, typer.Option(help="Model folder or hub id.", show_default=False)],
    output_dir: options.OutputDir = None,
    top_k: options.MatchingTopK = None,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    device_map: options.DeviceMap = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    adapter: Annotated[str | None, typer.Option(help="A peft adapter, folder or hub id.")] = None,
    chat_template: options.ChatTemplate = None,
    system: options.System = None,
    raw: options.Raw = False,
    trust_remote_code: options.Trust = False,
    include_reasoning: options.Reasoning = False,
    max_prompts: options.MaxPrompts = None,
    pattern: options.Pattern = None,
    batch_tokens: options.BatchTokens = 8192,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Score saved responses with a local model: KL(file's model ‖ local model) per token."""
    spec = ModelSpec(
        model,
        revision,
        dtype,
        device,
        device_map,
        adapter,
        trust_remote_code,
        chat_template,
        system,
        raw,
    )
    asked = ScoringOptions(
        input_dir.expanduser(),
        output_dir.expanduser() if output_dir else None,
        top_k,
        max_prompts,
        pattern,
        batch_tokens,
        include_reasoning,
    )
    request = score.ScoreRequest(asked, spec)
    run_in_foreground("score", score.prepare(request), runs_dir, as_json)


def compare_command(
    input_dir: options.AnyResponses,
    model1: Annotated[str, typer.Option(help="P: model folder or hub id.", show_default=False)],
    model2: Annotated[str, typer.Option(help="Q: model folder or hub id.", show_default=False)],
    output_dir: options.OutputDir = None,
    top_k: options.TopK = DEFAULT_TOP_K,
    dtype: options.Dtype = "auto",
    device: options.Device = "auto",
    device_map: options.DeviceMap = None,
    revision1: Annotated[str | None, typer.Option(help="Revision of model 1.")] = None,
    revision2: Annotated[str | None, typer.Option(help="Revision of model 2.")] = None,
    adapter1: Annotated[str | None, typer.Option(help="A peft adapter on model 1.")] = None,
    adapter2: Annotated[str | None, typer.Option(help="A peft adapter on model 2.")] = None,
    chat_template: options.ChatTemplate = None,
    system: options.System = None,
    raw: options.Raw = False,
    trust_remote_code: options.Trust = False,
    include_reasoning: options.Reasoning = False,
    max_prompts: options.MaxPrompts = None,
    pattern: options.Pattern = None,
    batch_tokens: options.BatchTokens = 8192,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Compare two local models on saved responses: exact KL both ways, whole vocabulary."""

    def spec(model: str, revision: str | None, adapter: str | None) -> ModelSpec:
        return ModelSpec(
            model,
            revision,
            dtype,
            device,
            device_map,
            adapter,
            trust_remote_code,
            chat_template,
            system,
            raw,
        )

    asked = ScoringOptions(
        input_dir.expanduser(),
        output_dir.expanduser() if output_dir else None,
        top_k,
        max_prompts,
        pattern,
        batch_tokens,
        include_reasoning,
    )
    request = compare.CompareRequest(
        asked, spec(model1, revision1, adapter1), spec(model2, revision2, adapter2)
    )
    run_in_foreground("compare", compare.prepare(request), runs_dir, as_json)
