"""`sample`: responses with log-probabilities from several models, as a configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kl_core.cli import options
from kl_core.cli.compute import run_in_foreground
from kl_core.cli.gemini_commands import MaxCost, Yes, asker
from kl_core.cli.output import duration
from kl_core.jobs import sample
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions
from kl_core.jobs.sample_options import SampleOptions, SampleRequest
from kl_core.jobs.worker import counted
from kl_core.store.spending import CallPlan


def sample_command(
    config: Annotated[
        Path,
        typer.Option(
            help="YAML: models, prompts, how to draw, and where the files go; "
            "sample_data/configs has examples.",
            show_default=False,
        ),
    ],
    from_tokens: Annotated[
        Path | None,
        typer.Option(
            help="A file of the tokens command: each answer is taken up before its token, and "
            "continued by every model. Takes the place of the prompts."
        ),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Instead of the configuration's output_dir.")
    ] = None,
    max_concurrent: Annotated[
        int, typer.Option(min=1, max=2000, help="Most calls under way at a time, for each model.")
    ] = sample.MAX_CONCURRENT,
    rate_limit: Annotated[
        float | None,
        typer.Option(min=0.01, help="Most calls a second, for each model. [default: no limit]"),
    ] = None,
    max_retries: Annotated[
        int, typer.Option(min=0, help="Of a call that may pass later (429, 5xx, time-outs).")
    ] = 8,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for one response.")
    ] = sample.TIMEOUT_S,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Ask again for what stands in the output folder already."),
    ] = False,
    max_cost: MaxCost = None,
    yes: Yes = False,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Sample responses with log-probabilities: one folder a model, one file a prompt.

    What is in the folder is not asked again: the same command completes it.
    """
    asked = SampleOptions.read(
        config, from_tokens, output_dir.expanduser() if output_dir else None, overwrite
    )
    pool = PoolOptions(max_concurrent, rate_limit, max_retries, timeout)
    request = SampleRequest(asked, pool, SpendOptions(max_cost, yes), asker(plan_lines))
    run_in_foreground("sample", sample.prepare(request), runs_dir, as_json)


def plan_lines(plan: CallPlan) -> list[str]:
    """A plan for a person at a prompt."""
    cost = "an unknown price" if plan.cost is None else f"at most about ${plan.cost:.2f}"
    if plan.cost == 0:
        cost = "nothing is charged"
    elif plan.cost is not None and plan.price_input is not None:
        dated = f", {plan.price_date}" if plan.price_date else ""
        cost += f" (${plan.price_input:g} / ${plan.price_output:g} per million{dated})"
    tokens = f"about {plan.input_tokens:,} input and at most {plan.output_tokens:,} output tokens"
    lines = [
        "",
        f"{plan.model}: {counted(plan.calls, 'call')} for {counted(plan.prompts, 'file')}"
        + (f"; {plan.kept:,} more answered already" if plan.kept else ""),
        f"{tokens}: {cost}",
    ]
    if plan.seconds is not None and plan.calls:
        lines.append(f"about {duration(plan.seconds)} at {plan.max_concurrent} calls at a time")
    return lines + [f"Careful: {warning}." for warning in plan.warnings]
