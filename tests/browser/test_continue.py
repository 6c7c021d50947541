"""Continuing from a token with both models, in a browser: the tiny models, without a network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kl_core.store import runs
from tests.browser.conftest import panel_at, served

pytestmark = pytest.mark.xdist_group("browser")
RUN_LIMIT_MS = 150_000


def test_both_models_go_on_from_a_token_side_by_side_and_are_still_there_later(
    tmp_path: Path, open_page
) -> None:
    """One start for a double click, text of both models with figures, a judge, and coming back."""
    runs_dir = tmp_path / "runs"
    with served(runs_dir) as app:
        page = open_page(app, wait=".name.sampled")
        here = page.url
        page.get_by_text("Continue from here with both models").click()
        page.get_by_role("spinbutton", name="Continuations").fill("2")
        page.keyboard.press("Tab")
        page.get_by_role("spinbutton", name="Tokens at most").fill("8")
        page.keyboard.press("Tab")
        page.get_by_text("Judge the pairs with a model").click()
        words = page.get_by_role("textbox", name="What the judge is asked")
        words.wait_for()
        assert "{prefix}" in words.input_value()
        name = page.get_by_role("textbox", name="Folder, or hub id").last
        name.fill("sample_data/models/tiny-base")
        page.keyboard.press("Tab")
        page.locator("[data-test-script-state=notRunning]").wait_for()
        page.get_by_role("button", name="Start", exact=True).dblclick()
        page.get_by_text("4 continuations at temperature 1").wait_for(timeout=RUN_LIMIT_MS)
        page.get_by_role("button", name="Continue again").wait_for(timeout=RUN_LIMIT_MS)
        assert [info.kind for info in runs.list_runs(runs_dir)].count("sample") == 1
        assert page.locator(".both .head").all_inner_texts() == ["tiny-base", "tiny-tuned"]
        figures = page.locator(".both .under").all_inner_texts()
        assert len(figures) == 4 and all("ln p = " in each for each in figures)
        verdicts = page.locator(".both .verdict")
        assert verdicts.count() == 2
        assert all(re.match("Judged|No verdict", said) for said in verdicts.all_inner_texts())
        kept = next((tmp_path / "uploads").glob("continue-*/*/tokens.json"))
        before = json.loads(kept.read_text())["entries"][0]["prefix_response"]
        assert page.locator(".both .before").first.text_content() == before
        position = json.loads(kept.read_text())["entries"][0]["token_position"]
        page.locator(".t").nth(position + 1).click()
        panel_at(page, position + 1)
        page.get_by_role("button", name="Start", exact=True).wait_for()
        page.goto(here)
        page.get_by_text("Continue from here with both models").click()
        page.get_by_text("4 continuations at temperature 1").wait_for()
