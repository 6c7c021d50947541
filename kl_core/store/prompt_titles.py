"""What a prompt is known by: what the user said last."""

from __future__ import annotations

import json


def last_user_message(prompt: str | None, messages_json: str | None) -> str:
    """What the user said last; the whole prompt where that cannot be told."""
    try:
        messages = json.loads(messages_json or "[]")
        said = [m["content"] for m in messages if m["role"] == "user" and m["content"]]
    except (ValueError, TypeError, KeyError):
        said = []
    return str(said[-1]) if said else prompt or "(empty prompt)"
