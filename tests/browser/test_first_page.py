"""The first page that a new server is asked for, whichever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import served
from tests.ui import made_runs

pytestmark = pytest.mark.xdist_group("browser")


@pytest.mark.parametrize("path", ["runs", "compare", "score"])
def test_a_link_to_a_page_opens_within_the_app(path: str, tmp_path: Path, open_page) -> None:
    """The menu has the app's groups, and no file names."""
    made_runs.planted(tmp_path / "runs", 2)
    with served(tmp_path / "runs") as address:
        page = open_page(f"{address}/{path}", wait="[data-testid=stSidebarNav]")
        menu = page.get_by_test_id("stSidebarNav")
        menu.get_by_text("Compare runs").wait_for()
        links = menu.get_by_test_id("stSidebarNavLink").all_inner_texts()
        assert [text.strip() for text in links] == [
            "Explore",
            "Compare runs",
            "Runs",
            "Sample",
            "Score",
            "Gemini",
        ]
        assert page.url.endswith(f"/{path}") or f"/{path}?" in page.url
