"""`export`: any view of a run as a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from kl_core.cli import export_views, options
from kl_core.cli.export_views import CHART, Asked
from kl_core.cli.output import ProgressPrinter, show_path
from kl_core.errors import InputError
from kl_core.jobs.worker import counted
from kl_core.store import export, queries, results_zip, runs
from kl_core.store.export import Format
from kl_core.store.runs import Status
from kl_core.store.summary import run_summary

ROWS: tuple[Format, ...] = get_args(Format)
Several = list[str] | None
Number = int | None


def export_command(
    run: Annotated[str, typer.Argument(help="A run's id, or a part only it has.")],
    view: Annotated[
        str,
        typer.Option(
            help="prompts, responses, tokens, top-tokens, token-groups, problems, summary, notes, "
            "results (its _kl.json files, a zip) or chart:NAME (relative, histogram, cumulative, "
            "probability, entropy, length, provider, model, finish_reason). A picture (PNG) of "
            "a chart is "
            "saved with the button on the chart in the browser."
        ),
    ] = "prompts",
    kind: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, json, parquet; html for charts, zip for results. "
            "[default: as --output ends]",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option(help="File to write; - for standard output (CSV and JSON).")
    ] = "-",
    sort: Annotated[str | None, typer.Option(help="Column to sort by.")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Lowest first.")] = False,
    search: Annotated[str, typer.Option(help="Text in the prompt or response; in the token.")] = "",
    provider: Annotated[Several, typer.Option(help="Prompts with a response of it.")] = None,
    model: Annotated[Several, typer.Option(help="Prompts with a response of it.")] = None,
    finish_reason: Annotated[Several, typer.Option(help="Prompts with such a response.")] = None,
    tag: Annotated[Several, typer.Option(help="Prompts with such a note.")] = None,
    least: Annotated[
        Several, typer.Option("--min", help="column=value, say mean_kl=0.5; score=1 for tokens.")
    ] = None,
    most: Annotated[Several, typer.Option("--max", help="column=value.")] = None,
    prompt: Annotated[
        Number, typer.Option(help="prompt_id, for responses, or tokens of all of them.")
    ] = None,
    response: Annotated[
        Number, typer.Option(help="response_id, for tokens of one; in place of --prompt.")
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="Of tokens: kl, normalized or surprisal1.")
    ] = None,
    min_kl: Annotated[
        float | None, typer.Option(help="--score normalized: least KL of a token, in nats.")
    ] = None,
    min_count: Annotated[
        Number, typer.Option(min=1, help="token-groups: least occurrences of a token.")
    ] = None,
    limit: Annotated[Number, typer.Option(min=1, help="The first so many rows.")] = None,
    lists: Annotated[bool, typer.Option("--lists", help="tokens: with both top-k lists.")] = False,
    runs_dir: options.RunsDir = None,
) -> None:
    """Export a view of a run: all rows of its order and filters."""
    run_dir = runs.find_run(runs.root_or_default(runs_dir), run)
    asked = Asked(
        sort=sort,
        ascending=ascending,
        search=search,
        provider=tuple(provider or ()),
        model=tuple(model or ()),
        finish_reason=tuple(finish_reason or ()),
        tag=tuple(tag or ()),
        least=tuple(least or ()),
        most=tuple(most or ()),
        prompt=prompt,
        response=response,
        score=score,
        limit=limit,
        lists=lists,
        min_kl=min_kl,
        min_count=min_count,
    )
    target = None if output == "-" else Path(output).expanduser()
    if view == "results":
        export_views.refuse_options(view, asked)
        _results(run_dir, _format(view, kind, target, ("zip",)), target)
    elif view == "summary":
        export_views.refuse_options(view, asked)
        _format(view, kind, target, ("json",))
        _put(export.pretty_json(run_summary(run_dir)), target)
    elif view.startswith(CHART) and _format(view, kind, target, (*ROWS, "html")) == "html":
        export_views.refuse_options(view, asked)
        _figure(run_dir, view, target)
    else:
        chosen = _format(view, kind, target, (*ROWS, "html") if view.startswith(CHART) else ROWS)
        _rows(run_dir, view, asked, chosen, target)


def _format(view: str, kind: str | None, target: Path | None, allowed: tuple[str, ...]) -> str:
    """What was asked for, what the file's name ends in, or the first that the view has.

    Raises:
        InputError: the view has no such format, or it cannot go to standard output.
    """
    ending = target.suffix.lower().removeprefix(".") if target else ""
    if kind is None and ending and ending not in ("csv", "json", "parquet", "html", "zip"):
        raise InputError(
            f"no format is named .{ending}; end --output in {' or '.join(allowed)}, "
            "or give --format"
        )
    chosen = kind or (ending if ending in ("csv", "json", "parquet", "html", "zip") else allowed[0])
    if chosen not in allowed:
        raise InputError(f"--view {view} has no format {chosen!r}; choose {' or '.join(allowed)}")
    if target is None and chosen not in ("csv", "json"):
        raise InputError(f"{chosen} needs --output FILE; standard output takes csv and json")
    return chosen


def _rows(run_dir: Path, name: str, asked: Asked, kind: str, target: Path | None) -> None:
    cursor = queries.open_run(run_dir).cursor()
    chosen = export_views.view(name, run_dir, cursor, asked)
    form = next(one for one in ROWS if one == kind)
    if target is None:
        export.write_to(sys.stdout.buffer, chosen.source, cursor, form, chosen.change)
        sys.stdout.buffer.flush()
        return
    rows = export.write(chosen.source, cursor, target, form, chosen.change)
    print(f"{counted(rows, 'row')} in {show_path(target)}", file=sys.stderr)


def _figure(run_dir: Path, name: str, target: Path | None) -> None:
    """A page of its own: plotly's code goes into the file, nothing is loaded from outside."""
    cursor = queries.open_run(run_dir).cursor()
    asked = export_views.chart(name)
    figure = asked.figure(asked.query().table(cursor), queries.summary(cursor))
    _put(figure.to_html(include_plotlyjs=True, full_html=True).encode(), target)


def _put(data: bytes, target: Path | None) -> None:
    if target is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    export.put(data, target)
    print(f"written to {show_path(target)}", file=sys.stderr)


def _results(run_dir: Path, kind: str, target: Path | None) -> None:
    assert target is not None
    printer = ProgressPrinter()
    try:
        made = results_zip.write(
            run_dir,
            target,
            lambda done, total: printer(
                Status("running", "writing results", done, total, message=f"{done:,} prompts")
            ),
        )
    finally:
        printer.close()
    more = " and notes.json" if made.notes else ""
    print(f"{counted(made.files, 'result file')}{more} in {show_path(target)}", file=sys.stderr)
    if made.left_out:
        print(
            f"{counted(made.left_out, 'prompt')} without a second model left out: nothing to "
            "compare there",
            file=sys.stderr,
        )
