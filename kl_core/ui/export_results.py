"""The results zip of a run, made by a process of its own and watched from the page."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import streamlit as st

from kl_core.store import notes, queries
from kl_core.store.parts import committed
from kl_core.ui import figures

NAME = "results.zip"
SECONDS_A_TOKEN = 1.7e-4  # on two cores, as measured
LARGEST_DOWNLOAD = 500 * 2**20  # a browser's download passes through the server's memory
_STOPPED = 3


@dataclass(slots=True)
class Job:
    """A process that writes a zip.

    Attributes:
        told, said: its standard output (`done total` lines) and error, as files.
    """

    process: subprocess.Popen[bytes]
    told: IO[bytes]
    said: IO[bytes]

    def counts(self) -> tuple[int, int]:
        """(prompts done, prompts in all), (0, 0) before the first."""
        self.told.seek(0)
        lines = self.told.read().decode(errors="replace").split("\n")
        done = lines[-2].split() if len(lines) > 1 else []  # the last line may be half
        return (int(done[0]), int(done[1])) if len(done) == 2 else (0, 0)

    def fault(self) -> str:
        """Why it ended without a zip; empty where it did not, or was asked to stop."""
        if self.process.poll() in (None, 0, _STOPPED):
            return ""
        self.said.seek(0)
        return self.said.read().decode(errors="replace").strip()[-400:] or "it ended unexpectedly"


@st.cache_resource(show_spinner=False)
def _jobs() -> dict[str, Job]:
    """Run folder → its job: shared by all sessions, so that two clicks start one."""
    return {}


def start(run_dir: Path) -> None:
    """Begin, unless it is being made already."""
    job = _jobs().get(str(run_dir))
    if job is not None and job.process.poll() is None:
        return
    told, said = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
    words = [sys.executable, "-m", "kl_core.jobs.results", str(run_dir), str(run_dir / NAME)]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(words, cwd=root, stdout=told, stderr=said, start_new_session=True)
    _jobs()[str(run_dir)] = Job(process, told, said)


def cancel(run_dir: Path) -> None:
    """Ask it to stop; nothing is left behind."""
    job = _jobs().get(str(run_dir))
    if job is not None and job.process.poll() is None:
        job.process.terminate()


def active(run_dir: Path) -> bool:
    """Whether it is being made."""
    job = _jobs().get(str(run_dir))
    return job is not None and job.process.poll() is None


def ready(run_dir: Path) -> Path | None:
    """The zip, where it is younger than the run's rows and notes."""
    path = run_dir / NAME
    try:
        made = path.stat().st_mtime_ns  # when the run was read for it
        changed = [one.stat().st_mtime_ns for one in _sources(run_dir)]
    except OSError:  # no zip; or the run is being deleted
        return None
    return path if max(changed, default=made) <= made else None


def _sources(run_dir: Path) -> list[Path]:
    """What a zip is made from: the database, or the parts where a resumed run has newer ones."""
    version = queries.run_version(run_dir)
    live = version.startswith("live-")
    rows = committed(run_dir, "responses") if live else [run_dir / version]
    return [*rows, *(one for one in [run_dir / notes.NAME] if one.exists())]


def show(run_dir: Path, size_bytes: int, tokens: int, prompts: int, key: str) -> None:
    """Estimate and button, then progress and cancel, then the download."""
    if active(run_dir):
        _progress(run_dir, key)
    elif path := ready(run_dir):
        _download(run_dir, path, key)
    else:
        _offer(run_dir, size_bytes, tokens, prompts, key)


def _offer(run_dir: Path, size_bytes: int, tokens: int, prompts: int, key: str) -> None:
    size = figures.size(size_bytes)
    seconds = figures.duration(max(tokens * SECONDS_A_TOKEN, 1))
    st.caption(f"One file a prompt, {prompts:,} in all: about {size}, made in about {seconds}.")
    job = _jobs().get(str(run_dir))
    if job is not None and (fault := job.fault()):
        st.text(f"It could not be made: {fault}")
    st.button("Make the zip", key=f"{key}_make", on_click=start, args=(run_dir,))


@st.fragment(run_every=1.0)
def _progress(run_dir: Path, key: str) -> None:
    if not active(run_dir):
        st.rerun()  # once, at its end
    done, total = _jobs()[str(run_dir)].counts()
    st.progress(done / total if total else 0.0, text=f"{done:,} of {total or '…'} prompts")
    st.button("Cancel", key=f"{key}_cancel", on_click=cancel, args=(run_dir,))


def _download(run_dir: Path, path: Path, key: str) -> None:
    size = path.stat().st_size
    if size > LARGEST_DOWNLOAD:
        st.caption(f"It is {figures.size(size)}, too large for a browser; it lies here:")
        st.code(str(path), language=None, wrap_lines=True)
        return
    st.download_button(
        f"Download {figures.size(size)}",
        path.read_bytes,
        f"{run_dir.name}_results.zip",
        "application/zip",
        key=f"{key}_zip",
        on_click="ignore",
    )
