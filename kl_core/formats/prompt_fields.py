"""One record → a prompt, found at a path such as `conversation[0].content`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from kl_core.errors import FormatError, InputError
from kl_core.formats.fields import keys_of, read_prompt
from kl_core.records import Message, Prompt

Path = tuple[str | int, ...]
DEFAULTS: tuple[Path, ...] = (("prompt",), ("messages",))
_STEP = re.compile(r"""\.?([^.\[\]]+)|\[(-?\d+)\]|\[(?:"([^"]+)"|'([^']+)')\]""")
_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "bot": "assistant"}
_HINT = "Name the place of the prompt with prompts.field, such as conversation[0].content."


def parse_path(text: str) -> Path:
    """Steps of a path: names parted by dots, places of lists in brackets, odd names in quotes.

    Raises:
        InputError: it is no such path.
    """
    steps: list[str | int] = []
    place = 0
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None or (place == 0 and text.startswith(".")):
            break
        name, number, *quoted = found.groups()
        steps.append(int(number) if number is not None else name or next(filter(None, quoted)))
        place = found.end()
    if place < len(text) or not steps:
        raise InputError(
            f"{text!r} is no path into a record; write it as messages, conversation[0].content "
            'or ["a name.with dots"]'
        )
    return tuple(steps)


def value_at(record: Any, path: Path) -> Any:
    """What stands at a path; text that holds JSON is opened where the path leads into it.

    Raises:
        FormatError: the path leads nowhere, naming the step and what is there instead.
    """
    value = record
    for number, step in enumerate(path):
        if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
            value = _opened(value)
        if not _has(value, step):
            raise FormatError(f"no {_shown(path[: number + 1])} in {_what(value)}", hint=_HINT)
        value = value[step]
    return value


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and -len(value) <= step < len(value)
    return isinstance(value, dict) and step in value


def prompt_of(record: Any, path: Path | None) -> Prompt:
    """The prompt of a record, up to its last user turn.

    Args:
        record: text, messages, or an object that holds them at `path`.
        path: None looks for `prompt`, then `messages`.

    Raises:
        FormatError: there is none, or it is empty.
    """
    if path is None and isinstance(record, dict):
        known = [default for default in DEFAULTS if record.get(default[0]) is not None]
        record = value_at(record, known[0] if known else DEFAULTS[0])
    elif path is not None and not isinstance(record, str):
        record = value_at(record, path)
    turns = read_prompt(_usual(record), "$")
    asked = [number for number, turn in enumerate(turns) if turn.role == "user"]
    if not asked:
        raise FormatError("the prompt has no turn of the user", hint=_HINT)
    turns = turns[: asked[-1] + 1]
    if not turns[-1].content.strip():
        raise FormatError("the prompt is empty", hint="Nothing to do: it is left out.")
    return tuple(Message(turn.role, _clean(turn.content)) for turn in turns)


def _usual(value: Any) -> Any:
    """Messages with `from` and `value` as messages with `role` and `content`."""
    if not isinstance(value, list):
        return value
    return [_usual_turn(turn) if isinstance(turn, dict) else turn for turn in value]


def _usual_turn(turn: dict[str, Any]) -> dict[str, Any]:
    role = turn.get("role", turn.get("from"))
    content = turn.get("content", turn.get("value"))
    return {"role": _ROLES.get(role, role) if isinstance(role, str) else role, "content": content}


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which no server or file takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _opened(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return text


def _shown(path: Path) -> str:
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return shown.lstrip(".")


def _what(value: Any) -> str:
    """A value for a message: the same for all records of one shape."""
    return "a list that is shorter" if isinstance(value, list) else keys_of(value)
