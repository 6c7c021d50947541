"""Small readers of JSON values that may be anything: strings, prompts, names."""

from __future__ import annotations

from typing import Any

from kl_core.errors import FormatError
from kl_core.records import Message, Prompt

_PROMPT_HINT = "A prompt is a string or a list of {role, content} messages."


def text_of(value: Any) -> str | None:
    """A string, or the text parts of a content list joined; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [part if isinstance(part, str) else name(part, "text") for part in value]
        return "".join([part for part in parts if part is not None])
    return None


def name(value: Any, *keys: str) -> str | None:
    """The first of the keys that holds a string; None without one."""
    if isinstance(value, dict):
        for key in keys:
            found = value.get(key)
            if isinstance(found, str):
                return found
    return None


def read_prompt(value: Any, where: str) -> Prompt:
    """A prompt as a file gives it: text (one user turn), messages, or {messages: …}.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(value, str):
        return (Message("user", value),)
    if isinstance(value, dict) and "messages" in value:
        return read_prompt(value["messages"], f"{where}.messages")
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        shown = "null" if value is None else f"a {type(value).__name__}"
        raise FormatError(f"the prompt is {shown}, not text or messages", where, _PROMPT_HINT)
    messages = []
    for n, turn in enumerate(value):
        role = name(turn, "role")
        content = text_of(turn.get("content")) if isinstance(turn, dict) else None
        if role is None or content is None:
            raise FormatError(
                "a prompt message has no role or no content", f"{where}[{n}]", _PROMPT_HINT
            )
        messages.append(Message(role, content))
    return tuple(messages)


def keys_of(value: Any) -> str:
    """What a JSON value is, for a message: its keys, or its type."""
    if isinstance(value, dict):
        shown = ", ".join(sorted(map(repr, value))[:6])
        return f"an object with {shown}" if shown else "an empty object"
    return "null" if value is None else f"a {type(value).__name__}"
