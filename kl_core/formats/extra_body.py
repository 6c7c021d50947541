"""Further fields of requests: none that counts, costs or changes what is asked, and no keys."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kl_core.formats.sampling_odd import looks_like_key, shown

OWN = {
    "n": "samples",
    "best_of": "samples",
    "model": "name",
    "models": "name",
    "messages": "prompts",
    "prompt": "prompts",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "logprobs": "top_logprobs",
    "top_logprobs": "top_logprobs",
    "seed": "seed",
    "stream": "",
    "echo": "",
}
"""Fields of a request that follow from the configuration, with the field that sets each."""
_SECRET = re.compile(
    r"(?i)api[-_]?key|authorization|secret|password|bearer|access[-_]?token"
    r"|(^|[_-])((key|auth|credential|secret|password)s?|headers?)$"
)
_TOKEN = re.compile(r"(?i)(^|[_-])tokens?$")


def extra_problems(extra: Mapping[Any, Any], at: str) -> Iterator[str]:
    """What cannot stand in `extra_body`; nothing that may be a key is repeated.

    Args:
        at: its place, for the sentences.
    """
    for name in extra:
        if name in OWN:
            step = f"set {OWN[name]} instead" if OWN[name] else "leave it out"
            yield f"{at} has the field {name!r}, which sample fills in itself; {step}"
    provider = extra.get("provider", {})
    if not isinstance(provider, dict):
        yield f"{at}.provider must be a group of fields; list those to ask in providers"
    elif provider.get("require_parameters", True) is not True:
        yield (
            f"{at}.provider.require_parameters must be true: without it, providers drop "
            "log-probabilities silently; leave it out"
        )
    yield from _value(extra, at)


def _value(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _field(name, inner, at)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _value(inner, f"{at}[{number}]")
    elif isinstance(value, str):
        if looks_like_key(value):
            yield f"{at} looks like a key: {_KEPT_OUT}"
    elif not isinstance(value, int | float | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        yield f"{at} is a {type(value).__name__} that JSON cannot hold; write it in quotes"


def _field(name: Any, inner: Any, at: str) -> Iterator[str]:
    if not isinstance(name, str):
        yield f"{at} has a field whose name is not text; write it in quotes"
    elif looks_like_key(name) or _SECRET.search(name) or _is_token(name, inner):
        yield f"{at} has a field {shown(name)!r}: {_KEPT_OUT}"
    else:
        yield from _value(inner, f"{at}.{shown(name)}")


def _is_token(name: str, value: Any) -> bool:
    """Whether a field may hold a token that opens a door: numbers and switches open none."""
    return bool(_TOKEN.search(name)) and not isinstance(value, int | float | None)


_KEPT_OUT = "keys are never written into this file; name an environment variable with key_env"
