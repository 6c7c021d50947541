"""The command printed for what is too large: run, it writes the rows that the page shows."""

from __future__ import annotations

import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from kl_core.cli import main
from kl_core.store import notes, notes_tables, queries, runs
from kl_core.store.filters import PromptFilter, Range
from kl_core.store.notes import Note
from kl_core.store.token_tables import occurrences_query
from kl_core.ui import carry_commands, carry_out, export_view
from kl_core.ui.state import Explore
from kl_core.ui.table_request import TableRequest
from tests.ui import made_runs


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    made = made_runs.planted(tmp_path_factory.mktemp("carry") / "runs", 6)
    notes.save(made, Note("prompt_1.json", 0, text="odd", tags=("-odd, one's", "b")))
    return made


@pytest.fixture
def cursor(run_dir):
    return queries.open_run(run_dir).cursor()


def written(run_dir: Path, view: export_view.View, folder: Path, monkeypatch) -> list[dict]:
    """The rows in the file that the view's command writes, run as a shell would."""
    monkeypatch.setenv("KL_RUNS_DIR", str(run_dir.parent))
    line = carry_commands.line(runs.run_info(run_dir), view.command, f"{view.stem}.parquet")
    monkeypatch.delenv("KL_RUNS_DIR")
    monkeypatch.chdir(folder)
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "kl_core"]
    main.app(words[3:], standalone_mode=False)
    return pq.read_table(folder / f"{view.stem}.parquet").to_pylist()


def shown(run_dir: Path, view: export_view.View, cursor) -> list[dict]:
    """The rows that its downloads hold."""
    rows = view.source.table(cursor)
    change = notes_tables.beside_prompts(run_dir) if view.with_notes else None
    batches = rows.to_batches() if change is None else map(change, rows.to_batches())
    return [row for batch in batches for row in batch.to_pylist()]


ROW = {"prompt_id": 3, "response_id": 9, "tokens": 77}


@pytest.mark.parametrize(
    ("sort", "descending", "where", "tags", "least"),
    [
        ("mean_kl", True, PromptFilter(), (), 6),
        ("prompt_id", False, PromptFilter(text="story number"), (), 5),
        (
            "max_kl",
            False,
            PromptFilter(
                text="t",
                providers=("local", 'its -- "x" $HOME `a`'),
                models=("tiny-base",),
                finish_reasons=("stop",),
                ranges=(Range("mean_kl", 0.001, 0.123456789012345), Range("length", 66, None)),
            ),
            (),
            3,
        ),
        ("mean_kl", True, PromptFilter(prompt_ids=(1,)), ("-odd, one's",), 1),
    ],
)
def test_the_command_of_the_table_gives_its_prompts(
    run_dir, cursor, tmp_path, monkeypatch, sort, descending, where, tags, least
):
    """Order, search, every filter, and the notes beside them."""
    tags = notes.clean_tags(tags)
    request = TableRequest(sort, descending, where, "floor")
    view = carry_out.prompt_views(request, None, tags)[0]
    rows = written(run_dir, view, tmp_path, monkeypatch)
    assert rows == shown(run_dir, view, cursor)
    assert len(rows) >= least
    assert "note" in rows[0]


def test_what_is_open_has_commands_of_its_own(run_dir, cursor, tmp_path, monkeypatch):
    """The responses of the prompt, and the tokens of the response."""
    request = TableRequest("mean_kl", True, PromptFilter(), "floor")
    for view in carry_out.prompt_views(request, ROW, ())[1:]:
        rows = written(run_dir, view, tmp_path, monkeypatch)
        assert repr(rows) == repr(shown(run_dir, view, cursor))
        assert len(rows) in (3, 77)


def place_of(**values) -> Explore:
    return Explore(view="tokens", **values)


@pytest.mark.parametrize(
    ("place", "count", "least"),
    [
        (place_of(), None, 400),
        (place_of(least="0.001", most="1.25"), None, 5),
        (place_of(find="-Lyon"), None, 0),
        (place_of(find="Lyon"), None, 1),
        (place_of(score="normalized", least="0.01", floor="0.02"), None, 5),
        (place_of(score="normalized"), None, 5),
        (place_of(grouped="total"), None, 30),
        (place_of(grouped="mean-asc", find="e"), None, 5),
        (place_of(grouped="occurrences"), 7, 5),
    ],
)
def test_the_command_of_the_list_gives_its_tokens(
    run_dir, cursor, tmp_path, monkeypatch, place, count, least
):
    """Score, bounds, search; by word with its order and its least count."""
    summary = queries.summary(cursor)
    monkeypatch.setattr(carry_out.st, "session_state", {carry_out.COUNT: count})
    asked = carry_out.tokens_request.read(place, summary["measure"], place.find or "", count)
    view = carry_out.token_view(summary, place, asked.query())
    rows = written(run_dir, view, tmp_path, monkeypatch)
    assert repr(rows) == repr(shown(run_dir, view, cursor))
    assert len(rows) >= least


def test_each_chart_has_a_command(run_dir, cursor, tmp_path, monkeypatch):
    """Its rows, not the page with the figure."""
    for view in carry_out.chart_views(queries.summary(cursor)):
        rows = written(run_dir, view, tmp_path, monkeypatch)
        assert repr(rows) == repr(shown(run_dir, view, cursor))


def test_what_no_command_can_say_has_none(cursor):
    """Tags that are not known here, lists that are another question, texts that look wrong."""
    picked = TableRequest("mean_kl", True, PromptFilter(prompt_ids=(1,)), "floor")
    assert carry_commands.prompts(picked, ()) is None
    odd = TableRequest("mean_kl", True, PromptFilter(providers=("a\u202eb",)), "floor")
    assert carry_commands.prompts(odd, ()) is None
    assert carry_commands.prompts(TableRequest("max_kl", True, PromptFilter("a\nb")), ()) is None
    other = occurrences_query("a", False)
    assert carry_out.token_view(queries.summary(cursor), place_of(), other).command is None


def large_page(path: str, known: bool) -> None:
    from pathlib import Path

    from kl_core.store import queries, runs
    from kl_core.ui import export_view
    from kl_core.ui.export_view import View

    command = ("--view", "prompts", "--sort", "max_kl") if known else None
    view = View("Prompts", "prompts", queries.prompts_query("max_kl"), command=command)
    export_view.MOST_ROWS = 5
    try:
        export_view._view(runs.run_info(Path(path)), view, "large")
    finally:
        export_view.MOST_ROWS = 200_000


@pytest.mark.parametrize("known", [True, False])
def test_too_many_rows_are_a_command_or_the_python(run_dir, known):
    """The page prints it whole, and no download."""
    app = AppTest.from_function(large_page, args=(str(run_dir), known)).run()
    assert not app.exception
    assert not app.get("download_button")
    said = " ".join(one.value for one in app.caption)
    if known:
        line = f"python -m kl_core export {run_dir.name} --view prompts --sort max_kl"
        assert app.code[0].value.startswith(line)
        assert app.code[0].value.endswith("--output prompts.parquet")
    else:
        assert "use the Python below" in said
    assert "read_only=True" in app.code[-1].value


def test_the_tokens_object_is_not_offered_for_a_search(run_dir, cursor, monkeypatch):
    """It knows no search: the sentence stands in place of a file of other tokens."""
    monkeypatch.setattr(carry_out.st, "session_state", {})
    summary = queries.summary(cursor)
    for find, offered in (("Lyon", False), (None, True)):
        place = place_of(find=find)
        listed = carry_out.tokens_request.read(place, summary["measure"], find or "", None).query()
        extra = carry_out.token_view(summary, place, listed).extras[0]
        assert ("clear the search" in extra.refuse(cursor)) is not offered
    found = export_view.token_export.count(cursor, export_view.Bounds(None, None, "kl", 0.01))
    assert found == listed.table(cursor).num_rows
