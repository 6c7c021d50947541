"""What the client raised, as what to do about it."""

from __future__ import annotations

from typing import Any

import aiohttp
from google.auth.exceptions import GoogleAuthError, TransportError
from google.genai import errors

from kl_core.sources.calls import CallError
from kl_core.sources.endpoint import Endpoint
from kl_core.sources.redaction import redacted
from kl_core.sources.waiting import retry_after, seconds_of

PASSING = frozenset({408, 409, 425, 429, 499})
DENIED = {
    401: "the key or login is not accepted: check GEMINI_API_KEY, or run `gcloud auth "
    "application-default login` for Vertex AI",
    402: "the account cannot pay: check its billing",
    403: "the key or account has no right to use it: enable the API for the project and ask for "
    "the right to call this model",
    404: "there is no such model here: check its name, and the location for Vertex AI",
}


def call_error(error: Exception, model: str, endpoint: Endpoint) -> CallError | None:
    """The failure of a call, sorted; None for what no call should raise."""
    if isinstance(error, errors.APIError):
        return _of_status(error, model, endpoint)
    if isinstance(error, TimeoutError):  # asyncio's and aiohttp's are this one
        return CallError("timeout", "no answer in time", "again")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.InvalidURL):
        reason = redacted(str(error))
        return CallError(
            "certificate",
            f"{endpoint.name} cannot be trusted ({reason}): check --base-url",
            "denied",
        )
    if isinstance(error, TransportError | aiohttp.ClientError | OSError):
        return CallError("connection", f"the connection failed ({type(error).__name__})", "again")
    if isinstance(error, GoogleAuthError):
        return _of_login(str(error.args[0] if error.args else error), error.retryable)
    if isinstance(error, ValueError):  # json's and msgspec's errors are this one
        return CallError("not JSON", "the reply was not JSON", "again")
    if isinstance(error, RuntimeError) and "API token" in str(error):
        return _of_login(str(error))
    return None


def _of_status(error: errors.APIError, model: str, endpoint: Endpoint) -> CallError:
    code = error.code if isinstance(error.code, int) else 0
    said = redacted(str(error.message or error.status or "no message"))[:300]
    if code == 400:
        return _of_bad_request(error, said, model, endpoint)
    if code in PASSING or code >= 500:
        told = retry_after(getattr(error.response, "headers", None))
        wait = told if told is not None else retry_info(error.details)
        return CallError(str(code), f"{endpoint.name} answered {code}: {said}", "again", wait)
    if code in DENIED:
        sentence = f"{endpoint.name} answered {code} for {model}, {DENIED[code]} ({said})"
        return CallError(str(code), sentence, "denied")
    if 300 <= code < 400:
        return CallError(
            str(code),
            f"{endpoint.name} answered {code} and sends calls elsewhere, where no key is taken: "
            "give the final address with --base-url",
            "denied",
        )
    if code < 300:
        return CallError("not JSON", f"{endpoint.name} answered {code} without a reply", "again")
    return CallError(str(code), f"{endpoint.name} answered {code}: {said}", "refused")


def _of_bad_request(error: errors.APIError, said: str, model: str, endpoint: Endpoint) -> CallError:
    low = said.lower()
    if "logprob" in low:
        return CallError(
            "logprobs unsupported",
            f"{model} gives no such log-probabilities at {endpoint.name} ({said}): choose another "
            "model or the other API",
            "stop",
        )
    if "ending with a model turn" in low or "prefill" in low:
        return CallError(
            "prefill unsupported",
            f"{model} does not continue a text that is given to it at {endpoint.name} ({said}): "
            "choose another model",
            "stop",
        )
    if error.status == "FAILED_PRECONDITION" or "api key" in low or "API_KEY" in str(error.details):
        return CallError("400", f"{endpoint.name} refuses every call: {said}", "denied")
    return CallError("400", f"{endpoint.name} refused the request: {said}", "refused")


def _of_login(said: str, passing: bool = False) -> CallError:
    if passing:
        return CallError("login", "the login could not be renewed for the moment", "again")
    return CallError(
        "login",
        "the login of Vertex AI could not be renewed "
        f"({redacted(said)[:200]}): run `gcloud auth "
        "application-default login`",
        "denied",
    )


def retry_info(details: Any) -> float | None:
    """Seconds of the RetryInfo in an error's details, None without one."""
    try:
        infos = details["error"]["details"]
        delays = [each.get("retryDelay") for each in infos if "retryDelay" in each]
        return seconds_of(str(delays[0]).removesuffix("s")) if delays else None
    except (KeyError, TypeError, AttributeError):
        return None
