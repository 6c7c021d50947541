"""Finished calls on disk: one file a run, only ever added to, whole after any crash."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kl_core.errors import RunError
from kl_core.sources.calls import Answer

VERSION = 1
_TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, attempts INTEGER, input_tokens INTEGER, output_tokens INTEGER,
    failed INTEGER, answer BLOB) STRICT"""
_ADD = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
Row = tuple[bytes, int, int, int, int, bytes]
Waiting = asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a journal holds.

    Attributes:
        answers: finished calls, errors included.
        attempts: calls they took.
        input_tokens, output_tokens: as billed for them.
        errors: contexts that have no distribution for good.
    """

    answers: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    errors: int = 0


class Journal:
    """Answers by key. Reads from any thread; one thread writes, in groups, each one flushed."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = path
        try:
            self._reader = _connect(path, readonly)
            self._writer = None if readonly else self._open_writer()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        self._decoder = msgspec.msgpack.Decoder(Answer)
        self._encoder = msgspec.msgpack.Encoder()
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
        return None if row is None else self._decoder.decode(row[0])

    def has(self, key: bytes) -> bool:
        """Whether the call is finished."""
        return self._row("SELECT 1 FROM answers WHERE key = ?", (key,)) is not None

    def totals(self) -> Totals:
        """Sums over all finished calls."""
        row = self._row(
            "SELECT count(*), sum(attempts), sum(input_tokens), sum(output_tokens), sum(failed) "
            "FROM answers"
        )
        return Totals(*(int(value or 0) for value in row or ()))

    async def put(self, key: bytes, answer: Answer) -> None:
        """Keep an answer; returns when it is on disk. A key's first answer stays.

        Raises:
            RunError: it could not be written.
        """
        future: Waiting = asyncio.get_running_loop().create_future()
        self._enqueue(key, answer, future)
        await future

    def keep(self, key: bytes, answer: Answer) -> None:
        """Take an answer to be written soon; it counts after the next `flush`.

        Raises:
            RunError: the journal is closed or read only.
        """
        self._enqueue(key, answer, None)

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

    def _enqueue(self, key: bytes, answer: Answer, waiting: Waiting | None) -> None:
        row = (
            key,
            answer.attempts,
            answer.input_tokens,
            answer.output_tokens,
            int(answer.error is not None),
            self._encoder.encode(answer),
        )
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
            error = self._commit([row for row, _ in group if row is not None])
            failed = failed or error
            for _, waiting in group:
                if isinstance(waiting, Future):
                    waiting.set_exception(failed) if failed else waiting.set_result(None)
                    failed = None
            futures = [future for _, future in group if isinstance(future, asyncio.Future)]
            for loop in {future.get_loop() for future in futures}:
                mine = [future for future in futures if future.get_loop() is loop]
                try:
                    loop.call_soon_threadsafe(_resolve, mine, error)
                except RuntimeError:  # that loop is closed: nobody waits there any more
                    continue

    def _commit(self, rows: list[Row]) -> RunError | None:
        assert self._writer is not None
        try:
            with self._writer:
                self._writer.executemany(_ADD, rows)
        except sqlite3.Error as error:
            return self._broken(error)
        return None

    def _row(self, sql: str, values: tuple[bytes, ...] = ()) -> tuple[bytes, ...] | None:
        try:
            with self._reading:
                row: tuple[bytes, ...] | None = self._reader.execute(sql, values).fetchone()
        except sqlite3.Error as error:
            raise self._broken(error) from error
        return row

    def _open_writer(self) -> sqlite3.Connection:
        writer = _connect(self._path, readonly=False)
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("PRAGMA synchronous = FULL")
        writer.execute(_TABLE)
        found = writer.execute("PRAGMA user_version").fetchone()[0]
        if found not in {0, VERSION}:
            writer.close()
            raise RunError(
                f"{self._path} is of version {found} and this program writes {VERSION}: start "
                "a new run"
            )
        writer.execute(f"PRAGMA user_version = {VERSION}")
        writer.commit()
        return writer

    def _broken(self, error: sqlite3.Error) -> RunError:
        return RunError(
            f"the answers in {self._path} cannot be read or written ({error}): free disk space, "
            "check the rights, or start a new run"
        )


def _connect(path: Path, readonly: bool) -> sqlite3.Connection:
    mode = "ro" if readonly else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, check_same_thread=False, timeout=30.0
    )
    if readonly:
        connection.execute("SELECT 1 FROM answers LIMIT 1")
    return connection


def _resolve(futures: list[Waiting], error: RunError | None) -> None:
    for future in futures:
        if future.done():  # cancelled meanwhile
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
