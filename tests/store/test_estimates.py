"""Runs of which a budget let only some positions be asked: estimates from end to end."""

import json
import math
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from kl_core.cli.output import print_summary
from kl_core.formats.kl_results import ResultWriter, encode_result
from kl_core.formats.reader import read_entries
from kl_core.records import NOT_ASKED, CallStats, Estimate, ProblemLog
from kl_core.store import (
    chart_queries,
    estimates,
    pair_difference,
    queries,
    restore,
    results_zip,
    run_pairs,
    schema,
    spending,
)
from kl_core.store.build import build_database
from kl_core.store.summary import run_summary
from tests import factories
from tests.sources.run_reference import run_estimate
from tests.ui import made_runs


@pytest.fixture(scope="module")
def entries():
    return made_runs.budget_entries()


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, entries):
    return made_runs.write(tmp_path_factory.mktemp("runs"), entries, "prefill", "budget01")


def opened(run_dir):
    return queries.open_run(run_dir).cursor()


def made(tmp_path, entries, short="other001"):
    return made_runs.write(tmp_path, entries, "prefill", short)


def without(entry, responses=None):
    """The same prompt with its estimate lost, and those of some responses."""
    lost = [
        replace(one, estimate=None) if responses is None or n in responses else one
        for n, one in enumerate(entry.responses)
    ]
    return replace(entry, estimate=None, responses=tuple(lost))


def lower(scored):
    """Sum of the certified bounds over the asked positions."""
    values = scored.measures
    return values.lower[~np.isnan(values.headline)].sum()


@pytest.mark.parametrize("finished", [True, False])
def test_means_are_the_estimates_and_extremes_those_of_the_asked_tokens(
    tmp_path, entries, finished
):
    """Of a response and a prompt; total is estimate × of, a token not asked bounds as 0."""
    run = made(tmp_path, entries)
    if not finished:
        next(run.glob("*.duckdb")).unlink()
    cursor = opened(run)
    row = queries.responses(cursor, 2).to_pylist()[0]
    scored, values = entries[2].responses[0], entries[2].responses[0].measures.headline
    estimate = scored.estimate
    assert (row["mean_kl"], row["est_kl"]) == (estimate.mean, estimate.mean)
    assert (row["est_low"], row["est_high"]) == (estimate.low, estimate.high)
    assert (row["est_asked"], row["est_of"]) == (estimate.asked, estimate.of)
    assert row["total_kl"] == pytest.approx(estimate.mean * estimate.of)
    assert row["mean_lower"] == pytest.approx(lower(scored) / estimate.of)
    assert row["max_kl"] == np.nanmax(values) and row["median_kl"] == np.nanmedian(values)
    assert row["not_asked"] == scored.reasons.count(NOT_ASKED)
    prompt, whole = queries.prompt(cursor, 2), entries[2].estimate
    assert prompt["mean_kl"] == whole.mean and prompt["est_cap"] == whole.cap
    assert prompt["se_kl"] == pytest.approx(math.sqrt(whole.variance))
    assert prompt["mean_lower"] == pytest.approx(sum(map(lower, entries[2].responses)) / whole.of)


def test_a_response_opens_at_an_asked_token(run_dir, entries):
    """Not at one that surprised model 1 more, of which no KL is known."""
    row = queries.responses(opened(run_dir), 0).to_pylist()[0]
    values = entries[0].responses[0].measures.headline
    assert row["max_position"] == np.nanargmax(values)


@pytest.mark.parametrize("odd", [{}, {"variance": math.nan, "asked": 1}, {"high": math.inf}])
def test_the_runs_estimate_is_that_of_its_prompts(tmp_path, entries, odd):
    """Weighed by their positions, as the plain reference has it from the records."""
    given = [replace(entries[0], estimate=replace(entries[0].estimate, **odd)), *entries[1:]]
    found = queries.summary(opened(made(tmp_path, given)))
    wanted = run_estimate([entry.estimate for entry in given])
    assert found["mean_kl"] == found["est_kl"] == pytest.approx(wanted.mean)
    assert found["se_kl"] == pytest.approx(math.sqrt(wanted.variance))
    assert found["est_low"] == pytest.approx(wanted.low)
    assert found["est_high"] == pytest.approx(wanted.high)
    assert found["total_kl"] == pytest.approx(wanted.mean * wanted.of)
    assert (found["est_asked"], found["est_of"]) == (wanted.asked, wanted.of)
    assert (found["est_cap"], found["est_missing"]) == (wanted.cap, 0)
    total = sum(lower(one) for entry in given for one in entry.responses)
    assert found["mean_lower"] == pytest.approx(total / wanted.of)


def test_what_was_asked_everywhere_is_known_exactly(tmp_path, entries):
    """Estimates that left nothing out have no width."""
    sure = Estimate(0.3, 0.3, 0.3, 0.0, 50, 50, 20.0)
    whole = replace(entries[0], estimate=sure)
    found = queries.summary(opened(made(tmp_path, [whole])))
    assert found["est_low"] == found["est_high"] == found["mean_kl"] == 0.3
    assert found["se_kl"] == 0


def test_a_prompt_asked_everywhere_counts_with_its_tokens_and_no_variance(tmp_path, entries):
    """As a stratum that was taken whole."""
    whole = factories.entry(0, tokens=40)
    found = queries.summary(opened(made(tmp_path, [entries[2], whole])))
    values = np.concatenate([one.measures.headline for one in whole.responses])
    estimate = entries[2].estimate
    of = estimate.of + len(values)
    mean = (estimate.of * estimate.mean + values.sum()) / of
    assert found["mean_kl"] == pytest.approx(mean) and found["est_of"] == of
    assert found["est_asked"] == estimate.asked + len(values)
    assert found["se_kl"] == pytest.approx(estimate.of * math.sqrt(estimate.variance) / of)


def test_without_an_estimate_a_part_has_no_mean(tmp_path, entries):
    """A mean over the asked alone would follow how they were drawn."""
    run = made(tmp_path, [without(entries[0], {1}), *entries[1:]])
    cursor = opened(run)
    rows = queries.responses(cursor, 0).to_pylist()
    assert [row["mean_kl"] is None for row in rows] == [False, True, False]
    assert rows[1]["total_kl"] is None and rows[1]["mean_lower"] is None
    assert rows[1]["max_kl"] is not None
    prompt = queries.prompt(cursor, 0)
    assert prompt["mean_kl"] is None and prompt["se_kl"] is None
    found = queries.summary(cursor)
    assert found["est_missing"] == 1 and found["est_cap"] == 20
    gone = ("mean_kl", "total_kl", "mean_lower", "se_kl", "est_low", "est_high")
    assert [found[name] for name in (*gone, "est_of", "est_variance")] == [None] * 8
    nothing = queries.summary(opened(made(tmp_path, [without(entries[0])], "nothing1")))
    assert nothing["mean_kl"] is None and nothing["not_asked"] > 0
    assert nothing["est_low"] is None and nothing["se_kl"] is None


@pytest.mark.parametrize("budget", [None, 0.3])
def test_a_search_gives_the_run_no_mean(tmp_path, capsys, budget):
    """That of its winners would be far too high; the terminal names them and counts the rest."""
    run = made_runs.searched(tmp_path, 2, budget)
    summary = queries.summary(opened(run))
    assert summary["mean_kl"] is summary["est_kl"] is summary["est_of"] is None
    assert (summary["with_mean"], summary["est_missing"]) == ((2, 5) if budget else (3, 4))
    found = run_summary(run)
    assert found["estimate"] is found["mean_kl"] is None and found["searched_for"] == 2
    print_summary(found)
    said = capsys.readouterr().out
    assert "The 2 most divergent prompts:" in said and "mean ≈" not in said
    assert ("Also asked in full, to settle the ranking:" in said) == (budget is None)
    left = summary["est_missing"]
    assert f"{left} prompts fell behind and have no mean, nor has the run" in said
    assert ("95 %" in said) == (budget is not None)


def test_bounds_of_a_response_without_an_estimate_certify_nothing_of_the_prompt(tmp_path, entries):
    """What is known of it by chance is no part of what the prompt's estimate is of."""
    first, *others = entries[2].responses
    of = sum(one.estimate.of for one in others)
    estimate = replace(entries[2].estimate, of=of)
    part = replace(
        entries[2], responses=(replace(first, estimate=None), *others), estimate=estimate
    )
    prompt = queries.prompt(opened(made(tmp_path, [part])), 0)
    assert prompt["mean_lower"] == pytest.approx(sum(map(lower, others)) / of)


def test_prompts_sort_and_filter_by_the_lower_end(run_dir, entries):
    """What is safely divergent comes first."""
    ids = queries.prompt_order(opened(run_dir), "est_low")
    lows = [entries[n].estimate.low for n in ids]
    assert lows == sorted(lows, reverse=True)


def test_charts_of_responses_are_drawn_from_their_estimates(run_dir, entries):
    """A point's mean is the estimate; a provider's weighs responses by their positions."""
    cursor = opened(run_dir)
    points = chart_queries.scatter_query("length").rows(cursor)
    means = sorted(row["mean"] for row in points if row["kind"] == "response")
    every = [one.estimate for entry in entries for one in entry.responses]
    assert means == pytest.approx(sorted(one.mean for one in every))
    (provider,) = chart_queries.groups_query("provider").rows(cursor)
    total = sum(one.of * one.mean for one in every)
    assert provider["mean"] == pytest.approx(total / sum(one.of for one in every))
    assert provider["with_value"] == sum(one.of for one in every)
    assert chart_queries.facts(cursor)["n"] == sum(one.asked for one in every)


def test_result_files_come_back_byte_for_byte(run_dir, entries, tmp_path):
    """From the store, and in the zip exactly as `--output-dir` writes them."""
    again = list(restore.scored_entries(opened(run_dir)))
    assert again[3].estimate == entries[3].estimate
    assert [encode_result(one) for one in again] == [encode_result(one) for one in entries]
    writer = ResultWriter(tmp_path / "out")
    paths = [writer.write(entry) for entry in entries]
    zipped = results_zip.write(run_dir, tmp_path / "results.zip").path
    with zipfile.ZipFile(zipped) as archive:
        for path in paths:
            assert archive.read(path.name) == path.read_bytes()


def test_result_files_give_the_same_run_again(run_dir, entries, tmp_path):
    """Imported elsewhere, estimates are estimates, whatever of them is NaN or infinite."""
    odd = Estimate(0.5, 0.1, math.inf, math.nan, 1, 30, 20.0)
    given = [replace(entries[0], estimate=odd), *entries[1:]]
    writer = ResultWriter(tmp_path / "out")
    for entry in given:
        writer.write(entry)
    log = ProblemLog()
    read = list(read_entries(tmp_path / "out", None, log))
    assert not log.rows
    imported = made_runs.write(tmp_path, read, "import", "import01")
    prompt = queries.prompt(opened(imported), 0)
    assert (prompt["mean_kl"], prompt["est_high"], prompt["est_variance"]) == (0.5, math.inf, None)
    again = {one.entry.prompt: one for one in restore.scored_entries(opened(imported))}
    for entry in given:
        assert repr(again[entry.entry.prompt].estimate) == repr(entry.estimate)


def test_a_run_of_the_schema_before_opens_without_estimates(tmp_path):
    """Its parts lack the columns and its database says 2: it is read through its parts."""
    run = made_runs.planted(tmp_path, prompts=4)
    before = queries.prompts(opened(run)).to_pylist()
    for path in run.glob("parts/*.responses.parquet"):
        table = pq.read_table(path)
        names = [name for name in table.column_names if "est_" not in name]
        pq.write_table(table.select(names), path)
    next(run.glob("*.duckdb")).unlink()
    version, schema.SCHEMA_VERSION = schema.SCHEMA_VERSION, 2
    try:
        build_database(run)
    finally:
        schema.SCHEMA_VERSION = version
    cursor = opened(run)
    assert queries.prompts(cursor).to_pylist() == before
    assert queries.summary(cursor)["est_of"] is None
    assert all(row["est_kl"] is None for row in before)
    assert len(list(restore.scored_entries(cursor))) == 4


def test_the_summary_tells_calls_and_the_estimate(run_dir, entries, capsys):
    """As JSON and for a person: the interval, and from how many tokens."""
    spending.write_stats(run_dir, CallStats(made=400, reused=17, failed=1, retried=3))
    found = run_summary(run_dir)
    assert found["calls"] == {"made": 400, "reused": 17, "failed": 1, "retried": 3}
    assert found["estimate"]["mean_kl"] == found["mean_kl"] and found["estimate"]["cap"] == 20
    assert {"low", "high"} <= found["top_prompts"][0].keys()
    json.dumps(found, allow_nan=False)
    print_summary(found)
    said = capsys.readouterr().out
    assert f"estimated from {found['estimate']['asked']} of 2,076 tokens" in said
    assert "mean ≈ 0.0492 (0.0" in said and "(0 – 0.662)" in said


def test_a_run_asked_everywhere_has_no_estimate(tmp_path):
    """No interval, no other words, as ever."""
    found = run_summary(made_runs.planted(tmp_path, prompts=3))
    assert found["estimate"] is None and "low" not in found["top_prompts"][0]


def test_comparing_says_that_a_budget_left_tokens_out(run_dir, tmp_path, entries):
    """What both runs asked is all that is compared; nothing is claimed for the rest."""
    other = made(tmp_path, entries)
    cursor = run_pairs.open_pair(run_dir, other).cursor()
    said = " ".join(pair_difference.unlike(run_pairs.heads_query().rows(cursor)))
    assert (
        "A budget or a search left out 1,659 of 2,100 tokens in A and 1,659 of 2,100 tokens in B"
        in said
    )


@pytest.mark.parametrize("variance", [0.0, 2.5, math.nan])
def test_columns_of_an_estimate_give_it_back(variance):
    """Beside a prefix, NaN and infinities included."""
    given = Estimate(0.1, 0.0, math.inf, variance, 3, 7, 12.0)
    assert repr(estimates.from_columns(estimates.columns(given, "x_"), "x_")) == repr(given)
    assert estimates.from_columns(estimates.columns(None)) is None
