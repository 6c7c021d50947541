"""Two runs compared in a browser: from the verdict to the token, by clicks alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kl_core.store import runs as store_runs
from tests.browser.conftest import click_row, pick, served
from tests.ui import made_runs
from tests.ui.made_runs import entry, prose, response

pytestmark = pytest.mark.xdist_group("browser")
PROMPTS = 8


def made(root: Path, short: str, farther: bool) -> Path:
    """A run of eight prompts; `farther` moves prompt 3 at token 6, and all of them a little."""
    entries = []
    for n in range(PROMPTS):
        texts = list(made_runs.HOSTILE) if n == 5 else prose(30 + n, n)
        question = made_runs.HOSTILE[0] + " ![x](http://127.0.0.1:9/p.png)" if n == 5 else f"q {n}"
        far = {4: 0.3 - n / 100} if farther else {}
        if farther and n == 3:
            far[6] = 0.15
        entries.append(
            entry(n, question, [response(texts, far, slot, 10 * n + slot) for slot in range(2)])
        )
    return made_runs.write(root, entries, short=short)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Run A, and run B that is farther from model 1."""
    root = tmp_path_factory.mktemp("pair") / "runs"
    a, b = made(root, "aaaa0001", False), made(root, "bbbb0001", True)
    store_runs.rename_run(a, "<img src=x onerror=window.__pwned=9> **a**")
    return a, b


@pytest.fixture(scope="module")
def app(two: tuple[Path, Path]):
    """The app over both."""
    with served(two[0].parent) as address:
        yield address


def open_pair(open_page, app: str, two: tuple[Path, Path], **options):
    """The page for both runs, once its text is there."""
    address = f"{app}/compare?run={two[0].name}&with={two[1].name}"
    return open_page(address, wait=".t", **options)


def test_the_verdict_the_text_and_both_lists_are_on_one_screen(app, two, open_page) -> None:
    """The token that moved most is selected; its two values stand below."""
    page = open_pair(open_page, app, two)
    page.get_by_text(f"{PROMPTS} of {PROMPTS} prompts up").wait_for()
    page.locator(".title", has_text="q 3").wait_for()
    page.locator(".sel").wait_for()
    page.wait_for_url(re.compile("prompt=3&.*position=6"))
    page.get_by_text("Token 6", exact=True).wait_for()
    page.locator(".t").nth(4).click()
    page.get_by_text("Token 4", exact=True).wait_for()
    page.wait_for_url(re.compile("position=4"))


def test_a_click_in_the_table_opens_that_prompt(app, two, open_page) -> None:
    """Rows are by how far they moved; the address follows."""
    page = open_pair(open_page, app, two)
    page.locator(".title", has_text="q 3").wait_for()
    click_row(page, 2)
    page.wait_for_url(re.compile(r"prompt=(?!3)\d"))
    assert page.locator(".title").inner_text() != "q 3"


def test_a_click_on_a_point_opens_its_prompt(app, two, open_page) -> None:
    """Every prompt is a point beside the diagonal; the same point can be clicked again."""
    page = open_pair(open_page, app, two)
    page.locator(".title", has_text="q 3").wait_for()
    points = page.locator(".scatterlayer .trace").nth(1).locator(".points path")
    points.first.wait_for()
    assert points.count() == PROMPTS
    for seen in ("3", "[0-24-9]"):  # a point at another prompt, then back at the farthest
        points.nth(0 if seen == "3" else 3).scroll_into_view_if_needed()
        box = points.nth(0 if seen == "3" else 3).bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_url(re.compile(rf"prompt=(?!{seen})\d"))


def test_a_click_in_the_grid_opens_that_token_of_that_response(app, two, open_page) -> None:
    """Rows are responses, columns positions; the text and the tables follow."""
    page = open_pair(open_page, app, two)
    page.get_by_text("Token 6", exact=True).wait_for()
    grid = page.locator(".st-key-pair_grid canvas").first
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 0.9, "y": box["height"] - 4})
    page.wait_for_url(re.compile(r"response=1&position=(2\d|3\d)"))
    page.get_by_text(re.compile(r"^Token (2|3)\d$")).wait_for()


def test_swapping_turns_red_to_blue_and_keeps_the_place(app, two, open_page) -> None:
    """A becomes B; prompt and token stay."""
    page = open_pair(open_page, app, two)
    page.get_by_text("B diverges more").wait_for()
    page.get_by_text("Token 6", exact=True).wait_for()
    page.get_by_role("button", name="⇄").click()
    page.get_by_text("B diverges less").wait_for()
    page.wait_for_url(re.compile(rf"run={two[1].name}.*position=6"))


def test_another_figure_and_the_token_in_explore(app, two, open_page) -> None:
    """The figure is in the address; the link leads to run B's token."""
    page = open_pair(open_page, app, two)
    pick(page, "Compare by", "surprisal, model 2")
    page.get_by_text("B's model 2 finds the text less likely").wait_for()
    page.wait_for_url(re.compile("figure=mean_surprisal2"))
    page.get_by_role("button", name="Explore B").click()
    page.wait_for_url(re.compile(rf"[/e]\?run={two[1].name}&prompt=3&response=\d&position=6"))


def test_hostile_names_prompts_and_tokens_stay_text(app, two, open_page) -> None:
    """Nothing runs, nothing is fetched, everything is shown."""
    page = open_page(
        f"{app}/compare?run={two[0].name}&with={two[1].name}&prompt=5&response=0", wait=".t"
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(".title", has_text="<script>").wait_for()
    page.locator(".t").nth(3).click()
    page.get_by_text("Token 3", exact=True).wait_for()
    assert page.evaluate("window.__pwned") is None
    assert not [url for url in asked if "127.0.0.1:9/" in url]


def test_a_narrow_window_has_one_column(app, two, open_page) -> None:
    """At 800 px the text follows the table; nothing is wider than the window."""
    page = open_pair(open_page, app, two, viewport={"width": 800, "height": 900})
    table = page.get_by_test_id("stDataFrame").first.bounding_box()
    text = page.locator(".t").first.bounding_box()
    assert text["y"] > table["y"] + table["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 800


def test_the_toolbar_wraps_where_it_is_narrow(app, two, open_page) -> None:
    """Every button keeps its words and its place in the window, and none covers another."""
    page = open_pair(open_page, app, two, viewport={"width": 800, "height": 900})
    page.wait_for_timeout(1500)  # styles and widths have settled
    boxes = []
    for name in ("⇄", "Export", "Copy link"):
        button = page.locator(".st-key-toolbar").get_by_role("button", name=name)
        assert button.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        boxes.append(button.bounding_box())
    boxes += [one.bounding_box() for one in page.get_by_role("combobox").all()[:3]]
    assert all(box["x"] + box["width"] <= 800 and box["width"] > 30 for box in boxes)
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
            assert (
                apart
                or one["y"] + one["height"] <= other["y"]
                or (other["y"] + other["height"] <= one["y"])
            )


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 800)])
def test_a_short_text_leaves_room_for_both_lists(app, two, open_page, width, height) -> None:
    """The text is as high as it is long; figures and lists end within the first screen."""
    page = open_pair(open_page, app, two, viewport={"width": width, "height": height})
    page.get_by_text("Token 6", exact=True).wait_for()
    tables = page.get_by_test_id("stDataFrame")
    tables.nth(2).wait_for()
    for place in (1, 2):
        box = tables.nth(place).bounding_box()
        assert box["y"] + box["height"] <= height
    assert page.locator("div.text").evaluate("e => e.scrollHeight - e.clientHeight") <= 1
