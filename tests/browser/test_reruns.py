"""One click, one run of the script: counted in what the server sends to the browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import click_row, panel_at, pick, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")
SETTLED_MS = 1500


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Made runs and the folder that holds them."""
    root = tmp_path_factory.mktemp("reruns") / "runs"
    return {"root": root, "planted": made_runs.planted(root), "raw": made_runs.raw(root)}


@pytest.fixture(scope="module")
def app(runs: dict[str, Path]):
    """The app over the made runs."""
    with served(runs["root"]) as address:
        yield address


class Counter:
    """Script runs that reached the browser: whole pages and fragments apart."""

    def __init__(self, page) -> None:
        self.page, self.runs = page, []
        page.on("websocket", lambda socket: socket.on("framereceived", self._frame))

    def _frame(self, frame: bytes | str) -> None:
        message = ForwardMsg()
        try:
            message.ParseFromString(frame if isinstance(frame, bytes) else frame.encode())
        except Exception:
            return
        if message.WhichOneof("type") == "new_session":
            fragment = bool(message.metadata.run.fragment_ids)
            self.runs.append("fragment" if fragment else "page")

    def after(self, action) -> list[str]:
        """The runs that an action caused."""
        before = len(self.runs)
        action()
        self.page.wait_for_timeout(SETTLED_MS)
        return self.runs[before:]


@pytest.fixture
def counted(browser, app, runs):
    """A page on the planted run with a counter on its connection."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    counter = Counter(page)
    page.goto(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.wait_for_timeout(SETTLED_MS)
    yield page, counter
    context.close()


def test_opening_the_app_runs_the_script_once(counted) -> None:
    """The address that the page writes for itself does not start it again."""
    _, counter = counted
    assert counter.runs == ["page"]


def test_a_click_on_a_prompt_runs_the_page_once(counted) -> None:
    """Table, response and charts come from the same run."""
    page, counter = counted
    assert counter.after(lambda: click_row(page, 2)) == ["page"]


def test_a_click_on_a_token_runs_its_fragment_once(counted) -> None:
    """The table is not asked again for a token."""
    page, counter = counted
    assert counter.after(lambda: page.locator(".t").nth(3).click()) == ["fragment"]
    assert counter.after(lambda: page.locator(".t").nth(3).click()) == []


def test_order_search_and_filter_run_the_page_once_each(counted) -> None:
    """Sorting by the picker, by a head, the arrow, a search and letting go of it."""
    page, counter = counted
    grid = page.get_by_test_id("stDataFrame").first
    assert counter.after(lambda: pick(page, "Sort prompts by", "by total KL")) == ["page"]
    assert counter.after(lambda: grid.click(position={"x": 95, "y": 16})) == ["page"]
    turn = page.locator(".st-key-turn_order button").first
    assert counter.after(turn.click) == ["page"]
    search = page.get_by_role("textbox", name="Search prompts and responses")
    search.fill("story number 7")
    assert counter.after(lambda: search.press("Enter")) == ["page"]
    search.fill("")
    assert counter.after(lambda: search.press("Enter")) == ["page"]


def test_a_response_a_measure_and_a_view_run_the_page_once(counted) -> None:
    """Every switch of what is shown is one run."""
    page, counter = counted
    choose = lambda: pick(page, "Response", "Response 2")  # noqa: E731
    assert counter.after(choose) == ["page"]
    assert counter.after(lambda: pick(page, "Colour by", "log-ratio")) == ["page"]
    for view in ("Tokens", "Charts", "Prompts"):
        button = page.get_by_role("radio", name=view)
        assert counter.after(button.click) == ["page"], view
