"""The popovers that carry out and note: what they compute, show and keep."""

import errno
import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.store import files, notes, queries, results_zip, runs
from kl_core.store.notes import Note
from kl_core.store.parts import PartWriter
from kl_core.ui import export_results, export_view
from tests import factories
from tests.ui import made_runs

PROMPT = {"file": "prompt_3.json", "entry": 0}


@pytest.fixture
def run_dir(tmp_path):
    return made_runs.planted(tmp_path, 5)


def editor_page(path: str, slot: int | None, position: int | None) -> None:
    from pathlib import Path

    from kl_core.ui import notes_view

    row = {"file": "prompt_3.json", "entry": 0}
    response = None if slot is None else {"slot": slot}
    notes_view.editor(Path(path), row, response, position, "note", text=True)


def test_a_note_is_written_changed_and_removed_on_the_page(run_dir):
    """The form begins with what is kept; the note is shown as plain text."""
    app = AppTest.from_function(editor_page, args=(str(run_dir), 0, 5)).run()
    app.text_area[0].set_value("why <b>Lyon</b>? \u202e")
    app.button[0].click().run()
    assert not app.exception
    assert notes.find(run_dir, ("prompt_3.json", 0, 0, 5)).text == "why <b>Lyon</b>? \u202e"
    assert app.text_area[0].value == "why <b>Lyon</b>? \u202e"
    assert [one.value for one in app.text] == ["why <b>Lyon</b>? ⟨U+202E⟩"]
    assert not app.markdown
    app.text_area[0].set_value("")
    app.button[0].click().run()
    assert notes.read(run_dir) == ()


def test_a_note_changed_on_another_page_is_not_overwritten(run_dir):
    """The second page is told; what it typed stands below the form, to be copied."""
    app = AppTest.from_function(editor_page, args=(str(run_dir), None, None)).run()
    notes.save(run_dir, Note("prompt_3.json", 0, text="from elsewhere"))
    app.text_area[0].set_value("mine")
    app.button[0].click().run()
    assert notes.read(run_dir)[0].text == "from elsewhere"
    assert any("changed elsewhere" in one.value for one in app.text)
    assert any(one.value == "You typed: mine" for one in app.text)
    assert app.text_area[0].value == "from elsewhere"


def test_a_note_that_cannot_be_written_or_removed_is_told(run_dir, monkeypatch):
    """A full disk: a sentence below the form, what was kept stays."""
    notes.save(run_dir, Note("prompt_3.json", 0, text="kept"))
    app = AppTest.from_function(editor_page, args=(str(run_dir), None, None)).run()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    for button, said in ((0, "Not saved"), (1, "Not removed")):
        app.button[button].click().run()
        assert not app.exception
        assert any(said in one.value and "No space left" in one.value for one in app.text)
    assert notes.read(run_dir)[0].text == "kept"


def test_notes_that_cannot_be_read_are_told(run_dir):
    """A sentence in the popover, and the page stands."""
    (run_dir / notes.NAME).write_text("{")
    app = AppTest.from_function(editor_page, args=(str(run_dir), None, None)).run()
    assert not app.exception
    assert any("cannot be read" in one.value for one in app.text)


def overview_page(path: str) -> None:
    from pathlib import Path

    import streamlit as st

    from kl_core.ui import notes_view
    from kl_core.ui.state import Explore

    place = st.session_state.setdefault("place", Explore())
    notes_view.overview(Path(path), place)


def test_all_notes_are_listed_with_what_they_are_on(run_dir):
    """Rows in order; those of places that are not in this run say so."""
    app = AppTest.from_function(overview_page, args=(str(run_dir),)).run()
    assert "No notes yet" in app.caption[0].value
    notes.save(run_dir, Note("prompt_3.json", 0, 0, 5, "a", ("x",)))
    notes.save(run_dir, Note("gone.json", 0, text="b"))
    app.run()
    shown = app.dataframe[0].value
    assert shown["note"].tolist() == ["b", "a"]
    assert shown["place"].tolist() == ["prompt", "response 1, token 5"]
    assert shown["token"].tolist() == ["", "␣Lyon"]
    assert shown["prompt"].tolist()[0] == "not in this run: gone.json"


def export_page(path: str) -> None:
    from pathlib import Path

    from kl_core.store import queries, runs
    from kl_core.ui import cached, export_view
    from kl_core.ui.export_view import View

    info = runs.run_info(Path(path))
    views = [View("Prompts", "prompts", queries.prompts_query(), with_notes=True)]
    export_view.popover("Export", info, views, "export")
    export_view.run_popover(info, cached.summary(info.path))


def test_nothing_is_computed_while_the_popover_is_closed(run_dir, monkeypatch):
    """Neither a count nor code; the run's own popover only reads what is cached."""

    def never(*_):
        raise AssertionError

    monkeypatch.setattr(export_view, "_count", never)
    monkeypatch.setattr(export_view, "python_snippet", never)
    app = AppTest.from_function(export_page, args=(str(run_dir),)).run()
    assert not app.exception
    assert not app.code


def files_page(path: str) -> None:
    from pathlib import Path

    from kl_core.store import runs
    from kl_core.ui import cached, export_view

    info = runs.run_info(Path(path))
    export_view.run_files(info, cached.summary(info.path), "files")


def test_a_scored_run_offers_its_results(run_dir):
    """The button stands beside what the zip will hold."""
    app = AppTest.from_function(files_page, args=(str(run_dir),)).run()
    assert [one for one in app.button if one.label == "Make the zip"]


def test_a_raw_run_says_why_it_has_no_results(tmp_path):
    """One sentence in place of the button."""
    app = AppTest.from_function(files_page, args=(str(made_runs.raw(tmp_path)),)).run()
    assert any("score it first" in one.value for one in app.text)
    assert not [one for one in app.button if one.label == "Make the zip"]


def test_a_download_holds_every_row_of_the_order_and_its_notes(run_dir):
    """The bytes behind the button, made when it is clicked."""
    notes.save(run_dir, Note("prompt_3.json", 0, text="odd"))
    cursor = queries.open_run(run_dir).cursor()
    query = queries.prompts_query("max_kl")
    view = export_view.View("Prompts", "prompts", query, with_notes=True)
    rows = json.loads(export_view._maker(run_dir, cursor, view, "json")())
    assert [row["prompt_id"] for row in rows] == query.table(cursor)["prompt_id"].to_pylist()
    assert [row["note"] for row in rows if row["prompt_id"] == 3] == ["odd"]


def test_an_error_while_exporting_is_a_sentence_in_the_file(run_dir):
    """A download has no other place for it."""
    cursor = queries.open_run(run_dir).cursor()
    view = export_view.View("x", "x", queries.Query("SELECT nothing FROM prompts"))
    assert b"could not be exported" in export_view._maker(run_dir, cursor, view, "csv")()


def wait_for_zip(run_dir):
    limit = time.monotonic() + 60
    while export_results.active(run_dir) and time.monotonic() < limit:
        time.sleep(0.05)


def test_the_zip_is_made_once_and_kept_until_the_run_or_its_notes_change(run_dir):
    """Two clicks start one process; a new note makes the zip stale."""
    export_results.start(run_dir)
    job = export_results._jobs()[str(run_dir)]
    export_results.start(run_dir)
    assert export_results._jobs()[str(run_dir)] is job
    wait_for_zip(run_dir)
    assert export_results.ready(run_dir) == run_dir / "results.zip"
    assert job.counts() == (5, 5)
    assert job.fault() == ""
    time.sleep(0.02)
    notes.save(run_dir, Note("prompt_3.json", 0, text="odd"))
    assert export_results.ready(run_dir) is None


def test_a_resumed_run_with_newer_parts_makes_the_zip_stale(run_dir):
    """The pages show the parts then; the zip of the database before is not offered."""
    export_results.start(run_dir)
    wait_for_zip(run_dir)
    assert export_results.ready(run_dir) is not None
    time.sleep(0.02)
    with PartWriter(run_dir) as writer:
        writer.add(5, 15, factories.entry(5))
    assert queries.run_version(run_dir) == "live-2"
    assert export_results.ready(run_dir) is None


def test_what_comes_while_a_zip_is_made_makes_it_stale(run_dir):
    """Its time is that of the reading, not of the last byte."""

    def meanwhile(done, total):
        if done == total:
            notes.save(run_dir, Note("prompt_3.json", 0, text="late"))

    results_zip.write(run_dir, run_dir / export_results.NAME, meanwhile)
    assert export_results.ready(run_dir) is None


def test_a_zip_of_a_run_that_was_deleted_is_none(run_dir):
    """Another page deleted it: no traceback."""
    runs.delete_run(run_dir)
    assert export_results.ready(run_dir) is None


def test_a_zip_that_cannot_be_made_says_why(tmp_path):
    """The worker's own sentence."""
    run_dir = made_runs.raw(tmp_path)
    export_results.start(run_dir)
    wait_for_zip(run_dir)
    assert export_results.ready(run_dir) is None
    assert "score it first" in export_results._jobs()[str(run_dir)].fault()


def test_charts_and_tokens_have_files_of_their_own(run_dir):
    """The object of the tokens command; a page that loads nothing from outside."""
    cursor = queries.open_run(run_dir).cursor()
    extra = export_view.tokens_json(export_view.token_export.bounds(0.5))
    assert json.loads(extra.make(cursor))["entries"][0]["token"] == " Lyon"
    page = export_view.chart_html("histogram", queries.summary(cursor)).make(cursor).decode()
    assert "plotly" in page
    assert 'src="http' not in page


def test_tokens_that_would_fill_the_memory_are_not_offered(run_dir, monkeypatch):
    """The estimate is about the object's size, and above the limit a sentence stands instead."""
    cursor = queries.open_run(run_dir).cursor()
    bounds = export_view.token_export.bounds(0.0)
    extra = export_view.tokens_json(bounds)
    assert extra.refuse(cursor) == ""
    size, estimate = (
        len(extra.make(cursor)),
        export_view.token_export.estimate_bytes(cursor, bounds),
    )
    assert size / 2 < estimate < 2 * size
    monkeypatch.setattr(export_view, "MOST_BYTES", 1000)
    assert "raise the lower bound" in extra.refuse(cursor)


def test_a_run_with_a_zip_beside_it_is_still_a_run(run_dir):
    """results.zip and notes.json are no part of it, and go with it."""
    export_results.start(run_dir)
    wait_for_zip(run_dir)
    notes.save(run_dir, Note("prompt_3.json", 0, text="odd"))
    assert runs.run_info(run_dir).state == "done"
    runs.delete_run(run_dir)
    assert not run_dir.exists()
