"""`runs`: list, show, compare, rename, resume, cancel, delete."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from kl_core.cli import options
from kl_core.cli.compute import finish
from kl_core.cli.output import one_line, print_json, print_summary, progress_line
from kl_core.cli.pair_command import compare_command
from kl_core.errors import InputError
from kl_core.jobs.again import work_of
from kl_core.jobs.batch_cancel import cancel_jobs
from kl_core.jobs.worker import counted
from kl_core.store import run_sizes, runs, spending
from kl_core.store.summary import run_summary

app = typer.Typer(
    help="List, show, compare, rename, resume, cancel and delete runs.", no_args_is_help=True
)
app.command("compare")(compare_command)


@app.command("list")
def list_command(runs_dir: options.RunsDir = None, as_json: options.Json = False) -> None:
    """All runs, newest first."""
    root = runs.root_or_default(runs_dir)
    infos = runs.list_runs(root)
    if as_json:
        print_json({"runs": [_as_json(info) for info in infos]})
        return
    if not infos:
        print(f"No runs in {root} yet: `python -m kl_core import DIR` makes one.")
    for info in infos:
        models = " → ".join(name for name in (info.model1, info.model2) if name)
        state = progress_line(info.status) if info.status.active else info.state
        space = run_sizes.said(run_sizes.size_bytes(info.path))
        title = one_line(info.title, 40)
        print(f"{info.id}  {state:<10} {space:>9}  {title}  {one_line(models, 60)}")
    if infos:
        use = run_sizes.disk_use((info.path for info in infos), root)
        used, free = run_sizes.said(use.used_bytes), run_sizes.said(use.free_bytes)
        print(f"{counted(len(infos), 'run')}, {used}; {free} free")


@app.command("show")
def show_command(
    run: options.RunId, runs_dir: options.RunsDir = None, as_json: options.Json = False
) -> None:
    """The summary of a run, with its problems."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    summary = run_summary(run_dir) | {
        "name": runs.read_name(run_dir),
        "size_bytes": run_sizes.size_bytes(run_dir),
    }
    if as_json:
        print_json(summary)
        return
    if summary["name"]:
        print(f"{one_line(summary['name'], runs.NAME_LIMIT)}")
    print_summary(summary)
    print(f"On disk: {run_sizes.said(summary['size_bytes'])}")


@app.command("rename")
def rename_command(
    run: options.RunId,
    name: Annotated[str, typer.Argument(help="What to call it; '' for its own title.")],
    runs_dir: options.RunsDir = None,
) -> None:
    """Give a run a name; its id stays."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    runs.rename_run(run_dir, name)
    print(f"{run_dir.name} is now called {one_line(runs.run_info(run_dir).title, 120)}.")


@app.command("resume")
def resume_command(
    run: options.RunId,
    yes: Annotated[bool, typer.Option("--yes", help="Say yes to what it will cost.")] = False,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Go on with an unfinished run; what is on disk is not done again."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    if yes:
        spending.confirm(run_dir)
    if runs.read_status(run_dir).state == "done":
        raise InputError(f"run {run_dir.name} is done; there is nothing to resume")
    finish(run_dir, work_of(run_dir), as_json)


@app.command("cancel")
def cancel_command(
    run: options.RunId,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Cancel its batch jobs at Google too, live run or not.")
    ] = False,
    runs_dir: options.RunsDir = None,
) -> None:
    """Ask a live run to stop; what was finished is kept."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    if jobs:
        count = cancel_jobs(run_dir)
        if not count:
            print(f"{run_dir.name} has no batch job under way at Google.")
            return
        print(
            f"{run_dir.name} is stopped and Google is asked to cancel {counted(count, 'batch job')}"
            f"; rows answered by then are paid for: `runs resume {run_dir.name}` collects them."
        )
        return
    if not runs.read_status(run_dir).active:
        raise InputError(f"run {run_dir.name} is {runs.read_status(run_dir).state}, not working")
    runs.request_cancel(run_dir)
    print(f"{run_dir.name} will stop at its next safe point.")


@app.command("delete")
def delete_command(
    run: options.RunId,
    runs_dir: options.RunsDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run's folder for good."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"deleting {run_dir.name} needs --yes where nobody can be asked")
        if not typer.confirm(f"Delete {run_dir} for good?"):
            return
    runs.delete_run(run_dir)
    print(f"{run_dir.name} is deleted.")


def _as_json(info: runs.RunInfo) -> dict[str, Any]:
    return {
        "run_id": info.id,
        "run_dir": str(info.path),
        "kind": info.kind,
        "title": info.title,
        "name": info.name,
        "size_bytes": run_sizes.size_bytes(info.path),
        "state": info.state,
        "created": info.created,
        "model1": info.model1,
        "model2": info.model2,
        "done": info.status.done,
        "total": info.status.total,
        "eta_s": info.status.eta_s,
    }
