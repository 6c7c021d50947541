"""Which prompts a filter leaves, against the same conditions written out in Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kl_core import measures
from kl_core.errors import InputError
from kl_core.store import queries
from kl_core.store.build import build_database
from kl_core.store.filters import LENGTH, PromptFilter, Range
from kl_core.ui.filter_form import parse_range
from tests import factories
from tests.store.test_store import make_run


def named(entry, providers, finish="stop"):
    """The entry with its responses from these providers, in turn."""
    scored = tuple(
        replace(
            one,
            response=replace(
                one.response,
                provider=providers[n % len(providers)],
                finish_reason=finish if n == 0 else "length",
            ),
        )
        for n, one in enumerate(entry.responses)
    )
    return replace(entry, responses=scored)


@pytest.fixture(scope="module")
def cursor(tmp_path_factory):
    """Six prompts; providers alternate, prompt 5 alone has one from `<b>c</b>`."""
    entries = [factories.entry(number) for number in range(6)]
    entries = [named(e, ["a", "b"] if n % 2 else ["a"]) for n, e in enumerate(entries)]
    entries[5] = named(entries[5], ["<b>c</b>"], finish="stop'; DROP TABLE prompts; --")
    run_dir = make_run(tmp_path_factory.mktemp("filters"), entries)
    build_database(run_dir)
    return queries.open_run(run_dir).cursor()


def left(cursor, **conditions) -> list[int]:
    found = queries.prompt_order(cursor, "prompt_id", False, PromptFilter(**conditions))
    assert queries.prompt_count(cursor, PromptFilter(**conditions)) == len(found)
    return found


def test_no_condition_leaves_every_prompt(cursor) -> None:
    """An empty filter is false and leaves out nothing."""
    assert not PromptFilter()
    assert left(cursor) == [0, 1, 2, 3, 4, 5]


def test_a_provider_leaves_the_prompts_with_a_response_of_it(cursor) -> None:
    """Several providers mean one of them; hostile names are values, never SQL."""
    assert left(cursor, providers=("b",)) == [1, 3]
    assert left(cursor, providers=("b", "<b>c</b>")) == [1, 3, 5]
    assert left(cursor, finish_reasons=("stop'; DROP TABLE prompts; --",)) == [5]


def test_conditions_on_responses_hold_for_one_and_the_same_response(cursor) -> None:
    """Provider b never finished with `stop` here, though its prompts have such responses."""
    assert left(cursor, finish_reasons=("stop",), providers=("b",)) == []
    assert left(cursor, finish_reasons=("length",), providers=("b",)) == [1, 3]


def test_bounds_of_a_figure_are_included_and_leave_out_prompts_without_it(cursor) -> None:
    """Both ends are those of the stored figure."""
    means = dict(cursor.execute("SELECT prompt_id, mean_kl FROM prompts").fetchall())
    middle = float(np.median(list(means.values())))
    low = min(value for value in means.values() if value >= middle)
    expected = sorted(n for n, value in means.items() if value >= low)
    assert left(cursor, ranges=(Range("mean_kl", low, None),)) == expected
    assert left(cursor, ranges=(Range("mean_kl", low, low),)) == [
        n for n, value in means.items() if value == low
    ]
    assert left(cursor, ranges=(Range("mean_reverse", -1e9, None),)) in ([], sorted(means))


def test_a_length_is_that_of_a_response(cursor) -> None:
    """Tokens of one response, not of the prompt."""
    lengths = cursor.execute("SELECT max(tokens) FROM responses").fetchall()[0][0]
    assert left(cursor, ranges=(Range(LENGTH, lengths, lengths),))
    assert left(cursor, ranges=(Range(LENGTH, lengths + 1, None),)) == []


def test_a_list_of_prompts_leaves_these(cursor) -> None:
    """As tags need it; an empty list leaves nothing."""
    assert left(cursor, prompt_ids=(4, 1)) == [1, 4]
    assert left(cursor, prompt_ids=()) == []


def test_a_bound_of_something_else_is_refused_in_one_sentence(cursor) -> None:
    """A column name never reaches the SQL unchecked."""
    with pytest.raises(InputError, match="cannot filter by 'prompt; DROP'"):
        left(cursor, ranges=(Range("prompt; DROP", 0, 1),))


def test_a_bound_that_is_no_number_is_refused(cursor) -> None:
    """NaN would leave nothing out, unseen; infinities bound as any other value."""
    for bound in (Range("mean_kl", float("nan")), Range(LENGTH, None, float("nan"))):
        with pytest.raises(InputError, match="means nothing; give a number"):
            left(cursor, ranges=(bound,))
    assert left(cursor, ranges=(Range("mean_kl", float("inf")),)) == []
    assert len(left(cursor, ranges=(Range("mean_kl", None, float("inf")),))) == 6


def test_an_address_never_makes_such_a_bound() -> None:
    """What the page reads from a link is a bound that can be asked for, or none."""
    for text in ("mean_kl:nan:", "mean_kl:nan:nan", "mean_kl:inf:", "mean_kl:x:nan", "nan:1:2"):
        assert parse_range(text) is None
    for text in ("mean_kl:nan:2", "length:1:nan"):
        PromptFilter(ranges=(parse_range(text),)).where()


def test_facets_count_responses_the_most_frequent_first(cursor) -> None:
    """One count a response, nulls left out."""
    facets = queries.facets(cursor)
    rows = cursor.execute("SELECT provider FROM responses WHERE slot >= 0").fetchall()
    values = [row[0] for row in rows]
    assert facets["provider"] == {name: values.count(name) for name in ("a", "b", "<b>c</b>")}
    assert list(facets["provider"].values()) == sorted(facets["provider"].values(), reverse=True)


def test_standard_errors_are_clustered(cursor) -> None:
    """sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n, by prompt for the run, by response below."""
    rows = cursor.execute(
        "SELECT prompt_id, response_id, kl FROM tokens JOIN responses USING (response_id) "
        "WHERE kl IS NOT NULL"
    ).fetchall()
    prompts, responses, kl = (np.array(column) for column in zip(*rows, strict=True))

    def clustered(clusters, values):
        names = np.unique(clusters)
        sums = [np.sum(values[clusters == name] - values.mean()) for name in names]
        return np.sqrt(len(names) / (len(names) - 1) * np.sum(np.square(sums))) / len(values)

    assert queries.summary(cursor)["se_kl"] == pytest.approx(clustered(prompts, kl))
    own = prompts == 2
    assert queries.prompt(cursor, 2)["se_kl"] == pytest.approx(clustered(responses[own], kl[own]))


def test_colour_scales_are_quantiles_over_the_run(cursor) -> None:
    """Of sizes: the log-ratio's sign is left out, surprisal is −ln P."""
    scales = queries.scales(cursor)
    kl, ratio, logprob = (
        np.array([row[0] for row in cursor.execute(f"SELECT {sql} FROM tokens").fetchall()], float)
        for sql in ("kl", "log_ratio", "logprob1")
    )
    kl, ratio = kl[np.isfinite(kl)], np.abs(ratio[np.isfinite(ratio)])
    assert scales["kl"]["p99"] == pytest.approx(np.quantile(kl, 0.99))
    assert scales["kl"]["top"] == kl.max()
    assert scales["log_ratio"]["p90"] == pytest.approx(np.quantile(ratio, 0.9))
    assert scales["surprisal1"]["p50"] == pytest.approx(np.median(-logprob))


def test_an_interval_counts_the_prompts_that_have_a_value(tmp_path) -> None:
    """Prompts that could not be scored say nothing about the spread of those that were."""
    entries = [factories.entry(number) for number in range(4)]
    for number in (1, 3):
        bare = tuple(
            replace(one.response, positions=(), error="no logprobs")
            for one in entries[number].responses
        )
        entries[number] = replace(
            entries[number], responses=tuple(measures.unscored(one) for one in bare)
        )
    run_dir = make_run(tmp_path, entries)
    build_database(run_dir)
    summary = queries.summary(queries.open_run(run_dir).cursor())
    assert (summary["prompts"], summary["scored_prompts"]) == (4, 2)


def test_one_estimate_makes_the_whole_run_an_estimate(tmp_path) -> None:
    """Exact values beside estimates are never shown as if all were exact."""
    for first in (0, 1):
        entries = [factories.entry(number) for number in range(2)]
        exact = tuple(replace(one, measure="full") for one in entries[first].responses)
        entries[first] = replace(entries[first], responses=exact)
        run_dir = make_run(tmp_path / str(first), entries)
        build_database(run_dir)
        assert queries.summary(queries.open_run(run_dir).cursor())["measure"] == "floor"


def test_the_length_of_both_lists_is_kept(cursor) -> None:
    """The floor estimate depends on it, so a comparison of runs has to know."""
    summary = queries.summary(cursor)
    assert (summary["listed1"], summary["listed2"]) == (5, 5)
