"""Starting a run of calls from a page, once for a double click."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.ui import gemini_demo, markup


def begin(
    page: str, kind: str, options: Callable[[], Mapping[str, Any]], addresses: Sequence[str]
) -> Path | None:
    """Start the worker; a repeated click while it is at it starts nothing new.

    Args:
        page: name of the page, for the session.
        options: the command's, made when they are needed; may write files.
        addresses: where the run asks; a demo server among them is started again if need be.

    Returns:
        The run's folder, None where it did not start (`say` shows why).
    """
    last: Path | None = st.session_state.get(f"{page}_last")
    if last is None or not last.is_dir() or not launch.status(last).active:
        st.session_state[f"{page}_nonce"] = uuid.uuid4().hex
    try:
        for address in addresses:
            gemini_demo.revive(address)
        asked = dict(options())
        nonce = st.session_state[f"{page}_nonce"] + json.dumps([kind, asked], sort_keys=True)
        run_dir = launch.start(kind, asked, nonce)
    except (KLExplorerError, OSError) as error:
        tell(page, f"The run did not start: {error}.")
        return None
    st.session_state[f"{page}_last"] = run_dir
    return run_dir


def demo_address(page: str) -> str | None:
    """The address of the demo server, started if need be; None, with the reason to `say`."""
    try:
        return launch.demo_server()
    except (KLExplorerError, OSError) as error:
        tell(page, f"The demo server did not start: {error}.")
        return None


def demo_note(models: str = "a tiny model that ships") -> None:
    """That the demo server is asked."""
    st.caption(
        f":material/science: This is a demo: a server on this machine answers from {models} with "
        "the app. It costs nothing, and nothing leaves this machine."
    )


def first(missing: Sequence[str]) -> None:
    """What has to be done before the button can be pressed; nothing where nothing has."""
    if missing:
        said = markup.inert(f"First: {'; '.join(missing)}.")
        st.markdown(f":orange[:material/warning:] {said}")


def tell(page: str, said: str) -> None:
    """Keep a sentence for the page's next run."""
    st.session_state[f"{page}_said"] = said


def say(page: str) -> None:
    """Show the sentence that was kept, once."""
    if said := st.session_state.pop(f"{page}_said", None):
        st.text(said)
