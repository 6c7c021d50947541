"""Explore on a run of which a budget left positions out."""

import pytest

from tests.pages.conftest import opened, picker, texts
from tests.ui import made_runs


@pytest.fixture
def run(root):
    return made_runs.budget(root)


def test_explore_shows_estimates_as_estimates(run):
    """One line above, the interval beside the run's mean, counts of what was asked."""
    app = opened(run=run.name)
    said = texts(app)
    assert "Estimates from 20.1 % of the calls (417 of 2,076 positions asked)" in said
    assert "mean KL ≈ 0.0492 (" in said
    assert "54 not asked; 1 without a value left out" in said.lower()
    assert "KL ≈ 0.754" in picker(app, "Response").options[0]
    table = app.dataframe[0].value
    assert list(table.columns)[:2] == ["mean_kl", "interval"]


@pytest.mark.parametrize("layout", ["grid", "pair", "cells"])
def test_every_layout_opens_at_a_token_that_was_not_asked(run, layout):
    """None of them needs a value there."""
    app = opened(run=run.name, prompt="2", response="0", position="4", layout=layout)
    assert not app.exception


@pytest.mark.parametrize("view", ["charts", "tokens"])
def test_other_views_say_so_too(run, view):
    """What they show is of the asked tokens, or of estimates."""
    said = texts(opened(run=run.name, view=view))
    assert "Estimates from 20.1 %" in said
    if view == "charts":
        assert "Of the asked tokens only" in said and "counts with its estimate" in said


def test_prompts_are_ordered_by_what_is_safely_divergent(run):
    """The lower end of the interval is an order of its own."""
    app = opened(run=run.name, sort="est_low")
    assert next(iter(app.dataframe[0].value.columns)) == "est_low"


def test_comparing_two_such_runs_claims_nothing_for_what_was_not_asked(root):
    """The page says that the tokens both asked are all that is compared."""
    made = [
        made_runs.write(root, made_runs.budget_entries(4), "prefill", f"budget0{n}") for n in (1, 2)
    ]
    said = texts(opened("pages/compare.py", a=made[0].name, b=made[1].name))
    assert "A budget or a search left out" in said and "not of the whole text" in said
