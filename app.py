"""KL Explorer: where, how much and whether two language models differ."""

import streamlit as st

from kl_core.ui import sample

st.set_page_config(
    page_title="KL Explorer",
    layout="wide",
    menu_items={"About": "KL Explorer shows where two language models differ, token by token."},
)


def _explore() -> None:
    """Explore by its name: the first page itself has no name in the address."""
    st.switch_page("pages/explore.py", query_params=st.query_params.to_dict())


page = st.navigation(
    {
        "Look": [
            # the first page answers to no name; the one below leads from `explore` to it
            st.Page("pages/explore.py", title="Explore", url_path="first", default=True),
            st.Page(_explore, title="Explore", url_path="explore", visibility="hidden"),
            st.Page("pages/compare.py", title="Compare runs", url_path="compare"),
            st.Page("pages/runs.py", title="Runs", url_path="runs"),
        ],
        "Compute": [
            st.Page("pages/sample.py", title="Sample", url_path="sample"),
            st.Page("pages/score.py", title="Score", url_path="score"),
            st.Page("pages/gemini.py", title="Gemini", url_path="gemini"),
        ],
    }
)
if page.url_path == "":
    sample.ensure()  # its worker starts while the rest of the page still loads
page.run()
