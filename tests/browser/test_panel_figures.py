"""The token panel's numbers in a browser: never cut, and never more than is certified."""

from __future__ import annotations

from pathlib import Path

import pytest

from kl_core.store import queries
from kl_core.ui import figures
from tests.browser.conftest import panel_at, served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")

# cells of the lists whose text does not fit, and names that reach into the cells beside them
CUT = """() => [...document.querySelectorAll('*')].filter((el) => el.shadowRoot)
  .flatMap((el) => [...el.shadowRoot.querySelectorAll('.grid .line:not(.heads) > *')])
  .filter((el) => getComputedStyle(el).display !== 'none' && el.textContent)
  .filter((el) => {
    const box = el.getBoundingClientRect(), next = el.nextElementSibling;
    if (el.matches('.name')) return next && box.right > next.getBoundingClientRect().left + 1;
    const text = document.createRange();
    text.selectNodeContents(el);
    const at = text.getBoundingClientRect();
    return at.left < box.left - 1 || at.right > box.right + 1;
  }).map((el) => el.textContent)"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made run of long and odd tokens."""
    return made_runs.hostile(tmp_path_factory.mktemp("panel") / "runs")


@pytest.fixture(scope="module")
def app(run: Path):
    """The app over it."""
    with served(run.parent) as address:
        yield address


@pytest.mark.parametrize("width", [1440, 380])
def test_no_number_is_cut(app, run, open_page, width: int) -> None:
    """Limits and unseen mass are read whole beside a long token, whichever number is shown."""
    page = open_page(f"{app}/?run={run.name}", viewport={"width": width, "height": 900})
    for place in (0, 1):
        page.locator(".t").nth(place).click()
        panel_at(page, place)
        for mode in page.locator(".pick button").all():
            mode.click()
            assert page.evaluate(CUT) == []


def test_the_tooltip_certifies_no_more_than_the_bound(app, run, open_page) -> None:
    """What stands after ≥ is rounded down there as in the panel."""
    cursor = queries.open_run(run).cursor()
    bounds = [queries.token(cursor, 0, place)["kl_lower"] for place in range(12)]
    assert any(figures.at_least(bound) != figures.nats(bound) for bound in bounds)
    page = open_page(f"{app}/?run={run.name}")
    for place, bound in enumerate(bounds):
        page.locator(".t").nth(place).hover()
        page.locator(".tip", has_text=f"#{place} ").wait_for()
        assert f"≥ {figures.at_least(bound)} " in page.locator(".tip").inner_text()
