"""Answers of finished runs, for --reuse."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from kl_core.jobs.earlier import SAME, Earlier
from kl_core.jobs.gemini_calls import JOURNAL
from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.journal import Journal
from kl_core.store import runs
from kl_core.store.runs import Status

REQUEST = dict.fromkeys(SAME, "same")
KEYS = [bytes([number]) * 16 for number in range(3)]


def finished(root, known, request=None, state="done"):
    """A run with some answers, the last named key with an error."""
    run_dir = runs.create_run(root, "prefill", {"request": request or REQUEST})
    runs.write_status(run_dir, Status(state))
    journal = Journal.open(run_dir / JOURNAL)
    for number, error in known.items():
        top = () if error else (Candidate(run_dir.name, number, -1.0),)
        asyncio.run(journal.put(KEYS[number], Answer(top, error=error)))
    journal.close()
    return run_dir


def test_answers_come_from_finished_runs_that_asked_the_same(tmp_path):
    """None without a list, none of another model, none of a run that goes on."""
    run_dir = finished(tmp_path, {0: None, 1: "blocked"})
    finished(tmp_path, {2: None}, REQUEST | {"model2": "other"})
    finished(tmp_path, {2: None}, state="failed")
    earlier = Earlier.open(tmp_path, REQUEST)
    assert earlier(KEYS[0]).top[0].token == run_dir.name
    assert earlier(KEYS[1]) is None
    assert earlier(KEYS[2]) is None
    assert earlier.problems == []
    earlier.close()


def not_a_journal(path):
    path.write_bytes(b"no database at all " * 100)


def of_the_future(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def with_answers_of_nonsense(path):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE answers SET answer = X'FF'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("break_it", [not_a_journal, of_the_future, with_answers_of_nonsense])
def test_a_finished_run_that_cannot_be_read_is_left_out_and_named(tmp_path, break_it):
    """The others serve; one row says which run and why, however often it is looked up."""
    good, bad = finished(tmp_path, {0: None}), finished(tmp_path, {0: None, 1: None})
    break_it(bad / JOURNAL)
    earlier = Earlier.open(tmp_path, REQUEST)
    for _ in range(2):
        assert earlier(KEYS[0]).top[0].token == good.name
        assert earlier(KEYS[1]) is None
    (problem,) = earlier.problems
    assert bad.name in problem.where
    assert str(bad / JOURNAL) in problem.reason
    earlier.close()
