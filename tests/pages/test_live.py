"""A run that is still working, looked at while it fills."""

from __future__ import annotations

import time
from pathlib import Path

from kl_core.store import process, runs
from kl_core.store.parts import PartWriter
from kl_core.store.runs import Status
from kl_core.ui import cached
from tests import factories
from tests.pages.conftest import opened, texts


def add(run_dir: Path, numbers: range) -> None:
    """Finish these prompts, as a part of their own."""
    with PartWriter(run_dir) as writer:
        for number in numbers:
            writer.add(number, number * 2, factories.entry(number))


def test_a_live_run_stands_still_until_the_reader_asks_for_more(root: Path) -> None:
    """What is finished opens; what comes later is offered, and shown by the button."""
    run_dir = runs.create_run(root, "score", {"request": {}}, "live0001")
    runs.write_status(run_dir, Status(state="running", updated=time.time()))
    with process.claim(run_dir):
        add(run_dir, range(3))
        app = opened(run=run_dir.name)
        assert "3 prompts so far" in texts(app) and "more prompt" not in texts(app)
        add(run_dir, range(3, 5))
        app.run()
        assert "3 prompts so far" in texts(app) and "2 more prompts finished" in texts(app)
        app.button(key=f"live_refresh_{run_dir.name}").click().run()
        assert "5 prompts" in texts(app) and "More prompts" not in texts(app)


def test_a_live_run_without_anything_finished_fills_by_itself(root: Path) -> None:
    """Nothing is shown, so nothing has to stand still."""
    run_dir = runs.create_run(root, "score", {"request": {}}, "live0002")
    runs.write_status(run_dir, Status(state="running", updated=time.time()))
    with process.claim(run_dir):
        app = opened(run=run_dir.name)
        add(run_dir, range(2))
        app.run()
        assert "2 prompts" in texts(app)
    assert cached.version(run_dir)
