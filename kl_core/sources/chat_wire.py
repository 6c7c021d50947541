"""Chat completions on the wire: turns as messages, and one token's list out of a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kl_core.errors import InputError
from kl_core.formats.dists import OUTSIDE
from kl_core.records import Prompt
from kl_core.sources.calls import Answer, CallError, Candidate
from kl_core.sources.json_values import count, finite, mapping
from kl_core.sources.servers import Server

ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "developer",
}
IDS = range(2**62)
Json = dict[str, Any]


def messages_of(prompt: Prompt) -> list[Json]:
    """The turns of a prompt, one message each.

    Raises:
        InputError: a role that servers do not know, or no turn at all.
    """
    if not prompt:
        raise InputError("the prompt has no turn, and servers refuse an empty one")
    for turn in prompt:
        if turn.role not in ROLES:
            raise InputError(
                f"a turn of the prompt has the role {turn.role!r}; servers take user, assistant, "
                "system and developer"
            )
    return [{"role": ROLES[turn.role], "content": turn.content} for turn in prompt]


def chat_body(model: str, prompt: Prompt, said: str, server: Server) -> Json:
    """Model and messages, the last of them to be continued literally where it is the assistant's.

    vLLM, SGLang and their like take two fields for that. OpenRouter continues a trailing turn
    of the assistant by itself, and OpenAI refuses fields that it does not know.

    Args:
        said: what has been said of the answer so far, after the prompt.

    Raises:
        InputError: as messages_of.
    """
    messages = messages_of(prompt)
    started = messages[-1]["role"] == "assistant"
    if said and started:
        messages[-1]["content"] += said
    elif said:
        messages.append({"role": "assistant", "content": said})
    body: Json = {"model": model, "messages": messages}
    if (said or started) and not (server.openrouter or server.openai):
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def read_chat_reply(reply: Mapping[str, Any]) -> Answer:
    """The list of the first token of a reply's first choice, of chat or of plain completions.

    What stands for "outside the list" (-9999) is left out. The chosen token may be missing
    from the list, the list shorter than asked for or out of order.

    Raises:
        CallError: `empty`, `blocked` or `no logprobs` (odd).
    """
    usage = mapping(reply.get("usage"))
    tokens_in, tokens_out = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    choices = reply.get("choices")
    first = mapping(choices[0]) if isinstance(choices, list) and choices else {}
    finish = str(first.get("finish_reason") or "")
    top, chosen = _first_token(mapping(first.get("logprobs")))
    if not top:
        lacking = _without_list(reply, first, finish)
        lacking.input_tokens, lacking.output_tokens = tokens_in, tokens_out
        raise lacking
    top = tuple(sorted(top, key=lambda each: -each.logprob))
    return Answer(top, chosen, model_of(reply), tokens_in, tokens_out, finish)


def _without_list(reply: Mapping[str, Any], first: Mapping[str, Any], finish: str) -> CallError:
    """What is wrong with a reply without a list; the provider often explains it."""
    provider = reply.get("provider")
    of = f" of {provider}" if isinstance(provider, str) and provider else ""
    ended = f" (finish reason {finish})" if finish else ""
    if finish == "content_filter":
        return CallError("blocked", f"the reply{of} was blocked{ended}", "odd")
    message = mapping(first.get("message"))
    if first.get("text") or message.get("content") or message.get("reasoning"):
        reason = f"the reply{of} had a text but no log-probabilities{ended}"
        return CallError("no logprobs", reason, "odd")
    reason = f"the reply{of} was empty{ended}: no token, no log-probabilities"
    return CallError("empty", reason, "odd")


def _first_token(logprobs: Mapping[str, Any]) -> tuple[tuple[Candidate, ...], Candidate | None]:
    content = logprobs.get("content")
    if isinstance(content, list) and content:
        item = mapping(content[0])
        listed = item.get("top_logprobs")
        found = [_chat_candidate(each) for each in listed] if isinstance(listed, list) else []
        return tuple(each for each in found if each is not None), _chat_candidate(item)
    lists, tokens = logprobs.get("top_logprobs"), logprobs.get("tokens")
    top = of_names(lists[0]) if isinstance(lists, list) and lists else ()
    values = logprobs.get("token_logprobs")
    if not (isinstance(tokens, list) and tokens and isinstance(values, list) and values):
        return top, None
    return top, candidate(tokens[0], None, values[0])


def of_names(listed: Any) -> tuple[Candidate, ...]:
    """A list of plain completions: log-probabilities by token, without ids.

    Tokens that are written alike (parts of characters) are one key there.
    """
    if not isinstance(listed, dict):
        return ()
    found = [candidate(token, None, value) for token, value in listed.items()]
    return tuple(
        sorted([each for each in found if each is not None], key=lambda each: -each.logprob)
    )


def _chat_candidate(raw: Any) -> Candidate | None:
    item = mapping(raw)
    name = _exact(item.get("token"), item.get("bytes"))
    return candidate(name, item.get("id", item.get("token_id")), item.get("logprob"))


def _exact(token: Any, data: Any) -> Any:
    r"""A part of a character by its bytes (`bytes:\xe3`), where the server tells them."""
    if not isinstance(token, str) or "\ufffd" not in token or not isinstance(data, list):
        return token
    try:
        known = bytes(data)
    except (TypeError, ValueError, OverflowError):
        return token
    if not known or known == token.encode():
        return token
    return "bytes:" + "".join([f"\\x{byte:02x}" for byte in known])


def candidate(token: Any, number: Any, logprob: Any) -> Candidate | None:
    """One token as servers write it; None for what is none, or stands outside the list."""
    value = finite(logprob)
    if not isinstance(token, str) or value is None or value <= OUTSIDE:
        return None
    is_id = isinstance(number, int) and not isinstance(number, bool) and number in IDS
    return Candidate(token, number if is_id else None, value)


def model_of(reply: Mapping[str, Any]) -> str:
    """The model that a reply names, "" where it names none."""
    name = reply.get("model")
    return name if isinstance(name, str) else ""
