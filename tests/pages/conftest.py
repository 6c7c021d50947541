"""The pages in Streamlit's own test harness, over runs made for the test."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kl_core.ui import sample

APP = Path(__file__).resolve().parents[2] / "app.py"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder of its own, and no sample to import."""
    monkeypatch.setenv("KL_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.delenv("KL_DATA_ROOTS", raising=False)
    monkeypatch.setattr(sample, "folder", lambda: tmp_path / "no-sample")
    return tmp_path / "runs"


def opened(page: str | None = None, **address: str) -> AppTest:
    """The app after its first run, on a page, with an address."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    if page:
        app.switch_page(page)
    app.run()
    assert not app.exception, app.exception
    return app


def picker(app: AppTest, label: str):
    """The select box with a label."""
    return next(box for box in app.selectbox if box.label == label)


def texts(app: AppTest) -> str:
    """Everything the page says in plain text, captions and boxes included."""
    parts = [*app.text, *app.caption, *app.info, *app.warning, *app.markdown]
    return "\n".join(str(part.value) for part in parts)


def pytest_sessionfinish() -> None:
    """Let go of the databases the pages kept open, while the interpreter is still whole."""
    st.cache_resource.clear()
    st.cache_data.clear()
    gc.collect()
