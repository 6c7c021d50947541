"""Explore in a browser: from the sorted prompts to what each model would have said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.conftest import click_row, panel_at, pick, picked, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Made runs and the folder that holds them."""
    root = tmp_path_factory.mktemp("explore") / "runs"
    return {
        "root": root,
        "planted": made_runs.planted(root),
        "raw": made_runs.raw(root),
        "hostile": made_runs.hostile(root),
        "long": made_runs.long(root, 10_000),
    }


@pytest.fixture(scope="module")
def app(runs: dict[str, Path]):
    """The app over the made runs."""
    with served(runs["root"]) as address:
        yield address


def test_a_reader_gets_from_the_sorted_table_to_both_models_lists(app, runs, open_page) -> None:
    """The planted prompt is first; its planted token is selected; the panel names both words."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    page.locator(".title", has_text="What is the capital of France?").wait_for()
    panel_at(page, 5)
    assert page.locator(".sel").inner_text().strip() == "Lyon"
    assert page.locator(".name.sampled").inner_text() == "␣Lyon"
    assert "certainly" in page.locator(".why").inner_text()
    page.locator(".t").nth(3).click()
    panel_at(page, 3)
    assert page.locator(".name.sampled").inner_text() == "␣France"


def test_a_click_anywhere_in_a_row_opens_that_prompt(app, runs, open_page) -> None:
    """Rows other than the first open by a click on their text."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    click_row(page, 2)
    page.locator(".title", has_text="Tell me story number").wait_for()
    assert re.search(r"prompt=(?!3&)\d+", page.url)


def test_sorting_by_another_figure_changes_the_first_row(app, runs, open_page) -> None:
    """Sorted in file order, the first row is the first prompt of the directory."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    pick(page, "Sort prompts by", "in file order")
    page.wait_for_timeout(1500)
    click_row(page, 0)
    page.locator(".title", has_text="story number 0 ").wait_for()


def test_a_click_on_a_head_sorts_the_run_and_keeps_the_prompt(app, runs, open_page) -> None:
    """The order is the selector's, and what is open stays open; other heads do nothing."""
    page = open_page(f"{app}/?run={runs['planted'].name}&prompt=7")
    page.locator(".title", has_text="story number 7 ").wait_for()
    grid = page.get_by_test_id("stDataFrame").first
    for x, order in ((95, "by max KL"), (300, "by max KL")):
        grid.click(position={"x": x, "y": 16})
        page.wait_for_timeout(1500)
        assert picked(page, "Sort prompts by") == order
        assert "prompt=7" in page.url
        assert "story number 7 " in page.locator(".title").inner_text()


def test_any_height_of_the_chart_leads_to_its_position(app, runs, open_page) -> None:
    """Above a bar too low to hit, a click still goes to that position."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    bars = page.locator(".plotly .point path")
    bars.nth(70).wait_for(state="attached")
    page.wait_for_timeout(500)
    low, tall = bars.nth(20).bounding_box(), bars.nth(5).bounding_box()
    page.mouse.click(low["x"] + low["width"] / 2, tall["y"] + tall["height"] / 2)
    panel_at(page, 20)


def test_the_help_of_a_picker_can_be_reached(app, runs, open_page) -> None:
    """Nothing invisible lies over the question mark beside the measure."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".st-key-toolbar_measure").get_by_test_id("stTooltipIcon").hover(timeout=5_000)
    page.get_by_text("No pair of full distributions has less").wait_for()


def test_chips_that_do_not_fit_are_left_out(app, runs, open_page) -> None:
    """Each chip shows its number whole; none is cut in two by the edge."""
    page = open_page(f"{app}/?run={runs['hostile'].name}")
    panel_at(page, 1)
    box = page.locator(".peaks").bounding_box()
    shown = page.locator(".peaks button:visible")
    assert 0 < shown.count() < 10
    for chip in shown.all():
        place = chip.bounding_box()
        number = chip.locator(".size").bounding_box()
        assert place["y"] + place["height"] <= box["y"] + box["height"] + 1
        assert number["x"] + number["width"] <= place["x"] + place["width"]


def test_the_keyboard_walks_the_tokens(app, runs, open_page) -> None:
    """n and p go to the next and previous high token, arrows and Home and End by place."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".t").nth(3).click()
    for key, position in (
        ("n", 5),
        ("n", 30),
        ("p", 5),
        ("ArrowRight", 6),
        ("ArrowLeft", 5),
        ("Home", 0),
        ("End", 76),
    ):
        page.keyboard.press(key)
        panel_at(page, position)
    assert page.locator(".text").get_attribute("aria-activedescendant") == "t76"


def test_a_link_opens_the_same_place(app, runs, open_page) -> None:
    """Run, prompt, response, position and measure come from the address."""
    name = runs["planted"].name
    page = open_page(f"{app}/?run={name}&prompt=7&response=2&position=11&measure=log_ratio")
    panel_at(page, 11)
    page.locator(".title", has_text="story number 7 ").wait_for()
    assert picked(page, "Response").startswith("Response 3 of 3")
    assert picked(page, "Colour by") == "log-ratio"
    assert "model 2 likelier" in page.locator(".foot").inner_text()


def test_the_address_follows_the_reader(app, runs, open_page) -> None:
    """After a click the address, opened elsewhere, shows the same token."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".t").nth(8).click()
    panel_at(page, 8)
    page.wait_for_function("location.search.includes('position=8')")
    other = open_page(page.url)
    panel_at(other, 8)


def test_a_bar_of_the_chart_leads_to_its_token(app, runs, open_page) -> None:
    """A click on the chart by position moves the text and the panel."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".t").nth(2).click()
    panel_at(page, 2)
    bars = page.locator(".plotly .point path")
    bars.nth(70).wait_for(state="attached")
    page.wait_for_timeout(500)
    boxes = [bars.nth(i).bounding_box() for i in range(bars.count())]
    tallest = max((box for box in boxes if box), key=lambda box: box["height"])
    page.mouse.click(tallest["x"] + tallest["width"] / 2, tallest["y"] + tallest["height"] - 4)
    panel_at(page, 5)
    assert page.locator(".sel").inner_text().strip() == "Lyon"
    page.locator(".t").nth(2).click()
    panel_at(page, 2)


def test_another_measure_keeps_the_place(app, runs, open_page) -> None:
    """Colouring by the log-ratio leaves the same token selected in text and panel."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".t").nth(8).click()
    panel_at(page, 8)
    pick(page, "Colour by", "log-ratio")
    page.locator(".foot", has_text="model 2 likelier").wait_for()
    panel_at(page, 8)
    assert page.locator(".sel").get_attribute("id") == "t8"


def test_hostile_text_stays_text(app, runs, open_page) -> None:
    """No script runs, nothing is fetched, direction marks and escapes are visible."""
    asked: list[str] = []
    page = open_page("about:blank", wait="html")
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{app}/?run={runs['hostile'].name}")
    page.locator(".t").first.wait_for()
    panel_at(page, 1)
    for place in (0, 2, 7, 20):
        page.locator(".t").nth(place).click()
        panel_at(page, place)
    assert page.evaluate("window.__pwned") is None
    away = [url for url in asked if not url.startswith((app, "blob:", "data:"))]
    assert away == []
    text = page.locator(".text").inner_text()
    assert "<script>window.__pwned=1</script>" in text
    assert "**bold**" in text and ":red[md]" in text
    assert "⟨U+202E⟩RTL override⟨U+202C⟩" in text and "⟨U+FEFF⟩bom" in text
    assert "ok☃" in text
    assert page.locator(".text script, .text img, .text style").count() == 0
    assert page.locator(".title").inner_text().startswith("<img src=x")


def test_ten_thousand_tokens_are_usable(app, runs, open_page) -> None:
    """All tokens are there, a click reaches the panel, and the end is one key away."""
    page = open_page(f"{app}/?run={runs['long'].name}")
    assert page.locator(".t").count() == 10_000
    page.locator(".t").nth(40).click()
    panel_at(page, 40)
    page.keyboard.press("End")
    panel_at(page, 9_999)
    assert page.locator(".sel").is_visible()


def test_raw_responses_show_surprisal_and_offer_scoring(app, runs, open_page) -> None:
    """A run of one model has a one-sided list, and a button to the scoring page."""
    page = open_page(f"{app}/?run={runs['raw'].name}")
    page.get_by_text("mean surprisal, nats").wait_for()
    assert page.locator(".panel.alone").count() == 1
    page.get_by_role("button", name="Score these").click()
    page.get_by_role("heading", name="Score", exact=True).wait_for()


def test_two_readers_do_not_disturb_each_other(app, runs, open_page) -> None:
    """Two sessions on two runs each keep their own place."""
    first = open_page(f"{app}/?run={runs['planted'].name}")
    second = open_page(f"{app}/?run={runs['hostile'].name}")
    panel_at(first, 5)
    panel_at(second, 1)
    first.locator(".t").nth(8).click()
    second.locator(".t").nth(3).click()
    panel_at(first, 8)
    panel_at(second, 3)
    assert "capital of France" in first.locator(".title").inner_text()


def test_dark_mode_keeps_text_and_background_apart(app, runs, open_page) -> None:
    """In a dark theme the text is light, the page dark, and the view knows it."""
    page = open_page(f"{app}/?run={runs['planted'].name}", color_scheme="dark")
    panel_at(page, 5)
    colour = page.locator(".text").evaluate("el => getComputedStyle(el).color")
    assert min(int(part) for part in re.findall(r"\d+", colour)[:3]) > 180
    page.locator(".root[data-dark='1']").wait_for()


def test_below_a_thousand_pixels_there_is_one_column(app, runs, open_page) -> None:
    """The text comes under the table, as wide as the page, and nothing scrolls sideways."""
    page = open_page(f"{app}/?run={runs['planted'].name}", viewport={"width": 900, "height": 900})
    panel_at(page, 5)
    table = page.get_by_test_id("stDataFrame").first.bounding_box()
    text = page.locator(".text").bounding_box()
    assert text["y"] > table["y"] + table["height"]
    assert text["width"] > 550
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_answer_is_on_one_screen(app, runs, open_page) -> None:
    """At 1440 by 900 table, text and both lists are visible without scrolling."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    for part in (".text", ".name.sampled", ".why b"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] < 900
