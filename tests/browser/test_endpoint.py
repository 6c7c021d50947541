"""Scoring by a server from the page, in a browser: from the demo to the coloured text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kl_core.store import runs, spending
from tests.browser.conftest import REPOSITORY, served

pytestmark = pytest.mark.xdist_group("browser")
RESPONSES = REPOSITORY / "sample_data" / "responses" / "openrouter"
RUN_LIMIT_MS = 150_000


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """The app; the demo server that its page starts outlives it, so it is ended here."""
    runs_dir = tmp_path / "runs"
    with served(runs_dir) as address:
        yield address
    for each in psutil.process_iter(["cmdline"]):
        words = each.info["cmdline"] or []
        if "emulate" in words and any(str(runs_dir) in word for word in words):
            each.terminate()


def test_responses_are_scored_by_the_demo_server_one_request_each(
    tmp_path: Path, app: str, open_page
) -> None:
    """A link fills the form; probe, plan, one yes, heatmap; reloads and double clicks are safe."""
    link = f"{app}/score?by=server&dir={RESPONSES}"
    page = open_page(link, wait="text=Responses: sample_data/responses/openrouter")
    page.get_by_role("button", name="Try it on the demo server").click()
    page.get_by_text("This is a demo").wait_for(timeout=60_000)
    page.locator("[data-test-script-state=notRunning]").wait_for()
    page.get_by_text("More options").click()
    page.get_by_role("spinbutton", name="Files at most").fill("2")
    page.keyboard.press("Tab")
    page.locator("code").filter(has_text="--max-files 2").wait_for()
    page.get_by_role("button", name="Probe and estimate").dblclick()
    page.get_by_text("The probe succeeded").wait_for(timeout=RUN_LIMIT_MS)
    asked = [info for info in runs.list_runs(tmp_path / "runs") if info.kind == "endpoint"]
    assert len(asked) == 1 and asked[0].id in page.url
    plan = spending.read_plan(asked[0].path)
    assert plan is not None and plan.cost == 0 and 0 < plan.calls <= plan.responses
    page.reload()
    page.get_by_role("button", name="Start: it costs nothing").dblclick()
    page.get_by_text(re.compile(r"^Done in \d")).wait_for(timeout=RUN_LIMIT_MS)
    stats = spending.read_stats(asked[0].path)
    assert stats.failed == 0 and stats.made <= plan.responses
    page.get_by_text("Scored by vLLM at").wait_for()
    page.get_by_role("button", name="Open in Explore").click()
    page.locator(".name.sampled").wait_for()
    assert "tiny-tuned" in page.get_by_role("combobox", name="Run").input_value()
