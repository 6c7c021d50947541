"""Asking the demo server from the page, in a browser: from the directory to the coloured text."""

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


def fill(page, app: str, mode: str) -> None:
    """The form for the demo server, on two files of the sample directory."""
    page.get_by_role("button", name="Try it on the demo server").click()
    page.get_by_text("This is a demo").wait_for(timeout=60_000)
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("textbox", name="Folder or zip").fill(str(RESPONSES))
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Use these responses").click()
    page.get_by_text("Responses: sample_data/responses/openrouter").wait_for()
    page.locator("[data-test-script-state=notRunning]").wait_for()  # nothing old is left below
    page.get_by_text("More options").click()
    page.get_by_role("spinbutton", name="Files at most").fill("2")
    page.keyboard.press("Tab")
    command = "prefill" if mode == "online" else "batch"
    page.locator("code").filter(has_text=f"kl_core {command}").filter(
        has_text="-files 2"
    ).wait_for()


@pytest.mark.parametrize("mode", ["online", "batch"])
def test_the_sample_directory_is_asked_on_the_demo_server_and_opened(
    tmp_path: Path, app: str, open_page, mode: str
) -> None:
    """Directory, settings, probe, plan, one yes, progress, heatmap; double clicks start once."""
    page = open_page(f"{app}/gemini?mode={mode}", wait="text=Try it on the demo server")
    fill(page, app, mode)
    page.get_by_role("button", name="Probe and estimate").dblclick()
    page.get_by_text("The probe succeeded").wait_for(timeout=RUN_LIMIT_MS)
    asked = [info for info in runs.list_runs(tmp_path / "runs") if info.kind != "import"]
    assert len(asked) == 1 and asked[0].state == "waiting"
    plan = spending.read_plan(asked[0].path)
    assert plan is not None and plan.cost == 0 and plan.calls > 0
    assert spending.read_stats(asked[0].path).made <= 1  # the probe alone
    page.reload()
    page.get_by_text("The probe succeeded").wait_for()
    page.get_by_role("button", name="Start: it costs nothing").dblclick()
    page.get_by_text(re.compile(r"^Done in \d")).wait_for(timeout=RUN_LIMIT_MS)
    assert spending.read_stats(asked[0].path).failed == 0
    assert len([i for i in runs.list_runs(tmp_path / "runs") if i.kind != "import"]) == 1
    page.get_by_role("button", name="Open in Explore").click()
    page.locator(".name.sampled").wait_for()
    assert "tiny-tuned" in page.get_by_role("combobox", name="Run").input_value()


def test_a_model_that_does_not_exist_is_refused_with_a_sentence_and_a_way_back(
    app: str, open_page
) -> None:
    """The settings come back as they were, and the next probe is another run."""
    page = open_page(f"{app}/gemini", wait="text=Try it on the demo server")
    fill(page, app, "online")
    page.get_by_role("textbox", name="Model 2").fill("no-such-model")
    page.keyboard.press("Tab")
    page.locator("code").filter(has_text="no-such-model").wait_for()
    page.get_by_role("button", name="Probe and estimate").click()
    page.get_by_text("The probe did not succeed").wait_for(timeout=RUN_LIMIT_MS)
    page.get_by_role("button", name="Change settings").click()
    box = page.get_by_role("textbox", name="Model 2")
    box.wait_for()
    assert box.input_value() == "no-such-model"
    box.fill("tiny-tuned")
    page.keyboard.press("Tab")
    page.locator("code").filter(has_text="--model2 tiny-tuned").wait_for()
    page.get_by_role("button", name="Probe and estimate").click()
    page.get_by_text("The probe succeeded").wait_for(timeout=RUN_LIMIT_MS)
    page.go_back()
    page.get_by_role("button", name="Probe and estimate").wait_for()
