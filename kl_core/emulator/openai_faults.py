"""The faults of Settings.FAULTS as OpenAI-shaped servers show them."""

from __future__ import annotations

from typing import Any

from kl_core.emulator.faults import OTHER_MODEL
from kl_core.emulator.openai_asked import Call
from kl_core.emulator.openai_error import OpenAiError
from kl_core.emulator.settings import Settings

Json = dict[str, Any]
LIMITED = "Rate limit exceeded. Please try again later."
INTERNAL = "Internal server error"
OVERLOADED = "The server is overloaded. Please try again later."
TIMEOUT = "The request timed out."
SCORES = (
    "input_token_logprobs",
    "input_top_logprobs",
    "output_token_logprobs",
    "output_top_logprobs",
)


def refusal(fault: str, settings: Settings, model: str, call: Call) -> OpenAiError | None:
    """The error a fault answers with; None where it is not an error's body."""
    if fault in ("429", "429-after"):
        return limited(settings, fault, told=fault == "429-after")
    if fault == "500":
        return OpenAiError(500, INTERNAL, fault)
    if fault == "503":
        return OpenAiError(503, OVERLOADED, fault)
    if fault == "blocked" and call.odd:
        metadata = {
            "reasons": ["violence"],
            "flagged_input": "...",
            "provider_name": call.provider.name,
            "model_slug": model,
        }
        return OpenAiError(403, "Your input was flagged", fault, metadata=metadata)
    return None


def limited(settings: Settings, kind: str, *, told: bool) -> OpenAiError:
    """429; `told` how long to wait, in the header."""
    wait_s = settings.retry_after_s if told else None
    return OpenAiError(429, LIMITED, kind, retry_after_s=wait_s)


def meets(fault: str, reply: Json) -> bool:
    """Whether a fault changes such a reply at all."""
    if fault == "other-model":
        return "model" in reply
    if fault == "no-logprobs":
        return spoilt(fault, reply, False) != reply
    return "error" not in reply


def spoilt(fault: str, reply: Json, odd: bool) -> Json:
    """A good reply as the fault leaves it; unchanged for faults of another sort."""
    if fault == "other-model" and "model" in reply:
        return {**reply, "model": OTHER_MODEL}
    if "choices" in reply:
        return _of_openai(fault, reply, odd)
    if "meta_info" in reply:
        return _of_sglang(fault, reply)
    return reply


def _of_openai(fault: str, reply: Json, odd: bool) -> Json:
    if fault == "empty" and odd:
        return {**reply, "choices": []}
    if fault == "no-logprobs":
        return {**reply, "choices": [_silent(choice) for choice in reply["choices"]]}
    if fault in ("empty", "blocked"):
        finish = "length" if fault == "empty" else "content_filter"
        choices = [{**_emptied(choice), "finish_reason": finish} for choice in reply["choices"]]
        return {**reply, "choices": choices}
    return reply


def _silent(choice: Json) -> Json:
    nothing: Json = {name: None for name in ("logprobs", "prompt_logprobs") if name in choice}
    return {**choice, **nothing}


def _emptied(choice: Json) -> Json:
    silent = _silent(choice)
    if "message" in choice:
        return {**silent, "message": {**choice["message"], "content": ""}}
    return {**silent, "text": ""}


def _of_sglang(fault: str, reply: Json) -> Json:
    if fault not in ("empty", "blocked", "no-logprobs"):
        return reply
    meta = {key: value for key, value in reply["meta_info"].items() if key not in SCORES}
    if fault == "no-logprobs":
        return {**reply, "meta_info": meta}
    meta["finish_reason"] = {"type": "abort", "message": "Aborted"}
    return {**reply, "text": "", "output_ids": [], "meta_info": meta}
