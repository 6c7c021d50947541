"""The command line: parse, call a job or a query, print. One sentence on an error."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import typer

from kl_core.cli import (
    compute,
    emulate_command,
    endpoint_command,
    export_command,
    gemini_commands,
    notes_commands,
    runs_commands,
    sample_command,
    tokens_command,
)
from kl_core.cli.lines import say
from kl_core.errors import (
    InputError,
    KLExplorerError,
    ModelError,
    RunCancelled,
    RunWaiting,
    VocabularyMismatchError,
)
from kl_core.jobs.launch import RUN_DIR_VARIABLE
from kl_core.store import runs

ARGUMENT_ERRORS = (InputError, ModelError, RunWaiting, VocabularyMismatchError)
app = typer.Typer(
    name="kl_core",
    help="KL Explorer: where, how much and whether two language models differ.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("import", short_help="Read responses or results into a run.")(compute.import_command)
app.command("sample", short_help="Sample responses with log-probabilities from models.")(
    sample_command.sample_command
)
app.command("score", short_help="Score saved responses with a local model.")(compute.score_command)
app.command("compare", short_help="Compare two local models exactly.")(compute.compare_command)
app.command("prefill", short_help="Ask Gemini at every token, call by call.")(
    gemini_commands.prefill_command
)
app.command("batch", short_help="Ask Gemini through Vertex batch jobs, at half the price.")(
    gemini_commands.batch_command
)
app.command("endpoint", short_help="Score saved responses by a server, one request each.")(
    endpoint_command.endpoint_command
)
app.command("tokens", short_help="Extract the tokens where two models differ.")(
    tokens_command.tokens_command
)
app.command("export", short_help="Write any view of a run as CSV, JSON, Parquet, HTML or zip.")(
    export_command.export_command
)
app.command("emulate", short_help="Serve the tiny models by the real protocols.")(
    emulate_command.emulate_command
)
app.add_typer(notes_commands.app, name="notes")
app.add_typer(runs_commands.app, name="runs")


def main() -> None:
    """Run a command; errors become one sentence and an exit code (1 a run, 2 the arguments)."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except KLExplorerError as error:
        _tell(error)
        raise SystemExit(2 if isinstance(error, ARGUMENT_ERRORS) else 1) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def _tell(error: KLExplorerError) -> None:
    """The sentence on standard error, and in the run a page is watching."""
    say(" ".join(str(error).split()), stream=sys.stderr)
    handed = os.environ.get(RUN_DIR_VARIABLE)
    if handed and not isinstance(error, RunCancelled | RunWaiting):
        status = runs.read_status(Path(handed))
        if status.active:
            runs.write_status(Path(handed), replace(status, state="failed", error=str(error)))
