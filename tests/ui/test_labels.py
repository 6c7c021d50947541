"""Names of runs, prompts and columns as lists show them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from kl_core.store import runs
from kl_core.store.queries import EVERY
from kl_core.store.runs import RunInfo, Status
from kl_core.ui import (
    figures,
    inputs,
    markup,
    pair_inputs,
    progress,
    prompt_table,
    prompt_text,
    run_list,
    upload,
)
from kl_core.ui.table_request import FIGURES, TableRequest


def info(state: str = "done", **changes: object) -> RunInfo:
    """A run as a list shows it."""
    values = {
        "id": "20260101-100000-score-aaaa",
        "path": Path("/runs/a"),
        "kind": "score",
        "title": "score of answers",
        "created": "2026-01-01T10:00:00+00:00",
        "status": Status(state=state),
        "model1": "org/one",
        "model2": "org/two",
        "request": {},
    }
    return RunInfo(**(values | changes))


def test_a_runs_label_starts_with_its_models_and_keeps_its_time_in_sight() -> None:
    """Long names lose their middles; the state shows where it is not done."""
    assert inputs.run_label(info()) == "org/one → org/two · 2026-01-01 10:00 · score"
    long = "a-family/of-very-long-names-that-go-on-70B-instruct"
    label = inputs.run_label(info("died", model1=long, model2=long))
    assert label.startswith("a-family/") and label.endswith("died · 2026-01-01 10:00 · score")
    assert len(label.partition("10:00")[0]) < 70 and "instruct → a-family/" in label


def test_a_name_comes_first_and_runs_that_read_alike_differ_before_they_are_cut() -> None:
    """Of runs of the same models the time comes first, and the short id last."""
    named = info(id="20260101-100002-score-cccc", name="tuned twice", title="tuned twice")
    assert inputs.run_label(named) == ("tuned twice · 2026-01-01 10:00 · score · org/one → org/two")
    alike = [info(), info(id="20260101-100001-score-bbbb", path=Path("/runs/b")), named]
    labels = list(inputs.run_labels(alike).values())
    assert labels[0] == "2026-01-01 10:00 · org/one → org/two · score · aaaa"
    assert labels[1].startswith("2026-01-01 10:00 · org/one") and labels[1].endswith("· bbbb")
    assert "aaaa" not in labels[2]


def test_how_much_was_asked_comes_before_when_and_the_models() -> None:
    """A budget, its seed and the size of a search tell runs of the same models apart."""
    asked = {"budget": 0.2, "seed": 0, "top_prompts": 3}
    label = inputs.run_label(info(kind="prefill", request=asked))
    assert label == "20 % · top 3 · 2026-01-01 10:00 · org/one → org/two · prefill"
    pair = [info(request=asked), info(id="20260101-100001-score-bbbb")]
    label = pair_inputs.pair_labels(pair)[pair[0].id]
    assert label.startswith("20 % · top 3 · 2026-01-01 10:00 · org/one") and label.endswith("aaaa")


def test_on_compare_what_tells_runs_apart_comes_first() -> None:
    """A name, or the time; then what not all share; what all share and the id may be cut off."""
    a, b = info(), info(id="20260101-100001-score-bbbb", model2="org/three")
    assert list(pair_inputs.pair_labels([a, b]).values()) == [
        "2026-01-01 10:00 · → org/two · org/one · score · aaaa",
        "2026-01-01 10:00 · → org/three · org/one · score · bbbb",
    ]
    first, second = (replace(run, name="mine", model2="org/two") for run in (a, b))
    assert pair_inputs.pair_labels([first, b])[a.id] == (
        "mine · → org/two · org/one · score · 2026-01-01 10:00"
    )
    twice = pair_inputs.pair_labels([first, second])
    assert twice[b.id] == "mine · 2026-01-01 10:00 · org/one → org/two · score · bbbb"


def test_the_title_names_a_run_whose_models_are_unknown() -> None:
    """A running import says what it imports; the sample is called so."""
    raw = info("running", model1=None, model2=None, kind="import", title="import of mine")
    assert inputs.run_label(raw) == "import of mine · running · 2026-01-01 10:00 · import"
    assert inputs.run_label(info(), sample=True).endswith("· 2026-01-01 10:00 · sample")
    assert inputs.run_label(info(title="score", model1=None, model2=None)) == (
        "2026-01-01 10:00 · score"
    )


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([("system", "be brief"), ("user", "Who?")], "Who?"),
        ([("user", "Who?"), ("assistant", "Me."), ("user", "Why?")], "Why?"),
        ([("system", "be brief")], "the whole"),
    ],
)
def test_a_prompt_is_known_by_what_the_user_said_last(messages, shown: str) -> None:
    """System messages and earlier turns are not what tells prompts apart."""
    text = json.dumps([{"role": role, "content": content} for role, content in messages])
    assert prompt_text.last_user_message("the whole", text) == shown
    assert prompt_text.last_user_message("the whole", "broken {") == "the whole"


def test_coverage_shows_only_where_something_is_missing() -> None:
    """A column of 100 % says nothing and takes the prompt's room."""
    request = TableRequest("mean_kl", True, EVERY, "floor")
    assert "coverage" not in prompt_table.columns_shown(request, pa.table({"coverage": [1.0]}))
    for share in (0.99, None):
        partly = pa.table({"coverage": [1.0, share]})
        assert "coverage" in prompt_table.columns_shown(request, partly)


def test_a_share_in_the_table_is_never_rounded_up_to_everything() -> None:
    """99.9 % scored is 99 % in the narrow column, an unknown share a dash."""
    shown = [prompt_table._whole_percent(share) for share in (1.0, 0.999, 0.9615, None)]
    assert shown == ["100 %", "99 %", "96 %", "–"]


def test_small_curves_share_the_scale_of_the_run() -> None:
    """A flat row is flat: rows are not blown up to their own highest value."""
    for measure, top in (("floor", 4.0), (None, 8.0)):
        request = TableRequest("mean_kl", True, EVERY, measure)
        summary = {"kl_scale_max": 4.0, "surprisal_scale_max": 8.0}
        spark = prompt_table._config(request, 1.0, summary, ["spark"])["spark"]
        assert (spark["type_config"]["y_min"], spark["type_config"]["y_max"]) == (0, top)


def test_the_prompt_has_room_beside_every_other_column() -> None:
    """185 pixels in the usual order, never under 146, and all of it fits a window of 1440."""
    for sort in FIGURES:
        request = TableRequest(sort, True, EVERY, "floor")
        shown = prompt_table.columns_shown(request, pa.table({"coverage": [0.5]}))
        columns = prompt_table._config(request, 1.0, {}, shown)
        assert columns["prompt"]["width"] >= (185 if sort == "mean_kl" else 146)
        assert sum(columns[name]["width"] for name in shown) <= 477


def test_counts_and_sizes_read_as_english() -> None:
    """One file, two files; megabytes for what is that large."""
    assert upload.arrival_line(1, 1, 0) == "1 file arrived. 1 hidden file left out."
    assert upload.arrival_line(2, 0, 0) == "2 files arrived."
    assert [figures.size(n) for n in (1, 1500, 3_400_000, 120_000_000)] == [
        "1 byte",
        "1.5 kB",
        "3.4 MB",
        "120 MB",
    ]


def test_a_run_that_ended_early_says_once_what_is_left() -> None:
    """The sentence fits what there is, and the worker's own wording does not repeat it."""
    died = Status(state="died", message="the worker ended without a word; resume the run")
    assert progress.headline(died) == (
        "The worker ended without a word. What was finished is kept; Resume goes on."
    )
    assert "Nothing was finished yet" in progress.headline(died, kept=False)
    assert progress.detail_line(died) == ""


def test_a_workers_message_keeps_its_signs_and_loses_its_markup() -> None:
    """File names stay readable; nothing in them is obeyed."""
    assert markup.inert("read prompt_3.json: 2 of 4") == "read prompt\\_3.json: 2 of 4"
    assert markup.inert(":red[x] $y$ ![z](u)") == r": red\[x\] \$y\$ \!\[z\](u)"


def test_a_run_that_failed_early_is_known_by_what_its_command_asked(tmp_path: Path) -> None:
    """It never wrote its models and its title."""
    command = ["python", "-m", "kl_core", "prefill", "--input-dir", "/in/mine", "--model2", "m-9"]
    run = runs.create_run(
        tmp_path, "prefill", {"request": {}, "title": "prefill", "command": command}
    )
    assert run_list._asked(runs.run_info(run)) == ("m-9", "m-9 on mine")
    row = run_list._row(runs.run_info(run), None)
    assert (row["model 2"], row["prompts"]) == ("m-9", "–")


def test_a_prompt_with_a_system_turn_is_titled_by_the_question() -> None:
    """The whole is there beside it; nothing is where both are the same."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    row = {"prompt": "system: Be brief.\nuser: Why?", "prompt_json": json.dumps(messages)}
    assert prompt_text.title(row) == ("Why?", row["prompt"])
    assert prompt_text.title({"prompt": "Why?", "prompt_json": json.dumps(messages[1:])}) == (
        "Why?",
        "",
    )
