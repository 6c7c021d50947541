"""Sampling from the demo server in a browser: from the empty page to the table and Explore."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kl_core.formats import sampling_config
from kl_core.store import runs, sampled, spending
from tests.browser.conftest import served

pytestmark = pytest.mark.xdist_group("browser")
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


def test_two_models_are_sampled_on_the_demo_server_and_compared(
    tmp_path: Path, app: str, open_page
) -> None:
    """Form, probe, one yes, table, Explore, and the comparison; double clicks start once."""
    page = open_page(f"{app}/sample", wait="text=Try it on the demo server")
    page.get_by_role("button", name="Try it on the demo server").click()
    page.get_by_text("This is a demo").wait_for(timeout=60_000)
    box = page.get_by_role("textbox", name="Prompts, one a line")
    box.fill("What is the capital of Merrow?\nWho built the Long Bridge?")
    page.keyboard.press("Tab")
    page.get_by_text("2 prompts will be asked").wait_for()
    page.get_by_role("button", name="Probe and estimate").dblclick()
    page.get_by_text("Ready to sample from tiny-base, tiny-tuned").wait_for(timeout=RUN_LIMIT_MS)
    asked = [info for info in runs.list_runs(tmp_path / "runs") if info.kind == "sample"]
    assert len(asked) == 1 and asked[0].state == "waiting"
    plan = spending.read_plan(asked[0].path)
    assert plan is not None and plan.cost == 0 and plan.calls + plan.kept == 12
    page.reload()
    page.get_by_role("button", name="Start: it costs nothing").dblclick()
    page.get_by_text(re.compile(r"^Done in \d")).wait_for(timeout=RUN_LIMIT_MS)
    models = sampled.read_sampled(asked[0].path)
    assert [(model.name, model.responses) for model in models] == [
        ("tiny-base", 6),
        ("tiny-tuned", 6),
    ]
    written = list((tmp_path / "uploads" / "configs").glob("*.yaml"))
    assert len(written) == 1
    config = sampling_config.read_config(written[0])
    files = sorted(Path(config.output_dir).rglob("*.json"))
    assert len(files) == 4 and {file.parent.name for file in files} == {"tiny-base", "tiny-tuned"}
    page.get_by_role("button", name="Compare for free").dblclick()
    page.locator(".name.sampled").wait_for(timeout=RUN_LIMIT_MS)
    page.goto(f"{app}/sample?run={asked[0].id}")
    page.get_by_role("button", name="Open in Explore").click()
    page.locator(".name.sampled").wait_for(timeout=RUN_LIMIT_MS)
    assert f"run={asked[0].id}" in page.url
    imports = [info for info in runs.list_runs(tmp_path / "runs") if info.kind == "import"]
    assert sum("against" in str(info.request) for info in imports) == 1


def test_a_model_that_does_not_exist_is_refused_and_the_settings_come_back(
    app: str, open_page
) -> None:
    """One model alone, which the server does not know: a sentence, and the form as it was."""
    page = open_page(f"{app}/sample", wait="text=Try it on the demo server")
    page.get_by_role("button", name="Try it on the demo server").click()
    page.get_by_text("This is a demo").wait_for(timeout=60_000)
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_text("Model 2").wait_for(state="detached")
    page.get_by_role("textbox", name="Model", exact=True).fill("no-such-model")
    page.keyboard.press("Tab")
    page.get_by_text("The configuration (YAML) and the command").click()
    page.locator("code").filter(has_text="no-such-model").wait_for()
    page.get_by_role("button", name="Probe and estimate").click()
    page.get_by_text("No model could be sampled").wait_for(timeout=RUN_LIMIT_MS)
    page.get_by_text(re.compile("no-such-model could not be asked")).first.wait_for()
    page.get_by_role("button", name="Change settings").click()
    name = page.get_by_role("textbox", name="Model", exact=True)
    name.wait_for()
    assert name.input_value() == "no-such-model"
