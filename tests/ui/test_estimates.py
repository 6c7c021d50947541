"""What the pages say of a run of which a budget left positions out."""

import pyarrow as pa
import pytest

from kl_core.plots import words
from kl_core.records import NOT_ASKED
from kl_core.store import pair_difference, pair_sums, queries, run_pairs
from kl_core.store.pair_figures import prompts_query
from kl_core.store.token_tables import top_tokens_query
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
    tokens_data,
)
from kl_core.ui.colour_scale import Scale
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
    assert "unbiased estimates with 95 % intervals (taking 20 nats as the most" in said
    assert said.endswith("by token, word or position describes the asked tokens only.")
    assert estimates.caption(queries.summary(plain)) == ""


def test_prompts_without_an_estimate_are_told(cursor):
    """The run has no mean then; without any estimate no prompt has."""
    summary = queries.summary(cursor) | {"est_of": None}
    said = estimates.caption(summary | {"est_missing": 2})
    assert said.startswith("2 prompts without an estimate, so the run has none")
    assert "no mean" in estimates.caption(summary | {"est_cap": None})


def test_the_answer_of_a_search_is_told(tmp_path):
    """Who was found, who settled it, how many are left; before its end, what will appear."""
    run = made_runs.searched(tmp_path, 2)
    summary, request = queries.summary(queries.open_run(run).cursor()), {"top_prompts": 2}
    said = estimates.caption(summary, request)
    assert said.startswith(
        "The 2 most divergent prompts stand first. A 3rd was asked in full to settle the ranking. "
        "4 fell behind and have no mean; nor has the run."
    )
    assert "unbiased" not in said
    assert "given it up or found it" in estimates.caption(summary, request, over=False)
    assert "left none out" in estimates.caption(summary | {"est_missing": 0}, request)


def test_a_search_with_a_budget_tells_its_intervals_and_no_mean_of_the_run(tmp_path):
    """The mean of the winners is not the run's."""
    run = made_runs.searched(tmp_path, 2, budget=0.3)
    summary = queries.summary(queries.open_run(run).cursor())
    said = estimates.caption(summary, {"top_prompts": 2, "budget": 0.3})
    assert "5 fell behind and have no mean" in said and "unbiased estimates" in said
    assert explore_view.run_mean(summary) == ""


def test_prompts_of_a_search_sort_by_mean_though_the_run_has_none(tmp_path):
    """The order that answers the search is there, and first."""
    for budget in (None, 0.3):
        root = tmp_path / str(budget)
        cursor = queries.open_run(made_runs.searched(root, 2, budget)).cursor()
        summary = queries.summary(cursor)
        assert summary["mean_kl"] is None
        assert next(iter(table_request.figures_of(summary))) == "mean_kl"
        means = queries.prompts(cursor, "mean_kl")["mean_kl"].to_pylist()
        assert means[0] is not None and means[-1] is None


def test_charts_of_a_search_are_not_of_the_run(tmp_path):
    """They hold the responses that were chosen because they differ most."""
    summary = queries.summary(queries.open_run(made_runs.searched(tmp_path, 2)).cursor())
    said = words.asked_only("provider", summary)
    assert said.startswith("Only the 3 responses asked in full") and "not the mean of" in said
    assert "a search kept" in words.asked_only("relative", summary)
    drawn = queries.summary(queries.open_run(made_runs.searched(tmp_path / "b", 2, 0.3)).cursor())
    assert "this is not the mean of the run" in words.asked_only("provider", drawn)


def test_two_intervals_of_one_number_say_which_is_which(cursor):
    """Over other draws under Prompts, over other prompts by group."""
    summary = queries.summary(cursor)
    assert explore_view.run_mean(summary).endswith(") over draws")
    assert "over other prompts like these" in words.asked_only("provider", summary)
    assert "over other prompts" not in words.asked_only("length", summary)


def test_what_was_asked_tells_runs_of_the_same_models_apart():
    """Share, seed and how many prompts are looked for; nothing for a whole run."""
    assert estimates.asked_for({"budget": 0.2, "seed": 3, "top_prompts": 4}) == [
        "20 %",
        "seed 3",
        "top 4",
    ]
    assert estimates.asked_for({"budget": None, "seed": 3, "top_prompts": None}) == []


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
    assert "drawn by chance" in said[0][1][0] and "wrong" not in said[0][1][0]
    panel = token_panel.data(token, "a", "b", "floor")
    assert panel["rows"] and panel["sum"] is None and not panel["second"]
    lost = row | {"est_of": None}
    why = estimates.why_not_asked(lost, {"top_prompts": 3})
    said = token_panel.data(token, "a", "b", "floor", (), why)["sentences"]
    assert said[0][1][0] == "the search gave this prompt up early. It has no mean."
    assert "chance" not in estimates.why_not_asked(lost, {})
    assert estimates.why_not_asked(row, {"top_prompts": 3}) == estimates.NOT_DRAWN


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
    columns["censored_a"] = [True]  # of A alone: nothing is compared, so nothing is bounded
    assert pair_data._flag(columns, 0, "word") == token_data.NOT_ASKED
    columns["censored_a"] = [False]
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


def test_words_of_a_part_are_of_the_asked_tokens(cursor):
    """Sums and means say so, and there is no share of a whole that nobody knows."""
    part = {
        one["name"]: one["head"] for one in tokens_data.group_columns("total", True, "floor", True)
    }
    assert (part["total"], part["mean"]) == ("total asked", "mean asked") and "share" not in part
    whole = {one["name"]: one["head"] for one in tokens_data.group_columns("total", True, "floor")}
    assert whole["total"] == "total" and "share" in whole


def test_a_token_whose_estimate_runs_low_says_so(cursor):
    """In the list of tokens as in the header."""
    rows = top_tokens_query("kl", limit=1).rows(cursor)
    scale = Scale(0.0, 1.0, 0.5, "")
    high = rows[0] | {"kl_lower": rows[0]["kl"] * 2}
    low = rows[0] | {"kl_lower": rows[0]["kl"] / 2}
    said = tokens_data.token_rows([high, low], "kl", scale)
    assert said[0]["titles"] == {"score": tokens_data.LOW, "bound": tokens_data.LOW}
    assert said[1]["titles"] == {}


def test_comparing_tells_how_many_tokens_both_runs_asked(tmp_path):
    """No difference is claimed for the rest of the text."""
    one, two = (made_runs.budget(tmp_path / name, 4) for name in "ab")
    pair = run_pairs.open_pair(one, two).cursor()
    found = pair_difference.difference(
        "mean_kl",
        prompts_query("mean_kl").table(pair),
        pair_sums.sums_query().table(pair),
        run_pairs.heads_query().rows(pair),
    )
    said = pair_difference.verdict(found)
    assert said == f"No difference at the {found.known} tokens both runs asked (20 % of the text)."
