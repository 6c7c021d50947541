"""Who answers behind OpenRouter: the choice of a provider by the fields of a call."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from kl_core.emulator.openai_error import OpenAiError, bad
from kl_core.emulator.settings import Provider

NO_ENDPOINT = (
    "No endpoints found that can handle the requested parameters. To learn more about provider "
    "routing, visit: https://openrouter.ai/docs/provider-routing"
)
NOT_ALLOWED = "No allowed providers are available for the selected model."
PLAIN = Provider("")


def provider_of(
    providers: Sequence[Provider], body: dict[str, Any], key: bytes, attempt: int
) -> Provider:
    """The provider that takes a call; `PLAIN` where there are none.

    Where several may answer, a hash of the call and the number of its attempt decides.

    Raises:
        OpenAiError: 400, 404, nobody is left.
    """
    if not providers:
        return PLAIN
    wanted = body.get("provider")
    if wanted is None:
        wanted = {}
    if not isinstance(wanted, dict):
        raise bad("provider must be an object.", "provider")
    left = [each for each in providers if _allowed(each, wanted)]
    if not left:
        raise OpenAiError(404, NOT_ALLOWED)
    if wanted.get("require_parameters"):
        left = [each for each in left if _takes(each, body)]
        if not left:
            raise OpenAiError(404, NO_ENDPOINT)
    for name in _names(wanted, "order"):
        for each in left:
            if each.name.lower() == name:
                return each
    digest = blake2b(key + attempt.to_bytes(4, "little"), digest_size=4).digest()
    return left[int.from_bytes(digest, "little") % len(left)]


def thinks(provider: Provider, body: dict[str, Any]) -> bool:
    """Whether the answer begins with a thought, so that it has no log-probabilities."""
    asked = body.get("reasoning")
    if asked is None:
        asked = {}
    if not isinstance(asked, dict):
        raise bad("reasoning must be an object.", "reasoning")
    off = asked.get("enabled") is False or asked.get("effort") == "none"
    return "reasoning" in provider.quirks and not off


def _allowed(provider: Provider, wanted: dict[str, Any]) -> bool:
    name = provider.name.lower()
    only, order = _names(wanted, "only"), _names(wanted, "order")
    if order and wanted.get("allow_fallbacks") is False and name not in order:
        return False
    return (not only or name in only) and name not in _names(wanted, "ignore")


def _names(wanted: dict[str, Any], field: str) -> list[str]:
    names = wanted.get(field) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad(f"provider.{field} must be a list of names.", "provider")
    return [name.lower() for name in names]


def _takes(provider: Provider, body: dict[str, Any]) -> bool:
    if body.get("logprobs") and ("no-logprobs" in provider.quirks or thinks(provider, body)):
        return False
    return not ("one-choice" in provider.quirks and (body.get("n") or 1) > 1)
