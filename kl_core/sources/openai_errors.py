"""Failed calls to an OpenAI-shaped server, as what to do about them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp
import httpx2
import msgspec

from kl_core.sources.calls import CallError
from kl_core.sources.redaction import redacted
from kl_core.sources.servers import Server
from kl_core.sources.waiting import retry_after

PASSING = frozenset({408, 409, 425, 429, 499})
DENIED = {
    401: "the key is not accepted: check the variable that holds it, or name it with --key-env",
    402: "the account cannot pay: check its credit and billing",
    403: "the key has no right to this model: ask for it, or choose another model",
    404: "there is no such model or route here: check the model's name and --base-url, which ends "
    "in /v1 as a rule",
}
NO_ROUTE = "there is no such route here: check --base-url, which ends in /v1 as a rule"
_FIELD = re.compile(
    r"logprobs?\b|\becho\b|continue_final_message|add_generation_prompt|\bprefill\b"
)
_REFUSED = re.compile(
    r"support|unrecognized|unknown|unexpected|not (?:be )?(?:allowed|permitted|available|enabled)"
    r"|disabled|greater than|less than|more than|at most|at least|exceed|must be|should be|between"
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window)|maximum context|too long|max_model_len|longer than"
    r"|max(?:imum)? model len"
)
Headers = Mapping[str, str]


def call_error(error: BaseException, server: Server) -> CallError | None:
    """What came instead of a reply; None for what no call should raise."""
    chain = list(_chain(error))
    if _any(chain, aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError):
        return CallError(
            "certificate",
            f"the certificate of {server.base_url} cannot be trusted: check --base-url",
            "denied",
        )
    if _any(chain, aiohttp.InvalidURL, httpx2.UnsupportedProtocol, httpx2.InvalidURL):
        return CallError(
            "address", f"{server.base_url} cannot be called: check --base-url", "denied"
        )
    if _any(chain, TimeoutError):  # asyncio's and aiohttp's are this one
        return CallError("timeout", f"{server.base_url} gave no answer in time", "again")
    if _any(chain, aiohttp.ClientError, OSError, EOFError):
        return _lost(chain[-1], server)
    if _any(chain, httpx2.TimeoutException):
        return CallError("timeout", f"{server.base_url} gave no answer in time", "again")
    if _any(chain, httpx2.HTTPError, httpx2.StreamError):
        return _lost(chain[-1], server)
    return None


def _lost(error: BaseException, server: Server) -> CallError:
    reason = f"the connection to {server.base_url} failed ({type(error).__name__})"
    return CallError("connection", reason, "again")


def _any(chain: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(each, kinds) for each in chain)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came from: wrappers tell less than what they wrap."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def not_json(server: Server) -> CallError:
    """A reply that cannot be read."""
    return CallError("not JSON", f"the reply of {server.base_url} was no JSON object", "again")


def status_error(
    code: int, headers: Headers, content: bytes, server: Server, model: str
) -> CallError:
    """A reply whose status is no success.

    Args:
        model: as it was asked for, "" where the call named none.
    """
    try:
        body = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        body = None
    return sorted_out(code, headers, body, server, model)


def error_in_reply(reply: Mapping[str, Any], server: Server, model: str) -> CallError | None:
    """The error that a gateway has put into a reply of status 200; None where there is none."""
    found = reply.get("error")
    if not found:
        choices = reply.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        found = first.get("error") if isinstance(first, dict) else None
    if not found:
        return None
    code = found.get("code") if isinstance(found, dict) else None
    number = _number(code)
    return sorted_out(number or 502, {}, {"error": found}, server, model)


def sorted_out(code: int, headers: Headers, body: Any, server: Server, model: str) -> CallError:
    """The failure of a status and the error object that came with it."""
    error = _error_of(body)
    said = redacted(_message(error, body), server.key_env)[:300]
    low, name = said.lower(), server.base_url
    kind = str(code)
    asked = f" for {redacted(model, server.key_env)}" if model else ""
    if code == 403 and _moderated(error, low):
        return CallError("moderation", f"{name} does not take this text: {said}", "refused")
    if code == 429 and "insufficient_quota" in (error.get("code"), error.get("type")):
        return CallError(kind, f"{name} answered 429, {DENIED[402]} ({said})", "denied")
    if code == 501 or (code in (400, 422) and _lacks(low)):
        reason = (
            f"{name} does not do what was asked{asked} ({said}): choose another server or "
            "model, or shorter lists"
        )
        return CallError("unsupported", reason, "stop")
    if code in PASSING or code >= 500:
        wait = retry_after(headers)
        return CallError(kind, f"{name} answered {code}: {said}", "again", wait)
    if code == 405 or (code == 404 and not _of_model(low)):
        return CallError("no route", f"{name} answered {code}, {NO_ROUTE} ({said})", "denied")
    if code in DENIED:
        return CallError(kind, f"{name} answered {code}{asked}, {DENIED[code]} ({said})", "denied")
    if code in (400, 422) and _too_long(error, low):
        return CallError("too long", f"{name} refused the request ({code}): {said}", "refused")
    if code == 400 and "vocabulary" in low:
        reason = f"{name} does not know these token ids ({said}): give the model's own --tokenizer"
        return CallError("other tokens", reason, "stop")
    if code == 400 and ("api key" in low or "api_key" in low):
        return CallError(kind, f"{name} refuses every call, {DENIED[401]} ({said})", "denied")
    if code == 400 and ("valid model" in low or error.get("code") == "model_not_found"):
        return CallError(kind, f"{name} answered 400{asked}, {DENIED[404]} ({said})", "denied")
    if 300 <= code < 400:
        reason = (
            f"{name} answered {code} and sends calls elsewhere, where no key is taken: give the "
            "final address with --base-url"
        )
        return CallError(kind, reason, "denied")
    return CallError(kind, f"{name} refused the request ({code}): {said}", "refused")


def _lacks(said: str) -> bool:
    """Whether a sentence names a field and says that the server does not take it so.

    Everything else may be about this one text, which says nothing about the others.
    """
    return bool(_FIELD.search(said) and _REFUSED.search(said) and not _TOO_LONG.search(said))


def _too_long(error: Mapping[str, Any], said: str) -> bool:
    """Whether the text has no room in the model's context."""
    return error.get("code") == "context_length_exceeded" or bool(_TOO_LONG.search(said))


def _of_model(said: str) -> bool:
    """Whether a 404 is about the model and not about the route."""
    return "model" in said or "endpoints found" in said or "providers" in said


def _moderated(error: Mapping[str, Any], said: str) -> bool:
    data = error.get("metadata")
    flagged = isinstance(data, dict) and ("reasons" in data or "flagged_input" in data)
    return flagged or "moderation" in said or "flagged" in said


def _error_of(body: Any) -> Mapping[str, Any]:
    found = body.get("error", body) if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def _message(error: Mapping[str, Any], body: Any) -> str:
    """What the server says, in one line; gateways put the provider's own words below."""
    said = error.get("message") or error.get("detail")
    if said is None and isinstance(body, dict):
        said = body.get("error") or body.get("message")
    words = said if isinstance(said, str) else msgspec.json.encode(said).decode() if said else ""
    data = error.get("metadata")
    raw = data.get("raw") if isinstance(data, dict) else None
    if isinstance(raw, str) and raw not in words:
        words = f"{words}: {raw}"
    return " ".join(words.split()) or "no message"


def _number(code: object) -> int | None:
    """An HTTP status in a field that may hold a number, its text, or a word."""
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdecimal():
        code = int(code)
    return code if type(code) is int and 300 <= code < 600 else None
