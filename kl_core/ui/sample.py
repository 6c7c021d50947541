"""The sample run: imported from the results that ship with the app, on first open."""

from __future__ import annotations

import hashlib
from pathlib import Path

import streamlit as st

from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.store.runs import RunInfo

_NONCE = "sample"
ABOUT = (
    "This is the sample that ships with the app, being made ready: responses scored by two "
    "tiny models that differ in a few planted facts. Your own files open with Open files."
)


def folder() -> Path:
    """Where the shipped results are."""
    return runs.REPOSITORY / "sample_data" / "results"


@st.cache_data(show_spinner=False)
def nonce() -> str:
    """One per content of the shipped results, so that new ones are imported afresh."""
    digest = hashlib.sha256(_NONCE.encode())
    for path in sorted(folder().rglob("*.json*")):
        stat = path.stat()
        digest.update(f"{path.relative_to(folder())}:{stat.st_size};".encode())
    return f"{_NONCE}-{digest.hexdigest()}"


def ensure() -> Path | None:
    """The sample run's folder, started if need be; None where nothing ships."""
    if not folder().is_dir() or not any(folder().rglob("*.json*")):
        return None
    return launch.start("import", {"input_dir": str(folder())}, nonce())


def first(infos: list[RunInfo], sample: Path | None) -> list[RunInfo]:
    """The same runs with the sample run at the head, where the page opens."""
    own = [info for info in infos if sample is not None and info.path == sample]
    return own + [info for info in infos if info not in own]
