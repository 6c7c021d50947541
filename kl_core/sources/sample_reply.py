"""An OpenAI-shaped reply to one sample: what is kept of it, and what is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kl_core.sources.calls import Answer, CallError
from kl_core.sources.json_values import count, mapping

ALL_REASONING = (
    "all its tokens went into reasoning and none into the answer: raise max_tokens, or set "
    "reasoning: false"
)


def read_sample(reply: Mapping[str, Any], continued: bool = False) -> Answer:
    """The answer of a reply: the reply itself as its body, with its first choice alone.

    A reply without log-probabilities is an answer; whoever asked for them counts it.

    Args:
        continued: the answer had begun before, so that nothing more may be an answer too.

    Raises:
        CallError: no choice or no text (odd), the provider broke off (again), or all tokens were
            reasoning (refused).
    """
    usage = mapping(reply.get("usage"))
    tokens_in, tokens_out = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise CallError("empty", "the reply had no choice", "odd", None, tokens_in, tokens_out)
    choice = choices[0]
    finish = choice.get("finish_reason")
    failed = _failure(choice, str(finish or ""), continued)
    if failed is not None:
        failed.input_tokens, failed.output_tokens = tokens_in, tokens_out
        raise failed
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


def is_end(item: Mapping[str, Any]) -> bool:
    """Whether an item, of any of its shapes, is no more than the end of a started answer.

    There is no token of it to list, so that it lacks no log-probabilities.
    """
    choices = item.get("choices")
    first = mapping(choices[0] if isinstance(choices, list) and choices else item)
    ended = str(first.get("finish_reason") or "").lower() == "stop"
    return ended and not _text(first) and not has_logprobs(item)


def _text(choice: Mapping[str, Any]) -> bool:
    """Whether a choice says anything."""
    message = mapping(choice.get("message"))
    return bool(message.get("content") or choice.get("text") or message.get("tool_calls"))


def _failure(choice: Mapping[str, Any], finish: str, continued: bool) -> CallError | None:
    """Why a choice is no answer: it broke off, or says nothing and more was to be said."""
    if finish == "error":
        reason = "the provider broke off (finish reason error)"
        return CallError("broken off", reason, "again")
    if _text(choice):
        return None
    if finish == "content_filter":
        return CallError("blocked", "the reply was blocked (finish reason content_filter)", "odd")
    if finish == "stop" and (continued or has_logprobs({"choices": [choice]})):
        return None
    message = mapping(choice.get("message"))
    thought = message.get("reasoning") or message.get("reasoning_content")
    if finish == "length":
        return CallError("empty", ALL_REASONING, "refused")
    reason = ALL_REASONING if thought else f"the reply was empty (finish reason {finish or 'none'})"
    return CallError("empty", reason, "odd")
