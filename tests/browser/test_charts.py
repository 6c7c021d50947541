"""The charts in a browser: each click lands where the caption says; names are inert."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from kl_core.store import chart_queries
from tests.browser.conftest import panel_at, served
from tests.plots import charted

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with hostile provider names, an infinite token and gaps."""
    root = tmp_path_factory.mktemp("charts") / "runs"
    made = charted.entries(12)
    return charted.write(root, made)


@pytest.fixture(scope="module")
def app(run_dir: Path):
    """The app over that run."""
    with served(run_dir.parent) as address:
        yield address


@pytest.fixture
def charts(app, run_dir, open_page):
    """The view of the charts, all drawn."""
    page = open_page(f"{app}/?run={run_dir.name}&view=charts", wait=".js-plotly-plot")
    page.set_viewport_size({"width": 1440, "height": 2200})
    page.get_by_text("By provider", exact=True).wait_for()
    page.wait_for_timeout(800)
    return page


def click_mark(page, name: str, number: int) -> None:
    """Click the middle of a bar or point of a chart."""
    card = page.locator(f"[class*='st-key-chart_{name}_']")
    box = card.locator(".point").nth(number).bounding_box()
    # near its top: bars of a logarithmic axis go on far below the chart
    x, y = box["x"] + box["width"] / 2, box["y"] + min(box["height"] / 2, 4)
    page.mouse.move(x - 2, y)
    page.mouse.click(x, y)


def address(page, name: str) -> list[str]:
    """A part of the page's address."""
    return parse_qs(urlsplit(page.url).query).get(name, [])


def at(page, prompt: int, slot: int, position: int | None) -> None:
    """Wait until the prompts are shown, open at a place."""
    page.wait_for_function("!location.search.includes('view=')")
    page.wait_for_function(
        """([prompt, response]) => {
          const there = new URLSearchParams(location.search)
          return there.get('prompt') === prompt && there.get('response') === response
        }""",
        arg=[str(prompt), str(slot)],
    )
    if position is not None:
        panel_at(page, position)


@pytest.mark.parametrize(("name", "number"), [("relative", 3), ("probability", 1)])
def test_a_bar_leads_to_its_highest_token(charts, run_dir, name, number) -> None:
    """Prompt, response and position are those of the highest token of the bin."""
    query = {
        "relative": chart_queries.relative_query,
        "probability": chart_queries.probability_query,
    }[name]
    row = query().rows(charted.cursor(run_dir))[number]
    click_mark(charts, name, number)
    at(charts, row["top_prompt"], row["top_slot"], row["top_position"])


@pytest.mark.parametrize("name", ["entropy", "length"])
def test_a_point_leads_to_its_response(charts, run_dir, name) -> None:
    """The response whose point was clicked is open; the one drawn last is never covered."""
    rows = chart_queries.scatter_query(name).rows(charted.cursor(run_dir))
    points = [row for row in rows if row["kind"] == "response"]
    number = max(range(len(points)), key=lambda n: points[n]["mean"])
    click_mark(charts, name, number)
    at(charts, points[number]["prompt_id"], points[number]["slot"], None)


@pytest.mark.parametrize("position", [1, 3])
def test_a_position_leads_to_its_token(charts, position) -> None:
    """A bar of the open response opens it at that position; number 1 is infinite."""
    click_mark(charts, "position", position)
    charts.wait_for_function("!location.search.includes('view=')")
    panel_at(charts, position)


def test_a_bar_of_the_histogram_leads_to_its_tokens(charts, run_dir) -> None:
    """The list of tokens has the bar's edges as bounds."""
    bins = chart_queries.histogram_query().rows(charted.cursor(run_dir))
    number = len([row for row in bins if row["kind"] == "bin"]) // 2
    click_mark(charts, "histogram", number)
    charts.wait_for_function("location.search.includes('view=tokens')")
    low, high = (float(address(charts, name)[0]) for name in ("least", "most"))
    assert low == pytest.approx(bins[number]["low"], rel=1e-8)
    assert high == pytest.approx(bins[number]["high"], rel=1e-8)


def test_a_point_of_the_curve_leads_to_the_tokens_that_hold_that_share(charts, run_dir) -> None:
    """The threshold is the lowest value among them, with no upper bound."""
    rows = chart_queries.cumulative_query().rows(charted.cursor(run_dir))
    click_mark(charts, "cumulative", 4)
    charts.wait_for_function("location.search.includes('view=tokens')")
    least = float(address(charts, "least")[0])
    assert least <= rows[4]["value"] == pytest.approx(least, rel=1e-8)
    assert address(charts, "most") == []


def test_a_provider_filters_the_prompts_and_its_name_is_inert(charts, run_dir) -> None:
    """The name stands there letter by letter, no link in it; the filter has it exactly."""
    rows = chart_queries.groups_query("provider").rows(charted.cursor(run_dir))
    number = next(n for n, row in enumerate(rows) if row["name"] == charted.HOSTILE)
    card = charts.locator("[class*='st-key-chart_provider_']")
    labels = card.locator(".ytick text").all_text_contents()
    assert any(text.startswith('<a href="http://127.0') for text in labels)
    assert card.locator("a[href]").count() == 0
    click_mark(charts, "provider", number)
    charts.wait_for_function("location.search.includes('provider=')")
    assert address(charts, "provider") == [charted.HOSTILE]
    assert address(charts, "view") == []


def test_the_same_bar_can_be_clicked_again(charts, run_dir) -> None:
    """Back in the charts, the bar leads to its token a second time."""
    row = chart_queries.relative_query().rows(charted.cursor(run_dir))[3]
    for _ in range(2):
        click_mark(charts, "relative", 3)
        at(charts, row["top_prompt"], row["top_slot"], row["top_position"])
        charts.get_by_text("Charts", exact=True).click()
        charts.locator("[class*='st-key-chart_relative_'] .point").first.wait_for()
        charts.wait_for_timeout(1200)


def test_the_only_button_downloads_a_picture_named_after_run_and_chart(charts, run_dir) -> None:
    """It appears when the pointer is over the chart."""
    card = charts.locator("[class*='st-key-chart_relative_']")
    card.hover()
    buttons = card.locator(".modebar-btn")
    assert buttons.count() == 1
    with charts.expect_download() as download:
        buttons.first.click()
    assert download.value.suggested_filename == f"kl_{run_dir.name}_relative.png"


@pytest.mark.parametrize("width", [1280, 800, 360])
def test_nothing_overlaps_or_overflows_in_any_width(app, run_dir, open_page, width) -> None:
    """Axis labels of one axis keep clear of each other; no chart is wider than its card."""
    page = open_page(
        f"{app}/?run={run_dir.name}&view=charts",
        wait=".js-plotly-plot",
        viewport={"width": width, "height": 900},
    )
    page.get_by_text("By provider", exact=True).wait_for()
    page.wait_for_timeout(1200)
    overlaps = page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(plot =>
          ['.xtick text', '.ytick text', '.annotation-text'].flatMap(kind => {
            const boxes = [...plot.querySelectorAll(kind)].map(t => t.getBoundingClientRect())
            return boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b =>
              a.left < b.right - 1 && b.left < a.right - 1 &&
              a.top < b.bottom - 3 && b.top < a.bottom - 3).map(b => [kind, a.left, b.left]))
          }))"""
    )
    assert overlaps == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert re.search("view=charts", page.url)
