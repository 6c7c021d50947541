"""Small response files in the real shapes, for the tests of this folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from kl_core.formats.reader import read_entries
from kl_core.records import Entry, Position, Problem, ProblemLog, Response, ScoredEntry


def item(token: str, probs: dict[str, float], **more: Any) -> dict[str, Any]:
    """One content item whose candidates have the given probabilities, in this order."""
    tops = [{"token": piece, "logprob": math.log(p)} for piece, p in probs.items()]
    chosen = next((top["logprob"] for top in tops if top["token"] == token), -1.0)
    return {"token": token, "logprob": chosen, "top_logprobs": tops, **more}


def sure(token: str, **more: Any) -> dict[str, Any]:
    """One content item with `token` at 0.9 and another at 0.1."""
    return item(token, {token: 0.9, "Ġzz": 0.1}, **more)


def openai_response(
    content: list[Any] | None, text: str = "Hi there", **more: Any
) -> dict[str, Any]:
    logprobs = None if content is None else {"content": content}
    choice = {"message": {"role": "assistant", "content": text}, "logprobs": logprobs}
    return {"provider": "Nebius", "choices": [choice], **more}


def entry(*responses: Any, **more: Any) -> dict[str, Any]:
    return {"prompt": "Say hi", "model": "m/one", "responses": list(responses), **more}


GOOD = entry(openai_response([sure("Hi"), sure("Ġthere")]))


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def load(root: Path, pattern: str | None = None) -> tuple[list[Entry | ScoredEntry], list[Problem]]:
    log = ProblemLog()
    return list(read_entries(root, pattern, log)), log.rows


def load_one(folder: Path, value: Any) -> tuple[Entry, list[Problem]]:
    """The only entry of a file with this content, and the problems."""
    write(folder / "a.json", value)
    entries, rows = load(folder)
    assert len(entries) == 1
    assert isinstance(entries[0], Entry)
    return entries[0], rows


def only_response(folder: Path, content: list[Any], text: str) -> tuple[Response, list[Problem]]:
    found, rows = load_one(folder, entry(openai_response(content, text)))
    return found.responses[0], rows


def only_position(folder: Path, one: dict[str, Any]) -> tuple[Position, list[Problem]]:
    """The position of a response with this one content item."""
    token = str(one.get("token", "")).replace("Ġ", " ")
    response, rows = only_response(folder, [one], token)
    return response.positions[0], rows
