"""What the token view is given."""

import json
import math

import pyarrow as pa

from kl_core.store import schema
from kl_core.ui import token_data
from kl_core.ui.token_data import BREAK, CENSORED, CONTINUES, PARAGRAPH, SPECIAL, UNSCORED

SUMMARY = {"kl_scale_max": 4.0, "surprisal_scale_max": 8.0, "measure": "floor"}


def rows(*overrides: dict[str, object]) -> pa.Table:
    """Rows of `tokens`, one an override."""
    base = {
        "token": " a",
        "data": b" a",
        "special": False,
        "kl": 0.5,
        "kl_lower": 0.25,
        "log_ratio": 0.1,
        "logprob1": -1.0,
        "logprob2": -1.1,
        "censored": False,
    }
    made = [base | {"position": i} | row for i, row in enumerate(overrides)]
    return pa.Table.from_pylist(made, schema=schema.TOKENS)


def test_values_that_json_or_a_browser_cannot_hold_become_null_or_a_word() -> None:
    """NaN and missing are null, an infinite value is the string "inf"; the rest numbers."""
    table = rows({"kl": math.nan}, {"kl": None}, {"kl": math.inf}, {"kl": 0.123456789})
    data = token_data.build(table, "kl", SUMMARY, "r")
    assert data["values"] == [None, None, "inf", 0.123457]
    json.dumps(data, allow_nan=False)


def test_flags_tell_apart_what_the_reader_must_see() -> None:
    """Censored, not scored, special, line break and paragraph each have their mark."""
    table = rows(
        {"censored": True},
        {"kl": None, "log_ratio": None, "reason": "no list"},
        {"special": True, "token": "<|eot|>", "data": b""},
        {"token": "\n", "data": b"\n"},
        {"token": ".\n\n", "data": b".\n\n"},
    )
    data = token_data.build(table, "kl", SUMMARY, "r")
    assert data["flags"] == [CENSORED, UNSCORED, SPECIAL, BREAK, BREAK | PARAGRAPH]
    assert data["reasons"] == {"1": "no list"}


def test_a_split_character_is_whole_in_the_text() -> None:
    """The byte tokens that complete a character are marked as its continuation."""
    table = rows({"token": "<0xC3>", "data": b"\xc3"}, {"token": "<0xA9>", "data": b"\xa9"})
    data = token_data.build(table, "kl", SUMMARY, "r")
    assert data["text"] == ["é", ""]
    assert data["flags"] == [0, CONTINUES]
    assert data["label"] == ["<0xC3>", "<0xA9>"]


def test_the_scale_is_the_runs_and_not_the_responses() -> None:
    """Full colour is the run's maximum whatever this response holds."""
    low = token_data.build(rows({"kl": 0.01}), "kl", SUMMARY, "r")
    high = token_data.build(rows({"kl": 40.0}), "kl", SUMMARY, "r")
    assert low["max"] == high["max"] == 4.0
    assert low["threshold"] == 1.0


def test_raw_responses_show_surprisal_and_no_second_model() -> None:
    """Without a measure the values are −ln P, and nothing is said of a model 2."""
    table = rows({"logprob1": -2.5, "kl": None, "log_ratio": None, "logprob2": None})
    data = token_data.build(table, "surprisal1", SUMMARY | {"measure": None}, "r")
    assert data["values"] == [2.5]
    assert data["kl"] is None and data["logprob2"] is None
    assert data["flags"] == [0]


def test_what_a_run_can_be_coloured_by_depends_on_its_measure() -> None:
    """Raw responses have surprisal alone, whole vocabularies no certified bound."""
    assert token_data.measures_for(None) == ["surprisal1"]
    assert "kl_lower" in token_data.measures_for("floor")
    assert "kl_lower" not in token_data.measures_for("full")
    data = token_data.build(rows({}), "kl", SUMMARY | {"measure": "full"}, "r")
    assert data["lower"] is None and data["kl"] == [0.5]


def test_a_span_says_which_positions_it_covers() -> None:
    """A position inside an alignment span has no KL of its own, and says why."""
    table = rows({"kl": None, "span_start": 0, "span_end": 2})
    data = token_data.build(table, "kl", SUMMARY, "r")
    assert data["reasons"] == {"0": "aligned as one span with positions 0–1"}
