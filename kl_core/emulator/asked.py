"""The body of a generateContent call, checked as the real service checks it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from kl_core.emulator.api_error import ApiError
from kl_core.records import Message, Prompt

Json = Mapping[str, Any]
MAX_TOP = 20
DEFAULT_MAX_TOKENS = 256
MOST_TOKENS = 65_536
BODY_KEYS = frozenset(
    {"contents", "systemInstruction", "generationConfig", "safetySettings", "labels", "model"}
)
CONFIG_KEYS = frozenset(
    {
        "temperature",
        "maxOutputTokens",
        "responseLogprobs",
        "logprobs",
        "seed",
        "thinkingConfig",
        "candidateCount",
        "topP",
        "responseMimeType",
    }
)
# What the service knows and a local server does not do: refused, never quietly left out.
NOT_HERE = frozenset(
    {
        "topK",
        "stopSequences",
        "presencePenalty",
        "frequencyPenalty",
        "responseSchema",
        "responseJsonSchema",
        "responseModalities",
        "tools",
        "toolConfig",
        "cachedContent",
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for.

    Attributes:
        prompt: the turns before the answer, in the roles of chat templates.
        said: the last turn of the model, to be continued literally; "" for none.
        top: candidates listed at each position, 0 for the chosen one alone; None for no
            log-probabilities at all.
        max_tokens: most tokens of the answer.
        temperature: 0 takes the likeliest token.
        seed: None draws anew each time.
        prefilled: whether the last turn is the model's.
    """

    prompt: Prompt
    said: str
    top: int | None
    max_tokens: int
    temperature: float
    seed: int | None
    prefilled: bool

    def key(self, model: str) -> bytes:
        """16 bytes, equal for calls that ask one model the same."""
        turns = [(turn.role, turn.content) for turn in self.prompt]
        shape = (self.top, self.max_tokens, self.temperature, self.seed, self.prefilled)
        whole = repr((model, turns, self.said, shape))
        return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def read_body(body: Any) -> Asked:
    """Check a body and read it.

    Raises:
        ApiError: 400, in the words of the service where they are known.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "Invalid JSON payload received. Expected an object.")
    fields = _known(body, BODY_KEYS, "")
    config = _known(_object(fields, "generationConfig"), CONFIG_KEYS, "generation_config.")
    turns = _turns(fields.get("contents"))
    system = _system(fields.get("systemInstruction"))
    prefilled = turns[-1].role == "assistant"
    said = turns[-1].content if prefilled else ""
    prompt = (*system, *(turns[:-1] if prefilled else turns))
    if config.get("candidateCount", 1) != 1 or config.get("topP", 1) != 1:
        raise ApiError(400, "This local server offers one candidate a call and no topP.")
    limit = _number(config, "maxOutputTokens", DEFAULT_MAX_TOKENS, 1, MOST_TOKENS)
    temperature = _number(config, "temperature", 1.0, 0.0, 2.0)
    seed = config.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise _invalid("generation_config.seed", "TYPE_INT32", seed)
    return Asked(prompt, said, _top(config), int(limit), temperature, seed, prefilled)


def _known(fields: Json, known: frozenset[str], where: str) -> dict[str, Any]:
    """The fields in camelCase; the service takes either spelling and refuses the unknown."""
    named = {_camel(key): value for key, value in fields.items()}
    for key in named:
        if key in NOT_HERE:
            raise ApiError(400, f"This local server does not offer {key}.")
        if key not in known:
            raise ApiError(
                400,
                f'Invalid JSON payload received. Unknown name "{key}" at '
                f"'{where.rstrip('.')}': Cannot find field.",
            )
    return named


def _camel(key: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), key) if "_" in key else key


def _object(fields: Json, key: str) -> Json:
    value = fields.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid(key, "a message", value)
    return value


def _turns(contents: Any) -> tuple[Message, ...]:
    if not isinstance(contents, list) or not contents:
        raise ApiError(400, "* GenerateContentRequest.contents: contents is not specified\n")
    turns = []
    for raw in contents:
        if not isinstance(raw, dict):
            raise _invalid("contents", "a message", raw)
        role = raw.get("role", "user")
        if role not in ("user", "model"):
            raise ApiError(400, "Please use a valid role: user, model.")
        turns.append(Message("assistant" if role == "model" else "user", _text(raw)))
    return tuple(turns)


def _system(raw: Any) -> tuple[Message, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, dict):
        raise _invalid("system_instruction", "a message", raw)
    return (Message("system", _text(raw)),)


def _text(raw: Json) -> str:
    parts = raw.get("parts")
    if not isinstance(parts, list) or not parts:
        raise ApiError(
            400,
            "Unable to submit request because it must include at least one parts field, which "
            "describes the prompt input.",
        )
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ApiError(
                400,
                "Unable to submit request because it must have a text parameter. Add a text "
                "parameter and try again.",
            )
    return "".join(str(text) for text in texts)


def _top(config: Json) -> int | None:
    wanted, top = config.get("responseLogprobs", False), config.get("logprobs")
    if not isinstance(wanted, bool):
        raise _invalid("generation_config.response_logprobs", "TYPE_BOOL", wanted)
    if not wanted:
        if top is not None:
            raise ApiError(
                400,
                "Unable to submit request because logprobs is set and responseLogprobs is not. "
                "Set responseLogprobs to true and try again.",
            )
        return None
    return 0 if top is None else int(_number(config, "logprobs", 0, 1, MAX_TOP))


def _number(config: Json, key: str, default: float, least: float, most: float) -> float:
    value = config.get(key)
    if value is None:
        return default
    whole = not isinstance(default, float)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise _invalid(f"generation_config.{key}", "a number", value)
    if not math.isfinite(value) or not least <= value <= most:
        raise ApiError(
            400,
            f"Unable to submit request because it has a {key} value of {value} but the supported "
            f"range is from {least} (inclusive) to {most} (inclusive). Update the value and try "
            "again.",
        )
    return float(value)


def _invalid(where: str, kind: str, value: Any) -> ApiError:
    return ApiError(400, f"Invalid value at '{where}' ({kind}), {str(value)[:80]!r}")
