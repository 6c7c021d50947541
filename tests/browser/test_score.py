"""Scoring with a local model from the page, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from kl_core.store import runs
from tests.browser.conftest import REPOSITORY, response_file, served

pytestmark = pytest.mark.xdist_group("browser")
MODEL = REPOSITORY / "sample_data" / "models" / "tiny-tuned"
RESPONSES = REPOSITORY / "sample_data" / "responses" / "openrouter"


def test_a_scoring_run_is_started_watched_and_opened(tmp_path: Path, open_page) -> None:
    """The page shows the command, starts one worker, sees it finish, and opens the result."""
    runs_dir = tmp_path / "runs"
    with served(runs_dir) as app:
        page = open_page(f"{app}/score?input={RESPONSES}", wait="text=Responses:")
        page.get_by_role("textbox", name="Model 2").fill(str(MODEL))
        page.keyboard.press("Tab")
        page.locator("code").filter(has_text=str(MODEL)).wait_for()  # nothing moves any more
        page.get_by_text("More options").click()
        page.get_by_role("spinbutton", name="Most prompts").fill("3")
        page.keyboard.press("Tab")
        page.get_by_text("python -m kl_core score").wait_for()
        page.get_by_role("button", name="Start", exact=True).dblclick()
        page.get_by_text("Done", exact=True).wait_for(timeout=150_000)
        assert [info.kind for info in runs.list_runs(runs_dir)].count("score") == 1
        page.get_by_role("button", name="Open in Explore").click()
        page.locator(".name.sampled").wait_for()
        assert "certainly" in page.locator(".why").inner_text()


def test_a_run_that_cannot_work_says_why_and_offers_to_resume(tmp_path: Path, open_page) -> None:
    """A model that is not there ends in a sentence, with the log, and a Resume button."""
    data = tmp_path / "data"
    response_file(data / "one.json", "Hello?", ["Hi", "."])
    with served(tmp_path / "runs", str(data)) as app:
        page = open_page(f"{app}/score?input={data}", wait="text=Responses:")
        page.get_by_role("textbox", name="Model 2").fill(str(tmp_path / "no-such-model"))
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("Stopped by an error").wait_for(timeout=120_000)
        assert page.get_by_text("no-such-model").count() > 0
        page.get_by_role("button", name="Resume").wait_for()
