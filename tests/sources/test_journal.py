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

import msgspec
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


def test_answers_of_other_runs_are_kept_but_not_booked(tmp_path):
    """That run paid for them; both ways of keeping."""
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, [1])
    asyncio.run(journal.put(key(2), ANSWER, reused=True))
    journal.keep(key(3), ANSWER, reused=True)
    journal.flush()
    assert journal.totals() == Totals(1, 3, 12, 1, 0, reused=2)
    assert journal.get(key(2)) == journal.get(key(3)) == ANSWER
    journal.close()


def test_an_answer_replaces_an_error_and_both_are_paid_for(tmp_path):
    """A probe that asks a failed position anew; never the other way round."""
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, [1], Answer(error="blocked", attempts=4, input_tokens=5))
    put_all(journal, [1])
    put_all(journal, [1], Answer(error="blocked"))
    assert journal.get(key(1)) == ANSWER
    assert journal.totals() == Totals(1, 7, 17, 1, 0)
    journal.close()


def test_what_was_given_up_is_known_until_it_is_answered(tmp_path):
    """Over starts; once, however often it is given up."""
    journal = Journal.open(tmp_path / "a.db")
    for number in (1, 2, 1):
        journal.give_up(key(number))
    journal.flush()
    assert journal.given_up == {key(1), key(2)}
    journal.close()
    journal = Journal.open(tmp_path / "a.db")
    put_all(journal, [1])
    assert journal.given_up == {key(2)}
    assert journal.totals() == Totals(1, 3, 12, 1, 0, given_up=1)
    journal.close()


FIRST = """CREATE TABLE answers (
    key BLOB PRIMARY KEY, attempts INTEGER, input_tokens INTEGER, output_tokens INTEGER,
    failed INTEGER, answer BLOB) STRICT"""


def test_a_journal_of_the_first_version_goes_on(tmp_path):
    """Read as it is by other runs, brought up to date by its own; nothing is lost."""
    path = tmp_path / "a.db"
    old = sqlite3.connect(path)
    old.execute(FIRST)
    row = (key(1), 3, 12, 1, 0, msgspec.msgpack.encode(ANSWER))
    old.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    reader = Journal.open_readonly(path)
    assert reader.get(key(1)) == ANSWER
    assert reader.totals() == Totals(1, 3, 12, 1, 0)
    reader.close()
    for _ in range(2):
        journal = Journal.open(path)
        journal.keep(key(2), ANSWER, reused=True)
        journal.flush()
        assert journal.totals() == Totals(1, 3, 12, 1, 0, reused=1)
        journal.close()


@pytest.mark.parametrize("bad", [2**63, 2**200])
def test_a_row_that_cannot_be_written_fails_alone(tmp_path, bad):
    """Those that came with it are on disk, and the journal goes on."""
    journal = Journal.open(tmp_path / "a.db")

    async def main():
        puts = [journal.put(key(number), ANSWER) for number in range(20)]
        puts.insert(7, journal.put(key(99), Answer(input_tokens=bad)))
        return await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 20)

    errors = [each for each in asyncio.run(main()) if each is not None]
    assert [type(error) for error in errors] == [RunError]
    put_all(journal, [50])
    assert [number for number in range(100) if journal.has(key(number))] == [*range(20), 50]
    journal.keep(key(98), Answer(attempts=2**63))
    with pytest.raises(RunError, match="cannot be kept"):
        journal.flush()
    journal.flush()
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
    for open_it in (Journal.open, Journal.open_readonly):
        with pytest.raises(RunError, match="version 99"):
            open_it(tmp_path / "a.db")


def test_a_put_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    """A full disk is an error of the call that waited, not a silence."""
    journal = Journal.open(tmp_path / "a.db")
    monkeypatch.setattr(Journal, "_commit", lambda _, rows: [RunError("disk full")] * len(rows))
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
