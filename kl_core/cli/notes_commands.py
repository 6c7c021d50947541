"""`notes`: list, add and remove the notes beside a run."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kl_core.cli import options
from kl_core.cli.output import one_line, print_json
from kl_core.errors import InputError
from kl_core.jobs.worker import counted
from kl_core.store import export, notes, notes_tables, queries, runs
from kl_core.store.notes import Key, Note

app = typer.Typer(help="Notes and tags on prompts, responses and tokens.", no_args_is_help=True)
LARGEST = 2**31 - 1
PromptId = Annotated[
    int,
    typer.Option(min=0, max=LARGEST, help="prompt_id, as `export` lists.", show_default=False),
]
Slot = Annotated[int | None, typer.Option(min=0, max=LARGEST, help="Of the response, from 0.")]
Position = Annotated[
    int | None, typer.Option(min=0, max=LARGEST, help="Of the token, from 0; needs --slot.")
]


@app.command("list")
def list_command(
    run: options.RunId, runs_dir: options.RunsDir = None, as_json: options.Json = False
) -> None:
    """Every note of a run with what it is on."""
    run_dir = _found(run, runs_dir)
    rows = notes_tables.table(run_dir, queries.open_run(run_dir).cursor()).to_pylist()
    if as_json:
        print_json({"notes": export.plain(rows)})
        return
    if not rows:
        print(f"No notes on {run_dir.name} yet: `notes add` or the page makes one.")
    for row in rows:
        place = " ".join(
            f"{name} {row[name]}"
            for name in ("prompt_id", "slot", "position")
            if row[name] is not None
        )
        tags = "".join(f" #{tag}" for tag in row["tags"])
        where = place if row["prompt_id"] is not None else f"not in this run: {row['file']}"
        print(one_line(f"{where}:{tags} {row['text']}", 160))


@app.command("add")
def add_command(
    run: options.RunId,
    prompt: PromptId,
    text: Annotated[str, typer.Option(help="The note.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be given again.")] = None,
    slot: Slot = None,
    position: Position = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Put a note on a prompt, a response or a token, in place of the one it has."""
    run_dir = _found(run, runs_dir)
    key = _key(run_dir, prompt, slot, position)
    kept = notes.save(run_dir, Note(*key, text, tuple(tag or ())))
    if kept is None:
        raise InputError("a note needs --text or --tag; `notes remove` takes one away")
    if as_json:
        print_json(asdict(kept))
    else:
        print(
            f"noted on {one_line(key[0], 60)}; "
            f"{counted(len(notes.read(run_dir)), 'note')} on {run_dir.name}"
        )


@app.command("remove")
def remove_command(
    run: options.RunId,
    prompt: PromptId,
    slot: Slot = None,
    position: Position = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Take a note away."""
    run_dir = _found(run, runs_dir)
    if not notes.remove(run_dir, _key(run_dir, prompt, slot, position)):
        raise InputError(f"there is no such note on {run_dir.name}; `notes list` shows those there")
    left = len(notes.read(run_dir))
    if as_json:
        print_json({"removed": True, "notes": left})
    else:
        print(f"removed; {counted(left, 'note')} left on {run_dir.name}")


def _found(run: str, runs_dir: Path | None) -> Path:
    """The run's folder; what is wrong with its notes is told."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    if fault := notes.problem(run_dir):
        print(one_line(fault, 400), file=sys.stderr)
    return run_dir


def _key(run_dir: Path, prompt: int, slot: int | None, position: int | None) -> Key:
    """The place as notes know it.

    Raises:
        InputError: the run has no such place.
    """
    if position is not None and slot is None:
        raise InputError(f"position {position} of which response? give --slot too")
    cursor = queries.open_run(run_dir).cursor()
    head = queries.prompt(cursor, prompt)
    if head is None:
        raise InputError(f"run {run_dir.name} has no prompt {prompt}; `export` lists them")
    if slot is not None:
        rows = queries.responses(cursor, prompt).select(["slot", "tokens"]).to_pylist()
        row = next((row for row in rows if row["slot"] == slot), None)
        if row is None or (position is not None and position >= row["tokens"]):
            raise InputError(
                f"prompt {prompt} of run {run_dir.name} has no response {slot} with a token "
                f"{position}"
                if row is not None
                else f"prompt {prompt} of run {run_dir.name} has no response {slot}"
            )
    return (head["file"], head["entry"], slot, position)
