"""vLLM: a response scored by `prompt_logprobs`, token ids in.

Source: vLLM's OpenAI-compatible server, completions with the extra field `prompt_logprobs`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kl_core.sources.calls import Candidate
from kl_core.sources.json_values import mapping
from kl_core.sources.score_lists import (
    RANKS,
    Row,
    gathered,
    ids_of,
    lacking,
    likeliest,
    other_tokens,
    own_value,
    rank_in,
    read_list,
)
from kl_core.sources.scored_text import ScoredText, ScoreQuestion

PATH = "/completions"
ID_DIGITS = 18
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
    """The response's tokens and lists; ids and lengths are checked, not what the ids spell.

    Raises:
        CallError: nothing of the kind in the reply, or other tokens than were asked (odd).
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
    rows = [
        _row(item, number, top)
        for item, number in zip(items[len(ids) - len(response) :], response, strict=True)
    ]
    return gathered(rows, top, not question.prompt_ids)


def _row(item: Any, number: int, top: int) -> Row:
    """One position; the first token of a text has neither value nor list."""
    if item is None:
        return Row(Candidate("", number, math.nan))
    own = mapping(item).get(str(number))
    if not isinstance(own, dict):
        shown = ", ".join(list(mapping(item))[:3])[:60]
        raise other_tokens(f"token {number} was sent and the reply tells of {shown or 'none'}")
    value, impossible = own_value(own.get("logprob"))
    token = Candidate(_name(own), number, value)
    told = [(key, mapping(value)) for key, value in item.items()]
    listed = read_list(
        [(_name(each), _number(key), each.get("logprob")) for key, each in told], with_ids=True
    )
    tops = likeliest(listed or (), token, top)
    told_rank = own.get("rank")
    rank = told_rank if type(told_rank) is int and told_rank in RANKS else rank_in(tops, token)
    return Row(token, rank, tops, impossible or listed is None)


def _number(key: str) -> int | None:
    """An id as a key; None for what is none, however long."""
    return int(key) if len(key) <= ID_DIGITS and key.isascii() and key.isdecimal() else None


def _name(item: Mapping[str, Any]) -> str:
    name = item.get("decoded_token")
    return name if isinstance(name, str) else ""
