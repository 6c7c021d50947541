"""The rows of a job that ended: kept, to be sent once more, or given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from kl_core.errors import RunError
from kl_core.sources.batch_ledger import BatchJob
from kl_core.sources.batch_rows import Row, read_rows
from kl_core.sources.batch_shards import keys_in
from kl_core.sources.bucket import Bucket
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.gemini_wire import WireSettings

Keep = Callable[[bytes, Answer], None]
HOPELESS = 50  # failed rows without one good among them: sending them again is money lost
_ENDS_THAT_MAY_PASS = ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "EXPIRED")


@dataclass(slots=True)
class Tally:
    """What came back for the keys of one job.

    Attributes:
        left: keys without a good row.
        errors: why, for those whose row came back bad.
        strange: rows that name none of the job's keys.
        stop: a failure that contradicts the probe.
    """

    left: set[bytes]
    good: int = 0
    errors: dict[bytes, CallError] = field(default_factory=dict)
    strange: int = 0
    lost_tokens: int = 0
    stop: CallError | None = None

    def add(self, row: Row, attempt: int, keep: Keep) -> None:
        """One row; the first good one of a key counts."""
        if row.key is None or (row.key not in self.left):
            self.strange += row.key is None
            return
        if isinstance(row.found, CallError):
            self.lost_tokens += row.found.input_tokens
            self.errors[row.key] = row.found
            if row.found.retry == "stop":
                self.stop = row.found
            return
        keep(row.key, msgspec.structs.replace(row.found, attempts=attempt))
        self.left.discard(row.key)
        self.errors.pop(row.key, None)
        self.good += 1

    def sort(self, job: BatchJob) -> tuple[set[bytes], dict[bytes, str]]:
        """(keys to send once more, reasons of those given up)."""
        again = {key for key in self.left if job.attempt == 1 and self._may_pass(key, job)}
        return again, {key: self._reason(key, job) for key in self.left - again}

    def _may_pass(self, key: bytes, job: BatchJob) -> bool:
        error = self.errors.get(key)
        if error is None:
            return job.state in _ENDS_THAT_MAY_PASS
        hopeless = not self.good and len(self.errors) >= HOPELESS
        return error.retry in ("again", "odd") and not hopeless

    def _reason(self, key: bytes, job: BatchJob) -> str:
        error = self.errors.get(key)
        twice = " (sent twice)" if job.attempt > 1 else ""
        if error is not None:
            return error.reason + twice
        number = job.id.rsplit("/", 1)[-1]
        said = f": {job.error}" if job.error else ""
        ended = job.state.lower().replace("_", " ")
        return f"the batch job {number} {ended} without an answer to it{said}{twice}"


def collect(
    job: BatchJob,
    source: Path,
    bucket: Bucket,
    prefix: str,
    settings: WireSettings,
    keep: Keep,
    check_cancel: Callable[[], None],
) -> Tally:
    """Read all of a job's rows, a file at a time through the disk.

    Args:
        source: the job's input file.
        prefix: under which its outputs lie, and nothing else.

    Raises:
        RunError: the service contradicts the probe; the good rows are kept.
        CallError: the bucket cannot be read.
    """
    tally = Tally(set(keys_in(source)))
    for name in bucket.list(prefix):
        if not name.endswith(".jsonl"):
            continue
        path = source.with_name(f"out-{job.number:04d}.jsonl")
        check_cancel()
        bucket.download(name, path)
        for row in read_rows(path, settings):
            tally.add(row, job.attempt, keep)
        path.unlink()
    if tally.stop is not None:
        raise RunError(f"batch job {job.id.rsplit('/', 1)[-1]}: {tally.stop.reason}")
    return tally
