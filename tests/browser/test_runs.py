"""The Runs page in a browser: a live list, checking, deleting, renaming."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kl_core.store import runs
from kl_core.store.runs import Status
from tests.browser.conftest import served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two finished runs and one at work."""
    root = tmp_path / "runs"
    made_runs.planted(root, prompts=4)
    made_runs.raw(root)
    live = runs.create_run(root, "score", {"request": {}, "title": "at work"}, "zlive001")
    process = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    (live / "pid").write_text(json.dumps(process))
    work(live, 2)
    return root


def work(run_dir: Path, done: int) -> None:
    """Report progress as a worker would."""
    status = Status(state="running", stage="scoring", done=done, total=10, unit="prompts")
    runs.write_status(run_dir, replace(status, updated=time.time()))


def folder(root: Path, short: str) -> Path:
    return next(root.glob(f"*-{short}"))


@pytest.fixture
def page(root: Path, open_page):
    """The page over these runs."""
    with served(root) as app:
        yield open_page(f"{app}/runs", wait="[data-testid=stDataFrame]")


def row_click(page, row: int, x: int) -> None:
    """Click a cell; x 18 is the box of the row."""
    grid = page.get_by_test_id("stDataFrame").first
    grid.click(position={"x": x, "y": 35 + 35 * row + 17})


def test_the_list_follows_a_working_run_and_its_card_ends_with_it(page, root: Path) -> None:
    """No reload: progress moves, and at the end the buttons of a finished run are there."""
    page.get_by_text("2 of 10 prompts").wait_for()
    work(folder(root, "zlive001"), 7)
    page.get_by_text("7 of 10 prompts").wait_for(timeout=10_000)
    assert page.get_by_role("button", name="Cancel").count() == 1
    runs.write_status(folder(root, "zlive001"), Status(state="failed", error="it broke"))
    page.get_by_role("button", name="Resume").wait_for(timeout=10_000)


def test_a_row_opens_and_a_run_is_renamed_in_place(page, root: Path) -> None:
    """A click anywhere in a row; the new name stands in the card and is kept beside the run."""
    row_click(page, 1, 200)
    shown = page.get_by_test_id("stText").filter(has_text=re.compile("raw00001|made0001"))
    shown.first.wait_for()
    page.wait_for_timeout(1500)  # the buttons below belong to the run, too
    page.get_by_role("button", name="Rename").first.click()
    box = page.get_by_role("textbox", name="Name")
    box.fill("<b>mine</b> :red[x]")
    box.press("Enter")
    page.get_by_test_id("stText").filter(has_text="<b>mine</b> :red[x]").first.wait_for()
    assert "<b>mine</b> :red[x]" in [info.name for info in runs.list_runs(root)]


def test_checked_runs_are_deleted_once_confirmed(page, root: Path) -> None:
    """The finished ones go; the list shows what is left."""
    row_click(page, 1, 18)
    page.get_by_text("1 run checked").wait_for()
    row_click(page, 2, 18)
    page.get_by_text("2 runs checked").wait_for()
    page.get_by_role("button", name="Delete checked runs").click()
    page.get_by_text("This removes the folders of 2 runs for good").wait_for()
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("1 run ·").wait_for()
    assert [path.name[-8:] for path in runs.run_folders(root)] == ["zlive001"]


def test_a_click_on_a_head_sorts_and_what_is_checked_stays_checked(page, root: Path) -> None:
    """Ticks belong to runs, not to places in the list."""
    row_click(page, 2, 18)
    page.get_by_text("1 run checked").wait_for()
    page.get_by_test_id("stDataFrame").first.click(position={"x": 60, "y": 16})
    page.wait_for_timeout(1500)
    page.get_by_text("1 run checked").wait_for()
    page.get_by_role("button", name="Delete checked runs").click()
    page.get_by_text("This removes the folder for good").wait_for()
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("2 runs ·").wait_for()
    left = {path.name[-8:] for path in runs.run_folders(root)}
    assert "zlive001" in left and len(left) == 2
