"""Explore where something is missing, of another kind, or named wrongly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import NumberInput

from kl_core.store import runs
from kl_core.store.runs import Status
from kl_core.ui import prompt_table
from tests.pages.conftest import opened, picker, texts
from tests.ui import made_runs


def test_the_address_names_the_run_even_where_there_is_no_table(root: Path) -> None:
    """A run without prompts, or one that has only begun, is what Copy link copies."""
    planted, empty = made_runs.planted(root, prompts=4), made_runs.empty(root)
    begun = runs.create_run(root, "score", {"request": {}}, "begun001")
    runs.write_status(begun, Status(state="cancelled", updated=time.time()))
    app = opened(run=planted.name)
    for run in (empty, begun):
        picker(app, "Run").set_value(run.name).run()
        assert dict(app.query_params) == {"run": run.name}


def test_a_link_into_nowhere_says_what_is_not_there(root: Path) -> None:
    """Prompt, response, position and measure that do not exist are named, once."""
    name = made_runs.planted(root).name
    assert "prompt 99" in texts(opened(run=name, prompt="99"))
    assert "response 7" in texts(opened(run=name, prompt="3", response="7"))
    assert "position 400" in texts(opened(run=name, prompt="3", response="0", position="400"))
    app = opened(run=name, measure="beauty", prompt="first")
    assert "measure beauty" in texts(app) and "prompt first" in texts(app)
    picker(app, "Response").set_value(2).run()
    assert "not here" not in texts(app)
    assert "not here" not in texts(opened(run=name, prompt="7", response="2", position="11"))


def test_a_search_without_the_open_prompt_opens_its_first_match(root: Path) -> None:
    """The right side shows something that was found, and the counts say how much was."""
    name = made_runs.planted(root).name
    app = opened(run=name)
    assert app.query_params["prompt"] == "3"
    app.text_input(key="pick_search").set_value("story number 7 ").run()
    assert app.query_params["prompt"] == "7"
    assert "1 of 14 prompts" in texts(app)
    app.text_input(key="pick_search").set_value("").run()
    assert "14 prompts" in texts(app) and "1 of" not in texts(app)


def test_the_table_opens_at_the_page_of_the_linked_prompt(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt far down the order is in the table, not only beside it."""
    monkeypatch.setattr(prompt_table, "PAGE_ROWS", 5)
    name = made_runs.planted(root).name
    assert page_of(opened(run=name, prompt="3")).value == 1
    app = opened(run=name, prompt="2")
    assert page_of(app).value > 1
    page_of(app).set_value(1).run()
    assert page_of(app).value == 1


def page_of(app: AppTest) -> NumberInput:
    """The picker of the table's page."""
    return next(one for one in app.number_input if one.label.startswith("Page"))


def test_filters_leave_their_prompts_and_stand_in_the_address(root: Path) -> None:
    """A bound and an order from the address hold, are shown, and can be let go of."""
    name = made_runs.planted(root).name
    app = opened(run=name, range="max_kl:3:", sort="max_kl", order="asc")
    assert "1 of 14 prompts" in texts(app)
    assert app.query_params["prompt"] == "3"
    assert picker(app, "Sort prompts by").value == "max_kl"
    assert app.query_params["range"] == "max_kl:3:" and app.query_params["order"] == "asc"
    next(button for button in app.button if button.label == "Show all prompts").click().run()
    assert "range" not in app.query_params and "1 of" not in texts(app)
    assert app.query_params["sort"] == "max_kl"


def test_the_other_way_round_starts_with_the_lowest(root: Path) -> None:
    """The arrow turns the order, and a second click turns it back."""
    app = opened(run=made_runs.planted(root).name)
    highest = [row["prompt_id"] for row in shown(app)]
    app.button(key="turn_order").click().run()
    assert app.query_params["order"] == "asc"
    assert [row["prompt_id"] for row in shown(app)] == highest[::-1]
    app.button(key="turn_order").click().run()
    assert "order" not in app.query_params


def shown(app: AppTest) -> list[dict[str, Any]]:
    """The rows of the prompt table, told apart by their text."""
    frame = app.dataframe[0].value
    return [{"prompt_id": text} for text in frame["prompt"]]


def test_bounds_that_say_nothing_filter_nothing(root: Path) -> None:
    """What an address makes up as a bound is left aside."""
    name = made_runs.planted(root).name
    for text in ("max_kl::", "prompt:1:2", "x", "max_kl:nan:", "mean_kl:a:b"):
        assert "1 of" not in texts(opened(run=name, range=text))


def test_whole_vocabularies_offer_no_bounds_or_estimates(root: Path) -> None:
    """A compare run is exact: nothing to certify, nothing censored, no such choices."""
    made_runs.full(root)
    app = opened()
    offered = [*picker(app, "Colour by").options, *picker(app, "Sort prompts by").options]
    assert not [option for option in offered if "≥" in option or "censored" in option]
    assert any("KL(2‖1)" in option for option in offered)


def test_responses_without_any_logprobs_lead_to_compare(root: Path) -> None:
    """Nothing is claimed to be shown; the way that needs only the text is there to copy."""
    made_runs.without_logprobs(root)
    app = opened()
    said = texts(app)
    assert "shows its surprisal" not in said
    assert "nothing to draw" in said
    assert said.count("no log-probabilities came back") == 1
    assert "python -m kl_core compare" in app.code[0].value
    assert not [button for button in app.button if button.label == "Score these"]


def test_a_failed_run_with_nothing_kept_promises_nothing(root: Path) -> None:
    """Neither the sentence nor the colour of the buttons says that there is something."""
    run_dir = runs.create_run(root, "score", {"request": {}, "title": "mine"}, "failed01")
    failed = Status(state="failed", error="no such model", updated=time.time())
    runs.write_status(run_dir, failed)
    app = opened("pages/runs.py")
    assert "Nothing was finished yet" in texts(app)
    assert not [b.label for b in app.button if b.proto.type == "primary"]


def test_the_charts_open_on_the_response_that_the_prompts_would_open(root: Path) -> None:
    """A link to the charts and a click on Prompts show the same response."""
    name = made_runs.planted(root).name
    app = opened(run=name, view="charts")
    assert app.query_params["prompt"] == "3" and app.query_params["response"] == "0"
