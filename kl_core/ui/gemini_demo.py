"""The demo server behind a run: which address a run asks, and starting its server again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kl_core.errors import KLExplorerError, RunError
from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.ui import gemini_settings


def address_of(run_dir: Path) -> str:
    """The server a run asks; empty where it is Google's own, or not known."""
    try:
        params = runs.read_params(run_dir)
    except KLExplorerError:
        return ""
    frozen, command = params.get("request"), params.get("command")
    found = frozen.get("base_url") if isinstance(frozen, dict) else None
    if not found and isinstance(command, Sequence) and not isinstance(command, str):
        words = [str(word) for word in command]
        found = gemini_settings.from_command(words).get("base_url")
    return str(found or "")


def is_local(run_dir: Path) -> bool:
    """Whether the run asks a server on this machine, which charges nothing."""
    asked = _several(address_of(run_dir))
    return bool(asked) and all(gemini_settings.is_loopback(address) for address in asked)


def is_demo(address: str) -> bool:
    """Whether the demo server listens there, or did last."""
    demo = launch.last_demo_address()
    return demo is not None and demo in map(_server, _several(address))


def revive(address: str) -> None:
    """Start the demo server again where it is the one that is asked; it ends when left alone.

    Raises:
        RunError: it does not start, or its port is taken meanwhile.
    """
    if not is_demo(address):
        return
    found = launch.demo_server()
    if found not in map(_server, _several(address)):
        raise RunError(
            f"the demo server was at {address} and is now at {found}, as the port was taken; "
            "begin a new run there"
        )


def _several(address: str) -> list[str]:
    """The addresses of a run that asks several servers."""
    return [each for each in address.split(", ") if each]


def _server(address: str) -> str:
    """The server of an address; OpenAI's protocol lives below its `/v1`."""
    return address.rstrip("/").removesuffix("/v1")
