"""An OpenAI-shaped reply to one sample: what is kept of it, and what is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kl_core.sources.calls import Answer, CallError
from kl_core.sources.chat_wire import count, mapping


def read_sample(reply: Mapping[str, Any], continued: bool = False) -> Answer:
    """The answer of a reply: the reply itself as its body, with its first choice alone.

    A reply without log-probabilities is an answer; whoever asked for them counts it.

    Args:
        continued: the answer had begun before, so that nothing more may be an answer too.

    Raises:
        CallError: no choice or no text (odd).
    """
    usage = mapping(reply.get("usage"))
    tokens_in, tokens_out = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise CallError("empty", "the reply had no choice", "odd", input_tokens=tokens_in)
    choice = choices[0]
    finish = choice.get("finish_reason")
    _require_text(choice, str(finish or ""), continued, tokens_in)
    return Answer(
        model=str(reply.get("model") or ""),
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        finish=str(finish or ""),
        body=msgspec.json.encode({**reply, "choices": [choice]}),
    )


def has_logprobs(item: Mapping[str, Any]) -> bool:
    """Whether an item of a file's `responses`, of any of its shapes, has log-probabilities."""
    choices = item.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else item
    found = mapping(mapping(first).get("logprobs"))
    return bool(found.get("content") or found.get("tokens"))


def provider_of(item: Mapping[str, Any]) -> str:
    """The provider an item names, "" where it names none."""
    named = item.get("provider")
    return named if isinstance(named, str) else ""


def _require_text(choice: Mapping[str, Any], finish: str, continued: bool, tokens_in: int) -> None:
    """Refuse a choice that says nothing, unless its end token is all there is to say."""
    message = mapping(choice.get("message"))
    if message.get("content") or choice.get("text") or message.get("tool_calls"):
        return
    if finish == "content_filter":
        reason = "the reply was blocked (finish reason content_filter)"
        raise CallError("blocked", reason, "odd", input_tokens=tokens_in)
    if finish == "stop" and (continued or has_logprobs({"choices": [choice]})):
        return
    thought = message.get("reasoning") or message.get("reasoning_content")
    reason = f"the reply was empty (finish reason {finish or 'none'})"
    if thought:
        reason = (
            "all its tokens went into reasoning and none into the answer: raise max_tokens, or "
            "set reasoning: false"
        )
    raise CallError("empty", reason, "odd", input_tokens=tokens_in)
