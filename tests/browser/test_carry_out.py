"""Carrying out in a real browser: files arrive whole, notes stay, nothing hostile is obeyed."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from kl_core.store import notes
from kl_core.store.notes import Note
from tests.browser.conftest import REPOSITORY, _wait
from tests.ui import made_runs

HOSTILE = "![x](http://127.0.0.1:9/p.png) <img src=x onerror=window.__pwned=1> **bold** $x$ \u202e"

PAGE = """
import streamlit as st
from kl_core.store import queries, runs, token_export
from kl_core.ui import cached, export_view, notes_view, state
from kl_core.ui.export_view import View

place = state.current()
info = runs.list_runs(runs.default_root())[0]
cursor = cached.cursor(info.path)
prompt = queries.prompt(cursor, place.prompt if place.prompt is not None else 3)
response = queries.responses(cursor, prompt["prompt_id"]).to_pylist()[0]
bounds = token_export.bounds(0.5)
views = [
    View("Prompts", "prompts", queries.prompts_query("max_kl"), with_notes=True),
    View("Tokens", "tokens", token_export.chosen_query(bounds),
         extras=(export_view.tokens_json(bounds),)),
]
export_view.popover("Export", info, views, "export")
export_view.run_popover(info, cached.summary(info.path))
notes_view.editor(info.path, prompt, key="of_prompt", text=True)
notes_view.editor(info.path, prompt, response, 5, "of_token", text=True)
st.text(f"here: {place.prompt} {place.response} {place.position}")
notes_view.overview(info.path, place)
state.remember(place)
"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return made_runs.planted(tmp_path_factory.mktemp("carry") / "runs", 6)


@pytest.fixture(scope="module")
def address(run_dir):
    """A page of the two popovers alone, on a port of its own."""
    folder = run_dir.parent.parent
    script = folder / "page.py"
    script.write_text(PAGE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    words += ["--server.headless", "true", "--server.fileWatcherType", "none"]
    environment = os.environ | {"KL_RUNS_DIR": str(run_dir.parent), "PYTHONPATH": str(REPOSITORY)}
    log = folder / "server.log"
    with open(log, "wb") as out:
        server = subprocess.Popen(words, cwd=REPOSITORY, env=environment, stdout=out, stderr=out)
    try:
        _wait(port, server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def downloaded(page, name) -> bytes:
    with page.expect_download() as download:
        button(page, name).click()
    return Path(download.value.path()).read_bytes()


def test_every_format_arrives_whole(open_page, address, tmp_path):
    """Six prompts in CSV, JSON and Parquet; the tokens' object; the code is there to copy."""
    page = open_page(address, "button")
    page.get_by_role("button", name="Export").click()
    page.get_by_text("6 rows").wait_for()
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "CSV").decode())))
    assert rows[0]["prompt"] == "What is the capital of France?"
    assert len(json.loads(downloaded(page, "JSON"))) == 6
    (tmp_path / "x.parquet").write_bytes(downloaded(page, "Parquet"))
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 6
    assert "read_only=True" in page.locator("code").inner_text()
    page.get_by_role("combobox", name="What").click()
    page.get_by_role("option", name="Tokens").click()
    found = json.loads(downloaded(page, "Tokens JSON"))
    assert found["entries"][0]["token"] == " Lyon"


def test_the_results_zip_is_made_on_request_and_downloaded(open_page, address):
    """Estimate, work, download: one file a prompt."""
    page = open_page(address, "button")
    page.get_by_role("button", name="Run files").click()
    page.get_by_text("One file a prompt, 6 in all").wait_for()
    button(page, "Make the zip").click()
    ready = page.get_by_role("button").filter(has_text="Download ")
    ready.wait_for()
    with page.expect_download() as download:
        ready.click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len([name for name in archive.namelist() if name.endswith("_kl.json")]) == 6


def test_a_note_is_written_and_stays_through_a_reload(open_page, address, run_dir):
    """Text and a new tag; the button is marked; markup in it is only text."""
    page = open_page(address, "button")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Note at token 5").click()
    page.get_by_role("textbox", name="Note").fill(HOSTILE)
    page.get_by_role("combobox", name="Tags").fill("<b>odd</b>")
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Note").click()
    button(page, "Save").click()
    page.get_by_role("button", name="Note at token 5 ●").wait_for()
    kept = notes.find(run_dir, ("prompt_3.json", 0, 0, 5))
    assert (kept.text, kept.tags) == (HOSTILE, ("<b>odd</b>",))
    page.reload()
    page.get_by_text("⟨U+202E⟩ #<b>odd</b>").wait_for()
    assert page.evaluate("window.__pwned") is None
    assert not [url for url in asked if "127.0.0.1:9/" in url]


def test_a_click_in_the_list_of_notes_goes_there(open_page, address, run_dir):
    """The address names the prompt, the response and the token of the note."""
    for note in notes.read(run_dir):
        notes.remove(run_dir, note.key)
    notes.save(run_dir, Note("prompt_1.json", 0, 2, 7, "go"))
    page = open_page(address, "[data-testid=stDataFrame]")
    page.get_by_test_id("stDataFrame").click(position={"x": 60, "y": 35 + 17})
    page.get_by_text("here: 1 2 7").wait_for()
    page.wait_for_url("**prompt=1&response=2&position=7**")
