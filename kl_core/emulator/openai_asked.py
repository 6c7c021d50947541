"""What all OpenAI-shaped calls share: the model asked for, and the reply's frame."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from kl_core.emulator.openai_error import OpenAiError, bad
from kl_core.emulator.reply import Said
from kl_core.emulator.settings import Provider, Settings
from kl_core.emulator.state import State

Json = dict[str, Any]
FLOOR = -9999.0


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt at one call.

    Attributes:
        key: see openai_body.body_key.
        attempt: how often it was asked before.
        provider: who answers.
    """

    key: bytes
    attempt: int
    provider: Provider

    @property
    def odd(self) -> bool:
        """Which of two looks a fault has."""
        return bool((self.key[0] + self.attempt) % 2)

    @property
    def number(self) -> str:
        """Hex digits of its own."""
        data = self.key + self.attempt.to_bytes(4, "little")
        return blake2b(data, digest_size=10).hexdigest()


def served(state: State) -> tuple[str, ...]:
    """Names of the models of the OpenAI-shaped server, at least one.

    Raises:
        OpenAiError: 404, the one of the settings is not here.
    """
    only = state.settings.served_model
    if only and only not in state.names:
        raise OpenAiError(404, f"There is no {only!r} among {', '.join(state.names)}.")
    return (only,) if only else state.names


def model_of(state: State, body: Json) -> str:
    """The model that a body names.

    Raises:
        OpenAiError: 400, 404.
    """
    model = body.get("model")
    if not isinstance(model, str):
        raise bad("you must provide a model parameter", "model")
    if model not in served(state):
        raise OpenAiError(
            404,
            f"The model `{model}` does not exist. This server has {', '.join(served(state))}.",
            param="model",
        )
    return model


def framed(model: str, sort: str, settings: Settings, call: Call) -> Json:
    """A reply before its choices."""
    frame: Json = {"id": f"gen-{call.number}", "object": sort, "created": int(time.time())}
    frame["model"] = settings.model_version or model
    if call.provider.name:
        frame["provider"] = call.provider.name
    return frame


def usage_of(said: list[Said], prompt_tokens: int, settings: Settings) -> Json:
    """Counts of tokens, and dollars where the server has prices."""
    output = sum([len(each.steps) for each in said])
    usage: Json = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": output,
        "total_tokens": prompt_tokens + output,
    }
    if settings.input_price is not None or settings.output_price is not None:
        dollars = prompt_tokens * (settings.input_price or 0) + output * (
            settings.output_price or 0
        )
        usage["cost"] = dollars / 1e6
    return usage


def way_of(provider: Provider) -> str:
    """How the provider writes tokens; see openai_tokens.Writer."""
    ways = [quirk for quirk in provider.quirks if quirk in ("pieces", "replaced", "no-bytes")]
    return ways[0] if ways else "text"


def ignored(settings: Settings, body: Json, name: str) -> None:
    """Leave out a field of a call that is not offered, or refuse it.

    Raises:
        OpenAiError: 400, where the settings say so.
    """
    if settings.refuses_unknown and body.get(name) is not None:
        raise OpenAiError(400, f"Unrecognized request argument supplied: {name}", param=name)
