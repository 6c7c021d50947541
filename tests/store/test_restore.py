"""The `_kl.json` files of a run, rebuilt from its database, are those that were written."""

import json
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kl_core import measures
from kl_core.errors import RunCancelled, RunError
from kl_core.formats.kl_results import encode_result, result_name
from kl_core.formats.reader import read_entries
from kl_core.jobs.import_run import raw_entry
from kl_core.records import Entry, Message, ProblemLog, Response, ScoredEntry
from kl_core.store import notes, queries, restore, results_zip, runs
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter
from tests import factories
from tests.formats.test_kl_results import scored_entries
from tests.ui import made_runs


def make_run(root, entries, finished=True):
    run_dir = runs.create_run(root, "score", {"request": {}})
    with PartWriter(run_dir, 50) as writer:
        number = 0
        for prompt_id, scored in enumerate(entries):
            writer.add(prompt_id, number, scored)
            number += max(len(scored.responses), 1)
    if finished:
        build_database(run_dir)
    return run_dir


def restored(run_dir):
    return list(restore.scored_entries(queries.open_run(run_dir).cursor()))


def same_files(entries, again):
    assert [encode_result(one) for one in again] == [encode_result(one) for one in entries]
    assert [result_name(one.entry) for one in again] == [result_name(one.entry) for one in entries]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scored=scored_entries())
def test_any_result_comes_back_byte_for_byte(tmp_path_factory, scored):
    """Tokens with unknown bytes, extras beside the lists, infinities, spans, reasons: all."""
    run_dir = make_run(tmp_path_factory.mktemp("runs"), [scored], finished=False)
    same_files([scored], restored(run_dir))


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_gives_back_its_files_while_it_works_and_after(tmp_path, finished):
    """From the database, and from the parts of a live run; several batches, in order."""
    entries = [factories.entry(number, responses=3, tokens=30) for number in range(5)]
    run_dir = make_run(tmp_path, entries, finished)
    same_files(entries, restored(run_dir))


def test_batches_do_not_change_the_files(tmp_path, monkeypatch):
    """Prompt by prompt or all at once: the same."""
    entries = [factories.entry(number) for number in range(6)]
    run_dir = make_run(tmp_path, entries)
    monkeypatch.setattr(restore, "TOKENS_A_BATCH", 1)
    same_files(entries, restored(run_dir))


@pytest.mark.parametrize("make", [made_runs.hostile, made_runs.full, made_runs.planted])
def test_hostile_tokens_and_whole_vocabularies_come_back(tmp_path, make, monkeypatch):
    """What the store was given, seen on its way in, is what comes out."""
    given_to_store = []
    add = PartWriter.add

    def watched(self, prompt_id, first, scored):
        given_to_store.append(scored)
        add(self, prompt_id, first, scored)

    monkeypatch.setattr(PartWriter, "add", watched)
    same_files(given_to_store, restored(make(tmp_path)))


def test_unscorable_responses_keep_their_slots(tmp_path):
    """A response without log-probabilities between two others; several prompts of one file."""
    rng = np.random.default_rng(0)
    silent = measures.unscored(Response(1, "Just text.", error="no log-probabilities came back"))
    scored = (factories.response(0, 5, rng), silent, factories.response(2, 7, rng))
    entries = [
        ScoredEntry(
            Entry(
                "deep/many.jsonl",
                index,
                3,
                (Message("system", "be short"), Message("user", "é\x00")),
                "a",
                tuple(one.response for one in part),
            ),
            "a",
            "b",
            part,
        )
        for index, part in enumerate([scored, scored[1:2], ()])
    ]
    again = restored(make_run(tmp_path, entries))
    same_files(entries, again)
    assert result_name(again[2].entry) == "deep/many_2_kl.json"
    assert again[0].responses[1].response.error == "no log-probabilities came back"


def test_ranks_that_make_no_sense_come_back_too(tmp_path):
    """Other programs' files may say anything; the import goes on and gives it back."""
    scored = factories.entry(0, responses=1, tokens=3)
    values = scored.responses[0].measures
    odd = replace(values, rank2=np.array([2**61, -1, 5], dtype=np.int64))
    entry = replace(scored, responses=(replace(scored.responses[0], measures=odd),))
    same_files([entry], restored(make_run(tmp_path, [entry])))


def test_a_raw_run_is_refused_in_one_sentence(tmp_path):
    """There is nothing to compare, and the sentence says what to do."""
    run_dir = made_runs.raw(tmp_path)
    with pytest.raises(RunError, match="score it first"):
        restored(run_dir)
    with pytest.raises(RunError, match="score it first"):
        results_zip.write(run_dir, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_raw_prompts_of_a_mixed_import_are_counted_as_left_out(tmp_path):
    """Results and plain responses in one folder: the former come back, the others are told."""
    scored = factories.entry(0)
    bare = raw_entry(factories.entry(1).entry)
    run_dir = make_run(tmp_path, [scored, bare])
    same_files([scored], restored(run_dir))
    assert results_zip.write(run_dir, tmp_path / "out.zip").left_out == 1


def test_a_run_of_an_older_version_is_refused(tmp_path):
    """Its candidates' bytes were not kept: nothing is made up."""
    run_dir = make_run(tmp_path, [factories.entry(0)], finished=False)
    opened = queries.open_run(run_dir)
    cursor = opened.cursor()
    cursor.execute("CREATE TABLE old AS SELECT * REPLACE (NULL::TINYINT AS form1) FROM tokens")
    cursor.execute("DROP VIEW tokens")
    cursor.execute("ALTER TABLE old RENAME TO tokens")
    with pytest.raises(RunError, match="older version"):
        restore.check(cursor)


def test_the_zip_can_be_imported_again(tmp_path):
    """Names as --output-dir gives them; read back, the entries have the same figures."""
    entries = [factories.entry(number) for number in range(4)]
    run_dir = make_run(tmp_path, entries)
    steps = []
    made = results_zip.write(
        run_dir, tmp_path / "out.zip", progress=lambda done, total: steps.append((done, total))
    )
    assert (made.files, made.left_out, steps[-1]) == (4, 0, (4, 4))
    with zipfile.ZipFile(made.path) as archive:
        assert archive.namelist() == [result_name(one.entry) for one in entries]
        assert archive.read("prompt_002_kl.json") == encode_result(entries[2])
    read = list(read_entries(made.path, None, ProblemLog()))
    assert [encode_result(replace(a, entry=b.entry)) for a, b in zip(read, entries, strict=True)]
    for a, b in zip(read, entries, strict=True):
        np.testing.assert_array_equal(
            a.responses[0].measures.headline, b.responses[0].measures.headline
        )


def test_notes_travel_in_the_zip(tmp_path):
    """notes.json beside the results, whole."""
    run_dir = make_run(tmp_path, [factories.entry(0)])
    notes.save(run_dir, notes.Note("prompt_000.json", 0, 0, 3, "why?", ("odd",)))
    made = results_zip.write(run_dir, tmp_path / "out.zip")
    with zipfile.ZipFile(made.path) as archive:
        assert json.loads(archive.read("notes.json"))["notes"][0]["text"] == "why?"


def test_a_cancelled_zip_leaves_nothing_behind(tmp_path):
    """Neither half a zip nor its temporary file."""
    run_dir = make_run(tmp_path, [factories.entry(number) for number in range(3)])
    target = tmp_path / "out.zip"
    target.write_bytes(b"what was here before")
    before = sorted(path.name for path in run_dir.iterdir())
    calls = iter([False, True])
    with pytest.raises(RunCancelled, match="cancelled"):
        results_zip.write(run_dir, target, stop=lambda: next(calls))
    assert target.read_bytes() == b"what was here before"
    assert sorted(path.name for path in run_dir.iterdir()) == before
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_memory_does_not_grow_with_the_run(tmp_path, monkeypatch):
    """Four times the prompts, about the same peak."""
    peaks = []
    monkeypatch.setattr(restore, "TOKENS_A_BATCH", 100)
    pool = [factories.entry(n, responses=2, tokens=50, apart=1.0) for n in range(8)]
    for count in (8, 32):
        entries = [
            replace(one, entry=replace(one.entry, file=f"{n}.json"))
            for n, one in enumerate(pool * (count // 8))
        ]
        run_dir = make_run(tmp_path / str(count), entries)
        tracemalloc.start()
        results_zip.write(run_dir, tmp_path / f"{count}.zip")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@given(st.text(max_size=4))
def test_no_name_in_a_zip_leads_out_of_it(text):
    """`..` and absolute names are refused when the name is made."""
    entry = Entry(f"../{text}", 0, 1, (), None, ())
    with pytest.raises(Exception, match="no relative file name"):
        result_name(entry)
