"""`prefill` and `batch` as a user types them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from kl_core.cli.gemini_commands import plan_lines
from kl_core.emulator.server import running
from kl_core.store import runs
from kl_core.store.spending import CallPlan
from tests import writing

ONE = writing.REPOSITORY / "sample_data" / "responses" / "gemini" / "what-is-a-haiku.json"
SECRET = "AIzaSyNotARealKeyButLongEnough"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    shutil.copy(ONE, tmp_path / "in" / ONE.name)
    return tmp_path / "in"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "no-gcloud"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("prefill", (), "neither GEMINI_API_KEY nor GOOGLE_API_KEY"),
        ("prefill", ("--project-id", "p-1"), "gcloud auth application-default login"),
        ("prefill", ("--base-url", "http://example.com"), "unencrypted"),
        ("prefill", ("--base-url", "example.com"), "is not an address"),
        ("prefill", ("--budget", "1.5"), "budget"),
        ("prefill", ("--top-logprobs", "21"), "top-logprobs"),
        ("batch", (), "project-id"),
        ("batch", ("--project-id", "p-1"), "gcloud auth application-default login"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_code_two(tmp_path, folder, command, words, said):
    """No call, no traceback, and what to do."""
    asked = ("--input-dir", folder, "--model2", "gemini-2.5-flash", *words)
    done = writing.call(tmp_path / "runs", command, *asked, expect=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_key_of_the_environment_never_reaches_a_server_of_this_machine_or_the_disk(
    tmp_path, folder, monkeypatch
):
    """Neither in a header, nor in params.json, logs or output."""
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    with running() as server:
        done = writing.call(
            tmp_path / "runs", "prefill", "--input-dir", folder, "--model2", "tiny-tuned",
            "--base-url", server.base_url, "--json",
        )  # fmt: skip
    summary = json.loads(done.stdout)
    assert summary["state"] == "done"
    assert summary["calls"]["made"] > 100
    assert summary["calls"]["failed"] == 0
    assert SECRET not in done.stdout + done.stderr
    for path in (tmp_path / "runs").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_plan_that_nobody_said_yes_to_waits_and_is_resumed_with_yes(tmp_path, folder):
    """A page starts runs without a yes; `runs resume --yes` gives it."""
    with running() as server:
        root = tmp_path / "runs"
        words = ("--input-dir", str(folder), "--model2", "tiny-tuned", "--base-url")
        params = {"request": {}, "title": "from a page"}
        run_dir = runs.create_run(root, "prefill", params)
        asked = writing.environment(root, KL_RUN_DIR=str(run_dir))
        writing.call_with(asked, "prefill", *words, server.base_url, expect=2)
        assert runs.read_status(run_dir).state == "waiting"
        assert "--yes" in writing.call(root, "runs", "resume", run_dir.name, expect=2).stderr
        done = writing.call(root, "runs", "resume", run_dir.name, "--yes", "--json")
    assert json.loads(done.stdout)["state"] == "done"


def test_a_plan_says_what_it_costs_and_what_is_not_known():
    """Dollars with the date of the prices; an unknown price is no zero."""
    plan = CallPlan(
        "online", "flash", 2, 4, 900, 3, 800, 10, 50_000, 800, 0.5, 1.0, 2.0, "2026-01-02"
    )
    text = "\n".join(plan_lines(plan))
    assert "800 calls" in text
    assert "about $0.50" in text
    assert "2026-01-02" in text
    assert "3 positions cannot be asked" in text
    unknown = CallPlan("online", "flash", calls=5)
    assert "an unknown price" in "\n".join(plan_lines(unknown))


def test_the_command_line_starts_without_the_heavy_libraries():
    """Google's clients, torch and the servers load when a command needs them."""
    code = "import kl_core.cli.main, sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=writing.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "transformers", "aiohttp", "streamlit"}
    assert "google.genai" not in done.stdout.split()
