"""Bringing a directory of responses in through the browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import pick, response_file, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")


def test_a_directory_from_the_browser_becomes_a_run(tmp_path: Path, open_page) -> None:
    """The files are counted, imported by a worker, and open on the page."""
    runs_dir = tmp_path / "cache" / "runs"
    made_runs.raw(runs_dir)
    source = tmp_path / "mine"
    response_file(source / "one.json", "Who sails at dawn?", ["The", " captain", " sails", "."])
    response_file(source / "deep" / "two.json", "Who bakes?", ["The", " baker", "."])
    (source / "broken.json").write_text('{"prompt": "cut off')
    with served(runs_dir) as app:
        page = open_page(app)
        page.get_by_role("button", name="Open files").click()
        pick(page, "Responses from", "A directory from the browser")
        page.locator("input[type=file]").set_input_files(source)
        page.get_by_text("3 files arrived.").wait_for()
        page.get_by_role("button", name="Import", exact=True).click()
        page.locator(".title", has_text="Who").wait_for(timeout=60_000)
        page.get_by_text("1 problem").wait_for()
        assert page.get_by_role("combobox", name="Responses from").count() == 0
    kept = sorted(path.name for path in (tmp_path / "cache" / "uploads").rglob("*.json"))
    assert kept == ["broken.json", "one.json", "two.json"]
