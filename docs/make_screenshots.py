"""Take the README's screenshots: the app on its sample run, in light and dark.

    python docs/make_screenshots.py [FOLDER]

Needs the development requirements and a `chromium` on the PATH; writes PNG files to
docs/screenshots unless another folder is named.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Literal

import psutil
from playwright.sync_api import Browser, FloatRect, Page, ViewportSize, sync_playwright

Scheme = Literal["light", "dark"]
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from kl_core.jobs import launch  # noqa: E402

SIZE = ViewportSize(width=1440, height=900)
SHOTS: dict[str, tuple[str, Scheme, ViewportSize]] = {
    "explore-light.png": ("/", "light", SIZE),
    "explore-dark.png": ("/", "dark", SIZE),
    "explore-narrow.png": ("/", "light", ViewportSize(width=900, height=1300)),
    "tokens.png": ("/?view=tokens", "light", SIZE),
    "charts.png": ("/?view=charts", "light", ViewportSize(width=1440, height=1500)),
    "grid.png": ("/?layout=grid", "dark", SIZE),
    "compare.png": ("/compare", "light", SIZE),
    "score.png": ("/score", "light", SIZE),
    "score-server.png": ("/score?by=server", "light", SIZE),
    "runs.png": ("/runs", "light", SIZE),
}
START_LIMIT_S = 60


def main() -> None:
    """Start the app over a fresh runs folder and take every picture."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        port = free_port()
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
        ]
        environment = os.environ | {"KL_RUNS_DIR": str(Path(scratch) / "runs")}
        server = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
        try:
            wait_for(f"http://127.0.0.1:{port}/_stcore/health")
            take_all(f"http://127.0.0.1:{port}", folder, environment)
        finally:
            server.terminate()
            server.wait(20)


def second_run(environment: dict[str, str]) -> None:
    """Score some of the sample's responses against the model that wrote them, to compare."""
    sample = REPOSITORY / "sample_data"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "kl_core",
            "score",
            "--input-dir",
            str(sample / "responses" / "openrouter"),
            "--model",
            str(sample / "models" / "tiny-base"),
        ],
        cwd=REPOSITORY,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def folder_of(environment: dict[str, str]) -> Path:
    """The runs of the app whose pictures are taken."""
    return Path(environment["KL_RUNS_DIR"])


def budget_run(environment: dict[str, str], runs: Path) -> str:
    """Ask a fifth of the sample's positions on the demo server; returns the run's id."""
    address = launch.demo_server(runs)
    sample = REPOSITORY / "sample_data" / "responses" / "openrouter"
    words = ["prefill", "--input-dir", str(sample), "--model2", "tiny-tuned", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "kl_core", *words, "--base-url", address, "--budget", "0.2"],
        cwd=REPOSITORY,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
    )
    return str(json.loads(done.stdout)["run_id"])


def gemini(browser: Browser, address: str, folder: Path, runs: Path) -> None:
    """The plan of a run on the demo server, and the run at work."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(f"{address}/gemini")
    page.get_by_role("button", name="Try it on the demo server").click()
    page.get_by_text("This is a demo").wait_for(timeout=60_000)
    page.get_by_role("button", name="Probe and estimate").click()
    page.get_by_text("The probe succeeded").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / "gemini-plan.png", clip=top(350))
    settings(launch.demo_server(runs), latency_ms=400)
    page.get_by_role("button", name="Start: it costs nothing").click()
    page.get_by_text("calls a second").first.wait_for(timeout=60_000)
    page.wait_for_timeout(6000)
    page.screenshot(path=folder / "gemini-live.png", clip=top(500))
    settings(launch.demo_server(runs), latency_ms=0)
    page.get_by_text("Done").first.wait_for(timeout=120_000)
    page.close()


def sampled(browser: Browser, address: str, folder: Path, runs: Path) -> None:
    """Responses of both tiny models from the demo server: the form, and what came."""
    launch.demo_server(runs)
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto(f"{address}/sample")
    page.get_by_role("button", name="Try it on the demo server").click()
    page.get_by_text("This is a demo").wait_for(timeout=60_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / "sample.png")
    page.get_by_role("button", name="Probe and estimate").click()
    page.get_by_role("button", name="Start: it costs nothing").click(timeout=60_000)
    page.get_by_role("button", name="Compare for free").wait_for(timeout=120_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / "sample-done.png", clip=top(620))
    page.close()


def continued(browser: Browser, address: str, folder: Path) -> None:
    """Both models going on from a token of the sample run."""
    page = browser.new_page(viewport=ViewportSize(width=1440, height=1500), color_scheme="light")
    page.goto(address)
    page.locator(".name.sampled").wait_for(timeout=60_000)
    page.get_by_text("Continue from here with both models").click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Continue again").wait_for(timeout=120_000)
    page.wait_for_timeout(1500)
    page.screenshot(
        path=folder / "continue.png", clip=FloatRect(x=720, y=740, width=720, height=760)
    )
    page.close()


def end_demo_server(runs: Path) -> None:
    """The demo server outlives the app by nature."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "emulate" in words and any(str(runs) in word for word in words):
            process.terminate()


def top(height: int) -> FloatRect:
    """The upper part of a page that is empty below."""
    return FloatRect(x=0, y=0, width=SIZE["width"], height=height)


def settings(server: str, **values: object) -> None:
    """Change how the demo server behaves."""
    body = json.dumps(values).encode()
    request = urllib.request.Request(f"{server}/emulator/settings", body, method="PUT")  # noqa: S310
    urllib.request.urlopen(request, timeout=5)  # noqa: S310 - our own loopback address


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str) -> None:
    """Wait until the server answers."""
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        try:
            urllib.request.urlopen(url, timeout=1)  # noqa: S310 - our own loopback address
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the app did not answer at {url} within {START_LIMIT_S} s")


def take_all(address: str, folder: Path, environment: dict[str, str]) -> None:
    """One fresh browser session a picture."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.goto(address)  # the sample is made ready, and stays the run that opens
        settle(page, "/")
        page.close()
        second_run(environment)
        budget = budget_run(environment, folder_of(environment))
        SHOTS["explore-budget.png"] = (f"/?run={budget}", "light", SIZE)
        gemini(browser, address, folder, folder_of(environment))
        sampled(browser, address, folder, folder_of(environment))
        continued(browser, address, folder)
        end_demo_server(folder_of(environment))
        for name, (path, scheme, size) in SHOTS.items():
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(address + path)
            settle(page, path)
            page.screenshot(path=folder / name)
            page.close()
        browser.close()


def settle(page: Page, path: str) -> None:
    """Wait until the page shows what the picture is of."""
    waits = {
        "/": ".name.sampled",
        "/?view=tokens": ".list .row",
        "/?view=charts": ".js-plotly-plot",
        "/?layout=grid": ".name.sampled",
        "/compare": ".t",
        "/score": "text=With a model of this machine",
        "/score?by=server": "text=Server and model",
        "/runs": "[data-testid=stDataFrame]",
    }
    wanted = waits.get(path, ".t")
    page.locator(f"{wanted} >> visible=true").first.wait_for(timeout=60_000)
    page.wait_for_timeout(2500)


if __name__ == "__main__":
    main()
