"""The charts on the page: what captions count, what stands there when there is nothing to draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from kl_core.plots.registry import CHARTS
from kl_core.ui import charts_captions, charts_clicks
from kl_core.ui.state import Explore
from tests.plots import charted
from tests.ui import made_runs

PAGE = """
from pathlib import Path
import streamlit as st
from kl_core.store import runs
from kl_core.ui import cached, charts_view, state
info = runs.run_info(Path({run!r}))
place = state.current()
summary = cached.summary(info.path)
charts_view.show(info, summary, place)
charts_view.small_histogram(info, summary, place)
if summary.get("measure"):
    charts_view.small_histogram(info, summary, place, certified=True)
"""


def shown(run_dir: Path) -> AppTest:
    """The charts of a run, drawn once."""
    app = AppTest.from_string(PAGE.format(run=str(run_dir)), default_timeout=60).run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*app.caption, *app.markdown])


def drawn(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def test_captions_count_what_is_left_out_and_never_print_a_name(tmp_path) -> None:
    """Infinite and missing tokens are told; names from the files stay out of markdown."""
    app = shown(charted.write(tmp_path, charted.entries()))
    text = said(app)
    assert "1 token of infinite value left out" in text
    assert "1 token of infinite value is in the last bar" in text
    assert "tokens without a value left out" in text
    assert "Hatched: 1 infinite" in text
    assert "Alpha" not in text
    assert "<a" not in text
    assert drawn(app) == 1 + len(CHARTS) + 2
    assert "The top" in text
    assert "≈" in text


def test_what_cannot_be_compared_is_not_drawn(tmp_path) -> None:
    """One model and one finish reason leave nothing to compare; a provider is shown alone."""
    app = shown(made_runs.planted(tmp_path, prompts=4))
    assert "**By model**" not in said(app)
    assert "**By finish reason**" not in said(app)
    assert "**By provider**" in said(app)
    assert "left out" not in said(app)


def test_raw_responses_are_drawn_by_surprisal(tmp_path) -> None:
    """Without a second model every chart is of surprisal, which is exact."""
    text = said(shown(made_runs.raw(tmp_path)))
    assert text.startswith("Surprisal of model 1")
    assert "KL" not in text
    assert "≈" not in text


def test_whole_vocabularies_are_not_called_estimates(tmp_path) -> None:
    """Nothing about such a run is approximate."""
    assert "≈" not in said(shown(made_runs.full(tmp_path)))


def test_without_log_probabilities_it_says_what_to_do(tmp_path) -> None:
    """No chart, and the next step."""
    app = shown(made_runs.without_logprobs(tmp_path))
    assert drawn(app) == 0
    assert "ask the provider for logprobs" in said(app)


def test_equal_models_share_nothing_out(tmp_path) -> None:
    """A total of zero has no shares: a sentence instead of a division by zero."""
    made = charted.entries(3, infinite=False)
    zero = [
        replace(
            entry,
            responses=tuple(
                replace(
                    one,
                    measures=replace(one.measures, headline=np.zeros_like(one.measures.headline)),
                )
                for one in entry.responses
            ),
        )
        for entry in made
    ]
    app = shown(charted.write(tmp_path, zero))
    assert "Every KL is 0: there is nothing to share out." in said(app)


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_says_where_a_click_leads(name) -> None:
    """No chart without a way on."""
    facts = {"infinite": 0, "missing": 0}
    assert "Click" in charts_captions.caption(name, [], facts, {"measure": "floor"})


def test_the_end_bars_of_the_histogram_are_open(monkeypatch) -> None:
    """The first has no lower bound, the last no upper one; edges are rounded outward."""
    place = Explore(view="charts", grouped="total")
    row = {"score": "kl", "low": 0.0, "high": 1e-6}
    charts_clicks.tokens_of_bin(place, row)
    assert (place.view, place.score, place.grouped) == ("tokens", "kl", None)
    assert (place.least, place.most) == (None, "1e-06")
    charts_clicks.tokens_of_bin(place, row | {"low": 10**1.875, "high": float("inf")})
    assert (place.least, place.most) == ("74.9894209", None)
    charts_clicks.tokens_of_bin(place, row | {"low": 2.787254573986, "high": 2.787254573186})
    assert (place.least, place.most) == ("2.78725457", "2.78725458")


def test_a_sample_of_points_is_called_one() -> None:
    """The caption tells how many responses are drawn of how many."""
    rows = [{"kind": "response", "responses": 1}] * 3
    rows += [{"kind": "bin", "responses": 20}, {"kind": "bin", "responses": 21}]
    facts = {"infinite": 0, "missing": 0}
    text = charts_captions.caption("length", rows, facts, {"measure": "floor"})
    assert "3 of 41 responses drawn" in text
