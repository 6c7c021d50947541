"""What calls cost."""

from __future__ import annotations

import json

import pytest

from kl_core.errors import InputError
from kl_core.sources.pricing import price_of


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "prices.json"
    models = {"flash": {"input": 1.0, "output": 4.0}, "flash-lite": {"input": 0.5, "output": 2.0}}
    path.write_text(json.dumps({"date": "2026-01-02", "batch_factor": 0.5, "models": models}))
    return path


def test_a_batch_costs_half(table):
    """Dollars per million tokens, with the date of the table."""
    online, batch = (price_of("flash", each, table=table) for each in (False, True))
    assert (online.input, online.output, online.date) == (1.0, 4.0, "2026-01-02")
    assert online.cost(1_000_000, 500_000) == 3.0
    assert batch.cost(1_000_000, 500_000) == 1.5


def test_a_version_has_its_models_price_and_a_sibling_its_own(table):
    """flash-lite is not flash."""
    assert price_of("flash-001", False, table=table).input == 1.0
    assert price_of("flash-lite", False, table=table).input == 0.5


def test_the_users_price_is_taken_as_it_is(table):
    """Halved by nobody; one price given leaves the other to the table."""
    given = price_of("flash", True, 3.0, None, table)
    assert (given.input, given.output) == (3.0, 2.0)


def test_an_unknown_model_has_no_price(table):
    """None, never 0."""
    assert price_of("something", False, table=table).cost(10, 10) is None


def test_a_broken_table_is_one_sentence(tmp_path):
    """It is there to be edited."""
    (tmp_path / "prices.json").write_text("{")
    with pytest.raises(InputError, match="price table"):
        price_of("flash", False, table=tmp_path / "prices.json")
