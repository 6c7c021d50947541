"""What is counted over starts and rounds, and what the probe leaves on disk."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from kl_core.emulator.server import running
from kl_core.jobs.gemini_calls import JOURNAL, Progress, counts_so_far
from kl_core.jobs.worker import Worker
from kl_core.records import CallStats
from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.journal import Journal
from kl_core.sources.pricing import FREE
from kl_core.store import runs, spending
from tests.jobs.gemini import SAMPLES, ask

GOOD = Answer((Candidate("a", 1, -1.0),), None, "m", 10, 1)


@pytest.fixture
def worker(tmp_path):
    return Worker(runs.create_run(tmp_path, "prefill", {"request": {}}))


@pytest.fixture
def journal(worker):
    opened = Journal.open(worker.run_dir / JOURNAL)
    yield opened
    opened.close()


def key(number):
    return bytes([number]) * 16


def test_each_context_is_counted_once_as_what_became_of_it(worker, journal):
    """Also after a crash before calls.json, and in the round after the one that gave up."""
    journal.keep(key(0), GOOD)
    journal.keep(key(1), Answer(GOOD.top, input_tokens=10, attempts=3))
    journal.keep(key(2), Answer(error="blocked", attempts=4, input_tokens=5))
    journal.keep(key(3), GOOD, reused=True)
    journal.give_up(key(4))
    journal.give_up(key(5))
    counts = counts_so_far(worker, journal)
    assert (counts.made, counts.reused, counts.failed, counts.retried) == (2, 1, 3, 5)
    assert (counts.input_tokens, counts.output_tokens) == (25, 1)
    spending.write_stats(worker.run_dir, CallStats(2, 1, 3, 9, input_tokens=40))
    journal.keep(key(5), GOOD)
    counts = counts_so_far(worker, journal)
    assert (counts.made, counts.reused, counts.failed, counts.retried) == (3, 1, 2, 9)
    assert counts.input_tokens == 40


def test_progress_counts_no_context_twice(worker):
    """An error for good is failed and not made."""
    told = []
    worker.progress = lambda done, *_: told.append(done)
    progress = Progress(worker, FREE, CallStats(made=5, reused=1, failed=2), lambda: 0)
    progress(CallStats(made=8, reused=3, failed=3))
    progress(CallStats(made=9, reused=3, failed=1))
    assert told == [6, 6]


def test_the_probe_replaces_an_error_at_its_position(tmp_path):
    """It is paid for once, and not again by every start after it."""
    with running() as server:

        def start():
            return ask(tmp_path, server.base_url, input_dir=SAMPLES, yes=False)

        run_dir = start()
        with closing(sqlite3.connect(run_dir / JOURNAL)) as database, database:
            (point,) = database.execute("SELECT key FROM answers").fetchone()
            database.execute("DELETE FROM answers WHERE key = ?", (point,))
        with closing(Journal.open(run_dir / JOURNAL)) as journal:
            journal.keep(point, Answer(error="blocked", attempts=4, input_tokens=5))
            journal.flush()
        assert start() == run_dir
        with closing(Journal.open(run_dir / JOURNAL)) as journal:
            assert journal.get(point).error is None
        calls = server.stats()["calls"]
        assert calls == 4
        assert start() == run_dir
        assert server.stats()["calls"] == calls
