"""The fields of a JSON body, checked one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from kl_core.emulator.openai_error import bad

Json = dict[str, Any]
NOT_HERE = (
    "stop",
    "stop_token_ids",
    "stream",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "tools",
    "functions",
    "response_format",
    "structured_outputs",
    "top_k",
    "min_p",
    "min_tokens",
    "ignore_eos",
    "suffix",
    "use_beam_search",
    "allowed_token_ids",
    "logprob_token_ids",
    "truncate_prompt_tokens",
)
"""What servers know and this one does not do: refused, never quietly left out."""
_NEUTRAL: tuple[Any, ...] = (None, False, 0, -1, "", [], {}, {"type": "text"})
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


def read_object(data: bytes) -> Json:
    """A body as an object.

    Raises:
        OpenAiError: 400.
    """
    try:
        body = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad(f"The body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad("The body is not a JSON object.")
    return body


def body_key(model: str, route: str, body: Mapping[str, Any]) -> bytes:
    """16 bytes, equal for equal calls."""
    return blake2b(_encode([model, route, body]), digest_size=16).digest()


def refuse_unsupported(body: Json, more: Iterable[str] = ()) -> None:
    """Fields that would change the answer and are not done here, unless they change nothing.

    Raises:
        OpenAiError: 400.
    """
    for name in (*NOT_HERE, *more):
        if body.get(name) not in _NEUTRAL:
            raise bad(f"This local server does not offer {name}.", name)
    if body.get("repetition_penalty") not in (None, 1):
        raise bad("This local server does not offer repetition_penalty.", "repetition_penalty")
    if body.get("best_of") not in (None, 1):
        raise bad("This local server does not offer best_of.", "best_of")


def whole_number(
    body: Json, name: str, default: int | None, least: int, most: int | None = None
) -> int | None:
    """An integer or null.

    Raises:
        OpenAiError: 400.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad(f"{name} must be an integer, got {str(value)[:40]!r}.", name)
    if value < least:
        raise bad(f"{name} must be at least {least}, got {value}.", name)
    if most is not None and value > most:
        raise bad(f"{name} must be at most {most}, got {value}.", name)
    return value


def share(body: Json, name: str, default: float, most: float) -> float:
    """A number from 0 to `most`.

    Raises:
        OpenAiError: 400.
    """
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise bad(f"{name} must be a number, got {str(value)[:40]!r}.", name)
    if not 0 <= value <= most:
        raise bad(f"{name} must be in [0, {most:g}], got {value}.", name)
    return float(value)


def flag(body: Json, name: str, default: bool = False) -> bool:
    """True or false.

    Raises:
        OpenAiError: 400.
    """
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise bad(f"{name} must be true or false, got {str(value)[:40]!r}.", name)
    return value


def require_listed(wanted: int | None, most: int, sort: str, name: str) -> None:
    """No longer lists than the server gives; in vLLM's words.

    Raises:
        OpenAiError: 400.
    """
    if wanted is not None and wanted > most:
        raise bad(
            f"Requested {sort} logprobs of {wanted}, which is greater than max allowed: {most}",
            name,
        )
