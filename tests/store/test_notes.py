"""Notes beside a run: nothing is lost, nothing hostile is obeyed, the database is not touched."""

import errno
import json
import multiprocessing
import shutil

import pytest

from kl_core.errors import InputError, RunError
from kl_core.store import files, notes, notes_tables, queries
from kl_core.store.build import build_database
from kl_core.store.notes import Note
from tests import factories
from tests.store.test_restore import make_run


@pytest.fixture
def run_dir(tmp_path):
    return make_run(tmp_path, [factories.entry(number) for number in range(4)])


def test_a_note_is_kept_replaced_and_removed(run_dir):
    """One note a place; without text and tags it is gone."""
    first = notes.save(run_dir, Note("a.json", 0, text=" hello\n", tags=("x", " y  z ", "x", "")))
    assert (first.text, first.tags) == ("hello", ("x", "y z"))
    assert first.updated
    assert notes.find(run_dir, ("a.json", 0, None, None)) == first
    notes.save(run_dir, Note("a.json", 0, 1, 5, "token"))
    notes.save(run_dir, Note("a.json", 0, text="changed"))
    assert [note.text for note in notes.read(run_dir)] == ["changed", "token"]
    assert notes.save(run_dir, Note("a.json", 0, text=" ")) is None
    assert notes.remove(run_dir, ("a.json", 0, 1, 5))
    assert not notes.remove(run_dir, ("a.json", 0, 1, 5))
    assert notes.read(run_dir) == ()


def test_tags_are_counted_the_most_first(run_dir):
    """For the filter."""
    for entry, tags in enumerate([("b",), ("a", "b"), ("a",), ("b",)]):
        notes.save(run_dir, Note("a.json", entry, tags=tags))
    assert list(notes.tag_counts(run_dir).items()) == [("b", 3), ("a", 2)]


def test_the_same_note_changed_on_two_pages_is_not_overwritten_unseen(run_dir):
    """The second page is told; the first one's text stays."""
    seen = notes.save(run_dir, Note("a.json", 0, text="old")).updated
    notes.save(run_dir, Note("a.json", 0, text="from page one"), seen)
    with pytest.raises(InputError, match="changed elsewhere"):
        notes.save(run_dir, Note("a.json", 0, text="from page two"), seen)
    with pytest.raises(InputError, match="changed elsewhere"):
        notes.save(run_dir, Note("a.json", 0, text="from page two"), "")
    assert notes.read(run_dir)[0].text == "from page one"


def write_many(run_dir, name, count):
    for number in range(count):
        notes.save(run_dir, Note(name, number, text=f"{name} {number}"))


def test_two_processes_writing_at_once_lose_nothing(run_dir):
    """Forty notes each, all eighty are there."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(run_dir, name, 40)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(notes.read(run_dir)) == 80


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"format_version": 1, "notes": [{"file": "a"}]}',
        '{"format_version": 1, "notes": [{"file": 3, "entry": 0, "tags": []}]}',
        '{"format_version": 1, "notes": [{"file": "a", "entry": -1, "tags": []}]}',
        '{"format_version": 1, "notes": [{"file": "a", "entry": 0, "tags": [1]}]}',
        json.dumps(
            {
                "format_version": 1,
                "notes": [{"file": "a", "entry": 0, "tags": [], "text": "x" * 20_001}],
            }
        ),
        '{"format_version": 9, "notes": []}',
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_with_a_sentence(run_dir, content):
    """Reading changes nothing; the next note moves the file away, whole, and says where it is."""
    (run_dir / notes.NAME).write_text(content)
    assert notes.read(run_dir) == ()
    assert "cannot be read" in notes.problem(run_dir)
    assert (run_dir / notes.NAME).read_text() == content
    notes.save(run_dir, Note("a.json", 0, text="new"))
    assert (run_dir / "notes.broken-1.json").read_text() == content
    assert "notes.broken-1.json" in notes.problem(run_dir)
    assert [note.text for note in notes.read(run_dir)] == ["new"]


GOOD = {"file": "a", "entry": 0, "slot": 1, "position": 2, "text": "good", "tags": ["x"]}


@pytest.mark.parametrize(
    "change",
    [
        {"position": ""},
        {"position": False},
        {"position": []},
        {"position": {}},
        {"position": -1},
        {"position": 1.0},
        {"position": 2**31},
        {"slot": True},
        {"slot": ""},
        {"slot": None},
        {"entry": "0"},
        {"file": "\ud800"},
        {"text": "\udfff"},
        {"updated": "\ud800"},
        {"updated": "**now**"},
        {"updated": 0},
        {"tags": "abc"},
        {"tags": {"a": 1}},
        {"tags": ["a", "a"]},
        {"tags": [["a"]]},
        {"more": 1},
        {"file": "a", "entry": 0, "slot": 1, "position": 2, "text": "again"},
    ],
)
def test_one_row_that_is_no_note_leaves_the_others(run_dir, change):
    """It is counted in a sentence; the next note keeps the file aside, whole, and the others."""
    path = run_dir / notes.NAME
    rows = [GOOD, GOOD | {"entry": 7} | change, GOOD | {"entry": 3}]
    content = json.dumps({"format_version": 1, "notes": rows})
    path.write_text(content)
    assert [note.entry for note in notes.read(run_dir)] == [0, 3]
    assert "1 of 3 notes in notes.json" in notes.problem(run_dir)
    notes.problem(run_dir).encode()
    assert path.read_text() == content
    with pytest.raises(InputError, match="changed elsewhere"):
        notes.save(run_dir, Note("a", 3, 1, 2, "mine"), seen="other")
    assert not list(run_dir.glob("notes.broken-*"))
    notes.save(run_dir, Note("a", 9, text="new"))
    assert (run_dir / "notes.broken-1.json").read_text() == content
    assert [note.entry for note in notes.read(run_dir)] == [0, 3, 9]
    assert "notes.broken-1.json holds notes" in notes.problem(run_dir)


def test_a_note_without_its_optional_parts_is_one(run_dir):
    """Null and absent mean the same: on the prompt, never saved here."""
    rows = [{"file": "a", "entry": 0, "slot": None, "position": None, "tags": []}]
    rows += [{"file": "a", "entry": 1, "tags": ["b"], "updated": "2026-01-02T03:04:05Z"}]
    path = run_dir / notes.NAME
    path.write_text(json.dumps({"format_version": 1, "notes": rows}))
    assert [note.key for note in notes.read(run_dir)] == [("a", n, None, None) for n in range(2)]
    assert notes.problem(run_dir) == ""


def test_notes_of_a_run_that_was_deleted_are_a_sentence(run_dir):
    """Another page deleted it meanwhile: saving and removing say so."""
    shutil.rmtree(run_dir)
    for change in (
        lambda: notes.save(run_dir, Note("a", 0, text="x")),
        lambda: notes.remove(run_dir, ("a", 0, None, None)),
    ):
        with pytest.raises(RunError, match="cannot be written .*still there"):
            change()
    assert notes.raw(run_dir) is None


def test_a_full_disk_is_a_sentence_and_keeps_the_notes(run_dir, monkeypatch):
    """The file is written whole or not at all."""
    notes.save(run_dir, Note("a", 0, text="before"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match="No space left on device"):
        notes.save(run_dir, Note("a", 0, text="after"))
    assert [note.text for note in notes.read(run_dir)] == ["before"]
    (run_dir / notes.NAME).unlink()
    (run_dir / notes.NAME).mkdir()
    with pytest.raises(RunError, match="cannot be read"):
        notes.raw(run_dir)


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (Note("a", 0, text="x" * 20_001), "at most 20,000 characters, this has 20,001"),
        (Note("a", 0, tags=("x" * 51,)), "at most 50 characters"),
        (Note("a", 0, tags=tuple(map(str, range(21)))), "at most 20 tags, this has 21"),
    ],
)
def test_limits_are_told_in_one_sentence(run_dir, note, sentence):
    """And what was there stays."""
    notes.save(run_dir, Note("a", 0, text="before"))
    with pytest.raises(InputError, match=sentence):
        notes.save(run_dir, note)
    assert notes.read(run_dir)[0].text == "before"


def test_a_run_holds_only_so_many(run_dir, monkeypatch):
    """A replacement is no further note."""
    monkeypatch.setattr(notes, "MOST_NOTES", 2)
    for entry in (0, 1, 1):
        notes.save(run_dir, Note("a", entry, text="x"))
    with pytest.raises(InputError, match="at most 2 notes"):
        notes.save(run_dir, Note("a", 2, text="x"))


def test_text_that_no_file_can_hold_is_replaced(run_dir):
    """Lone surrogates become a mark, everything else stays as it is."""
    text = "<script>\u202e\x00 😀"
    notes.save(run_dir, Note("a", 0, text=text + "\ud83d", tags=("\ud83d,b",)))
    kept = notes.read(run_dir)[0]
    assert (kept.text, kept.tags) == (text + "?", ("? b",))


def test_tagged_prompts_are_found_by_file_and_entry(run_dir):
    """A tag on a prompt or on a token in it; the run made anew finds them too."""
    notes.save(run_dir, Note("prompt_002.json", 0, tags=("odd",)))
    notes.save(run_dir, Note("prompt_001.json", 0, 1, 3, "why?", ("odd", "name")))
    notes.save(run_dir, Note("gone.json", 0, tags=("odd",)))
    cursor = queries.open_run(run_dir).cursor()
    assert notes_tables.tagged(run_dir, cursor, ("odd",)) == (1, 2)
    assert notes_tables.tagged(run_dir, cursor, ("name", "none")) == (1,)
    assert notes_tables.tagged(run_dir, cursor, ()) == ()
    build_database(run_dir)
    again = queries.open_run(run_dir)
    assert again.version == "run-2.duckdb"
    assert notes_tables.tagged(run_dir, again.cursor(), ("odd",)) == (1, 2)


def test_the_list_of_notes_has_the_prompt_and_the_token(run_dir):
    """Null where the run has no such place; order of file, entry, slot, position."""
    notes.save(run_dir, Note("prompt_001.json", 0, 1, 3, "why?", ("odd",)))
    notes.save(run_dir, Note("gone.json", 0, text="lost"))
    notes.save(run_dir, Note("prompt_001.json", 0, text="prompt"))
    cursor = queries.open_run(run_dir).cursor()
    rows = notes_tables.table(run_dir, cursor).to_pylist()
    assert [(row["text"], row["prompt_id"]) for row in rows] == [
        ("lost", None),
        ("prompt", 1),
        ("why?", 1),
    ]
    expected = factories.entry(1).responses[1].response.positions[3].token.text
    assert rows[2]["token"] == expected
    assert [row["text"] for row in rows] == [note.text for note in notes.read(run_dir)]
