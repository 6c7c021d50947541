"""Batch jobs at Vertex, by Google's own client: create, look, find, cancel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from kl_core.errors import InputError
from kl_core.sources.call_errors import call_error
from kl_core.sources.calls import CallError
from kl_core.sources.endpoint import PLACEHOLDER, Endpoint

ENDED = frozenset({"SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"})
"""Last states. The client's own `job.done` is false for PARTIALLY_SUCCEEDED."""
_TRANSPORT = frozenset({"httpx", "httpx2", "httpcore", "httpcore2"})


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as Vertex shows it.

    Attributes:
        id: the whole resource name.
        state: without JOB_STATE_.
        succeeded, failed: rows, 0 where it does not say.
    """

    id: str
    state: str
    error: str
    succeeded: int
    failed: int
    created: str

    @property
    def ended(self) -> bool:
        """Whether it is in its last state."""
        return self.state in ENDED


class BatchService:
    """The batch jobs of a project; no retries in here.

    Every method raises CallError, sorted by what to do about it.

    Raises:
        InputError: the endpoint is not Vertex, which alone has batch jobs of this kind.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float = 60.0) -> None:
        if not endpoint.vertex:
            raise InputError(
                f"batch jobs need Vertex AI and {endpoint.name} has none: give --project-id"
            )
        self._endpoint = endpoint
        placeholder = Credentials(token=PLACEHOLDER) if endpoint.loopback else None  # type: ignore[no-untyped-call]
        self._client = genai.Client(
            vertexai=True,
            project=endpoint.project_id,
            location=endpoint.location,
            credentials=placeholder,
            http_options=types.HttpOptions(
                base_url=endpoint.base_url,
                timeout=round(timeout_s * 1000),  # milliseconds
                retry_options=types.HttpRetryOptions(attempts=1),
                client_args={"follow_redirects": False, "trust_env": not endpoint.loopback},
            ),
        )

    def create(self, model: str, source: str, destination: str, label: str) -> JobView:
        """A new job over `source` (gs://…), named `label`."""
        config = types.CreateBatchJobConfig(display_name=label, dest=destination)
        return self._view(
            model, lambda: self._client.batches.create(model=model, src=source, config=config)
        )

    def get(self, job_id: str) -> JobView:
        """The job as it is now."""
        return self._view("this job", lambda: self._client.batches.get(name=job_id))

    def find(self, label: str) -> list[JobView]:
        """Jobs of this display name, the oldest first."""
        config = types.ListBatchJobsConfig(filter=f'displayName="{label}"')
        found = self._try("its jobs", lambda: list(self._client.batches.list(config=config)))
        views = [_view(job) for job in found if job.display_name == label]
        return sorted(views, key=lambda view: view.created)

    def cancel(self, job_id: str) -> None:
        """Ask Vertex to stop a job; rows answered so far are paid for."""
        self._try("this job", lambda: self._client.batches.cancel(name=job_id))

    def _view(self, what: str, call: Any) -> JobView:
        return _view(self._try(what, call))

    def _try(self, what: str, call: Any) -> Any:
        try:
            return call()
        except Exception as error:
            if type(error).__module__.partition(".")[0] in _TRANSPORT:
                raise CallError(
                    "connection", f"the connection failed ({type(error).__name__})", "again"
                ) from None
            known = call_error(error, what, self._endpoint)
            if known is None:
                raise
            raise known from None


def _view(job: types.BatchJob) -> JobView:
    stats, error = job.completion_stats, job.error
    return JobView(
        id=str(job.name or ""),
        state=(job.state.value if job.state else "UNSPECIFIED").removeprefix("JOB_STATE_"),
        error=str(error.message or error.code or "") if error else "",
        succeeded=int((stats.successful_count if stats else None) or 0),
        failed=int((stats.failed_count if stats else None) or 0),
        created=job.create_time.isoformat() if job.create_time else "",
    )
