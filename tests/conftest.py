"""What every test needs."""

from __future__ import annotations

from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import app_test


class _AsServed(PagesManager):
    """Streamlit's harness forgets before each run that app.py does the navigation.

    It would then run a page's file alone, as a server does for its very first visitor only
    (tests/browser/test_first_page.py); it sets its mark here, where nobody reads it.
    """


PagesManager.uses_pages_directory = False
app_test.PagesManager = _AsServed
