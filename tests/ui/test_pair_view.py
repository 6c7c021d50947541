"""What the Compare page draws of two runs' tokens, and which runs the list shows."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kl_core.plots import pairs as plots
from kl_core.store import pair_tokens, queries, run_pairs, runs
from kl_core.store.pair_figures import FIGURES
from kl_core.store.runs import RunInfo, Status
from kl_core.ui import pair_data, pair_scale, pair_table, pair_unmatched, run_choice, token_data
from kl_core.ui.pair_scale import Scale
from kl_core.ui.run_choice import ListRequest
from tests.ui import made_runs
from tests.ui.made_runs import entry, response


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> run_pairs.RunPair:
    """One hostile prompt with two responses, farther in B at tokens 2 and 6."""
    root = tmp_path_factory.mktemp("pair")
    made = []
    for short, far in (("aaaa0001", {}), ("bbbb0001", {2: 0.01, 6: 0.0})):
        texts = [*made_runs.HOSTILE, "\n\n", " end"]
        responses = [response(texts, far, 0), response(texts[:7], {}, 1, seed=4)]
        made.append(made_runs.write(root, [entry(0, "<b>x</b>", responses)], short=short))
    return run_pairs.open_pair(*made)


def test_the_text_is_coloured_by_the_difference_and_safe_for_the_browser(pair) -> None:
    """Strict JSON; blue where B is higher; both values in words; nothing obeyed, all shown."""
    tokens = pair_tokens.tokens_query((1,)).table(pair.cursor())
    data = pair_data.text(tokens, FIGURES["mean_kl"], Scale(0.5, "why"), "here")
    json.dumps(data, allow_nan=False)
    assert (data["max"], data["threshold"], data["said"]) == (0.5, 0.125, "why")
    assert data["signed"] and data["values"][2] > 0.5
    assert data["flags"][6] & token_data.CENSORED
    assert data["flags"][len(made_runs.HOSTILE)] & token_data.PARAGRAPH
    assert data["reasons"]["2"].startswith("A 0.0")
    assert "\u202e" not in "".join(data["label"])
    assert pair_data.farthest(data["values"]) in (2, 6)


def test_the_token_view_gets_every_key_it_reads(pair) -> None:
    """The same component as Explore's: what that page sends, this one sends, too."""
    cursor = pair.cursor()
    mine = pair_data.text(
        pair_tokens.tokens_query((1,)).table(cursor), FIGURES["mean_kl"], Scale(0.5, ""), "here"
    )
    rows = cursor.sql("SELECT * FROM run_a.tokens WHERE response_id = 0").to_arrow_table()
    theirs = token_data.build(rows, "log_ratio", {"measure": "floor"}, "here")
    assert set(theirs) <= set(mine)
    assert set(mine) - set(theirs) == {"plus", "minus"}


def test_rows_of_the_grid_keep_their_positions_where_values_are_missing(pair) -> None:
    """Unknown is None, infinite is a word, and rows may differ in length."""
    tokens = pair_tokens.tokens_query((1, 2)).table(pair.cursor())
    rows = pair_data.heat_rows(tokens, {1: 0, 2: 1})
    assert [label for label, _ in rows] == ["Response 1", "Response 2"]
    assert [len(values) for _, values in rows] == [len(made_runs.HOSTILE) + 2, 7]
    kept = tokens.filter([position != 3 for position in tokens["position"].to_pylist()])
    assert pair_data.heat_rows(kept, {1: 0, 2: 1})[0][1][3] is None
    assert pair_data.farthest([0.1, None, "-inf", 5.0]) == 2
    assert pair_data.farthest([]) == 0


def test_a_token_stands_with_both_runs_lists_on_their_union(pair) -> None:
    """Every candidate of either list once, with both probabilities and their ratio."""
    cursor = pair.cursor()
    a = run_pairs.token_query("a", 0, 2).row(cursor)
    b = run_pairs.token_query("b", 0, 2).row(cursor)
    rows = {row["token"]: row for row in pair_data.candidates(a, b)}
    assert rows["</span></div>"]["Q in B"] == pytest.approx(0.01)
    assert rows["␣quite"]["ln B/A"] == "0"
    assert rows["␣located"]["P"] == "–"
    said = {row.pop("figure"): row for row in pair_data.token_figures(a, b)}
    assert said["KL(1‖2)"]["B − A"].startswith("+") and said["KL(1‖2)"]["unit"] == "nats"
    assert said["rank in Q"] == {"unit": "", "A": "1", "B": "6", "B − A": "+5"}


def test_full_colour_is_a_round_value_above_noise() -> None:
    """Most differences, a tenth of the largest, 0.05 nats: the largest of them, rounded up."""
    cases = ((None, None), (0.01, 0.01), (0.004, 3.09), (0.3, 0.9), (400.0, 900.0), (2.5, 3.09))
    scales = [pair_scale.scale(*case) for case in cases]
    assert [scale.top for scale in scales] == [0.05, 0.05, 0.5, 0.5, 20.0, 2.0]
    assert "at least 0.05 nats" in scales[1].said
    assert "a tenth of the largest" in scales[2].said
    assert "largest 5 %" in scales[3].said


def test_differences_of_zero_do_not_make_noise_colourful(pair) -> None:
    """The quantile is of the tokens that differ, infinities apart."""
    row = pair_scale.sizes_query([1, 2], "mean_kl").row(pair.cursor())
    values = pair_tokens.tokens_query([1, 2]).table(pair.cursor())["difference"].to_pylist()
    sizes = [abs(v) for v in values if v is not None and math.isfinite(v) and abs(v) > 1e-6]
    assert 0 < len(sizes) < len(values)
    assert row["largest"] == max(sizes)
    assert row["p95"] == pytest.approx(float(np.quantile(sizes, 0.95)))
    assert 0.5 <= pair_scale.read(pair.cursor(), "mean_kl").top <= max(sizes)


def test_what_has_no_partner_is_listed_for_each_run_and_counted_so(tmp_path: Path) -> None:
    """Another text at the same place is a prompt of A and a prompt of B; so are responses."""
    one, other = response(["a", " b"], {}), response(["a", " c"], {})
    a = made_runs.write(
        tmp_path,
        [entry(0, "x", [one]), entry(1, "same", [one]), entry(2, "late", [one])],
        short="aaaa0001",
    )
    b = made_runs.write(
        tmp_path, [entry(0, "y", [one]), entry(1, "same", [other])], short="bbbb0001"
    )
    cursor = run_pairs.open_pair(a, b).cursor()
    rows = run_pairs.unmatched_query().rows(cursor)
    assert [(row["run"], row["level"], row["prompt"], row["reason"]) for row in rows] == [
        ("A", "prompt", "x", "other text"),
        ("B", "prompt", "y", "other text"),
        ("A", "response", "same", "other text"),
        ("B", "response", "same", "other text"),
        ("A", "prompt", "late", "only in A"),
    ]
    counts = run_pairs.counts_query().row(cursor)
    assert pair_unmatched.total(counts, "prompts") == 3
    assert pair_unmatched.total(counts, "responses") == 2
    assert list(pair_unmatched._frame(rows)["response"]) == ["", "", "1", "1", ""]


def test_a_point_is_drawn_for_each_prompt_until_there_are_too_many() -> None:
    """The farthest stay; of the others an even sample; infinite ones are counted apart."""
    a = [0.1 + n / 1000 for n in range(4000)]
    b = [value + (1.0 if n % 100 == 0 else 0.0) for n, value in enumerate(a)]
    chart, drawn, known = plots.scatter([*a, None], [*b, math.inf], range(4001), "mean KL", 100)
    assert known == 4000 and 1000 < drawn <= plots.MAX_POINTS
    points = chart.data[1]
    assert set(range(0, 4000, 100)) <= set(points.customdata)
    assert chart.layout.xaxis.type == "log"
    assert plots.scatter([-1.0, 1.0], [0.5, 1.0], [0, 1], "log-ratio")[0].layout.xaxis.type == (
        "linear"
    )
    assert plots.scatter([], [], [], "mean KL")[1:] == (0, 0)


def test_heads_turn_the_order_of_the_paired_prompts() -> None:
    """The difference goes from moved most to up, down, and back; others sort by themselves."""
    assert [pair_table._next(order, "difference") for order in ("moved", "up", "down", "a")] == [
        "up",
        "down",
        "moved",
        "moved",
    ]
    assert pair_table._next("moved", "figure_b") == "b"
    assert pair_table._next("moved", "unknown") == "moved"


def info(root: Path, run: str, **changes) -> RunInfo:
    values = {
        "id": run,
        "path": root / run,
        "kind": "score",
        "title": "score",
        "created": run[:15],
        "status": Status(state="done"),
        "model1": "base",
        "model2": "tuned",
        "request": {},
    }
    return RunInfo(**(values | changes))


def test_the_list_is_filtered_and_sorted_and_equal_runs_stay_newest_first(tmp_path) -> None:
    """By date, name, size, state; by text over name, models and id, whatever the case."""
    infos = [
        info(tmp_path, "20260103-000000-score-cccc", name="Zebra", title="Zebra"),
        info(
            tmp_path,
            "20260102-000000-score-bbbb",
            name="apple",
            title="apple",
            status=Status(state="failed"),
        ),
        info(tmp_path, "20260101-000000-import-aaaa", kind="import", model2=None),
    ]
    infos[2].path.mkdir()
    (infos[2].path / "x").write_bytes(b"x" * 100)

    def order(**wanted) -> str:
        return "".join(one.id[-1] for one in run_choice.arranged(infos, ListRequest(**wanted)))

    assert order() == "cba"
    assert order(descending=False) == "abc"
    assert order(sort="name", descending=False) == "bac"
    assert order(sort="size") == "acb"
    assert order(sort="tokens") == "cba"
    assert order(states=("failed",)) == "b"
    assert order(kinds=("score",)) == "cb"
    assert order(text="ZEB") == "c"
    assert order(text="tuned") == "cb"
    assert order(text="Failed") == "b"
    assert order(text="import") == "a"
    assert order(text="tuned zebra") == "c"
    assert order(text="aaaa", kinds=("score",)) == ""


def test_a_live_run_is_read_as_it_grows(tmp_path) -> None:
    """What the pages key their caches by changes with each part."""
    run_dir = made_runs.raw(tmp_path)
    version = queries.run_version(run_dir)
    next(run_dir.glob("run-*.duckdb")).unlink()
    assert queries.run_version(run_dir) != version
    assert runs.run_info(run_dir).state == "done"
