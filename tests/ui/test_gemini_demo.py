"""The demo server comes back where runs expect it."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil

from kl_core.jobs import launch


def _end(root: Path) -> None:
    """End the demo server of this folder, as its idle limit would."""
    for each in psutil.process_iter(["cmdline"]):
        words = each.info["cmdline"] or []
        if "emulate" in words and any(str(root) in word for word in words):
            each.terminate()
            each.wait(20)


def test_a_demo_server_that_ended_comes_back_on_its_port_unless_it_is_taken(
    tmp_path: Path,
) -> None:
    """Runs that asked it can be resumed; a taken port is never fought for."""
    assert launch.last_demo_address(tmp_path) is None
    try:
        first = launch.demo_server(tmp_path)
        assert launch.demo_server(tmp_path) == first == launch.last_demo_address(tmp_path)
        _end(tmp_path)
        assert launch.last_demo_address(tmp_path) == first
        assert launch.demo_server(tmp_path) == first
        _end(tmp_path)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", int(first.rsplit(":", 1)[1])))
            other.listen()
            assert launch.demo_server(tmp_path) != first
    finally:
        _end(tmp_path)


def test_an_unreadable_port_is_none(tmp_path: Path) -> None:
    """A file that somebody has damaged starts a server elsewhere."""
    (tmp_path / launch.DEMO_LAST_FILE).write_text("99999999")
    assert launch.last_demo_address(tmp_path) is None
    (tmp_path / launch.DEMO_LAST_FILE).write_text("8123\n")
    assert launch.last_demo_address(tmp_path) == "http://127.0.0.1:8123"
