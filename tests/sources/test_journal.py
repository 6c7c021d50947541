"""The journal: what is said to be on disk is there, whatever happens."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kl_core.errors import RunError
from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.journal import Journal, Totals

ROOT = Path(__file__).resolve().parents[2]
ANSWER = Answer(
    (Candidate(" ünd", 7, -0.1234567890123456), Candidate("\x00", None, -5e-324)),
    Candidate("x", 9, -30.5),
    "m-001",
    12,
    1,
    "MAX_TOKENS",
    3,
)


def key(number):
    return number.to_bytes(16, "big")


def put_all(journal, numbers, answer=ANSWER):
    async def main():
        await asyncio.gather(*[journal.put(key(number), answer) for number in numbers])

    asyncio.run(main())


def test_an_answer_comes_back_as_it_was_to_the_last_bit(tmp_path):
    """After closing and opening again, too."""
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, [1])
    assert journal.get(key(1)) == ANSWER
    journal.close()
    journal = Journal.open(tmp_path / "a.db")
    assert journal.get(key(1)) == ANSWER
    assert journal.has(key(1))
    assert not journal.has(key(2))
    assert journal.get(key(2)) is None
    journal.close()


def test_put_returns_when_another_process_could_read_it(tmp_path):
    """Committed, not queued."""
    journal = Journal.open(tmp_path / "a.db")

    async def main():
        for number in range(5):
            await journal.put(key(number), ANSWER)
            other = sqlite3.connect(tmp_path / "a.db")
            assert other.execute("SELECT count(*) FROM answers").fetchone()[0] == number + 1
            other.close()

    asyncio.run(main())
    journal.close()


def test_answers_that_come_together_are_committed_together(tmp_path, monkeypatch):
    """A thousand puts take far fewer flushes."""
    groups = []
    commit = Journal._commit
    monkeypatch.setattr(
        Journal, "_commit", lambda self, rows: groups.append(len(rows)) or commit(self, rows)
    )
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, range(1000))
    journal.close()
    assert sum(groups) == 1000
    assert len(groups) <= 50


def test_the_first_answer_of_a_key_stays(tmp_path):
    """Nothing is ever overwritten."""
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, [1])
    put_all(journal, [1], Answer(error="later"))
    assert journal.get(key(1)) == ANSWER
    journal.close()


def test_totals_sum_over_everything(tmp_path):
    """Answers, calls, tokens, and contexts without a distribution."""
    journal = Journal.open(tmp_path / "a.db")
    assert journal.totals() == Totals()
    put_all(journal, [1, 2])
    put_all(journal, [3], Answer(error="refused", attempts=4, input_tokens=5))
    assert journal.totals() == Totals(3, 10, 29, 2, 1)
    journal.close()


def test_a_finished_run_s_journal_can_be_read_but_not_written(tmp_path):
    """For --reuse; from several threads."""
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, range(50))
    journal.close()
    journal = Journal.open_readonly(tmp_path / "a.db")
    found = []
    threads = [
        threading.Thread(target=lambda: found.extend(journal.get(key(i)) for i in range(50)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ANSWER] * 200
    with pytest.raises(RunError, match="read only"):
        put_all(journal, [99])
    journal.close()


def test_what_is_no_journal_is_refused_in_a_sentence(tmp_path):
    """A missing file to read, a broken one, another version's."""
    with pytest.raises(RunError, match="cannot be read"):
        Journal.open_readonly(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "broken.db").write_bytes(b"no database at all " * 100)
    with pytest.raises(RunError, match="cannot be read"):
        Journal.open(tmp_path / "broken.db")
    Journal.open(tmp_path / "a.db").close()
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RunError, match="version 99"):
        Journal.open(tmp_path / "a.db")


def test_a_put_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    """A full disk is an error of the call that waited, not a silence."""
    journal = Journal.open(tmp_path / "a.db")
    monkeypatch.setattr(Journal, "_commit", lambda *_: RunError("disk full"))
    with pytest.raises(RunError, match="disk full"):
        put_all(journal, [1])
    journal.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from kl_core.sources.calls import Answer
from kl_core.sources.journal import Journal

async def main():
    journal = Journal.open(Path(sys.argv[1]))
    async def write(lane):
        for number in range(10**6):
            await journal.put((lane * 10**7 + number).to_bytes(16, "big"), Answer(finish="x" * 300))
            print(lane * 10**7 + number, flush=True)
    await asyncio.gather(*[write(lane) for lane in range(int(sys.argv[2]), int(sys.argv[2]) + 8)])

asyncio.run(main())
"""


def test_nothing_that_was_put_is_lost_when_the_process_is_killed(tmp_path):
    """kill −9 at random moments: every key that was reported is there, the file is whole."""
    rng, reported = random.Random(0), set()
    for turn in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "a.db"), str(turn * 8)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        first = process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        lines = (first + process.stdout.read()).split(b"\n")
        process.wait()
        reported |= {int(line) for line in lines[:-1]}
    journal = Journal.open(tmp_path / "a.db")
    assert len(reported) > 4
    assert all(journal.has(key(number)) for number in reported)
    journal.close()
    connection = sqlite3.connect(tmp_path / "a.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
