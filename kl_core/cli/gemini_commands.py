"""`prefill` and `batch`: Gemini as model 2, call by call or as Vertex batch jobs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from kl_core.cli import options
from kl_core.cli.compute import run_in_foreground
from kl_core.cli.lines import say
from kl_core.cli.output import duration
from kl_core.jobs import batch, prefill
from kl_core.jobs.gemini_job import GeminiRequest
from kl_core.jobs.gemini_options import (
    TOP_LOGPROBS,
    AskOptions,
    BatchOptions,
    PoolOptions,
    SpendOptions,
)
from kl_core.jobs.gemini_plan import Ask
from kl_core.jobs.launch import RUN_DIR_VARIABLE
from kl_core.jobs.worker import counted
from kl_core.store.spending import CallPlan

Model2 = Annotated[
    str, typer.Option(help="Q: the Gemini model to ask, by its API name.", show_default=False)
]
Project = Annotated[
    str | None,
    typer.Option(
        help="Google Cloud project: ask Vertex AI. Without it the Developer API is asked."
    ),
]
Location = Annotated[str | None, typer.Option(help="Vertex region. [default: us-central1]")]
TopLogprobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=TOP_LOGPROBS,
        help="Length of model 2's lists. [default: ask for 20, compare as many as the file has]",
    ),
]
BaseUrl = Annotated[
    str | None, typer.Option(help="Another address of the API, such as a server of this machine.")
]
MaxFiles = Annotated[int | None, typer.Option(min=1, help="Take only the first so many files.")]
Budget = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=1,
        help="Make only this share of the calls, at drawn positions; means are then unbiased "
        "estimates with 95 % intervals.",
    ),
]
Seed = Annotated[int, typer.Option(help="Of the draws of --budget.")]
MaxCost = Annotated[
    float | None,
    typer.Option(min=0, help="Dollars. A dearer plan is refused; a cheaper one starts unasked."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Start whatever it costs.")]
InputPrice = Annotated[float | None, typer.Option(min=0, help="Dollars per million input tokens.")]
OutputPrice = Annotated[
    float | None, typer.Option(min=0, help="Dollars per million output tokens.")
]


def prefill_command(
    input_dir: options.InputDir,
    model2: Model2,
    output_dir: options.OutputDir = None,
    project_id: Project = None,
    location: Location = None,
    top_logprobs: TopLogprobs = None,
    pattern: options.Pattern = None,
    max_concurrent: Annotated[
        int, typer.Option(min=1, max=2000, help="Most calls under way at a time.")
    ] = 50,
    max_files: MaxFiles = None,
    rate_limit: Annotated[
        float | None, typer.Option(min=0.01, help="Most calls a second. [default: no limit]")
    ] = None,
    max_retries: Annotated[
        int, typer.Option(min=0, help="Of a call that may pass later (429, 5xx, time-outs).")
    ] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for one answer.")] = 60.0,
    base_url: BaseUrl = None,
    budget: Budget = None,
    top_prompts: Annotated[
        int | None,
        typer.Option(min=1, help="Find so many of the most divergent prompts with few calls."),
    ] = None,
    seed: Seed = 0,
    reuse: Annotated[
        bool,
        typer.Option(
            "--reuse",
            help="Take answers of finished runs with the same model and settings; such a run "
            "cannot show that the API has changed.",
        ),
    ] = False,
    max_cost: MaxCost = None,
    yes: Yes = False,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Ask Gemini for its next-token list at every token of saved responses, one call each."""
    asked = AskOptions(
        input_dir.expanduser(),
        model2,
        output_dir.expanduser() if output_dir else None,
        project_id,
        location,
        top_logprobs,
        pattern,
        base_url,
        max_files,
        budget,
        top_prompts,
        seed,
    )
    pool = PoolOptions(max_concurrent, rate_limit, max_retries, timeout, reuse)
    spend = SpendOptions(max_cost, yes, input_price, output_price)
    prepared = prefill.prepare(GeminiRequest(asked, pool, spend, asker()))
    run_in_foreground("prefill", prepared, runs_dir, as_json)


def batch_command(
    input_dir: options.InputDir,
    model2: Model2,
    project_id: Annotated[
        str, typer.Option(help="Google Cloud project that runs the job.", show_default=False)
    ],
    output_dir: options.OutputDir = None,
    location: Location = None,
    bucket_name: Annotated[
        str | None,
        typer.Option(help="Cloud Storage bucket, made if missing. [default: PROJECT_ID-kl-batch]"),
    ] = None,
    top_logprobs: TopLogprobs = None,
    pattern: options.Pattern = None,
    max_files: MaxFiles = None,
    base_url: BaseUrl = None,
    budget: Budget = None,
    seed: Seed = 0,
    storage_url: Annotated[
        str | None, typer.Option(help="Another address of Cloud Storage.")
    ] = None,
    cleanup: Annotated[
        bool,
        typer.Option("--cleanup", help="Remove the run's files from the bucket when it is done."),
    ] = False,
    lifecycle_days: Annotated[
        int | None,
        typer.Option(min=1, help="Have the bucket delete the runs' files after so many days."),
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take answers of finished runs, as in prefill.")
    ] = False,
    max_cost: MaxCost = None,
    yes: Yes = False,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """The same as prefill through Vertex batch jobs: half the price, hours instead of minutes."""
    asked = AskOptions(
        input_dir.expanduser(),
        model2,
        output_dir.expanduser() if output_dir else None,
        project_id,
        location,
        top_logprobs,
        pattern,
        base_url,
        max_files,
        budget,
        None,
        seed,
    )
    places = BatchOptions(bucket_name, storage_url, cleanup, lifecycle_days)
    spend = SpendOptions(max_cost, yes, input_price, output_price)
    prepared = batch.prepare(GeminiRequest(asked, PoolOptions(reuse=reuse), spend, asker()), places)
    run_in_foreground("batch", prepared, runs_dir, as_json)


def asker(lines: Callable[[CallPlan], list[str]] | None = None) -> Ask | None:
    """Shows a plan at the prompt and asks; None in a worker that a page has started.

    Args:
        lines: the plan in words; None for `plan_lines`.
    """
    if RUN_DIR_VARIABLE in os.environ:
        return None

    def ask(plan: CallPlan, needed: bool) -> bool:
        for line in (lines or plan_lines)(plan):
            say(line, hang=2, stream=sys.stderr)
        if not needed:
            return True
        somebody = sys.stdin.isatty() and sys.stderr.isatty()
        return somebody and typer.confirm("Start?", err=True)

    return ask


def plan_lines(plan: CallPlan) -> list[str]:
    """A plan for a person at a prompt."""
    cost = "an unknown price" if plan.cost is None else f"about ${plan.cost:.2f}"
    if plan.price_input == 0 and plan.price_output == 0:
        cost = "nothing is charged"
    if plan.cost is not None and plan.price_date:
        cost += f" (${plan.price_input:g} / ${plan.price_output:g} per million, {plan.price_date})"
    noun = "request" if plan.mode == "endpoint" else "call"
    lines = [
        "",
        f"{plan.model}: {counted(plan.calls, noun)} for {counted(plan.prompts, 'prompt')}, "
        f"{counted(plan.responses, 'response')}, {counted(plan.positions, 'position')}"
        + (f"; {plan.kept:,} more answered already" if plan.kept else ""),
        f"about {plan.input_tokens:,} input and {plan.output_tokens:,} output tokens: {cost}",
    ]
    if plan.seconds is not None:
        lines.append(f"about {duration(plan.seconds)} at {plan.max_concurrent} {noun}s at a time")
    if plan.unscorable:
        lines.append(f"{counted(plan.unscorable, 'position')} cannot be asked and get no value")
    return lines + [f"Careful: {warning}." for warning in plan.warnings]
