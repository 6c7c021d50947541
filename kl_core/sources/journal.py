"""Finished calls on disk: one file a run, only ever added to, whole after any crash."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from kl_core.errors import RunError
from kl_core.sources.calls import Answer

VERSION = 2
_TABLES = (
    """CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, attempts INTEGER, input_tokens INTEGER, output_tokens INTEGER,
    failed INTEGER, answer BLOB, reused INTEGER NOT NULL DEFAULT 0) STRICT""",
    "CREATE TABLE IF NOT EXISTS given_up (key BLOB PRIMARY KEY) STRICT",
)
_SINCE_2 = "ALTER TABLE answers ADD COLUMN reused INTEGER NOT NULL DEFAULT 0"
_ADD = """INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens, failed = 0, answer = excluded.answer
    WHERE failed AND NOT excluded.failed AND NOT excluded.reused"""
_GIVE_UP = "INSERT OR IGNORE INTO given_up VALUES (?)"
_GIVEN_UP = "SELECT key FROM given_up WHERE key NOT IN (SELECT key FROM answers)"
_TOTALS = """SELECT sum({paid}), sum(attempts * {paid}), sum(input_tokens * {paid}),
    sum(output_tokens * {paid}), sum(failed * {paid}), sum(NOT {paid}) FROM answers"""
Row = tuple[str, tuple[bytes | int, ...]]
Waiting = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a journal holds.

    Attributes:
        answers: finished calls, errors included, those of other runs not.
        attempts: calls they took.
        input_tokens, output_tokens: as billed for them.
        errors: contexts that have no distribution for good.
        reused: answers that another run asked and paid for; in none of the above.
        given_up: contexts that some start gave up and that have no answer since.
    """

    answers: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    errors: int = 0
    reused: int = 0
    given_up: int = 0


class Journal:
    """Answers by key. Reads from any thread; one thread writes, in groups, each one flushed."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = path
        try:
            self._reader, version = _connect(path, readonly)
            self._check_version(version)
            self._old = readonly and version < VERSION  # its tables stay as they are
            self._writer = None if readonly else self._open_writer(version)
        except sqlite3.Error as error:
            raise self._broken(error) from error
        self._decoder = msgspec.msgpack.Decoder(Answer)
        self._reading, self._some = threading.Lock(), threading.Condition()
        self._queue: list[tuple[Row | None, Waiting | Future[None] | None]] = []
        self._closing = False
        self._thread: threading.Thread | None = None
        if self._writer is not None:
            self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
            self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open or begin a journal.

        Raises:
            RunError: the file is no journal, broken, or of another version.
        """
        return cls(path)

    @classmethod
    def open_readonly(cls, path: Path) -> Journal:
        """Open the journal of another run; `put` is refused.

        Raises:
            RunError: as `open`, or there is none.
        """
        return cls(path, readonly=True)

    def get(self, key: bytes) -> Answer | None:
        """The answer of a finished call, None where there is none."""
        row = self._row("SELECT answer FROM answers WHERE key = ?", (key,))
        if row is None:
            return None
        try:
            return self._decoder.decode(row[0])
        except msgspec.DecodeError as error:
            raise self._broken(error) from error

    def has(self, key: bytes) -> bool:
        """Whether the call is finished."""
        return self._row("SELECT 1 FROM answers WHERE key = ?", (key,)) is not None

    def totals(self) -> Totals:
        """Sums over all finished calls."""
        row = self._row(_TOTALS.format(paid="1" if self._old else "(NOT reused)"))
        sums = [int(value or 0) for value in row or ()]
        return replace(Totals(*sums), given_up=len(self.given_up))

    @property
    def given_up(self) -> set[bytes]:
        """Contexts that some start gave up and that have no answer since; a copy."""
        return set() if self._old else {row[0] for row in self._rows(_GIVEN_UP)}

    async def put(self, key: bytes, answer: Answer, reused: bool = False) -> None:
        """Keep an answer; returns when it is on disk.

        A key's first answer stays, except that one with a list replaces one with an error; what
        both cost is counted.

        Args:
            reused: another run asked and paid for it.

        Raises:
            RunError: it could not be written.
        """
        future: Waiting = asyncio.get_running_loop().create_future()
        self._enqueue(_row_of(key, answer, reused), future)
        await future

    def keep(self, key: bytes, answer: Answer, reused: bool = False) -> None:
        """Take an answer to be written soon, as `put`; it counts after the next `flush`.

        Raises:
            RunError: the journal is closed or read only.
        """
        self._enqueue(_row_of(key, answer, reused), None)

    def give_up(self, key: bytes) -> None:
        """Note soon that this start got no answer to a context; a later answer undoes it.

        Raises:
            RunError: the journal is closed or read only.
        """
        self._enqueue((_GIVE_UP, (key,)), None)

    def flush(self) -> None:
        """Return when everything kept is on disk.

        Raises:
            RunError: it could not be written.
        """
        done: Future[None] = Future()
        with self._some:
            self._require_open()
            self._queue.append((None, done))
            self._some.notify()
        done.result()

    def close(self) -> None:
        """Write what waits, and close the file."""
        with self._some:
            self._closing = True
            self._some.notify()
        if self._thread is not None:
            self._thread.join()
        with self._reading:
            self._reader.close()
        if self._writer is not None:  # the last to close folds the log into the file
            self._writer.close()

    def _enqueue(self, row: Row, waiting: Waiting | None) -> None:
        with self._some:
            self._require_open()
            self._queue.append((row, waiting))
            self._some.notify()

    def _require_open(self) -> None:
        if self._writer is None or self._closing:
            raise RunError(f"{self._path} is closed or was opened to be read only")

    def _write(self) -> None:
        failed: RunError | None = None  # of rows that nobody waits for, until the next flush
        while True:
            with self._some:
                while not self._queue and not self._closing:
                    self._some.wait()
                group, self._queue = self._queue, []
                if not group:
                    return
            errors = self._commit([row for row, _ in group if row is not None])
            outcomes = iter(errors)
            told: list[tuple[Waiting, RunError | None]] = []
            for row, waiting in group:
                error = next(outcomes) if row is not None else None
                failed = failed or error
                if isinstance(waiting, asyncio.Future):
                    told.append((waiting, error))
            for _, waiting in group:
                if isinstance(waiting, Future):
                    waiting.set_exception(failed) if failed else waiting.set_result(None)
                    failed = None
            _tell(told)

    def _commit(self, rows: list[Row]) -> list[RunError | None]:
        """Write rows, together if it can be; per row why it is not on disk."""
        error = self._try(rows)
        if error is None or len(rows) == 1 or isinstance(error, sqlite3.OperationalError):
            said = None if error is None else self._broken(error)
            return [said] * len(rows)
        alone = [self._try([row]) for row in rows]
        return [None if error is None else self._broken(error) for error in alone]

    def _try(self, rows: list[Row]) -> Exception | None:
        assert self._writer is not None
        try:
            with self._writer:
                for sql, values in rows:
                    self._writer.execute(sql, values)
        except Exception as error:  # whoever waits must hear of it, whatever it is
            return error
        return None

    def _row(self, sql: str, values: tuple[bytes, ...] = ()) -> tuple[bytes, ...] | None:
        return next(iter(self._rows(sql, values)), None)

    def _rows(self, sql: str, values: tuple[bytes, ...] = ()) -> list[tuple[bytes, ...]]:
        try:
            with self._reading:
                return self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._broken(error) from error

    def _check_version(self, found: int) -> None:
        if found > VERSION or found < 0:
            self._reader.close()
            raise RunError(
                f"{self._path} is of version {found} and this program knows versions up to "
                f"{VERSION}: start a new run"
            )

    def _open_writer(self, version: int) -> sqlite3.Connection:
        writer, _ = _connect(self._path, readonly=False)
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = FULL")
        with writer:
            writer.execute("BEGIN IMMEDIATE")
            if version == 1:
                writer.execute(_SINCE_2)
            for table in _TABLES:
                writer.execute(table)
            writer.execute(f"PRAGMA user_version = {VERSION}")
        return writer

    def _broken(self, error: Exception) -> RunError:
        if isinstance(error, sqlite3.Error):
            return RunError(
                f"the answers in {self._path} cannot be read or written ({error}): free disk "
                "space, check the rights, or start a new run"
            )
        return RunError(
            f"an answer cannot be kept in or read from {self._path} ({error}): resume the run, "
            "or start a new one"
        )


def _connect(path: Path, readonly: bool) -> tuple[sqlite3.Connection, int]:
    """A connection, and the version of what is there; 0 for nothing."""
    mode = "ro" if readonly else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, check_same_thread=False, timeout=30.0
    )
    if readonly:
        connection.execute("SELECT 1 FROM answers LIMIT 1")
    return connection, int(connection.execute("PRAGMA user_version").fetchone()[0])


def _row_of(key: bytes, answer: Answer, reused: bool) -> Row:
    try:
        whole = msgspec.msgpack.encode(answer)
    except OverflowError as error:
        raise RunError(f"an answer cannot be kept ({error}): resume the run") from error
    counts = (answer.attempts, answer.input_tokens, answer.output_tokens)
    return _ADD, (key, *counts, int(answer.error is not None), whole, int(reused))


def _tell(outcomes: list[tuple[Waiting, RunError | None]]) -> None:
    """Wake those that wait, each in its own loop."""
    for loop in {future.get_loop() for future, _ in outcomes}:
        mine = [each for each in outcomes if each[0].get_loop() is loop]
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:  # that loop is closed: nobody waits there any more
            continue


def _resolve(outcomes: list[tuple[Waiting, RunError | None]]) -> None:
    for future, error in outcomes:
        if future.done():  # cancelled meanwhile
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
