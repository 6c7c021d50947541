"""`endpoint`: model 2 behind an OpenAI-shaped server, one request a response where it can."""

from __future__ import annotations

from typing import Annotated

import typer

from kl_core.cli import options
from kl_core.cli.compute import run_in_foreground
from kl_core.cli.gemini_commands import InputPrice, MaxCost, MaxFiles, OutputPrice, Yes, asker
from kl_core.jobs import endpoint
from kl_core.jobs.endpoint_options import AUTO, FALLBACKS, SERVERS, EndpointOptions
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions


def endpoint_command(
    input_dir: options.InputDir,
    model2: Annotated[
        str, typer.Option(help="Q: the model to ask, as the server spells it.", show_default=False)
    ],
    base_url: Annotated[
        str,
        typer.Option(help="The server's address, https://host/v1 as a rule.", show_default=False),
    ],
    output_dir: options.OutputDir = None,
    server: Annotated[
        str,
        typer.Option(
            help=f"How it scores a whole response in one request: {', '.join(SERVERS)}. auto "
            "finds out by trying."
        ),
    ] = AUTO,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="Folder or hub id of model 2's tokenizer, for servers that take token ids. "
            "[default: --model2 where that is one]"
        ),
    ] = None,
    fallback: Annotated[
        str | None,
        typer.Option(
            help="Where no response can be scored in one request, ask position by position: "
            f"{' or '.join(FALLBACKS)} (a started turn of the assistant). [default: stop]"
        ),
    ] = None,
    top_logprobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Length of model 2's lists; many servers give at most 20. [default: ask for 20, "
            "compare as many as the file has]",
        ),
    ] = None,
    pattern: options.Pattern = None,
    max_files: MaxFiles = None,
    max_concurrent: Annotated[
        int, typer.Option(min=1, max=2000, help="Most requests under way at a time.")
    ] = 16,
    rate_limit: Annotated[
        float | None, typer.Option(min=0.01, help="Most requests a second. [default: no limit]")
    ] = None,
    max_retries: Annotated[
        int, typer.Option(min=0, help="Of a request that may pass later (429, 5xx, time-outs).")
    ] = 8,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for one answer.")] = 120.0,
    reuse: Annotated[
        bool,
        typer.Option(
            "--reuse",
            help="Take answers of finished runs with the same server, model and settings; such a "
            "run cannot show that the model has changed.",
        ),
    ] = False,
    key_env: Annotated[
        str | None,
        typer.Option(
            help="Name of the environment variable that holds the server's key. [default: "
            "OPENROUTER_API_KEY and OPENAI_API_KEY for their own hosts, no key elsewhere]"
        ),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of the tokenizer on the hub.")] = None,
    trust_remote_code: options.Trust = False,
    chat_template: options.ChatTemplate = None,
    system: options.System = None,
    raw: options.Raw = False,
    max_cost: MaxCost = None,
    yes: Yes = False,
    input_price: InputPrice = None,
    output_price: OutputPrice = None,
    runs_dir: options.RunsDir = None,
    as_json: options.Json = False,
) -> None:
    """Score saved responses by a vLLM, SGLang or echoing server, one request a response."""
    asked = EndpointOptions(
        input_dir.expanduser(),
        model2,
        base_url,
        output_dir.expanduser() if output_dir else None,
        server,
        tokenizer,
        fallback,
        top_logprobs,
        pattern,
        max_files,
        key_env,
        revision,
        trust_remote_code,
        chat_template,
        system,
        raw,
    )
    pool = PoolOptions(max_concurrent, rate_limit, max_retries, timeout, reuse)
    spend = SpendOptions(max_cost, yes, input_price, output_price)
    prepared = endpoint.prepare(endpoint.EndpointRequest(asked, pool, spend, asker()))
    run_in_foreground("endpoint", prepared, runs_dir, as_json)
