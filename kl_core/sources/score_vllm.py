"""vLLM: a response scored by `prompt_logprobs`, token ids in.

Source: vLLM's OpenAI-compatible server, completions with the extra field `prompt_logprobs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kl_core.formats.dists import OUTSIDE
from kl_core.sources.calls import Candidate
from kl_core.sources.chat_wire import candidate, finite, mapping
from kl_core.sources.score_lists import (
    UNKNOWN_RANK,
    checked,
    ids_of,
    lacking,
    likeliest,
    other_tokens,
    rank_in,
)
from kl_core.sources.scored_text import ScoredText, ScoreQuestion

PATH = "/completions"
Json = dict[str, Any]


def body(question: ScoreQuestion, model: str, top: int) -> Json:
    """The request; one token is drawn because none cannot be asked for.

    Raises:
        CallError: the question has no ids (refused).
    """
    return {
        "model": model,
        "prompt": list(ids_of(question)),
        "max_tokens": 1,
        "temperature": 0,
        "prompt_logprobs": top,
    }


def read(reply: Mapping[str, Any], question: ScoreQuestion, top: int) -> ScoredText:
    """The response's tokens and lists.

    Raises:
        CallError: nothing of the kind in the reply, or other tokens than were asked (stop).
    """
    ids = ids_of(question)
    response = question.response_ids or ()
    choices = reply.get("choices")
    first = mapping(choices[0]) if isinstance(choices, list) and choices else {}
    items = first.get("prompt_logprobs", reply.get("prompt_logprobs"))
    if not isinstance(items, list):
        raise lacking("the reply has no prompt_logprobs")
    if len(items) != len(ids):
        raise other_tokens(f"{len(ids)} tokens were sent and {len(items)} came back")
    read_out = [
        _position(item, number, top)
        for item, number in zip(items[len(ids) - len(response) :], response, strict=True)
    ]
    tokens, ranks, tops = zip(*read_out, strict=True) if read_out else ((), (), ())
    return checked(ScoredText(tokens, ranks, tops), question, top)


def _position(item: Any, number: int, top: int) -> tuple[Candidate, int, tuple[Candidate, ...]]:
    """One token, its rank and its list; the first token of a text has none of these."""
    if item is None:
        return Candidate("", number, math.nan), UNKNOWN_RANK, ()
    own = mapping(item).get(str(number))
    if not isinstance(own, dict):
        shown = ", ".join(list(mapping(item))[:3])
        raise other_tokens(f"token {number} was sent and the reply tells of {shown or 'none'}")
    found = [_candidate(key, value) for key, value in item.items()]
    listed = [each for each in found if each is not None]
    value = finite(own.get("logprob"))
    known = value is not None and value > OUTSIDE
    token = Candidate(_name(own), number, value if known and value is not None else math.nan)
    tops = likeliest(listed, token, top)
    rank = own.get("rank")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        rank = rank_in(tops, token)
    return token, rank, tops


def _candidate(key: str, value: Any) -> Candidate | None:
    item = mapping(value)
    number = int(key) if key.isdecimal() else None
    return candidate(_name(item), number, item.get("logprob")) if number is not None else None


def _name(item: Mapping[str, Any]) -> str:
    name = item.get("decoded_token")
    return name if isinstance(name, str) else ""
