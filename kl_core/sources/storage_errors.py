"""What Cloud Storage's client raised, as what to do about it."""

from __future__ import annotations

import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError, TransportError

from kl_core.sources.calls import CallError
from kl_core.sources.redaction import redacted

_PASSING = frozenset({408, 429})


def storage_error(error: Exception, bucket: str) -> CallError | None:
    """The failure, sorted; None for what no request should raise."""
    if isinstance(error, GoogleAPICallError):
        code = int(error.code or 0)
        said = redacted(str(error.message or "no message"))[:300]
        if code in _PASSING or code >= 500:
            return CallError(str(code), f"Cloud Storage answered {code}: {said}", "again")
        return CallError(
            str(code),
            f"Cloud Storage answered {code} for the bucket {bucket} ({said}): ask for the right "
            "to use it, or name another bucket with --bucket-name",
            "denied",
        )
    if isinstance(error, requests.TooManyRedirects):
        return CallError(
            "redirect",
            "Cloud Storage answered with a redirect, which is not followed: give the address "
            "itself with --storage-url",
            "denied",
        )
    lost = (RetryError, TransportError, requests.RequestException, ConnectionError, TimeoutError)
    if isinstance(error, lost):  # not every OSError: a full disk does not pass by waiting
        reason = f"Cloud Storage cannot be reached ({type(error).__name__})"
        return CallError("connection", reason, "again")
    if isinstance(error, GoogleAuthError):
        if error.retryable:
            return CallError("login", "the login could not be renewed for the moment", "again")
        return CallError(
            "login",
            "the login of Cloud Storage could not be renewed: run `gcloud auth "
            "application-default login`",
            "denied",
        )
    return None
