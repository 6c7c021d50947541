"""Folders, bad files, encodings: everything else still loads, with a row for what does not."""

import gzip
import json
import os
from pathlib import Path

import pytest

from kl_core.errors import InputError
from kl_core.formats import limits
from kl_core.formats.reader import discover, read_entries, read_file
from kl_core.jobs.reading import open_input
from kl_core.records import Entry, ProblemLog, ScoredEntry

from .make import GOOD, entry, load, openai_response, sure, write


def _with_good(folder: Path, name: str, data: bytes) -> list[str]:
    """Reasons for a bad file that lies beside a good one, which must load."""
    (folder / name).write_bytes(data)
    write(folder / "zz_good.json", GOOD)
    entries, rows = load(folder)
    assert "zz_good.json" in [e.file for e in entries if isinstance(e, Entry)]
    assert all(row.file == name for row in rows)
    assert all(row.hint for row in rows)
    return [row.reason for row in rows]


def test_a_truncated_file_is_named_with_its_line(tmp_path):
    """JSON cut off in the middle: line, column, and the other files are read."""
    text = json.dumps(GOOD, indent=1)
    cut = text[: len(text) // 2]
    (reason,) = _with_good(tmp_path, "a.json", cut.encode())
    assert "ends early" in reason or "broken" in reason
    assert f"line {cut.count(chr(10)) + 1} column" in reason


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{'a': 1}", "broken"),
        (b"3", "not an object"),
        (b"[]", "no entries"),
        (b'{"a": 1}', "neither responses"),
        (b'{"score": "kl", "rows": []}', "neither responses"),
        (b"\xff\xfe{\x00\xff", "utf-16"),
        (b"\x1f\x8b\x08\x00broken", "early"),
        (b"1" * 5000, "cannot be read"),
    ],
)
def test_a_bad_file_is_a_row_and_the_others_load(tmp_path, data, said):
    """Whatever is in a file, it becomes one row and no other file is lost."""
    (reason,) = _with_good(tmp_path, "a.json", data)
    assert said in reason


def test_one_bad_entry_does_not_lose_the_others(tmp_path):
    """A list with a number in it: the entries around it keep their index."""
    write(tmp_path / "a.json", [GOOD, 5, GOOD])
    entries, rows = load(tmp_path)
    assert [(e.index, e.entries_in_file) for e in entries] == [(0, 3), (2, 3)]
    assert [(row.file, row.where) for row in rows] == [("a.json", "$[1]")]


def test_good_lines_of_a_truncated_json_lines_file_are_kept(tmp_path):
    """Two whole lines and half a line: two entries, one row naming line 3."""
    line = json.dumps(GOOD)
    (tmp_path / "a.jsonl").write_text(f"{line}\n{line}\n{line[:100]}")
    entries, rows = load(tmp_path)
    assert [e.index for e in entries] == [0, 1]
    assert rows[0].where == "line 3: $"
    assert "line 3 column" in rows[0].reason


def test_a_bad_first_line_of_json_lines_is_one_row(tmp_path):
    """Named .jsonl, so a broken first line does not lose the second."""
    (tmp_path / "a.jsonl").write_text("{broken\n" + json.dumps(GOOD))
    entries, rows = load(tmp_path)
    assert [e.index for e in entries] == [1]
    assert len(rows) == 1


def test_gzip_is_read_whatever_the_name(tmp_path):
    """.json.gz, .jsonl.gz, and gzip under the name .json."""
    body = json.dumps(GOOD).encode()
    for name, data in [("a.json.gz", body), ("b.jsonl.gz", body + b"\n" + body), ("c.json", body)]:
        (tmp_path / name).write_bytes(gzip.compress(data))
    entries, rows = load(tmp_path)
    assert [e.file for e in entries] == ["a.json.gz", "b.jsonl.gz", "b.jsonl.gz", "c.json"]
    assert rows == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_of_windows_programs_are_read(tmp_path, encoding):
    """A byte-order mark or UTF-16 is no obstacle."""
    text = json.dumps(entry(openai_response([sure("é")], "é")), ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    entries, rows = load(tmp_path)
    assert entries[0].responses[0].text == "é"
    assert rows == []


def test_lone_surrogates_are_replaced_and_reported(tmp_path):
    """Half an emoji becomes U+FFFD, with one row a response."""
    (tmp_path / "a.json").write_text(json.dumps(GOOD).replace("Hi there", "Hi \\ud83d there"))
    entries, rows = load(tmp_path)
    assert entries[0].responses[0].text == "Hi \ufffd there"
    entries[0].responses[0].text.encode()
    assert any("surrogate" in row.reason for row in rows)


def test_broken_utf8_is_replaced_and_reported(tmp_path):
    """A Latin-1 byte in the text does not lose the file."""
    (tmp_path / "a.json").write_bytes(json.dumps(GOOD).encode().replace(b"Say hi", b"Say h\xe9"))
    entries, rows = load(tmp_path)
    assert entries[0].prompt[0].content == "Say h\ufffd"
    assert "not UTF-8" in rows[0].reason


def test_nan_literals_cost_one_position(tmp_path):
    """NaN in a file that only the standard module reads: the position has a reason."""
    bad = entry(openai_response([{**sure("Hi"), "logprob": float("nan")}, sure("Ġthere")]))
    write(tmp_path / "a.json", bad)
    entries, rows = load(tmp_path)
    reasons = [p.reason for p in entries[0].responses[0].positions]
    assert reasons[0] is not None
    assert reasons[1] is None
    assert len(rows) == 1


def test_files_set_aside_are_counted_by_kind(tmp_path):
    """Hidden files, a Mac's extras and other types: one row a kind, names up to five."""
    write(tmp_path / "sub" / "a.json", GOOD)
    for name in [".hidden.json", ".git/b.json", "__MACOSX/c.json", "read.me", "x.csv", "y.zip"]:
        write(tmp_path / name, GOOD)
    for n in range(7):
        write(tmp_path / f"plot{n}.png", GOOD)
    entries, rows = load(tmp_path)
    assert [e.file for e in entries] == ["sub/a.json"]
    assert len(rows) == 3
    kinds = {row.reason.split(":")[0]: row.reason for row in rows}
    assert "2 files (.git/b.json, .hidden.json)" in kinds["hidden files were skipped"]
    assert "10 files" in kinds["files that are not JSON were skipped"]
    assert "…" in kinds["files that are not JSON were skipped"]


def test_a_pattern_chooses_files(tmp_path):
    """By file name, by path, or several with commas; what it leaves out is no problem."""
    for name in ["a.json", "sub/b.json", "sub/c.jsonl", "note.txt"]:
        write(tmp_path / name, GOOD)
    assert [e.file for e in load(tmp_path, "*.json")[0]] == ["a.json", "sub/b.json"]
    assert [e.file for e in load(tmp_path, "sub/*")[0]] == ["sub/b.json", "sub/c.jsonl"]
    assert [e.file for e in load(tmp_path, "**/*.json")[0]] == ["a.json", "sub/b.json"]
    assert [e.file for e in load(tmp_path, "a.*,c.*")[0]] == ["a.json", "sub/c.jsonl"]
    assert load(tmp_path, "*.json")[1] == []
    assert "no file" in load(tmp_path, "*.xml")[1][0].reason


def test_links_are_followed_inside_the_folder_only(tmp_path):
    """A link out of the folder, a dangling one and one in a circle are rows."""
    root = tmp_path / "in"
    write(root / "a.json", GOOD)
    outside = write(tmp_path / "secret.json", GOOD)
    (root / "inside.json").symlink_to(root / "a.json")
    (root / "out.json").symlink_to(outside)
    (root / "gone.json").symlink_to(root / "nothing.json")
    (root / "round.json").symlink_to(root / "round.json")
    (root / "folder").symlink_to(tmp_path)
    entries, rows = load(root)
    assert [e.file for e in entries] == ["a.json", "inside.json"]
    assert {row.file for row in rows} == {"out.json", "gone.json", "round.json", "folder"}


def test_a_pipe_does_not_hang_the_import(tmp_path):
    """A named pipe with a JSON name is a row, not an endless wait."""
    write(tmp_path / "a.json", GOOD)
    os.mkfifo(tmp_path / "pipe.json")
    entries, rows = load(tmp_path)
    assert len(entries) == 1
    assert rows[0].file == "pipe.json"


def test_an_unreadable_file_is_a_row(tmp_path, monkeypatch):
    """No permission: a row with the reason, the other file is read."""
    write(tmp_path / "a.json", GOOD)
    write(tmp_path / "b.json", GOOD)
    real_open = Path.open

    def refusing_open(path, *args, **kwargs):
        if path.name == "a.json":
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refusing_open)
    entries, rows = load(tmp_path)
    assert [e.file for e in entries] == ["b.json"]
    assert "Permission denied" in rows[0].reason


def test_a_file_over_the_limit_is_refused_unread(tmp_path, monkeypatch):
    """Too big: a row with both sizes."""
    write(tmp_path / "a.json", GOOD)
    write(tmp_path / "b.json", {**GOOD, "prompt": "x" * 5000})
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 4000)
    entries, rows = load(tmp_path)
    assert [e.file for e in entries] == ["a.json"]
    assert "more than the limit" in rows[0].reason


def test_a_gzip_bomb_is_stopped(tmp_path, monkeypatch):
    """Growth that no response file has ends the decompression with a row."""
    monkeypatch.setattr(limits, "RATIO_FROM_BYTES", 2**20)
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b" " * 2**23))
    write(tmp_path / "b.json", GOOD)
    entries, rows = load(tmp_path)
    assert [e.file for e in entries] == ["b.json"]
    assert "over 200 times" in rows[0].reason


def test_a_truncated_gzip_is_a_row(tmp_path):
    """Half a gzip file says that it ends early."""
    data = gzip.compress(os.urandom(5000))
    (tmp_path / "a.json.gz").write_bytes(data[:2000])
    _, rows = load(tmp_path)
    assert "ends early" in rows[0].reason


def test_a_file_name_that_is_no_utf8_can_be_stored(tmp_path):
    """Bytes of an old encoding in a name become U+FFFD."""
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.json")
    with open(path, "wb") as file:
        file.write(json.dumps(GOOD).encode())
    entries, _ = load(tmp_path)
    assert entries[0].file == "caf\ufffd.json"


def test_a_missing_root_is_an_input_error(tmp_path):
    """The path is named, with what to give instead."""
    with pytest.raises(InputError, match="does not exist; give"):
        discover(tmp_path / "nowhere", None, ProblemLog())


def test_progress_and_max_files(tmp_path):
    """Files come in order of their names; progress counts them."""
    for name in "cab":
        write(tmp_path / f"{name}.json", GOOD)
    seen = []
    found = read_entries(tmp_path, None, ProblemLog(), 2, lambda *step: seen.append(step))
    assert [e.file for e in found] == ["a.json", "b.json"]
    assert seen == [(1, 2), (2, 2)]


def test_one_file_can_be_the_root(tmp_path):
    """A single file is read whatever its name, as its own name."""
    path = write(tmp_path / "answers.txt", GOOD)
    entries, rows = load(path)
    assert [e.file for e in entries] == ["answers.txt"]
    assert rows == []


def test_result_files_are_known_by_content(tmp_path):
    """A result under any name is a scored entry; a response file named _kl is not."""
    result = {"prompt": "p", "model1": "a", "model2": "b", "responses": []}
    write(tmp_path / "x.json", result)
    write(tmp_path / "y_kl.json", GOOD)
    entries, _ = load(tmp_path)
    assert [type(e) for e in entries] == [ScoredEntry, Entry]


def test_hostile_text_is_kept_as_it_is(tmp_path):
    """Markup, controls and right-to-left marks are data: nothing is changed."""
    text = "<script>alert(1)</script>\u202e$x$ ![](http://x)\x00\x1b[31m"
    write(tmp_path / "a.json", {**GOOD, "prompt": text})
    entries, rows = load(tmp_path)
    assert entries[0].prompt[0].content == text
    assert rows == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"judge": "j", "models": [], "template": "", "summary": {}, "judgements": []}, "judge"),
        ({"score_type": "kl", "num_entries": 0, "entries": []}, "tokens command"),
        ({"format_version": 1, "notes": []}, "notes"),
    ],
)
def test_other_files_of_ours_are_left_aside_with_one_plain_row(tmp_path, data, said):
    """They lie beside responses: the row says what they are, and the responses are read."""
    item = {"text": "t", "logprobs": None}
    made = {"prompt": "p", "model": "m", "responses": [item]}
    (tmp_path / "a.json").write_text(json.dumps(made))
    (tmp_path / "judgements.json").write_text(json.dumps(data))
    source = open_input(tmp_path, None)
    read = [entry for file in source.files for entry in read_file(file, source.log)]
    assert [entry.file for entry in read] == ["a.json"]
    rows = [row for row in source.log.rows if row.file == "judgements.json"]
    assert len(rows) == 1
    assert said in rows[0].reason
    assert "nothing to read here" in rows[0].reason
    (tmp_path / "judgements.json").write_text(json.dumps(data | made))
    assert len(list(read_file(source.files[1], ProblemLog()))) == 1
