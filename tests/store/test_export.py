"""Rows carried out: CSV, JSON and Parquet hold what the query gives; the Python code too."""

import csv
import io
import json
import math
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kl_core import measures
from kl_core.errors import InputError, RunError
from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs.tokens import TokensRequest, extract
from kl_core.records import ProblemLog
from kl_core.store import (
    export,
    notes,
    notes_tables,
    queries,
    restore,
    results_zip,
    token_export,
)
from kl_core.store.filters import PromptFilter
from kl_core.store.parts import PartWriter
from kl_core.store.python_snippet import python_snippet
from kl_core.store.query import Query
from tests import factories
from tests.store.test_restore import make_run
from tests.ui import made_runs

HARD = pa.table(
    {
        "text": ["=1+1", 'a "b"\r\nc,\x00', "", None, "\u202e 😀"],
        "value": [1.5, math.inf, -math.inf, math.nan, None],
        "whole": pa.array([1, 2**60, None, 4, 5], pa.int64()),
        "flag": [True, None, False, True, True],
        "spark": pa.array([[1.0, math.inf], [], None, [math.nan], [0.1]], pa.list_(pa.float64())),
        "data": pa.array([b"\xff\x00", b"", None, b"a", b"b"], pa.binary()),
        "top": pa.array([[{"token": "a\n", "p": -math.inf}], None, [], [], []]),
    }
)


def refuse(literal):
    raise AssertionError(literal)


def test_json_is_strict_and_keeps_lists(tmp_path):
    """Infinities are "inf", NaN is null, bytes are numbers, in nested values too."""
    assert export.write(HARD, duckdb.connect(), tmp_path / "x.json", "json") == 5
    rows = json.loads((tmp_path / "x.json").read_text("utf-8"), parse_constant=refuse)
    assert [row["value"] for row in rows] == [1.5, "inf", "-inf", None, None]
    assert [row["spark"] for row in rows] == [[1.0, "inf"], [], None, [None], [0.1]]
    assert rows[0]["data"] == [255, 0]
    assert rows[0]["top"] == [{"token": "a\n", "p": "-inf"}]
    assert [row["text"] for row in rows] == HARD["text"].to_pylist()


def test_csv_changes_no_value_and_tells_empty_from_missing(tmp_path):
    """Formulas stay as they are; lists are JSON; "" is an empty text and nothing is no value."""
    export.write(HARD, duckdb.connect(), tmp_path / "x.csv", "csv")
    text = (tmp_path / "x.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["text"] for row in rows] == ["=1+1", 'a "b"\r\nc,\x00', "", "", "\u202e 😀"]
    assert json.loads(rows[0]["spark"]) == [1.0, "inf"]
    assert json.loads(rows[0]["data"]) == [255, 0]
    assert [row["value"] for row in rows] == ["1.5", "inf", "-inf", "nan", ""]
    lines = text.split("\n")
    assert lines[-3].startswith(",nan,4")
    assert '\n"",-inf,,false' in text


def test_parquet_keeps_every_type(tmp_path):
    """The same table, types and all."""
    export.write(HARD, duckdb.connect(), tmp_path / "x.parquet", "parquet")
    again = pq.read_table(tmp_path / "x.parquet")
    assert again.schema.equals(HARD.schema)
    assert repr(again.to_pylist()) == repr(HARD.to_pylist())


@pytest.mark.parametrize("kind", export.FORMATS)
def test_a_query_of_many_batches_and_one_of_none_are_whole_files(tmp_path, kind, monkeypatch):
    """Three batches, and no row at all: readable with all columns."""
    monkeypatch.setattr(export, "BATCH_ROWS", 2)
    cursor = duckdb.connect()
    for rows in (5, 0):
        path = tmp_path / f"{rows}.{kind}"
        query = Query("SELECT range AS n, 'a' AS text FROM range(?)", (rows,))
        assert export.write(query, cursor, path, kind) == rows
        read = {
            "csv": lambda p: list(csv.DictReader(p.open())),
            "json": lambda p: json.loads(p.read_text()),
            "parquet": lambda p: pq.read_table(p).to_pylist(),
        }[kind](path)
        assert [int(row["n"]) for row in read] == list(range(rows))


def test_a_failing_export_leaves_what_was_there(tmp_path):
    """Neither half a file nor a temporary one."""
    path = tmp_path / "x.csv"
    path.write_text("before")
    query = Query("SELECT CASE WHEN range > 3000 THEN error('no') END FROM range(5000)")
    with pytest.raises(Exception, match="no"):
        export.write(query, duckdb.connect(), path, "csv")
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["x.csv"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    """A file where a folder is needed."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export.write(HARD, duckdb.connect(), tmp_path / "file" / "x.csv", "csv")


@pytest.fixture
def run_dir(tmp_path):
    return make_run(tmp_path, [factories.entry(number) for number in range(6)])


def test_every_view_of_a_run_goes_through_every_format(tmp_path, run_dir):
    """Prompts with sparklines, responses, tokens with their bytes, a token with both lists."""
    cursor = queries.open_run(run_dir).cursor()
    views = (
        queries.prompts_query(),
        queries.responses_query(3),
        queries.tokens_query(2),
        queries.token_query(2, 3),
    )
    for view in views:
        count = view.table(cursor).num_rows
        for kind in export.FORMATS:
            assert export.write(view, cursor, tmp_path / f"x.{kind}", kind) == count > 0


HOSTILE = 'x\' OR 1=1; -- """ \\ {run} \n'


def test_the_python_code_loads_the_same_rows_in_a_process_of_its_own(tmp_path, run_dir):
    """Run as it is, it gives the rows of the page, filters with hostile text included."""
    cursor = queries.open_run(run_dir).cursor()
    asked = (
        queries.prompts_query(
            "max_kl", False, where=PromptFilter(text="question", prompt_ids=(1, 4))
        ),
        queries.prompts_query(where=PromptFilter(text=HOSTILE)),
        token_export.chosen_query(token_export.bounds(0.5)),
        Query("SELECT prompt_id FROM prompts\nWHERE mean_kl < ?", (math.inf,)),
    )
    for query in asked:
        code = python_snippet(run_dir, query)
        there = tmp_path / "rows.json"
        ending = f"\nrows.iloc[:, 0].to_json({str(there)!r}, orient='values')\n"
        subprocess.run(
            [sys.executable, "-c", code + ending], check=True, cwd="/", capture_output=True,
            env={"PATH": os.environ["PATH"]}, timeout=60,
        )  # fmt: skip
        assert json.loads(there.read_text()) == query.table(cursor).column(0).to_pylist()


def test_a_live_run_has_a_sentence_in_place_of_code(tmp_path):
    """No database yet; and one that is older than the rows on the page does not count."""
    run_dir = make_run(tmp_path, [factories.entry(0)], finished=False)
    with pytest.raises(RunError, match="when it is done"):
        python_snippet(run_dir, queries.prompts_query())


def test_prompts_gain_columns_for_notes_only_where_there_are_any(tmp_path, run_dir):
    """`note` and `tags` of the prompt itself, empty for the others."""
    assert notes_tables.beside_prompts(run_dir) is None
    notes.save(run_dir, notes.Note("prompt_002.json", 0, None, None, "odd", ("a", "b")))
    cursor = queries.open_run(run_dir).cursor()
    change = notes_tables.beside_prompts(run_dir)
    query = queries.prompts_query("prompt_id", False)
    for kind in export.FORMATS:
        assert export.write(query, cursor, tmp_path / f"x.{kind}", kind, change) == 6
    rows = json.loads((tmp_path / "x.json").read_text())
    assert [row["note"] for row in rows] == [None, None, "odd", None, None, None]
    assert pq.read_table(tmp_path / "x.parquet")["tags"].to_pylist()[2] == ["a", "b"]
    written = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert json.loads(written[2]["tags"]) == ["a", "b"]


def watched(monkeypatch):
    """The entries that go into runs made from here on."""
    seen = []
    add = PartWriter.add

    def adding(self, prompt_id, first, scored):
        seen.append(scored)
        add(self, prompt_id, first, scored)

    monkeypatch.setattr(PartWriter, "add", adding)
    return seen


def in_order(found):
    """Ties may come in any order."""
    key = ("source_file", "response_idx", "token_position")
    rows = sorted(found["entries"], key=lambda row: [row[name] for name in key])
    return found | {"entries": rows}


@pytest.mark.parametrize("score", ["kl", "normalized"])
@pytest.mark.parametrize("make", [made_runs.planted, made_runs.hostile])
def test_the_tokens_of_a_run_are_those_of_its_result_files(tmp_path, make, score, monkeypatch):
    """The same object from the database and from _kl.json files, bytes joined alike."""
    entries = watched(monkeypatch)
    run_dir = make(tmp_path / "runs")
    writer = ResultWriter(tmp_path / "results")
    for entry in entries:
        writer.write(entry)
    for least, most, min_kl in ((0.1, None, 0.01), (0.5, 1.0, 0.01), (0.0, None, 0.1)):
        request = TokensRequest(tmp_path / "results", least, most, score, min_kl)
        expected = extract(request, ProblemLog())
        found = token_export.token_object(
            queries.open_run(run_dir).cursor(), token_export.bounds(least, most, score, min_kl)
        )
        assert in_order(found) == in_order(expected)
        scores = [row["score"] for row in found["entries"]]
        assert scores == sorted(scores, reverse=True)
    assert found["num_entries"] > 3


def test_without_a_least_the_tokens_below_zero_are_there_too(tmp_path):
    """Rounding puts some a hair below zero; bounds that are open leave none out."""
    entry = factories.entry(0)
    first = entry.responses[0]
    kl = first.measures.headline.copy()
    kl[2], kl[5] = -1e-17, np.nan
    changed = replace(first, measures=replace(first.measures, headline=kl))
    entry = replace(entry, responses=(changed, *entry.responses[1:]))
    cursor = queries.open_run(make_run(tmp_path / "runs", [entry])).cursor()
    asked = token_export.bounds(None)
    found = token_export.token_object(cursor, asked)
    assert found["min_threshold"] is None
    assert found["num_entries"] == token_export.count(cursor, asked) == 2 * 12 - 1
    assert found["entries"][-1]["score"] == -1e-17
    assert token_export.token_object(cursor, token_export.bounds(0.0))["num_entries"] == 22
    ResultWriter(tmp_path / "results").write(entry)
    request = TokensRequest(tmp_path / "results", None, None, "kl")
    assert in_order(extract(request, ProblemLog())) == in_order(found)


@pytest.mark.parametrize("file", ["x_kl.json", "deep/x_kl.json.gz", "x_kl.jsonl", "x.json"])
def test_a_token_names_the_file_of_the_zip_that_holds_it(tmp_path, file):
    """Imported result files keep their names in the zip, those of several prompts numbered."""
    several = file.endswith(".jsonl")
    entries = [
        replace(entry, entry=replace(entry.entry, file=file, index=n, entries_in_file=1 + several))
        for n, entry in enumerate([factories.entry(0), factories.entry(1)][: 1 + several])
    ]
    run_dir = make_run(tmp_path / "runs", entries)
    found = token_export.token_object(queries.open_run(run_dir).cursor(), token_export.bounds(None))
    made = results_zip.write(run_dir, tmp_path / "out.zip")
    with zipfile.ZipFile(made.path) as archive:
        names = archive.namelist()
    assert {row["source_file"] for row in found["entries"]} == set(names)
    stem = f"{'deep/' if '/' in file else ''}x"
    assert names == ([f"{stem}_0_kl.json", f"{stem}_1_kl.json"] if several else [f"{stem}_kl.json"])


def test_two_result_files_that_would_share_a_name_are_refused(tmp_path):
    """x_kl.json and x_kl.jsonl, both imported."""
    entries = [
        replace(entry, entry=replace(entry.entry, file=name))
        for entry, name in zip(
            [factories.entry(0), factories.entry(1)], ["x_kl.json", "x_kl.jsonl"], strict=True
        )
    ]
    with pytest.raises(InputError, match=r"x_kl\.json .* x_kl\.jsonl .* would both be"):
        results_zip.write(make_run(tmp_path / "runs", entries), tmp_path / "out.zip")


def test_a_run_that_holds_nothing_yet_says_so(tmp_path):
    """Neither "one model alone" nor an empty file."""
    for finished in (True, False):
        run_dir = make_run(tmp_path / str(finished), [], finished=finished)
        cursor = queries.open_run(run_dir).cursor()
        for ask in (
            lambda at=cursor: token_export.token_object(at, token_export.bounds(1.0)),
            lambda at=cursor: restore.check(at),
        ):
            with pytest.raises(RunError, match="holds no responses yet"):
                ask()


def test_a_run_none_of_whose_tokens_could_be_scored_says_so(tmp_path):
    """It has two models, so "one model alone" would be wrong."""
    scored = factories.entry(0)
    bare = tuple(measures.unscored(one.response) for one in scored.responses)
    run_dir = make_run(tmp_path, [replace(scored, responses=bare)])
    cursor = queries.open_run(run_dir).cursor()
    assert restore.check(cursor) == 1
    with pytest.raises(RunError, match="no token of this run could be scored"):
        token_export.token_object(cursor, token_export.bounds(1.0))


def test_batches_do_not_change_the_prefixes(tmp_path, monkeypatch, run_dir):
    """One response at a time gives what all at once give."""
    asked = token_export.bounds(0.0)
    cursor = queries.open_run(run_dir).cursor()
    together = token_export.token_object(cursor, asked)
    monkeypatch.setattr(token_export, "RESPONSES_A_BATCH", 1)
    assert token_export.token_object(cursor, asked) == together
    assert together["num_entries"] == token_export.count(cursor, asked) == 6 * 2 * 12


def test_a_run_without_a_second_model_has_no_tokens_to_give(tmp_path):
    """One sentence."""
    cursor = queries.open_run(made_runs.raw(tmp_path)).cursor()
    with pytest.raises(RunError, match="one model alone"):
        token_export.token_object(cursor, token_export.bounds(1.0))
