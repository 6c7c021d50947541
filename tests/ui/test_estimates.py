"""What the pages say of a run of which a budget left positions out."""

import pyarrow as pa
import pytest

from kl_core.plots import words
from kl_core.records import NOT_ASKED
from kl_core.store import queries
from kl_core.ui import (
    charts_captions,
    estimates,
    explain,
    explore_view,
    heat_grid,
    pair_data,
    prompt_table,
    response_header,
    response_text,
    table_request,
    token_cache,
    token_data,
    token_panel,
)
from kl_core.ui.reading_measures import MEASURES
from tests.ui import made_runs


@pytest.fixture(scope="module")
def cursor(tmp_path_factory):
    return queries.open_run(made_runs.budget(tmp_path_factory.mktemp("runs"))).cursor()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    run = made_runs.planted(tmp_path_factory.mktemp("plain"), prompts=4)
    return queries.open_run(run).cursor()


def response(cursor, prompt=2):
    return queries.responses(cursor, prompt).to_pylist()[0]


def test_one_line_says_that_means_are_estimates(cursor, plain):
    """And what is not; nothing where every position was asked."""
    said = estimates.caption(queries.summary(cursor))
    assert said.startswith("Estimates from 20.1 % of the calls (417 of 2,076 positions asked)")
    assert "95 % intervals" in said and "asked tokens only" in said
    assert estimates.caption(queries.summary(plain)) == ""


def test_prompts_without_an_estimate_are_told(cursor):
    """They are part of no mean; without any estimate there is none."""
    summary = queries.summary(cursor)
    said = estimates.caption(summary | {"est_missing": 2})
    assert said.endswith("2 prompts without an estimate left out.")
    assert "no mean" in estimates.caption(summary | {"est_of": None})


def test_the_runs_mean_stands_with_its_interval(cursor):
    """Not with ±: the interval is not symmetric."""
    said = explore_view.run_mean(queries.summary(cursor))
    assert said.startswith("mean KL ≈ 0.0492 (0.0") and "±" not in said


def test_an_interval_is_rounded_outwards():
    """No end promises more than was found."""
    row = {"est_low": 0.12389, "est_high": 0.4561}
    assert estimates.interval(row) == "0.123 – 0.457"
    assert estimates.interval({"est_low": None, "est_high": None}) == ""
    assert estimates.interval({"est_low": 0.0, "est_high": float("inf")}) == "0 – ∞"


def test_the_header_names_the_estimate_and_how_many_were_asked(cursor):
    """Extremes are of the asked tokens."""
    shown = {label: value for value, label, _ in response_header.stats(response(cursor), "floor")}
    assert shown["mean KL, estimate, nats"].startswith("≈ 0.754 (0 – ")
    assert shown["tokens asked"] == "14 of 68"
    assert shown["mean KL, certified, nats"].startswith("≥ ")
    assert {"max asked", "median asked"} < shown.keys()


def test_the_header_of_a_part_without_an_estimate_shows_no_mean(cursor):
    """Only what the asked tokens are."""
    row = response(cursor) | {"est_of": None, "mean_kl": None, "mean_lower": None}
    labels = [label for _, label, _ in response_header.stats(row, "floor")]
    assert labels == ["max asked", "median asked", "tokens asked"]


def test_the_picker_marks_an_estimate(cursor, plain):
    """≈ where the mean is one."""
    assert "KL ≈ 0.754" in response_text.label(response(cursor), 3)
    assert "≈" not in response_text.label(response(plain), 3)


def test_the_table_shows_the_interval_beside_the_mean(cursor, plain):
    """And the share that was asked, not the maximum; other runs as ever."""
    summary = queries.summary(cursor)
    table = prompt_table._with_intervals(queries.prompts(cursor))
    request = table_request.TableRequest("mean_kl", True, queries.EVERY, "floor", True)
    shown = prompt_table.columns_shown(request, table)
    assert shown == ["mean_kl", "interval", "spark", "prompt", "asked"]
    first = table.slice(0, 1).to_pylist()[0]
    assert first["interval"].startswith("0 – 0.66") and first["asked"] == 45 / 219
    assert set(shown) <= prompt_table._config(request, 1.0, summary, shown).keys()
    other = table_request.TableRequest("mean_kl", True, queries.EVERY, "floor")
    assert "interval" not in prompt_table.columns_shown(other, queries.prompts(plain))


def test_figures_say_which_tokens_they_are_of(cursor, plain):
    """Every figure that is of the asked tokens alone says so; means are called estimates."""
    figures = table_request.figures_of(queries.summary(cursor))
    assert figures["max_kl"].help.endswith("Of the asked tokens only.")
    assert "estimated" in figures["mean_kl"].help and "counts as 0" in figures["mean_lower"].help
    assert "est_low" in figures
    whole = table_request.figures_of(queries.summary(plain))
    assert whole["max_kl"] == table_request.FIGURES["max_kl"] and "est_low" not in whole


def tokens(cursor) -> pa.Table:
    return queries.tokens(cursor, response(cursor)["response_id"])


def test_what_was_not_asked_is_marked_apart_from_what_failed(cursor):
    """A flag of its own, and no reason a token: most of the text would carry one."""
    table = tokens(cursor)
    data = token_data.build(table, "kl", queries.summary(cursor), "x")
    reasons = table["reason"].to_pylist()
    for place, reason in enumerate(reasons):
        flag = data["flags"][place]
        assert bool(flag & token_data.NOT_ASKED) == (reason == NOT_ASKED)
        assert bool(flag & token_data.UNSCORED) == (reason not in (None, NOT_ASKED))
    assert list(data["reasons"]) == [str(len(reasons) - 1)]


def test_the_panel_says_calmly_that_model_2_was_not_asked(cursor):
    """Model 1's list is there; nothing calls it an error."""
    row = response(cursor)
    place = tokens(cursor)["reason"].to_pylist().index(NOT_ASKED)
    token = queries.token(cursor, row["response_id"], place)
    said = explain.sentences(token, "floor")
    assert said[0][0] == ("Model 2 was not asked here: ", True)
    assert "nothing is wrong" in said[0][1][0]
    panel = token_panel.data(token, "a", "b", "floor")
    assert panel["rows"] and panel["sum"] is None


def test_charts_say_whether_they_are_of_tokens_or_of_estimates(cursor, plain):
    """Tokens not asked are told from tokens without a value."""
    summary = queries.summary(cursor)
    facts = {"tokens": 2100, "infinite": 0, "missing": 1683}
    said = charts_captions.caption("relative", [], facts, summary)
    assert "Of the asked tokens only, and not drawn evenly." in said
    assert "1,659 tokens not asked; 24 tokens without a value left out." in said
    assert "counts with its estimate" in charts_captions.caption("entropy", [], facts, summary)
    assert words.asked_only("relative", queries.summary(plain)) == ""
    assert words.sign(summary | {"measure": "full"}) == "≈ "


def test_compared_tokens_that_a_run_did_not_ask_are_pale_too(cursor):
    """Not dotted as what failed."""
    columns = {
        name: [False]
        for name in ("censored_a", "censored_b", "special", "difference", "reason_a", "reason_b")
    }
    columns |= {"difference": [None], "reason_a": [None], "reason_b": [NOT_ASKED]}
    assert pair_data._flag(columns, 0, "word") == token_data.NOT_ASKED
    columns["reason_b"] = ["it failed"]
    assert pair_data._flag(columns, 0, "word") == token_data.UNSCORED


def test_measures_of_model_1_are_coloured_everywhere(cursor):
    """Its surprisal is known where model 2 was not asked."""
    data = token_data.build(tokens(cursor), "surprisal1", queries.summary(cursor), "x")
    assert None not in data["values"] and MEASURES["surprisal1"].unit == "nats"


def test_the_grid_tells_not_asked_from_not_known():
    """A cell of either has no colour, but says what it is."""
    row = {"values": [0.5, None, None], "asked": [True, False, True]}
    assert token_cache._values(row) == [0.5, heat_grid.NOT_ASKED, None]
