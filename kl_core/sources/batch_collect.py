"""The rows of a job that ended: kept, to be sent once more, or given up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from kl_core.sources.batch_ledger import BatchJob
from kl_core.sources.batch_rows import Row, read_rows
from kl_core.sources.batch_shards import keys_in
from kl_core.sources.bucket import Bucket
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.gemini_wire import WireSettings

Keep = Callable[[bytes, Answer], None]
HOPELESS = 50  # failed rows without one good among them: sending them again is money lost
_ENDS_THAT_MAY_PASS = ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "EXPIRED")
_ENDS_WITH_ALL_ROWS = ("SUCCEEDED", "PARTIALLY_SUCCEEDED")


@dataclass(frozen=True, slots=True)
class Sorted:
    """What becomes of the keys without a good row.

    Attributes:
        again: to be sent once more by this run.
        refused: given up for good, with the reason.
        lost: neither answered nor refused, with the reason: the job ended without them, or
            another model answered. A later start may submit them anew.
        stop: a failure that contradicts the probe, twice or without one good row.
    """

    again: set[bytes] = field(default_factory=set)
    refused: dict[bytes, str] = field(default_factory=dict)
    lost: dict[bytes, str] = field(default_factory=dict)
    stop: CallError | None = None


@dataclass(slots=True)
class Tally:
    """What came back for the keys of one job.

    Attributes:
        left: keys without a good row.
        errors: why, for those whose row came back bad.
    """

    left: set[bytes]
    good: int = 0
    errors: dict[bytes, CallError] = field(default_factory=dict)
    lost_tokens: int = 0

    def add(self, row: Row, attempt: int, keep: Keep) -> None:
        """One row; the first good one of a key counts.

        Rows that name none of the job's keys are nobody's: whose they were is left without.
        """
        if row.key is None or row.key not in self.left:
            return
        if isinstance(row.found, CallError):
            self.lost_tokens += row.found.input_tokens
            self.errors[row.key] = row.found
            return
        keep(row.key, msgspec.structs.replace(row.found, attempts=attempt))
        self.left.discard(row.key)
        self.errors.pop(row.key, None)
        self.good += 1

    def sort(self, job: BatchJob) -> Sorted:
        """What to do about the keys that are left."""
        found = Sorted({key for key in self.left if job.attempt == 1 and self._may_pass(key, job)})
        stop = None
        for key in self.left - found.again:
            error, reason = self.errors.get(key), self._reason(key, job)
            if error is not None and error.retry == "stop":
                stop = error
                found.lost[key] = reason
            elif error is None and job.state not in _ENDS_WITH_ALL_ROWS:
                found.lost[key] = reason
            else:
                found.refused[key] = reason
        return replace(found, stop=stop)

    def _may_pass(self, key: bytes, job: BatchJob) -> bool:
        error = self.errors.get(key)
        if error is None:
            return job.state in _ENDS_THAT_MAY_PASS
        hopeless = not self.good and len(self.errors) >= HOPELESS
        return error.retry in ("again", "odd", "stop") and not hopeless

    def _reason(self, key: bytes, job: BatchJob) -> str:
        error = self.errors.get(key)
        twice = " (sent twice)" if job.attempt > 1 else ""
        if error is not None:
            return error.reason + twice
        number = job.id.rsplit("/", 1)[-1]
        said = f": {job.error}" if job.error else ""
        ended = job.state.lower().replace("_", " ")
        return f"the batch job {number} ended as {ended} without an answer to it{said}{twice}"


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
    return tally
