"""Two runs side by side: what belongs together, by how much it differs, and what is left out."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kl_core.errors import InputError, RunError
from kl_core.store import (
    pair_difference,
    pair_figures,
    pair_sums,
    pair_tokens,
    queries,
    run_pairs,
    run_sizes,
    runs,
)
from kl_core.store.build import build_database, newest_database
from kl_core.store.parts import committed
from tests.ui import made_runs
from tests.ui.made_runs import entry, prose, response


def made(root: Path, short: str, far: dict[int, dict[int, float]], prompts: int = 6) -> Path:
    """A run of `prompts` prompts of two responses; `far` places prompt → position → Q."""
    entries = [
        entry(
            index,
            f"question {index}",
            [
                response(prose(20 + index, index), far.get(index, {}), slot, 10 * index + slot)
                for slot in range(2)
            ],
        )
        for index in range(prompts)
    ]
    return made_runs.write(root, entries, short=short)


def altered(run_dir: Path, table: str, change: Callable[[dict[str, list[Any]]], None]) -> Path:
    """The same run with its parts changed column by column, and built anew."""
    for path in committed(run_dir, table):
        rows = pq.read_table(path)
        columns = rows.to_pydict()
        change(columns)
        pq.write_table(pa.table(columns, schema=rows.schema), path)
    build_database(run_dir)
    return run_dir


def paired(cursor: Any, name: str = "mean_kl") -> pair_difference.Difference:
    """The run-level difference of a pair."""
    prompts = pair_figures.prompts_query(name).table(cursor)
    sums = pair_sums.sums_query().table(cursor)
    return pair_difference.difference(name, prompts, sums, run_pairs.heads_query().rows(cursor))


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The second run is farther from model 1 in prompt 2, nearer in prompt 4."""
    root = tmp_path_factory.mktemp("pairs")
    a = made(root, "aaaa0001", {2: {5: 0.3}, 4: {7: 0.1}})
    b = made(root, "bbbb0001", {2: {5: 0.01}, 4: {7: 0.3}})
    return a, b


@pytest.fixture
def two(tmp_path: Path, made_once: tuple[Path, Path]) -> tuple[Path, Path]:
    """The same runs, for this test alone."""
    a, b = (Path(shutil.copytree(path, tmp_path / path.name)) for path in made_once)
    return a, b


def test_the_prompts_that_moved_most_come_first_and_differences_are_b_less_a(two) -> None:
    """Prompt 2 is up, prompt 4 down, by their means; every other one is level."""
    cursor = run_pairs.open_pair(*two).cursor()
    rows = pair_figures.prompts_query().rows(cursor)
    assert [row["prompt_a"] for row in rows[:2]] == [2, 4]
    assert rows[0]["difference"] > 0 > rows[1]["difference"]
    assert all(row["difference"] == 0 for row in rows[2:])
    for row in rows:
        assert row["difference"] == pytest.approx(row["figure_b"] - row["figure_a"], abs=1e-14)
    assert pair_figures.prompts_query(order="down", limit=1).rows(cursor)[0]["prompt_a"] == 4


@pytest.mark.parametrize("name", list(pair_figures.FIGURES))
def test_every_figure_and_order_answers_and_an_unknown_one_is_refused(two, name) -> None:
    """Each is sorted as asked; names come from addresses, so others are one sentence."""
    cursor = run_pairs.open_pair(*two).cursor()
    for order in pair_figures.ORDERS:
        assert len(pair_figures.prompts_query(name, order).rows(cursor)) == 6
    with pytest.raises(InputError, match="cannot compare by"):
        pair_figures.prompts_query("prompt; DROP TABLE prompts")
    with pytest.raises(InputError, match="cannot order"):
        pair_figures.prompts_query(name, "1; DROP TABLE prompts")


def test_the_mean_is_over_tokens_and_its_error_is_clustered_by_prompt(two) -> None:
    """Both against the plain formula over every token, prompt by prompt."""
    cursor = run_pairs.open_pair(*two).cursor()
    rows = pair_tokens.tokens_query(range(1, 13)).rows(cursor)
    prompt_of = {pair: (pair - 1) // 2 for pair in range(1, 13)}
    values = np.array([row["difference"] for row in rows])
    clusters = np.array([prompt_of[row["pair"]] for row in rows])
    mean = values.mean()
    spread = sum((values[clusters == c] - mean).sum() ** 2 for c in range(6))
    found = paired(cursor)
    assert found.mean == pytest.approx(mean)
    assert found.se == pytest.approx(math.sqrt(6 / 5 * spread) / len(values))
    assert found.half == pytest.approx(found.se * 2.5705818, rel=1e-6)  # t, 5 degrees, 97.5 %
    assert (found.up, found.down, found.level, found.prompts) == (1, 1, 4, 6)
    assert found.units == len(values)


def test_medians_and_maxima_weigh_each_prompt_once(two) -> None:
    """Their run-level difference is the mean of the prompts' differences."""
    cursor = run_pairs.open_pair(*two).cursor()
    moved = [row["difference"] for row in pair_figures.prompts_query("max_kl").rows(cursor)]
    found = paired(cursor, "max_kl")
    assert found.mean == pytest.approx(np.mean(moved))
    assert found.se == pytest.approx(np.std(moved, ddof=1) / math.sqrt(6))


def test_noise_is_not_called_a_difference_and_a_shift_is(tmp_path: Path) -> None:
    """One prompt up and one down says nothing; all up, the sentence says which and by how much."""
    a = made(tmp_path, "aaaa0001", {})
    noisy = made(tmp_path, "noise001", {1: {3: 0.4}})
    said = pair_difference.verdict(paired(run_pairs.open_pair(a, noisy).cursor()))
    assert said.startswith("No difference beyond noise: mean KL +")
    shifted = made(tmp_path, "shift001", {n: {4: 0.4, 9: 0.41 - n / 100} for n in range(6)})
    said = pair_difference.verdict(paired(run_pairs.open_pair(a, shifted).cursor()))
    assert said.startswith("B diverges more: mean KL +")
    assert said.endswith("6 of 6 prompts up, 0 down.")
    back = pair_difference.verdict(paired(run_pairs.open_pair(shifted, a).cursor()))
    assert back.startswith("B diverges less: mean KL −")


def test_equal_runs_are_called_equal(tmp_path: Path) -> None:
    """No interval, no claim."""
    a, b = made(tmp_path, "aaaa0001", {}), made(tmp_path, "bbbb0001", {})
    said = pair_difference.verdict(paired(run_pairs.open_pair(a, b).cursor()))
    assert said == "No difference: mean KL is the same at all 6 prompts."


def test_one_prompt_alone_claims_nothing(tmp_path: Path) -> None:
    """Without a second cluster there is no error to judge by."""
    a = made(tmp_path, "aaaa0001", {}, prompts=1)
    b = made(tmp_path, "bbbb0001", {0: {3: 0.01}}, prompts=1)
    found = paired(run_pairs.open_pair(a, b).cursor())
    assert found.se is None and not found.beyond_noise
    assert "one prompt alone" in pair_difference.verdict(found)


def test_what_has_no_counterpart_is_counted_and_listed_with_its_reason(tmp_path: Path) -> None:
    """Prompts and responses of one run alone or of another text; tokens cut differently."""
    far = {2: {5: 0.01}}
    texts = prose(20, 9)

    def side(name: str, entries: list[Any]) -> Path:
        return made_runs.write(tmp_path, entries, short=name)

    halves = [*texts[:3], texts[3][:2], texts[3][2:], *texts[4:]]
    a = side(
        "aaaa0001",
        [
            entry(0, "same", [response(texts, {}), response(texts, far.get(2, {}), 1)]),
            entry(1, "mine alone", [response(texts, {})]),
            entry(2, "one wording", [response(texts, {})]),
            entry(4, "cut", [response(texts, {}), response(prose(5, 1), {}, 1)]),
        ],
    )
    b = side(
        "bbbb0001",
        [
            entry(0, "same", [response(texts, {})]),
            entry(2, "another wording", [response(texts, {})]),
            entry(3, "theirs alone", [response(texts, {})]),
            entry(4, "cut", [response(halves, {}), response(prose(5, 2), {}, 1)]),
        ],
    )
    cursor = run_pairs.open_pair(a, b).cursor()
    counts = run_pairs.counts_query().row(cursor)
    assert counts == {
        "prompts_paired": 2,
        "prompts_only_a": 1,
        "prompts_only_b": 1,
        "prompts_other": 1,
        "responses_paired": 2,
        "responses_only_a": 1,
        "responses_only_b": 0,
        "responses_other": 1,
        "prompts_partly": 2,
    }
    listed = {
        (row["run"], row["level"], row["file"], row["response"], row["reason"])
        for row in run_pairs.unmatched_query().rows(cursor)
    }
    assert listed == {
        ("A", "response", "prompt_0.json", 2, "only in A"),
        ("A", "prompt", "prompt_1.json", None, "only in A"),
        ("A", "prompt", "prompt_2.json", None, "other text"),
        ("B", "prompt", "prompt_2.json", None, "other text"),
        ("B", "prompt", "prompt_3.json", None, "only in B"),
        ("A", "response", "prompt_4.json", 2, "other text"),
        ("B", "response", "prompt_4.json", 2, "other text"),
    }
    sums = {row["prompt_a"]: row for row in pair_sums.sums_query().rows(cursor)}
    assert (sums[0]["tokens"], sums[0]["other"]) == (20, 0)
    equal = sum(one == two for one, two in zip(texts, halves, strict=False))
    assert sums[3]["tokens"] == equal < 20
    assert sums[3]["other"] == 20 - equal and sums[3]["only_b"] == 1


def test_runs_without_a_prompt_in_common_have_no_figures_to_compare(tmp_path: Path) -> None:
    """Nothing matched, everything listed, no verdict."""
    a = made_runs.write(tmp_path, [entry(0, "this", [response(prose(9, 1), {})])], short="aaaa0001")
    b = made_runs.write(tmp_path, [entry(0, "that", [response(prose(9, 1), {})])], short="bbbb0001")
    cursor = run_pairs.open_pair(a, b).cursor()
    assert pair_figures.prompts_query().rows(cursor) == []
    assert len(run_pairs.unmatched_query().rows(cursor)) == 2
    assert "nothing can be said" in pair_difference.verdict(paired(cursor))


def changed(path: Path, places: dict[tuple[int, int], float | None], column: str = "kl") -> Path:
    """The same run with other values at (response, position)."""

    def change(columns: dict[str, list[Any]]) -> None:
        for row, place in enumerate(zip(columns["response_id"], columns["position"], strict=True)):
            if place in places:
                columns[column][row] = places[place]

    return altered(path, "tokens", change)


def test_infinite_values_are_counted_by_side_and_no_verdict_is_given(two) -> None:
    """Also where both are infinite and have no difference; the rest is compared without a claim."""
    before = paired(run_pairs.open_pair(*two).cursor())
    changed(two[0], {(0, 3): math.inf, (0, 4): math.inf, (0, 5): math.inf, (2, 2): math.inf})
    changed(two[1], {(0, 3): math.inf, (6, 4): math.inf})
    cursor = run_pairs.open_pair(*two).cursor()
    found = paired(cursor)
    assert (found.infinite_a, found.infinite_b, found.infinite_both) == (3, 1, 1)
    assert found.units == before.units - 5
    assert math.isfinite(found.mean) and not found.beyond_noise
    said = pair_difference.verdict(found)
    assert said.startswith(
        "No verdict: 5 tokens have an infinite value (3 in A alone, 1 in B alone, 1 in both); "
        "over the other tokens, mean KL "
    )
    assert "in both); over the prompts with a finite figure, median KL" in (
        pair_difference.verdict(paired(cursor, "median_kl"))
    )
    rows = {row["prompt_a"]: row for row in pair_figures.prompts_query().rows(cursor)}
    assert rows[0]["difference"] is None and rows[0]["figure_a"] == math.inf
    assert (rows[1]["difference"], rows[3]["difference"]) == (-math.inf, math.inf)
    assert pair_difference.verdict(paired(cursor, "mean_log_ratio")).startswith("No difference")


def test_runs_with_only_infinite_values_say_that_nothing_else_is_there(tmp_path: Path) -> None:
    """Both runs at infinity everywhere: not equal, not unknown."""
    places = {(response, at): math.inf for response in (0, 1, 10, 11) for at in range(21)}
    a, b = (changed(made(tmp_path, n, {}, 1), places) for n in ("aaaa0001", "bbbb0001"))
    said = pair_difference.verdict(paired(run_pairs.open_pair(a, b).cursor()))
    assert said == (
        "No verdict: 40 tokens have an infinite value (40 in both), and there is nothing else "
        "to compare."
    )


@pytest.mark.parametrize("name", list(pair_figures.FIGURES))
def test_responses_of_one_run_alone_change_no_figure(tmp_path: Path, name: str) -> None:
    """Three responses a prompt against the first of them: the same run is level everywhere."""
    texts = [[prose(20 + n, 3 * n + slot) for slot in range(3)] for n in range(6)]
    whole = [
        entry(
            n,
            f"question {n}",
            [response(text, {slot: 0.2}, slot, 9 * n + slot) for slot, text in enumerate(three)],
        )
        for n, three in enumerate(texts)
    ]
    first = [
        entry(n, f"question {n}", [response(three[0], {0: 0.2}, 0, 9 * n)])
        for n, three in enumerate(texts)
    ]
    a = made_runs.write(tmp_path, whole, short="aaaa0001")
    b = made_runs.write(tmp_path, first, short="bbbb0001")
    for pair in ((a, b), (b, a)):
        cursor = run_pairs.open_pair(*pair).cursor()
        found = paired(cursor, name)
        assert (found.up, found.down, found.level) == (0, 0, 6)
        assert pair_difference.verdict(found).startswith("No difference:")
        for row in pair_figures.prompts_query(name).rows(cursor):
            assert row["figure_a"] == row["figure_b"] is not None
            assert (row["tokens"], row["all_responses"]) == (20 + row["prompt_a"], 3)


_BY_HAND = {
    "mean_kl": np.mean,
    "median_kl": np.median,
    "p90_kl": lambda values: np.quantile(values, 0.9),
    "max_kl": np.max,
}


@pytest.mark.parametrize("name", list(_BY_HAND))
def test_figures_of_both_runs_are_over_the_tokens_that_both_know(two, name: str) -> None:
    """What one run alone knows would move the other's median; it is counted instead."""
    unknown = dict.fromkeys([(0, 1), (0, 2), (4, 5), (7, 0)])
    changed(two[0], unknown)
    changed(two[1], dict.fromkeys([(0, 2), (8, 7)]))
    cursor = run_pairs.open_pair(*two).cursor()
    rows = {row["prompt_a"]: row for row in pair_figures.prompts_query(name).rows(cursor)}
    for prompt in range(6):
        tokens = pair_tokens.tokens_query((2 * prompt + 1, 2 * prompt + 2)).rows(cursor)
        both = [r for r in tokens if r["value_a"] is not None and r["value_b"] is not None]
        for side in ("a", "b"):
            by_hand = _BY_HAND[name](np.array([row[f"value_{side}"] for row in both]))
            assert rows[prompt][f"figure_{side}"] == pytest.approx(by_hand)
        assert rows[prompt]["tokens"] == len(both)
        moved = rows[prompt]["figure_b"] - rows[prompt]["figure_a"]
        assert rows[prompt]["difference"] == pytest.approx(moved, abs=1e-15)
    found = paired(cursor, name)
    assert (found.alone_a, found.alone_b) == (1, 3)
    assert pair_difference.left_out(found).endswith(
        "is known in one run alone: 1 token in A, 3 tokens in B."
    )


def test_the_means_of_a_response_are_over_the_tokens_that_both_know(two) -> None:
    """A value that one run alone has is in neither mean."""
    plain = run_pairs.responses_query(2).rows(run_pairs.open_pair(*two).cursor())
    changed(two[0], {(4, 5): None})  # where B is farther
    row = run_pairs.responses_query(2).rows(run_pairs.open_pair(*two).cursor())[0]
    assert plain[0]["difference"] > 0
    assert row["difference"] == pytest.approx(0) and row["mean_b"] < plain[0]["mean_b"]


@pytest.mark.parametrize("state", ["live", "older"])
def test_a_live_run_and_one_of_an_older_schema_compare_like_a_finished_one(two, state) -> None:
    """The same rows whatever the run's database says, from its parts."""
    wanted = pair_figures.prompts_query().rows(run_pairs.open_pair(*two).cursor())
    database = newest_database(two[1])
    assert database is not None
    if state == "live":
        database.unlink()
    else:
        with duckdb.connect(str(database)) as connection:
            connection.execute("UPDATE meta SET schema_version = 0")
            connection.execute("DROP TABLE prompts")
    pair = run_pairs.open_pair(*two)
    assert pair_figures.prompts_query().rows(pair.cursor()) == wanted
    assert paired(pair.cursor()).units > 0


def test_two_runs_can_be_compared_while_pages_have_them_open(two) -> None:
    """Readers do not lock each other out, in one process too."""
    open_ones = [queries.open_run(path) for path in two]
    assert run_pairs.heads_query().rows(run_pairs.open_pair(*two).cursor())[0]["prompts"] == 6
    assert queries.prompt_count(open_ones[0].cursor()) == 6


def test_a_run_is_not_compared_with_itself_nor_with_one_of_a_newer_version(two) -> None:
    """One sentence each, that says what to do."""
    with pytest.raises(InputError, match="choose another run"):
        run_pairs.open_pair(two[0], two[0])
    database = newest_database(two[1])
    with duckdb.connect(str(database)) as connection:
        connection.execute("UPDATE meta SET schema_version = 99")
    with pytest.raises(RunError, match="update KL Explorer"):
        run_pairs.open_pair(*two)


def test_runs_of_another_kind_or_another_first_model_are_said_to_be(two, tmp_path) -> None:
    """Estimates against exact values, and texts of another model, are not one scale."""
    assert (
        pair_difference.unlike(run_pairs.heads_query().rows(run_pairs.open_pair(*two).cursor()))
        == []
    )

    def other(columns: dict[str, list[Any]]) -> None:
        columns["model1"] = ["someone else"] * len(columns["model1"])
        columns["measure"] = ["full"] * len(columns["measure"])

    altered(two[1], "responses", other)
    said = pair_difference.unlike(run_pairs.heads_query().rows(run_pairs.open_pair(*two).cursor()))
    assert "tiny-base in A, someone else in B" in said[0]
    assert "estimated KL (floor) in A, exact KL (full) in B" in said[1]
    found = paired(run_pairs.open_pair(*two).cursor())
    assert "not on one scale" in pair_difference.verdict(found)


@pytest.mark.parametrize("side", ["top1", "top2"])
def test_lists_of_other_length_give_no_verdict_on_estimates(tmp_path: Path, side: str) -> None:
    """The floor estimate moves with the lists alone; figures that are not estimates are judged."""
    a = made(tmp_path, "aaaa0001", {})
    shifted = made(tmp_path, "shift001", {n: {4: 0.4, 9: 0.41 - n / 100} for n in range(6)})

    def shorter(columns: dict[str, list[Any]]) -> None:
        columns[side] = [row[:3] for row in columns[side]]

    cursor = run_pairs.open_pair(a, altered(shifted, "tokens", shorter)).cursor()
    said = pair_difference.unlike(run_pairs.heads_query().rows(cursor))
    lengths = {"top1": "model 1 lists 5", "top2": "model 2 lists 6"}[side]
    assert len(said) == 1 and f"{lengths} candidates a token in A, 3 in B" in said[0]
    assert "compare the log-ratio instead" in said[0]
    for name in ("mean_kl", "median_kl", "p90_kl", "max_kl", "mean_reverse"):
        found = paired(cursor, name)
        assert not found.alike and not found.beyond_noise
        assert pair_difference.verdict(found).startswith("No verdict, for the two are not on one")
    assert pair_difference.verdict(paired(cursor, "mean_log_ratio")).startswith("B's log-ratio is")


def test_lists_of_nearly_equal_length_are_alike(tmp_path: Path) -> None:
    """A candidate more at one token in three is no other kind of figure."""
    a, b = made(tmp_path, "aaaa0001", {}), made(tmp_path, "bbbb0001", {})

    def hardly(columns: dict[str, list[Any]]) -> None:
        columns["top1"] = [row[: 4 if n % 3 == 0 else 5] for n, row in enumerate(columns["top1"])]

    cursor = run_pairs.open_pair(a, altered(b, "tokens", hardly)).cursor()
    heads = run_pairs.heads_query().rows(cursor)
    assert 0 < heads[0]["listed1"] - heads[1]["listed1"] < 0.5
    assert pair_difference.unlike(heads) == [] and paired(cursor).alike


def test_a_token_shows_both_values_and_one_without_a_value_shows_none(two) -> None:
    """The difference is B − A of the chosen figure; unknown stays unknown."""

    def unknown(columns: dict[str, list[Any]]) -> None:
        columns["kl"][0] = None

    altered(two[0], "tokens", unknown)
    cursor = run_pairs.open_pair(*two).cursor()
    rows = pair_tokens.tokens_query((1,)).rows(cursor)
    assert rows[0]["difference"] is None and rows[0]["same"]
    for row in rows[1:]:
        assert row["difference"] == row["value_b"] - row["value_a"]
    surprisal = pair_tokens.tokens_query((1,), "mean_surprisal2").rows(cursor)
    assert surprisal[1]["value_a"] == -surprisal[1]["logprob2_a"]


def test_runs_over_the_same_prompts_are_recognised_by_their_first_part(two, tmp_path) -> None:
    """Without opening a database; another folder's files have other marks."""
    marks = [run_pairs.first_prompts(path) for path in two]
    assert marks[0] == marks[1] != frozenset()
    assert marks[0].isdisjoint(run_pairs.first_prompts(made_runs.raw(tmp_path)))
    shutil.rmtree(two[0])
    assert run_pairs.first_prompts(two[0]) == frozenset()


def test_the_size_of_a_run_is_that_of_its_files_and_follows_them(two, tmp_path) -> None:
    """Kept between calls, walked again when a file came or went; a run that is gone has none."""
    plain = sum(path.stat().st_size for path in two[0].rglob("*") if path.is_file())
    assert run_sizes.size_bytes(two[0]) == plain
    (two[0] / "more.bin").write_bytes(b"x" * 5000)
    assert run_sizes.size_bytes(two[0]) == plain + 5000
    assert run_sizes.disk_use(two, tmp_path).used_bytes > plain
    assert run_sizes.disk_use(two, tmp_path).free_bytes > 0
    shutil.rmtree(two[0])
    assert run_sizes.size_bytes(two[0]) == 0
    assert [run_sizes.said(n) for n in (0, 999, 1500, 12_345_678, 2e11)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "12 MB",
        "200 GB",
    ]


def test_a_list_knows_what_finished_runs_hold(two, tmp_path) -> None:
    """Prompts, responses and tokens; a run without a database, or a broken one, has none."""
    bare = runs.create_run(tmp_path, "score", {"request": {}})
    broken = runs.create_run(tmp_path, "score", {"request": {}})
    (broken / "run-1.duckdb").write_bytes(b"not a database")
    found = run_sizes.counts([*two, bare, broken])
    assert set(found) == set(two)
    assert found[two[0]] == run_sizes.Counts(6, 12, 2 * sum(range(20, 26)))


def test_a_result_file_counts_as_the_file_it_was_made_from(tmp_path: Path) -> None:
    """A fresh score and an imported result of another day belong together, prompt by prompt."""
    a, b = made(tmp_path, "aaaa0007", {}), made(tmp_path, "bbbb0007", {2: {5: 0.01}})

    def renamed(columns: dict[str, list[Any]]) -> None:
        columns["file"] = [name.replace(".json", "_kl.json.gz") for name in columns["file"]]

    pair = run_pairs.open_pair(a, altered(b, "responses", renamed)).cursor()
    counts = run_pairs.counts_query().row(pair)
    assert counts["prompts_paired"] == 6 and counts["responses_paired"] == 12
    assert not counts["prompts_only_a"] and not counts["prompts_only_b"]


def test_other_names_pair_by_a_text_that_each_run_has_once(tmp_path: Path) -> None:
    """A text that occurs twice could mean either, so it pairs with neither."""
    a, b = made(tmp_path, "aaaa0008", {}), made(tmp_path, "bbbb0008", {})

    def elsewhere(columns: dict[str, list[Any]]) -> None:
        columns["file"] = [f"other/{name}" for name in columns["file"]]
        columns["prompt"] = [
            "question 0" if p == 1 else t
            for p, t in zip(columns["prompt_id"], columns["prompt"], strict=True)
        ]

    pair = run_pairs.open_pair(a, altered(b, "responses", elsewhere)).cursor()
    found = pair.sql("SELECT prompt_a, prompt_b FROM prompt_pairs ORDER BY 1").fetchall()
    assert found == [(n, n) for n in range(2, 6)]
    counts = run_pairs.counts_query().row(pair)
    assert (counts["prompts_only_a"], counts["prompts_only_b"]) == (2, 2)
