"""Start, watch and stop workers from a page: processes of their own, never torch in here.

The folder is the registry: a worker outlives the page, the browser tab and the server.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kl_core.errors import InputError, RunError
from kl_core.store import process, runs, spending

RUN_DIR_VARIABLE = "KL_RUN_DIR"
POSITIONAL = {"import": "input_dir"}
KINDS = ("import", "score", "compare", "prefill", "batch", "endpoint", "sample")
DEMO_PORT_FILE, DEMO_LAST_FILE = "demo-server.port", "demo-server.last"
DEMO_IDLE_MINUTES = 60
DEMO_START_S = 30.0
_children: dict[str, subprocess.Popen[bytes]] = {}


def arguments(kind: str, options: Mapping[str, Any]) -> list[str]:
    """The words after `python -m kl_core` for these options; None and False are left out.

    Raises:
        InputError: not a job that can be started.
    """
    if kind not in KINDS:
        raise InputError(f"{kind!r} is not a job; choose one of {', '.join(KINDS)}")
    words = [kind]
    positional = POSITIONAL.get(kind)
    if positional and options.get(positional) is not None:
        words.append(str(options[positional]))
    for name, value in options.items():
        if value is None or value is False or value == "" or name == positional:
            continue
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif str(value).startswith("-"):  # one word, or it would read as an option
            words.append(f"{option}={value}")
        else:
            words += [option, str(value)]
    return words


def command_line(kind: str, options: Mapping[str, Any]) -> str:
    """The command a person can type for the same work."""
    return "python -m kl_core " + shlex.join(arguments(kind, options))


def start(kind: str, options: Mapping[str, Any], nonce: str, root: Path | None = None) -> Path:
    """Start a worker in a session of its own; the same nonce starts it once.

    Args:
        options: command-line options by name, `_` for `-`.
        nonce: one per intention; a double click carries the same.

    Returns:
        The run's folder, at once; the worker fills it.
    """
    root = root or runs.default_root()
    short_id = hashlib.sha256(nonce.encode()).hexdigest()[:12]
    words = arguments(kind, options)
    params = {"request": {}, "title": kind, "command": ["python", "-m", "kl_core", *words]}
    try:
        run_dir = runs.create_run(root, kind, params, short_id)
    except RunError:
        existing = runs.find_by_short_id(root, kind, short_id)
        if existing is None:
            raise
        return existing
    _spawn(run_dir, [*words, "--runs-dir", str(root)], {RUN_DIR_VARIABLE: str(run_dir)})
    return run_dir


def resume(run_dir: Path, message: str = "resuming") -> None:
    """Go on with an unfinished run; a live one is left alone."""
    if runs.read_status(run_dir).active and process.is_alive(run_dir):
        return
    (run_dir / "cancel").unlink(missing_ok=True)
    waiting = replace(runs.read_status(run_dir), state="starting", error="", message=message)
    runs.write_status(run_dir, replace(waiting, updated=time.time()))
    _spawn(run_dir, ["runs", "resume", run_dir.name, "--runs-dir", str(run_dir.parent)], {})


def confirm(run_dir: Path) -> None:
    """Say yes to what a waiting run would cost, and let it go on."""
    spending.confirm(run_dir)
    resume(run_dir, "")


def demo_server(root: Path | None = None) -> str:
    """The address of a demo server on this machine, started where none answers.

    It speaks the protocols of Gemini, Vertex batch and Cloud Storage, answers from the sample
    models, outlives the page, and ends by itself when nobody has called it for a while. The
    next one listens where the last one did, so that runs begun with that can be resumed;
    elsewhere only where something else has taken the port.

    Raises:
        RunError: it does not start; its log says why.
    """
    root = root or runs.default_root()
    root.mkdir(parents=True, exist_ok=True)
    port_file = root / DEMO_PORT_FILE
    if (found := _answering(port_file)) is not None:
        return found
    port = _last_demo_port(root)
    port_file.unlink(missing_ok=True)
    port = port if port is not None and _is_free(port) else 0
    words = ["emulate", "--port", str(port), "--port-file", str(port_file)]
    words += ["--idle-minutes", str(DEMO_IDLE_MINUTES)]
    log_path = root / "demo-server.log"
    with open(log_path, "wb") as log:
        server = _process(words, log, {})
    limit = time.monotonic() + DEMO_START_S
    while time.monotonic() < limit and server.poll() is None:
        if (found := _answering(port_file)) is not None:
            (root / DEMO_LAST_FILE).write_text(found.rsplit(":", 1)[1])
            return found
        time.sleep(0.05)
    raise RunError(f"the demo server did not start; {log_path} says why")


def last_demo_address(root: Path | None = None) -> str | None:
    """Where the demo server listens, or did last; None where there was none."""
    port = _last_demo_port(root or runs.default_root())
    return None if port is None else f"http://127.0.0.1:{port}"


def _last_demo_port(root: Path) -> int | None:
    for name in (DEMO_PORT_FILE, DEMO_LAST_FILE):  # a server removes the first at its end
        try:
            port = int((root / name).read_text())
        except (OSError, ValueError):
            continue
        if 0 < port < 65_536:
            return port
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answering(port_file: Path) -> str | None:
    """The demo server's address where one answers."""
    try:
        port = int(port_file.read_text())
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with closing(connection):
            connection.request("GET", "/emulator/settings")
            answered = connection.getresponse().status == 200
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return f"http://127.0.0.1:{port}" if answered else None


def status(run_dir: Path) -> runs.Status:
    """The run's state; a worker that ended before it began is reported as failed."""
    found = runs.read_status(run_dir)
    child = _children.get(str(run_dir))
    if child is not None and child.poll() is not None:
        del _children[str(run_dir)]
        found = runs.read_status(run_dir)
        if found.state == "starting":
            last = log_tail(run_dir, 1) or f"the worker ended with code {child.returncode}"
            found = replace(found, state="failed", error=last)
            runs.write_status(run_dir, found)
    return found


def cancel(run_dir: Path) -> None:
    """Ask the worker to stop; what is finished stays."""
    runs.request_cancel(run_dir)


def delete(run_dir: Path) -> None:
    """Remove a run that is not working."""
    runs.delete_run(run_dir)


def log_tail(run_dir: Path, lines: int = 20) -> str:
    """The last lines the worker wrote."""
    try:
        with open(run_dir / "log.txt", "rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - 16_000, 0))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def _spawn(run_dir: Path, words: list[str], extra: dict[str, str]) -> None:
    with open(run_dir / "log.txt", "ab") as log:
        _children[str(run_dir)] = _process(words, log, extra)


def _process(words: list[str], log: IO[bytes], extra: dict[str, str]) -> subprocess.Popen[bytes]:
    """`python -m kl_core` with these words, in a session of its own."""
    environment = {k: v for k, v in os.environ.items() if k != RUN_DIR_VARIABLE} | extra
    return subprocess.Popen(
        [sys.executable, "-m", "kl_core", *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=runs.REPOSITORY,
        env=environment,
        start_new_session=True,
    )
