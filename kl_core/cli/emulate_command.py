"""`emulate`: the local servers, for trying things without a key and for tests."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kl_core.emulator.change import changed
from kl_core.emulator.settings import FAULTS, QUIRKS, SCORING, Settings
from kl_core.errors import InputError

if TYPE_CHECKING:
    from kl_core.emulator.state import State

DEFAULTS = Settings()
IDLE_CHECK_S = 0.2
USUAL_PORT = 8790  # the sample configurations name it


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen and when to stop.

    Attributes:
        port: 0 for a free one.
        port_file: written once the server listens; removed at the end.
        idle_s: stop after so long without a call; None for never.
    """

    port: int
    port_file: Path | None
    idle_s: float | None


def emulate_command(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = USUAL_PORT,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of saved models. [default: the tiny sample models]"),
    ] = None,
    latency_ms: Annotated[
        float, typer.Option(help="Least time an answer takes.")
    ] = DEFAULTS.latency_ms,
    fault_rate: Annotated[float, typer.Option(help="Share of calls that fail.")] = 0.0,
    faults: Annotated[
        str | None, typer.Option(help=f"Comma-separated, of {','.join(FAULTS)}. [default: all]")
    ] = None,
    capacity: Annotated[
        float | None, typer.Option(help="Calls a second above which 429 is answered.")
    ] = None,
    retry_after: Annotated[
        bool, typer.Option("--retry-after", help="Say in the 429 of --capacity how long to wait.")
    ] = False,
    hang_s: Annotated[float, typer.Option(help="How long a hanging call hangs.")] = DEFAULTS.hang_s,
    answers: Annotated[
        str,
        typer.Option(help="model: the models answer; hash: made up, fast, to measure clients."),
    ] = DEFAULTS.answers,
    no_logprobs: Annotated[
        bool, typer.Option("--no-logprobs", help="Refuse as models without log-probabilities do.")
    ] = False,
    no_prefill: Annotated[
        bool, typer.Option("--no-prefill", help="Refuse as models without prefill do.")
    ] = False,
    model_version: Annotated[
        str, typer.Option(help="Answer under another version. [default: the model asked for]")
    ] = "",
    batch_s: Annotated[float, typer.Option(help="How long a batch job takes.")] = DEFAULTS.batch_s,
    batch_state: Annotated[
        str, typer.Option(help="Last state of a batch job.")
    ] = DEFAULTS.batch_state,
    batch_row_faults: Annotated[
        float, typer.Option(help="Share of rows that fail inside a job that succeeds.")
    ] = DEFAULTS.batch_row_faults,
    batch_shards: Annotated[
        int, typer.Option(help="Files over which a job spreads its rows.")
    ] = DEFAULTS.batch_shards,
    scoring: Annotated[
        str,
        typer.Option(help=f"Calls that score a whole text, of {','.join(SCORING)}, or none."),
    ] = ",".join(DEFAULTS.scoring),
    provider: Annotated[
        list[str] | None,
        typer.Option(
            help=f"NAME or NAME:QUIRK,… of who answers chats; quirks are {', '.join(QUIRKS)}. "
            "May be repeated."
        ),
    ] = None,
    served_model: Annotated[
        str, typer.Option(help="The one model of the OpenAI-shaped server. [default: all]")
    ] = DEFAULTS.served_model,
    no_completions: Annotated[
        bool, typer.Option("--no-completions", help="Chats alone, without /v1/completions.")
    ] = False,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="OpenAI-shaped calls need no key.")
    ] = False,
    max_logprobs: Annotated[
        int, typer.Option(help="Longest list of an OpenAI-shaped call.")
    ] = DEFAULTS.max_logprobs,
    input_price: Annotated[
        float | None, typer.Option(help="Dollars per million tokens that /v1/models tells.")
    ] = None,
    output_price: Annotated[float | None, typer.Option(help="The same for the answers.")] = None,
    seed: Annotated[int, typer.Option(help="Decides which calls fail.")] = DEFAULTS.seed,
    idle_minutes: Annotated[
        float | None, typer.Option(help="Stop when nobody called for so long. [default: never]")
    ] = None,
    port_file: Annotated[
        Path | None, typer.Option(help="Write the port here once the server listens.")
    ] = None,
) -> None:
    """Serve Gemini, OpenAI-shaped calls, batch jobs and storage from tiny models here."""
    settings = changed(
        DEFAULTS,
        {
            "latency_ms": latency_ms,
            "fault_rate": fault_rate,
            "faults": FAULTS if faults is None else _listed(faults),
            "capacity_per_s": capacity,
            "retry_after": retry_after,
            "hang_s": hang_s,
            "answers": answers,
            "logprobs": not no_logprobs,
            "prefill": not no_prefill,
            "model_version": model_version,
            "batch_s": batch_s,
            "batch_state": batch_state,
            "batch_row_faults": batch_row_faults,
            "batch_shards": batch_shards,
            "scoring": () if scoring.strip() == "none" else _listed(scoring),
            "providers": [_provider(words) for words in provider or []] or DEFAULTS.providers,
            "served_model": served_model,
            "completions": not no_completions,
            "require_key": not no_key,
            "max_logprobs": max_logprobs,
            "input_price": input_price,
            "output_price": output_price,
            "seed": seed,
        },
    )
    if idle_minutes is not None and idle_minutes <= 0:
        raise InputError(f"--idle-minutes is {idle_minutes:g}; give more than 0, or leave it out")
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # more only get into each other's way
    place = Place(port, port_file, None if idle_minutes is None else 60 * idle_minutes)
    from kl_core.emulator.state import State

    state = State(settings, models)
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(state, place))
    if state.busy():  # everything is closed and removed; Ctrl-C need not wait for a model
        os._exit(0)


def _listed(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(",") if word.strip())


def _provider(words: str) -> dict[str, Any]:
    name, _, quirks = words.partition(":")
    return {"name": name.strip(), "quirks": _listed(quirks)}


async def _serve(state: State, place: Place) -> None:
    from kl_core.emulator.server import serving

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(state, place.port) as base_url:
        state.warm()
        print(_greeting(state.names, base_url), flush=True)
        if place.port_file is not None:
            _write_port(place.port_file, base_url)
        try:
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), IDLE_CHECK_S)
                if place.idle_s is not None and state.stats.idle_s() > place.idle_s:
                    print(f"Nobody called for {place.idle_s / 60:g} minutes: stopped.", flush=True)
                    break
        finally:
            if place.port_file is not None:
                place.port_file.unlink(missing_ok=True)


def _write_port(path: Path, base_url: str) -> None:
    """Whole or not at all, so that nobody reads half a number."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(base_url.rsplit(":", 1)[1], encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"the port cannot be written to {path} ({error.strerror}); choose another --port-file"
        ) from error


def _greeting(names: tuple[str, ...], base_url: str) -> str:
    model = "tiny-tuned" if "tiny-tuned" in names else names[-1]
    usual = base_url.endswith(f":{USUAL_PORT}")
    elsewhere = "" if usual else f"   # with base_url: {base_url}/v1 written into it"
    by_endpoint = (
        f"--input-dir sample_data/responses/openrouter --model2 {model} "
        f"--base-url {base_url}/v1 --tokenizer sample_data/models/{model}"
    )
    common = f"--input-dir sample_data/responses/gemini --model2 {model} --base-url {base_url}"
    return "\n".join(
        [
            f"Serving {', '.join(names)} at {base_url}, on this computer alone; Ctrl-C ends it.",
            "Gemini, one call a position:",
            f"  python -m kl_core prefill {common}",
            "Vertex batch jobs:",
            f"  python -m kl_core batch {common} --project-id demo --storage-url {base_url}",
            f"OpenAI-shaped servers (OpenRouter, vLLM, SGLang), at {base_url}/v1:",
            f"  python -m kl_core sample --config sample_data/configs/demo.yaml{elsewhere}",
            f"  python -m kl_core endpoint {by_endpoint}",
            "Watch and change it while it runs:",
            f"  curl {base_url}/emulator/stats",
            f"  curl -X PUT {base_url}/emulator/settings -d '{{\"fault_rate\": 0.2}}'",
        ]
    )
