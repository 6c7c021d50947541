"""Reading a response in a real browser: layouts, scales, lists, keys, long texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kl_core.records import Token
from tests.browser.conftest import panel_at, pick, picked, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")

# every box that is wider than what holds it, shadow trees included
_TOO_WIDE = """() => {
  const out = [];
  const name = (el) => [el.closest('[data-testid]')?.dataset.testid, el.tagName, el.className,
    el.textContent.slice(0, 30)].join(' ');
  const walk = (root, limit) => {
    for (const el of root.children) {
      const box = el.getBoundingClientRect();
      if (box.width && box.right > limit + 1.5) out.push(name(el));
      const rolls = ['auto', 'scroll', 'hidden'].includes(getComputedStyle(el).overflowX);
      if (!rolls && el.dataset.testid !== 'stDataFrame') walk(el.shadowRoot || el, limit);
    }
  };
  for (const column of document.querySelectorAll('.st-key-columns [data-testid=stColumn]')) {
    walk(column, column.getBoundingClientRect().right);
  }
  return out;
}"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Made runs and the folder that holds them."""
    root = tmp_path_factory.mktemp("reading") / "runs"
    return {
        "root": root,
        "planted": made_runs.planted(root),
        "full": made_runs.full(root),
        "signs": signs(root),
        "unbroken": unbroken(root, 10_000),
    }


def signs(root: Path) -> Path:
    """A run in which each model is surer once, with text from the right and a line of marks."""
    words = ["Yes", " no", " maybe", "\n", "مرحبا", " بكم", " !", "\n", "end"]
    made = made_runs.response(words, {1: 0.05, 2: 0.999})
    return made_runs.write(root, [made_runs.entry(0, "Say it.", [made])], short="signs001")


def unbroken(root: Path, count: int) -> Path:
    """A run with one response of `count` tokens and no line break."""
    words: list[str | Token] = [" word." if i % 17 == 16 else " word" for i in range(count)]
    far = {i: 0.02 + 0.4 * ((i * 7919) % 97) / 97 for i in range(5, count, 7)}
    made = made_runs.response(words, far)
    return made_runs.write(root, [made_runs.entry(0, "Go on.", [made])], short="unbroken")


@pytest.fixture(scope="module")
def app(runs: dict[str, Path]):
    """The app over the made runs."""
    with served(runs["root"]) as address:
        yield address


def layout(page, name: str) -> None:
    """Choose a layout."""
    page.get_by_role("radiogroup", name="Layout").get_by_text(name, exact=True).click()


def test_cells_show_each_token_above_its_figure_and_keep_the_place(app, runs, open_page) -> None:
    """The same token stays selected; its cell holds the text and the value; clicks work."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".t").nth(8).click()
    panel_at(page, 8)
    before = page.locator(".text").bounding_box()
    layout(page, "Cells")
    page.locator("[data-layout=cells]").wait_for()
    assert page.locator(".sel").get_attribute("id") == "t8"
    assert page.locator(".text").bounding_box() == before
    assert page.locator("#t5").inner_text().split("\n") == ["␣Lyon", "3.64"]
    page.locator("#t41").click()
    panel_at(page, 41)
    assert "layout=cells" in page.url


def test_a_cell_of_the_grid_opens_its_response_at_its_token(app, runs, open_page) -> None:
    """The second row, clicked in its middle, selects a token there in response 2."""
    page = open_page(f"{app}/?run={runs['planted'].name}&layout=grid")
    panel_at(page, 5)
    box = page.locator("canvas[role=application]").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 40.5 / 77, box["y"] + 27)
    panel_at(page, 40)
    page.wait_for_function("location.search.includes('response=1')")
    assert picked(page, "Response").startswith("Response 2 of 3")
    page.locator("#t40.sel").wait_for()


def test_the_panel_follows_the_side_that_was_clicked_last(app, runs, open_page) -> None:
    """Of two responses side by side, the panel shows the last click and names its response."""
    page = open_page(f"{app}/?run={runs['planted'].name}&layout=pair")
    panel_at(page, 5)
    page.get_by_text("Response 1, token 5").wait_for()
    left, right = page.locator(".text").nth(0), page.locator(".text").nth(1)
    assert right.bounding_box()["y"] == left.bounding_box()["y"]
    right.locator(".t").nth(3).click()
    panel_at(page, 3)
    page.get_by_text("Response 2, token 3").wait_for()
    left.locator(".t").nth(7).click()
    panel_at(page, 7)
    page.get_by_text("Response 1, token 7").wait_for()
    pick(page, "Beside it", "Response 3 of 3")
    page.wait_for_function("location.search.includes('second=2')")
    page.locator(".text").nth(1).locator(".t").nth(2).click()
    page.get_by_text("Response 3, token 2").wait_for()


def test_two_responses_stack_in_a_narrow_window(app, runs, open_page) -> None:
    """At 800 pixels the second comes under the first."""
    size = {"width": 800, "height": 900}
    page = open_page(f"{app}/?run={runs['planted'].name}&layout=pair", viewport=size)
    page.wait_for_timeout(1500)  # styles and widths have settled
    panel_at(page, 5)
    left = page.locator(".text").nth(0).bounding_box()
    right = page.locator(".text").nth(1).bounding_box()
    assert right["y"] > left["y"] + left["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_another_scale_colours_anew_and_the_legend_says_whose_it_is(app, runs, open_page) -> None:
    """Picked in the popover, kept in the address; the token stays selected."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    assert "fixed for the run" in page.locator(".foot").inner_text()
    page.locator(".t").nth(8).click()
    panel_at(page, 8)
    weak = page.locator("#t30").get_attribute("class")
    page.get_by_role("button", name="Scale").click()
    page.get_by_text("largest value of the run").click()
    page.locator(".said", has_text="largest value of the run").wait_for()
    assert page.locator("#t30").get_attribute("class") != weak
    assert page.locator(".sel").get_attribute("id") == "t8"
    page.wait_for_function("location.search.includes('scale=max')")
    page.get_by_text("my own ends").click()
    field = page.get_by_label("Full colour from, nats")
    field.fill("0.5")
    field.press("Enter")
    page.locator(".foot", has_text="0.5 nats and above").wait_for()
    assert "yours" in page.locator(".foot").inner_text()


def test_the_legend_of_a_linked_scale_says_both_ends(app, runs, open_page) -> None:
    """Below the lower end nothing has a colour; from the upper on it is full."""
    page = open_page(f"{app}/?run={runs['planted'].name}&scale=0.1:2")
    panel_at(page, 5)
    foot = page.locator(".foot").inner_text()
    assert "0.1 and below" in foot and "2 nats and above" in foot
    assert page.locator("#t5").get_attribute("class").split()[1:3] == ["h24", "up"]
    assert page.locator("#t3").get_attribute("class") == "t"


def test_both_signs_can_be_told_apart_without_colour(app, runs, open_page) -> None:
    """Model 2 likelier: a double line; model 1 likelier: a single one; the legend shows both."""
    page = open_page(f"{app}/?run={runs['signs'].name}&measure=log_ratio&scale=0:0.5")
    line = "el => getComputedStyle(el).borderBottomStyle"
    page.locator("#t1.up.plus").wait_for()
    assert page.locator("#t1").evaluate(line) == "solid"
    assert page.locator("#t2.up.minus").evaluate(line) == "double"
    assert page.locator(".foot .u.plus").inner_text() == "model 1 likelier"
    assert page.locator(".foot .u.minus").evaluate(line) == "double"


def test_text_from_the_right_stays_token_by_token(app, runs, open_page) -> None:
    """A line in Arabic runs from the right, each token by itself; others are left alone."""
    page = open_page(f"{app}/?run={runs['signs'].name}")
    page.locator("#t4").wait_for()
    first, second = page.locator("#t4").bounding_box(), page.locator("#t5").bounding_box()
    assert first["x"] > second["x"]
    isolated = "el => getComputedStyle(el).unicodeBidi"
    assert page.locator("#t4").evaluate(isolated) == "isolate"
    assert page.locator("#t0").evaluate(isolated) == "normal"


def test_keys_are_listed_on_demand_and_escape_leads_back(app, runs, open_page) -> None:
    """A question mark or the button opens the list; Escape closes it; the text has the focus."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    page.locator(".t").nth(3).click()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    assert "Page Up" in keys.inner_text()
    page.keyboard.press("Escape")
    assert keys.count() == 0
    page.keyboard.press("n")
    panel_at(page, 5)
    page.locator(".keys-button").click()
    keys.wait_for()


def test_a_screen_reader_hears_position_token_value_and_flags(app, runs, open_page) -> None:
    """The selected token is named at once, the others soon after; the list knows its length."""
    page = open_page(f"{app}/?run={runs['planted'].name}")
    panel_at(page, 5)
    label = page.locator("#t5").get_attribute("aria-label")
    assert label == "token 5, ␣Lyon, KL(1‖2) ≈ 3.64 nats, at or above the threshold"
    assert page.locator("#t5").get_attribute("aria-setsize") == "77"
    page.locator("#t76[aria-label]").wait_for(state="attached")
    assert "only bounded" in page.locator("#t41").get_attribute("aria-label")


def test_exact_figures_carry_no_sign_of_an_estimate(app, runs, open_page) -> None:
    """Over whole vocabularies the tooltip gives the value as it is; from lists with ≈ and ≥."""
    page = open_page(f"{app}/?run={runs['full'].name}&measure=js")
    page.locator("#t3").hover()
    tip = page.locator(".tip").inner_text()
    assert "Jensen–Shannon 0." in tip and "≈" not in tip and "≥" not in tip
    page = open_page(f"{app}/?run={runs['planted'].name}")
    page.locator("#t5").hover()
    tip = page.locator(".tip").inner_text()
    assert "KL ≈ 3.64" in tip and "≥ 3.61" in tip


def test_all_high_tokens_are_in_one_list_in_either_order(app, runs, open_page) -> None:
    """By value or by position, by mouse or keys; beyond 500 rows it says how many more."""
    page = open_page(f"{app}/?run={runs['unbroken'].name}")
    page.locator(".peaks .more").click()
    rows = page.locator(".list .row")
    assert rows.count() == 500
    total = int(page.locator(".peaks .more .size").inner_text().replace(",", ""))
    assert f"{total - 500:,} more" in page.locator(".list .rest").inner_text()
    page.locator(".list .sort").click()
    assert rows.nth(0).locator(".at").inner_text() == "#5"
    rows.nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    panel_at(page, int(rows.nth(1).locator(".at").inner_text()[1:]))
    page.keyboard.press("Escape")
    assert page.locator(".list").is_hidden()


def test_ten_thousand_tokens_without_a_line_break_are_usable(app, runs, open_page) -> None:
    """Cut into blocks that carry no newline sign; clicks, pages and both ends work."""
    page = open_page(f"{app}/?run={runs['unbroken'].name}")
    assert page.locator(".t").count() == 10_000
    assert page.locator(".line").count() > 20
    assert "⏎" not in page.locator(".text").inner_text()
    assert "goes on" in page.locator(".foot").inner_text()
    page.locator(".t").nth(40).click()
    panel_at(page, 40)
    page.keyboard.press("PageDown")
    page.wait_for_timeout(400)
    below = int(page.locator(".sel").get_attribute("id")[1:])
    assert 60 < below < 400
    page.keyboard.press("PageUp")
    page.wait_for_timeout(400)
    assert abs(int(page.locator(".sel").get_attribute("id")[1:]) - 40) < 30
    page.keyboard.press("End")
    panel_at(page, 9_999)
    assert page.locator(".sel").is_visible()


@pytest.mark.parametrize("name", ["prose", "cells", "grid", "pair"])
def test_nothing_leaves_its_column_just_above_the_breakpoint(app, runs, open_page, name) -> None:
    """At 1151 pixels two columns still hold what is in them."""
    size = {"width": 1151, "height": 900}
    address = f"{app}/?run={runs['planted'].name}&layout={name}&measure=log_ratio"
    page = open_page(address, viewport=size)
    page.wait_for_timeout(1500)  # styles and widths have settled
    panel_at(page, 5)
    page.wait_for_timeout(500)
    assert page.evaluate(_TOO_WIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_unknown_layout_or_scale_is_read_as_the_usual(app, runs, open_page) -> None:
    """A bad address still opens the text."""
    page = open_page(f"{app}/?run={runs['planted'].name}&layout=circle&scale=huge")
    panel_at(page, 5)
    assert "fixed for the run" in page.locator(".foot").inner_text()
    assert page.locator("[data-layout=prose]").count() == 1
