"""Every page is entered through app.py, also the first one that a new server is asked for.

Until app.py has run once, Streamlit takes a folder `pages/` for a site of single scripts: a link
to a page would then run that file alone, with file names for a menu.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def through_app() -> None:
    """Begin again with app.py where a page was started without it."""
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
