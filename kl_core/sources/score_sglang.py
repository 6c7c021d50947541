"""SGLang: a response scored by `/generate`, token ids in.

Source: SGLang's native API: `input_token_logprobs` and `input_top_logprobs` begin at
`logprob_start_len`, whose own token has no value, so it is set one token before the response.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kl_core.formats.dists import OUTSIDE
from kl_core.sources.calls import Candidate
from kl_core.sources.chat_wire import candidate, finite, mapping
from kl_core.sources.score_lists import (
    checked,
    ids_of,
    lacking,
    likeliest,
    other_tokens,
    rank_in,
)
from kl_core.sources.scored_text import ScoredText, ScoreQuestion

PATH = "/generate"
Json = dict[str, Any]


def body(question: ScoreQuestion, model: str, top: int) -> Json:
    """The request; a server of this kind has one model, which has no field here.

    Raises:
        CallError: the question has no ids (refused).
    """
    ids = ids_of(question)
    return {
        "input_ids": list(ids),
        "sampling_params": {"max_new_tokens": 1, "temperature": 0},
        "return_logprob": True,
        "logprob_start_len": max(len(question.prompt_ids or ()) - 1, 0),
        "top_logprobs_num": top,
        "return_text_in_logprobs": True,
    }


def read(reply: Mapping[str, Any], question: ScoreQuestion, top: int) -> ScoredText:
    """The response's tokens and lists.

    Raises:
        CallError: nothing of the kind in the reply, or other tokens than were asked (stop).
    """
    ids_of(question)
    response = question.response_ids or ()
    meta = mapping(reply.get("meta_info"))
    rows, lists = meta.get("input_token_logprobs"), meta.get("input_top_logprobs")
    if not isinstance(rows, list):
        raise lacking("the reply has no input_token_logprobs")
    wanted = len(response) + (1 if question.prompt_ids else 0)
    if len(rows) != wanted:
        raise other_tokens(f"{wanted} tokens were asked about and {len(rows)} came back")
    start = len(rows) - len(response)
    given = lists if isinstance(lists, list) and len(lists) == len(rows) else [None] * len(rows)
    tokens, ranks, tops = [], [], []
    for row, listed, number in zip(rows[start:], given[start:], response, strict=True):
        token = _own(row, number)
        found = [_candidate(each) for each in listed] if isinstance(listed, list) else []
        kept = likeliest([each for each in found if each is not None], token, top)
        tokens.append(token)
        ranks.append(rank_in(kept, token))
        tops.append(kept)
    return checked(ScoredText(tuple(tokens), tuple(ranks), tuple(tops)), question, top)


def _own(row: Any, number: int) -> Candidate:
    if not _is_row(row) or row[1] != number:
        came = row[1] if _is_row(row) else "none"
        raise other_tokens(f"token {number} was sent and the reply tells of {came}")
    value = finite(row[0])
    known = value is not None and value > OUTSIDE
    return Candidate(_name(row), number, value if known and value is not None else math.nan)


def _candidate(row: Any) -> Candidate | None:
    return candidate(_name(row), row[1], row[0]) if _is_row(row) else None


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) >= 2


def _name(row: Sequence[Any]) -> str:
    return row[2] if len(row) > 2 and isinstance(row[2], str) else ""
