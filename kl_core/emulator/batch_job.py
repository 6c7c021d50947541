"""One batch prediction job: what was asked, where it stands, and how a poll shows it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from kl_core.emulator.objects import stamp

Json = dict[str, Any]
SUCCEEDED, PARTIAL = "JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"
FAILED, EXPIRED = "JOB_STATE_FAILED", "JOB_STATE_EXPIRED"
CANCELLED, CANCELLING = "JOB_STATE_CANCELLED", "JOB_STATE_CANCELLING"
ENDS = frozenset({SUCCEEDED, PARTIAL, FAILED, EXPIRED, CANCELLED})


@dataclass(slots=True)
class Job:
    """One batchPredictionJob.

    Attributes:
        parent: projects/p/locations/L.
        body: as it was posted.
        stop: set when somebody cancelled it.
    """

    id: str
    parent: str
    body: Json
    state: str = "JOB_STATE_QUEUED"
    created: str = field(default_factory=stamp)
    started: str | None = None
    ended: str | None = None
    error: Json | None = None
    directory: str | None = None
    rows: int = 0
    succeeded: int = 0
    failed: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The resource name."""
        return f"{self.parent}/batchPredictionJobs/{self.id}"

    @property
    def model(self) -> str:
        """The bare name of the model asked for."""
        return str(self.body["model"]).rsplit("/", 1)[-1]

    @property
    def over(self) -> bool:
        """Whether it has reached its last state."""
        return self.state in ENDS

    def resource(self) -> Json:
        """As a poll answers it; counts are strings, as int64 is in JSON."""
        found: Json = {"name": self.name, **self.body, "state": self.state}
        found["createTime"] = self.created
        found["updateTime"] = self.ended or self.started or self.created
        found |= {"startTime": self.started} if self.started else {}
        found |= {"endTime": self.ended} if self.ended else {}
        found |= {"error": self.error} if self.error else {}
        if self.directory:
            found["outputInfo"] = {"gcsOutputDirectory": self.directory}
        if self.over and self.rows:
            left = self.rows - self.succeeded - self.failed
            counts = {
                "successfulCount": self.succeeded,
                "failedCount": self.failed,
                "incompleteCount": left,
            }
            found["completionStats"] = {key: str(n) for key, n in counts.items() if n}
        return found

    def summary(self) -> Json:
        """One line of the server's log."""
        return {
            "id": self.id,
            "name": self.body.get("displayName", ""),
            "state": self.state,
            "rows": self.rows,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }
