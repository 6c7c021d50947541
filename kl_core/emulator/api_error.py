"""Refusals as Google writes them: a code, a status and one sentence."""

from __future__ import annotations

from typing import Any

from kl_core.errors import KLExplorerError

STATUS_OF = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    412: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ApiError(KLExplorerError):
    """An answer that is no reply.

    Attributes:
        code: the HTTP status.
        kind: what statistics count it as.
        details: Google's list of typed details.
        retry_after_s: what the Retry-After header says; None for no header.
    """

    def __init__(
        self,
        code: int,
        message: str,
        kind: str = "",
        details: tuple[dict[str, Any], ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind or str(code)
        self.details = details
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """`{"error": {code, message, status, details}}`; no key for empty details."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "status": STATUS_OF[self.code],
        }
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}

    def headers(self) -> dict[str, str]:
        """The Retry-After header, where there is one."""
        return {} if self.retry_after_s is None else {"Retry-After": f"{self.retry_after_s:g}"}
