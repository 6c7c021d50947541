"""Two folders compared through the page, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import panel_at, response_file, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")


def test_two_folders_are_compared_and_unreached_tokens_are_pale(tmp_path: Path, open_page) -> None:
    """From Open files to the token that model 2 never came to, in text and in the grid."""
    runs_dir = tmp_path / "cache" / "runs"
    made_runs.raw(runs_dir)
    data = tmp_path / "data"
    response_file(data / "p" / "a.json", "Who sails?", ["The", " captain", " sails", "."])
    response_file(data / "q" / "a.json", "Who sails?", ["The", " baker", " sails", "."])
    with served(runs_dir, str(data)) as app:
        page = open_page(app)
        page.get_by_role("button", name="Open files").click()
        box = page.get_by_role("textbox", name="Folder or zip", exact=True)
        box.fill(str(data / "p"))
        box.press("Enter")
        page.get_by_text("Compare with responses of another model").click()
        second = page.get_by_role("textbox", name="Folder or zip of model 2")
        second.fill(str(data / "q"))
        second.press("Enter")
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_text("2 of 4 positions are shared (2 distinct contexts)").wait_for(
            timeout=60_000
        )
        tokens = page.locator(".t")
        tokens.nth(2).click()
        panel_at(page, 2)
        page.get_by_text("Model 2 never came to this text").first.wait_for()
        assert re.search(r"\bunasked\b", tokens.nth(3).get_attribute("class") or "")
        assert not re.search(r"\bunasked\b", tokens.nth(1).get_attribute("class") or "")
        page.get_by_text("not reached by model 2").first.wait_for()
        page.get_by_text("Grid", exact=True).click()
        page.get_by_text(re.compile("position 2: .* not reached by model 2")).wait_for()
