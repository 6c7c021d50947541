"""Back and Forward go through what was looked at, step by step."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import click_row, panel_at, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A made run and the folder that holds it."""
    root = tmp_path_factory.mktemp("history") / "runs"
    return {"root": root, "planted": made_runs.planted(root)}


@pytest.fixture(scope="module")
def app(runs: dict[str, Path]):
    """The app over the made run."""
    with served(runs["root"]) as address:
        yield address


def at(page, prompt: int) -> None:
    """Wait until a prompt is open, in the address and on the screen."""
    page.wait_for_url(re.compile(rf"prompt={prompt}&"))
    words = "capital of France" if prompt == 3 else f"story number {prompt} "
    page.locator(".title", has_text=words).wait_for()
    page.wait_for_timeout(900)


def test_three_prompts_back_and_forward_again(app, runs, open_page) -> None:
    """Each press is one step, none is lost, and going back writes no new step."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    at(page, 3)
    panel_at(page, 5)
    seen = [3]
    for row in (1, 4, 8):
        click_row(page, row)
        page.wait_for_url(lambda url: f"prompt={seen[-1]}&" not in url)
        seen.append(int(re.search(r"prompt=(\d+)", page.url)[1]))
        at(page, seen[-1])
    for prompt in reversed(seen[:-1]):
        page.go_back()
        at(page, prompt)
    for prompt in seen[1:]:
        page.go_forward()
        at(page, prompt)


def test_back_from_a_token_leads_to_the_list_it_came_from(app, runs, open_page) -> None:
    """The Tokens tab stands where it was."""
    page = open_page(f"{app}/?run={runs['planted'].name}&view=tokens", wait=".list .row")
    page.wait_for_timeout(900)
    page.locator(".list .row").nth(2).click()
    page.locator(".title").first.wait_for()
    page.wait_for_timeout(900)
    page.go_back()
    page.wait_for_url(re.compile("view=tokens"))
    page.get_by_role("radio", name="Tokens", checked=True).wait_for()
    page.locator(".list .row").first.wait_for()
