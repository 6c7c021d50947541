"""The Compare page without a browser: two runs, what moved, and what cannot be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.store import pair_figures, runs
from kl_core.store.runs import Status
from kl_core.ui import pair_cached, pair_export
from tests.pages.conftest import APP, opened, picker, texts
from tests.ui import made_runs
from tests.ui.made_runs import entry, prose, response


def compare(**address: str) -> AppTest:
    """The page after its first run, at an address."""
    app = AppTest.from_file(str(APP.parent / "pages" / "compare.py"), default_timeout=60)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def two(root: Path, prompts: int = 5) -> tuple[Path, Path]:
    """Two runs over the same prompts; in B prompt 3 is farther at token 8, response 2."""
    made = []
    for short in ("aaaa0001", "bbbb0001"):
        entries = [
            entry(
                n,
                f"question {n}",
                [
                    response(
                        prose(15, n),
                        {8: 0.01} if short[0] == "b" and (n, slot) == (3, 1) else {},
                        slot,
                        2 * n + slot,
                    )
                    for slot in range(2)
                ],
            )
            for n in range(prompts)
        ]
        made.append(made_runs.write(root, entries, short=short))
    return made[0], made[1]


def test_the_page_opens_on_the_token_that_moved_most(root: Path) -> None:
    """Older run A, newer run B, their prompt, response and token in the address."""
    a, b = two(root)
    made_runs.raw(root)
    app = compare()
    assert app.query_params["run"] == a.name and app.query_params["with"] == b.name
    assert (app.query_params["prompt"], app.query_params["response"]) == ("3", "1")
    assert app.query_params["position"] == "8"
    assert "In both: 5 prompts · 10 responses · 150 tokens" in texts(app)
    assert "No difference beyond noise" in texts(app)


def test_the_swap_button_turns_the_difference_round(root: Path) -> None:
    """What is open stays open, and what was more is less."""
    a, b = two(root)
    app = compare(run=a.name, **{"with": b.name, "figure": "max_kl"})
    assert "+" in app.dataframe[0].value["difference"].map("{:+}".format).iloc[0]
    next(button for button in app.button if button.label == "⇄").click().run()
    assert app.query_params["run"] == b.name and app.query_params["with"] == a.name
    assert app.query_params["prompt"] == "3" and app.query_params["position"] == "8"
    assert app.dataframe[0].value["difference"].iloc[0] < 0
    other = compare(run=a.name, prompt="1", response="0", position="4", **{"with": b.name})
    next(button for button in other.button if button.label == "⇄").click().run()
    assert [other.query_params[name] for name in ("run", "prompt", "response", "position")] == [
        b.name,
        "1",
        "0",
        "4",
    ]


def test_an_address_is_followed_and_what_is_not_there_is_replaced_with_a_word(root: Path) -> None:
    """Figures, orders and numbers from a link; nonsense is left out without an error."""
    a, b = two(root)
    app = compare(run=b.name, prompt="1", response="0", position="4", **{"with": a.name})
    assert (app.query_params["prompt"], app.query_params["position"]) == ("1", "4")
    odd = compare(
        run=a.name, prompt="99999", response="77", position="x", figure="<b>", order="; DROP"
    )
    assert odd.query_params["prompt"] == "3"
    gone = compare(run="20200101-000000-score-gone0000", **{"with": b.name})
    assert "not here" in texts(gone)
    assert gone.query_params["with"] == b.name and gone.query_params["run"] == a.name
    same = compare(run=a.name, **{"with": a.name})
    assert same.query_params["with"] == b.name


def test_fewer_than_two_runs_say_what_is_needed(root: Path) -> None:
    """An invitation, with one run and with none."""
    assert "There is no run yet" in texts(compare())
    made_runs.raw(root)
    assert "There is one run so far" in texts(compare())


def test_runs_with_nothing_in_common_say_so_and_list_what_each_has(root: Path) -> None:
    """No figures are made up."""
    a, _ = two(root)
    other = made_runs.hostile(root)
    app = compare(run=a.name, **{"with": other.name})
    assert "no prompt in common" in texts(app)
    assert "Compare by" not in [box.label for box in app.selectbox]
    assert not [one for one in app.get("popover") if one.proto.popover.label == "Export"]
    listed = app.dataframe[0].value
    assert sorted(listed["run"]) == ["A"] * 5 + ["B"]
    assert set(listed["response"]) == {""}
    assert len(app.get("plotly_chart")) == 0


def test_runs_over_the_same_prompts_are_offered_first(root: Path) -> None:
    """The others follow, and say that they are over other prompts."""
    a, b = two(root)
    made_runs.raw(root)
    app = compare(run=a.name, **{"with": b.name})
    options = picker(app, "Run B").options
    assert b.name[-8:] in options[0] or "other prompts" not in options[0]
    assert options[-1].endswith("other prompts")


def test_another_kind_of_figure_is_said_to_be_another(root: Path) -> None:
    """Whole vocabularies against lists: the page does not pretend they are one scale."""
    made = [response(prose(9, 1), {})]
    a = made_runs.write(root, [entry(0, "q", made)], short="aaaa0001")
    b = made_runs.write(root, [entry(0, "q", made, whole=True)], short="bbbb0001")
    app = compare(run=a.name, **{"with": b.name})
    assert "not of one kind" in texts(app)
    assert "one prompt alone" in texts(app)


def test_the_table_shows_figures_over_what_is_matched(root: Path) -> None:
    """A second response of A alone moves neither A's figure nor the verdict, and is said to be."""
    one, far = response(prose(15, 1), {8: 0.1}), response(prose(15, 2), {3: 0.001}, 1)
    for short, responses in (("aaaa0001", [one, far]), ("bbbb0001", [one])):
        made_runs.write(root, [entry(n, f"q {n}", responses) for n in range(3)], short=short)
    app = compare(figure="max_kl")
    shown = next(one.value for one in app.dataframe if "figure_a" in one.value)
    assert list(shown["difference"]) == [0.0] * 3
    assert list(shown["figure_a"]) == list(shown["figure_b"])
    assert list(shown["tokens"]) == [15] * 3
    assert "No difference: max KL is the same at all 3 prompts" in texts(app)
    assert "over the matched ones alone" in texts(app)


def test_a_value_that_one_run_alone_has_is_counted_on_the_page(root: Path) -> None:
    """Left out of both sides, with the side that knows it."""
    for short, reasons in (("aaaa0001", {}), ("bbbb0001", {4: "not scored"})):
        made = [response(prose(15, 1), {}, reasons=reasons)]
        made_runs.write(root, [entry(n, f"q {n}", made) for n in range(2)], short=short)
    said = texts(compare())
    assert "mean KL is known in one run alone: 2 tokens in A." in said


def test_a_run_deleted_while_it_is_open_is_replaced(root: Path) -> None:
    """The next click finds another pair, and nothing crashes."""
    a, b = two(root)
    third = made_runs.write(root, [entry(0, "q", [response(prose(9, 1), {})])], short="cccc0001")
    app = compare(run=a.name, **{"with": b.name})
    shutil.rmtree(b)
    app.run()
    assert not app.exception
    assert app.query_params["with"] == third.name


def test_a_live_run_is_compared_as_far_as_it_is(root: Path) -> None:
    """Its card is on the page, and its finished prompts count."""
    a, b = two(root)
    next(b.glob("run-*.duckdb")).unlink()
    runs.write_status(b, Status(state="starting", updated=2**40, stage="scoring"))
    app = compare(run=a.name, **{"with": b.name})
    assert "Run B still works" in texts(app)
    assert "In both: 5 prompts" in texts(app)


def rows(app: AppTest) -> list[str]:
    """Run ids of the list, in its order."""
    return list(app.dataframe[0].value["run"])


def test_the_runs_page_shows_size_counts_and_names_and_renames(root: Path) -> None:
    """A hostile name is shown as it is, in a table and as text."""
    a, b = two(root)
    runs.rename_run(a, "<script>1</script> **x**")
    app = opened("pages/runs.py")
    assert rows(app) == [b.name, a.name]
    first = app.dataframe[0].value.iloc[1]
    assert first["name"] == "<script>1</script> **x**"
    assert (first["prompts"], first["responses"], first["tokens"]) == ("5", "10", "150")
    assert first["size"].endswith("MB") and "MB on disk" in texts(app)
    app.text_input(key=f"rename_{b.name}").set_value("the better one")
    app.button(key=f"rename_go_{b.name}").click().run()
    assert not app.exception
    assert runs.read_name(b) == "the better one"
    app.text_input(key=f"rename_{b.name}").set_value("x\u202ey")
    app.button(key=f"rename_go_{b.name}").click().run()
    assert "invisible character" in texts(app) and runs.read_name(b) == "the better one"


def test_checked_runs_are_deleted_after_a_confirmation_that_names_them(root: Path) -> None:
    """Name and size stand above the button; a working run among them is left alone."""
    a, b = two(root)
    live = made_runs.raw(root)
    runs.write_status(live, Status(state="starting", updated=2**40))
    app = opened("pages/runs.py")
    app.session_state["runs_checked"] = [a.name, live.name, "20200101-000000-score-gone0000"]
    app.run()
    assert "1 checked run still at work" in texts(app)
    assert f"made for a test · {a.name} · " in texts(app)
    app.button(key="delete_checked").click().run()
    assert not app.exception
    assert not a.exists() and b.exists() and live.exists()


def test_a_run_deleted_elsewhere_while_it_is_selected_does_not_break_the_list(root: Path) -> None:
    """The list goes on with the others; deleting it again is no error."""
    a, b = two(root)
    app = opened("pages/runs.py")
    app.session_state["runs_chosen"] = a.name
    app.run()
    shutil.rmtree(a)
    app.button(key=f"delete_{a.name}").click().run()
    assert not app.exception
    assert rows(app) == [b.name]


def test_many_runs_can_be_filtered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By text, state and kind; a filter that fits nothing says so."""
    for number in range(14):
        runs.create_run(root, "score", {"request": {}, "title": f"number {number}"})
    done = made_runs.raw(root)
    app = opened("pages/runs.py")
    assert len(rows(app)) == 15
    picker_of = {box.label: box for box in app.multiselect}
    picker_of["States"].set_value(["done"]).run()
    assert rows(app) == [done.name]
    next(box for box in app.text_input if box.label == "Search runs").set_value("nothing").run()
    assert "No run fits the filter" in texts(app)
    next(button for button in app.button if button.label == "Clear").click().run()
    assert len(rows(app)) == 15
    next(box for box in app.text_input if box.label == "Search runs").set_value("DONE").run()
    assert rows(app) == [done.name]


def test_the_paired_rows_are_carried_out_as_they_are_sorted(root: Path) -> None:
    """The button's file holds every pair, B − A, in the page's order."""
    key = pair_cached.key_of(*two(root))
    query = pair_figures.prompts_query("mean_kl", "up")
    rows = json.loads(pair_export._maker(key, query, "json")())
    assert len(rows) == 5
    assert [row["difference"] for row in rows] == sorted(
        (row["difference"] for row in rows), reverse=True
    )
    assert rows[0]["difference"] == pytest.approx(rows[0]["figure_b"] - rows[0]["figure_a"])
