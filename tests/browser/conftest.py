"""The real app in a real browser: a server of its own on a free loopback port."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_LIMIT_S = 60


def _missing() -> str | None:
    """Why there is no browser to test in, None where there is one."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "the browser tests need Playwright: pip install -r requirements-dev.txt"
    if shutil.which("chromium") is None:
        return "the browser tests need Chromium: install it so that `chromium` is on the PATH"
    return None


@pytest.fixture(scope="package")
def browser() -> Iterator[object]:
    """Debian's Chromium through Playwright; a missing one is a skip, or in CI a failure.

    Gone with the last browser test of a worker: Playwright keeps an event loop running in the
    main thread, where other tests want to run their own.
    """
    missing = _missing()
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        yield started
        started.close()


@contextmanager
def served(runs_dir: Path, data_roots: str = "") -> Iterator[str]:
    """`streamlit run app.py` on a free port; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
    ]
    environment = os.environ | {"KL_RUNS_DIR": str(runs_dir), "KL_DATA_ROOTS": data_roots}
    log = runs_dir.parent / "server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        server = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=out, stderr=out)
    try:
        _wait(port, server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _wait(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the app did not start; its log says: {log.read_text()[-800:]}")


@pytest.fixture
def open_page(browser) -> Iterator[Callable]:
    """Open an address in a fresh browser session; script errors fail the test at its end."""
    contexts, errors = [], []

    def open_it(url: str, wait: str = ".t", **options):
        options = {"viewport": {"width": 1440, "height": 900}} | options
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.locator(wait).first.wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not errors


def click_row(page, row: int) -> None:
    """Click the prompt cell of a row of the prompt table."""
    grid = page.get_by_test_id("stDataFrame").first
    grid.click(position={"x": 250, "y": 35 + 31 * row + 15})


def pick(page, label: str, option: str) -> None:
    """Choose an option of a picker."""
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option).click()


def picked(page, label: str) -> str:
    """What a picker shows."""
    return page.get_by_role("combobox", name=label).input_value()


def panel_at(page, position: int) -> None:
    """Wait until the panel speaks of a position."""
    page.locator("h4").filter(has_text=re.compile(rf"at token {position}$")).wait_for()


def response_file(path: Path, prompt: str, words: list[str]) -> None:
    """One OpenRouter-shaped file with a response of these tokens."""
    content = [
        {
            "token": word,
            "logprob": -0.3,
            "bytes": list(word.encode()),
            "top_logprobs": [
                {"token": word, "logprob": -0.3, "bytes": list(word.encode())},
                {"token": " else", "logprob": -2.0, "bytes": list(b" else")},
            ],
        }
        for word in words
    ]
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"message": message, "finish_reason": "stop", "logprobs": {"content": content}}
    record = {"prompt": prompt, "model": "m1", "responses": [{"choices": [choice]}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
