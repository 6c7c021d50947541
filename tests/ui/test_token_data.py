"""What the token view is given."""

import json
import math

import pyarrow as pa
import pytest

from kl_core.store import schema
from kl_core.ui import token_data
from kl_core.ui.token_data import (
    BREAK,
    CENSORED,
    CONTINUES,
    MEASURES,
    PARAGRAPH,
    SPAN,
    SPAN_FIRST,
    SPAN_LAST,
    SPECIAL,
    UNSCORED,
)

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
    assert data["label"] == {"0": "<0xC3>", "1": "<0xA9>"}


def test_labels_are_sent_only_where_the_text_does_not_tell_them() -> None:
    """A plain word, one with a space before it and a mark are told by the browser itself."""
    texts = ["word", " word", "\n", "   ", "\u202e", "x" * 80]
    table = rows(*({"token": text, "data": text.encode()} for text in texts))
    assert token_data.build(table, "kl", SUMMARY, "r")["label"] == {"5": "x" * 59 + "…"}


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
    """Raw responses know model 1 alone, whole vocabularies need no bound, lists have no JS."""
    assert token_data.measures_for({"measure": None}) == ["surprisal1", "entropy1", "rank1"]
    lists = token_data.measures_for({"measure": "floor", "mean_js": None, "mean_reverse": None})
    assert lists[:3] == ["kl", "kl_lower", "normalized"]
    assert not {"js", "kl_reverse"} & set(lists)
    whole = token_data.measures_for({"measure": "full", "mean_js": 0.1, "mean_reverse": 0.2})
    assert {"js", "kl_reverse"} < set(whole) and "kl_lower" not in whole
    data = token_data.build(rows({}), "kl", SUMMARY | {"measure": "full"}, "r")
    assert data["lower"] is None and data["values"] == [0.5]
    assert token_data.build(rows({}), "log_ratio", SUMMARY, "r")["kl"] == [0.5]


def test_every_measure_is_explained_in_one_line_and_named_apart() -> None:
    """No label twice, no help without an end, no help that breaks a line."""
    assert len({measure.label for measure in MEASURES.values()}) == len(MEASURES)
    for measure in MEASURES.values():
        assert measure.help.endswith(".") and "\n" not in measure.help


def test_estimates_and_bounds_carry_their_sign_and_exact_figures_none() -> None:
    """≈ before KL from lists, ≥ before the bound, nothing over whole vocabularies."""
    table = rows({})
    assert token_data.build(table, "kl", SUMMARY, "r")["sign"] == "≈ "
    assert token_data.build(table, "kl_lower", SUMMARY, "r")["sign"] == "≥ "
    assert token_data.build(table, "log_ratio", SUMMARY, "r")["sign"] == ""
    exact = token_data.build(table, "kl", SUMMARY | {"measure": "full"}, "r")
    assert exact["sign"] == exact["kl_sign"] == ""


def test_the_normalised_value_is_shown_only_where_kl_is_large_enough() -> None:
    """Below the smallest KL it would divide noise by noise: no value, and a word why."""
    table = rows(
        {"kl": 0.5, "normalized": 0.25},
        {"kl": 0.0099, "normalized": 0.9},
        {"kl": 0.01, "normalized": 0.1},
        {"kl": None, "normalized": None, "reason": "no list"},
    )
    data = token_data.build(table, "normalized", SUMMARY, "r")
    assert data["values"] == [0.25, None, 0.1, None]
    assert data["reasons"] == {"1": "KL below 0.01 nats: no KL/(H1+H2)", "3": "no list"}


def test_model_2s_surprisal_and_ranks_are_read_as_they_are_stored() -> None:
    """−ln Q, whole ranks, and null where the token is outside the list."""
    table = rows({"rank2": 7}, {"rank2": None, "logprob2": None, "censored": True})
    assert token_data.build(table, "surprisal2", SUMMARY, "r")["values"] == [1.1, None]
    ranks = token_data.build(table, "rank2", SUMMARY, "r")
    assert ranks["values"] == [7, None]
    assert ranks["log"] and ranks["low"] == 1


def test_another_scale_changes_how_a_response_looks_but_not_what_it_is() -> None:
    """The browser keeps the tokens it drew (`id`) and only colours them anew (`look`)."""
    data = token_data.build(rows({}), "kl", SUMMARY, "r")
    shown = token_data.scale("kl", SUMMARY, "0.1:2")
    other = token_data.coloured(data, shown)
    assert other["id"] == data["id"] and other["look"] != data["look"]
    assert (other["low"], other["max"], other["said"]) == (0.1, 2.0, "yours")
    assert other["threshold"] == pytest.approx(0.1 + 1.9 / 4)


def test_a_span_says_which_positions_it_covers() -> None:
    """A position inside an alignment span has no KL of its own, and says why."""
    one = {"kl": None, "span_start": 0, "span_end": 2}
    table = rows(one, one | {"reason": "cut elsewhere"}, {})
    data = token_data.build(table, "kl", SUMMARY, "r")
    said = "aligned as one span with positions 0–1"
    assert data["reasons"] == {"0": said, "1": f"cut elsewhere; {said}"}
    spans = SPAN | SPAN_FIRST | SPAN_LAST
    assert [flag & spans for flag in data["flags"]] == [SPAN | SPAN_FIRST, SPAN | SPAN_LAST, 0]
