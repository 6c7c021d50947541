"""The charts' tables against the same figures written out in NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kl_core.plots.registry import CHARTS
from kl_core.store import chart_queries, chart_tables, queries
from kl_core.ui import charts_captions
from tests.plots import charted
from tests.plots.charted import Tokens, mean_and_error

ROUND = {"rel": 1e-9, "abs": 1e-12}


@pytest.fixture(scope="module")
def made():
    return charted.entries()


@pytest.fixture(scope="module")
def tokens(made):
    return Tokens(made)


@pytest.fixture(scope="module")
def run_dir(made, tmp_path_factory):
    return charted.write(tmp_path_factory.mktemp("charts"), made)


@pytest.fixture
def cursor(run_dir):
    return charted.cursor(run_dir)


def check(row, tokens, chosen):
    """A row's mean, error and counts are those of the chosen tokens."""
    value = tokens.value[chosen]
    mean, error = mean_and_error(value, tokens.prompt[chosen])
    assert row["mean"] == pytest.approx(mean, **ROUND)
    assert row["se"] == (error if error is None else pytest.approx(error, **ROUND))
    assert row["tokens"] == chosen.sum()
    assert row["with_value"] == np.isfinite(value).sum()
    assert row["infinite"] == np.isinf(value).sum()
    assert row["missing"] == np.isnan(value).sum()


def check_top(row, tokens, chosen):
    """The highest token of a row is the first of the highest chosen ones."""
    order = np.where(chosen & ~np.isnan(tokens.value), tokens.value, -np.inf)
    best = int(np.argmax(order))
    place = (tokens.prompt[best], tokens.slot[best], tokens.position[best])
    assert (row["top_prompt"], row["top_slot"], row["top_position"]) == place
    assert row["top_value"] == tokens.value[best]


def test_facts_count_every_token_once(cursor, tokens):
    """Finite, infinite and missing tokens add up; the total is over the finite ones."""
    facts = chart_queries.facts(cursor)
    finite = np.isfinite(tokens.value)
    assert facts["metric"] == "kl"
    assert (facts["tokens"], facts["n"]) == (len(tokens.value), finite.sum())
    assert facts["infinite"] == 1
    assert facts["missing"] == np.isnan(tokens.value).sum() > 0
    assert facts["total"] == pytest.approx(tokens.value[finite].sum(), **ROUND)


def test_means_along_responses_and_their_errors_are_those_of_the_formula(cursor, tokens):
    """Twenty bins of position over length; errors clustered by prompt."""
    rows = chart_queries.relative_query().rows(cursor)
    bins = tokens.position * chart_tables.RELATIVE_BINS // tokens.length
    assert [round(row["low"] * 20) for row in rows] == sorted(set(bins.tolist()))
    for row in rows:
        chosen = bins == round(row["low"] * 20)
        check(row, tokens, chosen)
        check_top(row, tokens, chosen)


def test_buckets_of_the_highest_probability_hold_their_tokens_and_shares(cursor, tokens):
    """Lower edges belong to their bucket; shares of tokens and of the KL each add up to 1."""
    rows = chart_queries.probability_query().rows(cursor)
    total = tokens.value[np.isfinite(tokens.value)].sum()
    for row in rows:
        above = tokens.top < row["high"] if row["high"] < 1 else np.full(len(tokens.top), True)
        chosen = (tokens.top >= row["low"]) & above
        check(row, tokens, chosen)
        check_top(row, tokens, chosen)
        held = tokens.value[chosen][np.isfinite(tokens.value[chosen])].sum() / total
        assert row["share_total"] == pytest.approx(held, **ROUND)
    assert sum(row["share_tokens"] for row in rows) == pytest.approx(1)
    assert sum(row["share_total"] for row in rows) == pytest.approx(1)


def _without_lists(entry):
    """The entry, every third position of it without a list of model 1."""
    scored = tuple(
        replace(
            one,
            response=replace(
                one.response,
                positions=tuple(
                    replace(here, dist=None) if place % 3 == 0 else here
                    for place, here in enumerate(one.response.positions)
                ),
            ),
        )
        for one in entry.responses
    )
    return replace(entry, responses=scored)


def test_tokens_without_a_list_of_model_1_are_a_row_without_edges(tmp_path, made, tokens):
    """They are counted last, with their mean and error, so that shares still add up to 1."""
    there = charted.write(tmp_path, [_without_lists(entry) for entry in made])
    rows = chart_queries.probability_query().rows(charted.cursor(there))
    without = tokens.position % 3 == 0
    assert [row["low"] is None for row in rows] == [False] * (len(rows) - 1) + [True]
    check(rows[-1], tokens, without)
    check_top(rows[-1], tokens, without)
    assert sum(row["tokens"] for row in rows) == len(tokens.value)
    assert sum(row["share_tokens"] for row in rows) == pytest.approx(1)
    assert sum(row["share_total"] for row in rows) == pytest.approx(1)
    said = charts_captions.caption("probability", rows, {"infinite": 0, "missing": 0}, {})
    assert f"{without.sum()} tokens without a list of model 1 not drawn" in said


def test_groups_are_told_by_their_exact_name_also_the_nameless(cursor, made, tokens):
    """A provider's row holds the tokens of its responses; responses without one are a row."""
    providers = [one.response.provider for entry in made for one in entry.responses]
    of_token = np.array(providers, dtype=object)[tokens.response]
    rows = chart_queries.groups_query("provider").rows(cursor)
    assert {row["name"] for row in rows} == {"Alpha", charted.HOSTILE, None}
    for row in rows:
        check(row, tokens, np.array([name == row["name"] for name in of_token]))
        assert row["responses"] == providers.count(row["name"])
    assert len(chart_queries.groups_query("model").rows(cursor)) == 2
    assert len(chart_queries.groups_query("finish_reason").rows(cursor)) == 2


def _responses(tokens):
    """(response, prompt, mean, length) of each response with a value."""
    rows = []
    for number in sorted(set(tokens.response.tolist())):
        own = tokens.response == number
        value = tokens.value[own]
        rows.append((number, tokens.prompt[own][0], value[np.isfinite(value)].mean(), own.sum()))
    return rows


def test_points_are_the_responses_and_bins_their_means(cursor, tokens):
    """Every response of a small run is a point; bins never split equal lengths."""
    rows = chart_queries.scatter_query("length").rows(cursor)
    points = {row["response_id"]: row for row in rows if row["kind"] == "response"}
    bins = [row for row in rows if row["kind"] == "bin"]
    expected = _responses(tokens)
    assert len(points) == len(expected) == 16
    for number, prompt, mean, length in expected:
        assert points[number]["mean"] == pytest.approx(mean, **ROUND)
        assert (points[number]["x"], points[number]["prompt_id"]) == (length, prompt)
    assert sum(row["responses"] for row in bins) == 16
    for row in bins:
        lengths = sorted(set(charted.LENGTHS))
        inside = _of_bin(expected, row, lengths)
        mean, error = mean_and_error(
            np.array([one[2] for one in inside]), np.array([one[1] for one in inside])
        )
        assert row["mean"] == pytest.approx(mean, **ROUND)
        assert row["se"] == pytest.approx(error, **ROUND)


def _of_bin(expected, row, lengths):
    """The responses of a bin: the run of lengths whose count and mean length it tells."""
    for start in range(len(lengths)):
        for end in range(start + 1, len(lengths) + 1):
            inside = [one for one in expected if one[3] in lengths[start:end]]
            mean = np.mean([one[3] for one in inside])
            if len(inside) == row["responses"] and mean == pytest.approx(row["x"]):
                return inside
    raise AssertionError(row)


def test_of_many_responses_the_highest_are_drawn_and_a_fixed_sample(tmp_path, monkeypatch):
    """Beyond the limit the highest stay; the sample of the others never changes."""
    monkeypatch.setattr(chart_tables, "HIGHEST_POINTS", 4)
    monkeypatch.setattr(chart_tables, "SAMPLED_POINTS", 5)
    scatter = chart_tables._scatter()
    made = charted.entries(12, infinite=False)
    drawn = []
    for place in ("a", "b"):
        there = charted.write(tmp_path / place, made, build=False)
        at = charted.cursor(there)
        at.execute("DROP TABLE chart_scatter").fetchall()
        at.execute(chart_tables.RESPONSES).fetchall()
        at.execute(scatter).fetchall()
        rows = chart_queries.scatter_query("entropy").rows(at)
        drawn.append([row["response_id"] for row in rows if row["kind"] == "response"])
        assert sum(row["responses"] for row in rows if row["kind"] == "bin") == 24
    highest = sorted(_responses(Tokens(made)), key=lambda one: -one[2])[:4]
    assert len(drawn[0]) == 9
    assert {one[0] for one in highest} <= set(drawn[0])
    assert drawn[0] == drawn[1]


def test_the_highest_tokens_hold_exactly_the_share_that_is_stored(cursor, tokens):
    """At each stored count the sum of that many highest values, ties or not."""
    ranked = np.sort(tokens.value[np.isfinite(tokens.value)])[::-1]
    rows = chart_queries.cumulative_query().rows(cursor)
    counts = [row["tokens"] for row in rows]
    assert counts[0] == 1
    assert counts[-1] == len(ranked)
    assert int(np.ceil(len(ranked) * 0.01)) in counts
    for row in rows:
        held = ranked[: row["tokens"]].sum() / ranked.sum()
        assert row["share_total"] == pytest.approx(held, **ROUND)
        assert row["value"] == ranked[row["tokens"] - 1]
        assert row["share_tokens"] == row["tokens"] / len(ranked)


def test_the_histogram_comes_with_the_percentiles_of_the_run(cursor, tokens):
    """Bins count every token with a value; percentiles are NumPy's over the finite ones."""
    rows = chart_queries.histogram_query().rows(cursor)
    known = tokens.value[~np.isnan(tokens.value)]
    assert sum(row["tokens"] for row in rows if row["kind"] == "bin") == len(known)
    finite = known[np.isfinite(known)]
    for row in rows:
        if row["kind"] == "percentile":
            assert row["low"] == pytest.approx(np.quantile(finite, row["share"]))
    assert [r["share"] for r in rows if r["kind"] == "percentile"] == [0.5, 0.9, 0.99, 0.999]


def test_without_a_second_model_the_charts_are_of_surprisal(tmp_path):
    """A run of raw responses has the same tables over −ln P of its tokens."""
    made = charted.entries(4, raw=True)
    at = charted.cursor(charted.write(tmp_path, made))
    tokens = Tokens(made, raw=True)
    assert chart_queries.facts(at)["metric"] == "surprisal1"
    for row in chart_queries.relative_query().rows(at):
        check(row, tokens, tokens.position * 20 // tokens.length == round(row["low"] * 20))
    values = chart_queries.position_query(1).table(at)["value"].to_pylist()
    assert values == pytest.approx(tokens.value[tokens.response == 1])


def test_a_live_run_has_the_same_charts_as_the_finished_one(tmp_path, made):
    """Every chart's rows over the parts equal those of the database."""
    there = charted.write(tmp_path, made, build=False)
    live = queries.open_run(there)
    assert live.live
    finished = charted.cursor(charted.write(tmp_path / "done", made))
    for name, chart in CHARTS.items():
        assert _rounded(chart.query().rows(live.cursor())) == _rounded(
            chart.query().rows(finished)
        ), name


def _rounded(rows):
    return [{k: f"{v:.9g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def test_a_run_without_responses_has_empty_charts(tmp_path):
    """Nothing to draw is no error: every query answers, with no rows of values."""
    at = charted.cursor(charted.write(tmp_path, []))
    assert chart_queries.facts(at)["tokens"] == 0
    for chart in CHARTS.values():
        assert [row for row in chart.query().rows(at) if row.get("tokens")] == []


def test_the_open_response_is_the_asked_one_or_the_most_divergent(cursor, tokens):
    """Without a prompt the response of highest mean; with one its own; none where there is none."""
    assert chart_queries.open_response_query(3, 1).row(cursor)["response_id"] == 7
    own = chart_queries.open_response_query(3, None).row(cursor)
    means = {one[0]: one[2] for one in _responses(tokens)}
    assert own["response_id"] == max((6, 7), key=means.__getitem__)
    assert chart_queries.open_response_query(3, 9).row(cursor) is None


def test_of_equally_high_tokens_the_first_is_the_one_to_open(tmp_path):
    """Ties are settled by response and position, the same way each time."""
    flat = [
        replace(
            entry,
            responses=tuple(
                replace(one, measures=replace(one.measures, headline=one.measures.headline * 0))
                for one in entry.responses
            ),
        )
        for entry in charted.entries(infinite=False)
    ]
    tokens = Tokens(flat)
    rows = chart_queries.relative_query().rows(charted.cursor(charted.write(tmp_path, flat)))
    for row in rows:
        check_top(row, tokens, tokens.position * 20 // tokens.length == round(row["low"] * 20))
