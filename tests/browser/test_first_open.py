"""The first open after a clone: the shipped sample becomes the page's first run."""

from __future__ import annotations

from pathlib import Path

import pytest

from kl_core.store import runs
from tests.browser.conftest import picked, served

pytestmark = pytest.mark.xdist_group("browser")


def test_the_first_open_imports_the_sample_once_and_shows_it(tmp_path: Path, open_page) -> None:
    """A progress card, then both models' lists; a second visitor finds the finished run."""
    runs_dir = tmp_path / "runs"
    with served(runs_dir) as app:
        page = open_page(app, wait=".name.sampled")
        assert page.get_by_text("model 1 · tiny-base").is_visible()
        assert picked(page, "Run").startswith("import of results") or " → " in picked(page, "Run")
        assert page.locator(".up").count() > 0
        open_page(app, wait=".name.sampled")
        assert len(runs.list_runs(runs_dir)) == 1
