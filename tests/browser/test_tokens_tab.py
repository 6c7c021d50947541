"""The Tokens tab in a browser: from the highest tokens of a run into their responses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import panel_at, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")
ROW = ".list .row"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Made runs and the folder that holds them."""
    root = tmp_path_factory.mktemp("tokens") / "runs"
    return {
        "root": root,
        "planted": made_runs.planted(root),
        "raw": made_runs.raw(root),
        "hostile": made_runs.hostile(root),
    }


@pytest.fixture(scope="module")
def app(runs: dict[str, Path]):
    """The app over the made runs."""
    with served(runs["root"]) as address:
        yield address


def tokens_page(app, open_page, run, **options):
    """The Tokens tab of a run."""
    more = options.pop("more", "")
    return open_page(f"{app}/?run={run.name}&view=tokens{more}", ROW, **options)


def test_a_click_on_a_row_opens_that_token_in_its_response(app, runs, open_page) -> None:
    """The second highest token of the run is one click away, with both models' lists."""
    page = tokens_page(app, open_page, runs["planted"])
    first = page.locator(ROW).first
    assert first.locator(".token").inner_text().strip() == "Lyon"
    page.locator(ROW).nth(1).click()
    panel_at(page, 41)
    page.locator(".title", has_text="What is the capital of France?").wait_for()
    assert re.search(r"prompt=3&response=0&position=41", page.url)
    assert "view=" not in page.url


def test_the_keyboard_walks_the_list_and_opens(app, runs, open_page) -> None:
    """Arrows move the marked row, End reaches the last, Enter opens it."""
    page = tokens_page(app, open_page, runs["planted"])
    page.locator(".list .rows").focus()
    for key, place in (("ArrowDown", 0), ("ArrowDown", 1), ("End", 99), ("Home", 0)):
        page.keyboard.press(key)
        marked = page.locator(f"{ROW}.at")
        assert marked.count() == 1 and marked.get_attribute("id") == f"r{place}"
    page.keyboard.press("Enter")
    panel_at(page, 5)


def test_words_open_to_their_occurrences_and_lead_there(app, runs, open_page) -> None:
    """By word: the arrow key lists a word's occurrences, a click on one opens it."""
    page = tokens_page(app, open_page, runs["planted"], more="&grouped=max")
    words = page.locator(".list .word")
    assert words.first.inner_text() == "␣Lyon"
    page.locator(".list .rows").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    inner = page.locator(".list .row.inner")
    inner.first.wait_for()
    word = words.nth(1).inner_text().replace("␣", " ")
    assert inner.count() == 50
    assert set(inner.locator(".token").all_inner_texts()) <= {word}
    page.keyboard.press("ArrowLeft")
    inner.first.wait_for(state="detached")
    page.locator(".twist").first.click()
    inner.first.click()
    panel_at(page, 5)


def test_a_click_on_a_head_sorts_the_words(app, runs, open_page) -> None:
    """The order is in the address, and a second click turns it round."""
    page = tokens_page(app, open_page, runs["planted"], more="&grouped=total")
    for wanted in ("grouped=max", "grouped=max-asc"):
        page.get_by_role("button", name=re.compile("^sort by max")).click()
        page.wait_for_url(re.compile(rf"{wanted}(&|$)"))
    shown = [float(text) for text in page.locator(f"{ROW} .cell:nth-child(6)").all_inner_texts()]
    assert shown == sorted(shown)


def test_hostile_tokens_stay_text(app, runs, open_page) -> None:
    """Markup in tokens and prompts is shown, never obeyed, and nothing is fetched."""
    asked = []
    page = tokens_page(app, open_page, runs["hostile"])
    page.on("request", lambda request: asked.append(request.url))
    assert "<img src=x" in page.locator(".list .rows").inner_text()
    page.reload()
    page.locator(ROW).first.wait_for()
    assert page.evaluate("window.__pwned") is None
    assert page.locator(".list img, .list script, .list style").count() == 0
    assert not [url for url in asked if "127.0.0.1:9/" in url]


@pytest.mark.parametrize("width", [1440, 800, 480])
def test_the_list_fits_its_width(app, runs, open_page, width: int) -> None:
    """Columns are left out rather than cut: no row is wider than the list."""
    page = tokens_page(app, open_page, runs["planted"], viewport={"width": width, "height": 900})
    box = page.locator(".list").bounding_box()
    for cell in page.locator(f"{ROW}:first-child .cell:visible").all():
        place = cell.bounding_box()
        assert place["x"] >= box["x"] and place["x"] + place["width"] <= box["x"] + box["width"]
    assert page.locator(f"{ROW} .token").first.is_visible()


def test_raw_runs_are_listed_by_surprisal(app, runs, open_page) -> None:
    """Without a second model the tab still finds the tokens the model found unlikely."""
    page = tokens_page(app, open_page, runs["raw"])
    assert page.locator(".list .head").first.inner_text() == "surprisal"


def test_the_panel_keeps_its_height_from_token_to_token(app, runs, open_page) -> None:
    """Five candidates or twenty, one sentence or four: nothing below it moves."""
    page = open_page(f"{app}/?run={runs['hostile'].name}")
    heights = set()
    for place in (1, 4, 20, 21, 25):
        page.locator(".t").nth(place).click()
        panel_at(page, place)
        heights.add(page.locator(".panel").bounding_box()["height"])
    assert len(heights) == 1


def test_the_panel_is_read_by_keyboard(app, runs, open_page) -> None:
    """Numbers switch, candidates speak in a line below, details open, all without a mouse."""
    page = open_page(f"{app}/?run={runs['planted'].name}&prompt=3&response=0&position=5")
    panel_at(page, 5)
    page.get_by_role("radio", name="ln p").press("Enter")
    assert page.locator(".cand .num").first.inner_text().startswith("−")
    page.locator(".grid").focus()
    page.keyboard.press("ArrowDown")
    says = page.locator(".says").inner_text()
    assert "for model 1" in says and "for model 2" in says and "adds" in says
    page.get_by_role("button", name="details").press("Enter")
    details = page.locator(".details").inner_text()
    assert "entropy of the list" in details and "tighten" in details
