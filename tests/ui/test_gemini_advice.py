"""When the page says online and when it says batch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kl_core.ui import gemini_advice
from tests.ui.made_calls import PLAN


def advise(dollars: float | None, seconds: float | None = 60.0, **more: bool) -> str:
    """Advice for an online plan."""
    return gemini_advice.advise(replace(PLAN, seconds=seconds), dollars, **more)


def test_a_cheap_and_quick_run_stays_online() -> None:
    """A few cents are not worth a queue."""
    said = advise(0.38)
    assert said.startswith("Online fits: 60 s or more")
    assert "save only about $0.19" in said and "72 hours" in said


def test_a_dear_run_hears_what_a_batch_would_save() -> None:
    """Half the price, in dollars."""
    said = advise(400.0, 600.0)
    assert said.startswith("A batch would save about $200.00, but may queue")
    assert "Online takes 10 min or more." in said


def test_a_long_run_hears_of_rate_limits_too() -> None:
    """Hours online are a reason by themselves, at a known price or not."""
    assert "save about $4.00 and meet no rate limits" in advise(8.0, 7200.0)
    assert advise(None, 7200.0).startswith("A batch would meet no rate limits")


def test_a_batch_without_a_project_is_said_to_need_one() -> None:
    """The Developer API has no batches here."""
    assert "needs a project on Vertex AI" in advise(400.0, vertex=False)
    assert "needs a project" not in advise(400.0)


def test_a_search_can_only_be_asked_online() -> None:
    """Its rounds have no counterpart in a batch; a share of the positions has."""
    assert "the way to search for the top prompts" in advise(400.0, search=True)
    assert "share of the positions, but not search" in gemini_advice.GENERAL["batch"]


def test_free_calls_are_not_said_to_save() -> None:
    """Nothing to save on a server of this machine, and no price nobody knows is made up."""
    for dollars in (0.0, None):
        said = advise(dollars)
        assert "save" not in said and "$" not in said


@pytest.mark.parametrize(
    ("dollars", "calls", "word"),
    [(0.2, 3_900, "Online is worth a look"), (300.0, 3_900_000, "A batch fits")],
)
def test_a_batch_hears_what_online_would_cost_and_take(
    dollars: float, calls: int, word: str
) -> None:
    """As much again, and the time at the probe's latency."""
    plan = replace(PLAN, mode="batch", seconds=None, calls=calls)
    said = gemini_advice.advise(plan, dollars)
    assert said.startswith(word)
    assert f"${dollars:.2f} more" in said
    hours = calls * 0.52 / 50
    assert ("41 s" if hours < 90 else "11 h 16 min") in said


def test_a_batch_of_unknown_price_and_latency_claims_neither() -> None:
    """No figure that was not measured or given."""
    plan = replace(PLAN, mode="batch", seconds=None, latency_s=None)
    said = gemini_advice.advise(plan, None)
    assert said == "Online would cost twice as much; a batch may queue for up to 72 hours."
