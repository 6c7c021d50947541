"""A run's `_kl.json` files and its notes as one zip: whole, or not there at all."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kl_core.errors import InputError, RunCancelled
from kl_core.formats.kl_results import ResultNames, encode_result
from kl_core.store import notes, queries, restore
from kl_core.store.export import replacing
from kl_core.store.query import Cursor, Query

Progress = Callable[[int, int], None]
BYTES_A_TOKEN, BYTES_A_CANDIDATE = 110, 21  # in the zip, as measured
SAMPLE = 2_000  # tokens whose lists tell how long lists are
MEMORY_LIMIT = "384MB"  # of the database's pages, which DuckDB would else keep all
LEVEL = 1  # four times faster than the default, a tenth larger


@dataclass(frozen=True, slots=True)
class Zipped:
    """What was written.

    Attributes:
        files: result files in the zip.
        left_out: prompts without a second model, which have none.
        notes: whether notes.json is in it.
    """

    path: Path
    files: int
    left_out: int
    notes: bool


def never() -> bool:
    """Go on to the end."""
    return False


def write(
    run_dir: Path,
    path: Path,
    progress: Progress | None = None,
    stop: Callable[[], bool] = never,
) -> Zipped:
    """Write every result file of a run, under the names `--output-dir` gives, into one zip.

    The zip's own time is that of the reading: whatever came into the run after it is newer.

    Args:
        progress: called after each prompt with (prompts done, prompts in all).
        stop: asked before each prompt; True ends the work without a zip.

    Raises:
        RunError: the run has no result files to give.
        InputError: two results would have one name, or `path` cannot be written.
        RunCancelled: `stop` said so.
    """
    began = time.time_ns()
    opened = queries.open_run(run_dir)
    cursor = opened.cursor()
    total = restore.check(cursor)
    if not opened.live:
        cursor.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    names = ResultNames()
    written = notes.raw(run_dir)
    try:
        with replacing(path) as temporary:
            with _archive(temporary) as archive:
                for done, entry in enumerate(restore.scored_entries(cursor), 1):
                    if stop():
                        raise RunCancelled(f"{path.name} was cancelled; nothing was written")
                    archive.writestr(names.claim(entry.entry), encode_result(entry))
                    if progress is not None:
                        progress(done, total)
                if written is not None:
                    archive.writestr(notes.NAME, written)
            os.utime(temporary, ns=(began, began))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); check it") from error
    return Zipped(path, total, restore.left_out(cursor), written is not None)


def estimate_bytes(cursor: Cursor) -> int:
    """About how large the zip will be."""
    sql = f"""SELECT coalesce((SELECT count(*) FROM tokens)
                     * ({BYTES_A_TOKEN} + {BYTES_A_CANDIDATE} * avg(candidates)), 0)::BIGINT
              FROM (SELECT coalesce(len(top1), 0) + coalesce(len(top2), 0) AS candidates
                    FROM tokens LIMIT {SAMPLE})"""
    return Query(sql).number(cursor)


def _archive(path: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
