"""The reader's place and the address."""

from __future__ import annotations

from pathlib import Path

from tests.pages.conftest import opened
from tests.ui import made_runs


def test_a_late_address_of_a_moment_ago_does_not_undo_a_move(root: Path) -> None:
    """A browser that answers with the address from before the last move changes nothing."""
    name = made_runs.planted(root).name
    app = opened(run=name)
    late = {key: str(app.query_params[key]) for key in ("run", "prompt", "position", "measure")}
    late["response"] = app.query_params["response"]
    picker = next(box for box in app.selectbox if box.label == "Response")
    picker.set_value(2).run()
    assert app.query_params["response"] == "2"
    for key, value in late.items():
        app.query_params[key] = value
    app.run()
    assert app.query_params["response"] == "2"


def test_an_address_from_elsewhere_is_followed(root: Path) -> None:
    """A link opened in the same session leads to its place."""
    name = made_runs.planted(root).name
    app = opened(run=name)
    app.query_params["prompt"] = "9"
    app.query_params["position"] = "4"
    app.run()
    assert app.query_params["prompt"] == "9" and app.query_params["position"] == "4"
