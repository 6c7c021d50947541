"""SGLang: a response scored by `/generate`, token ids in.

Source: SGLang's native API: `input_token_logprobs` and `input_top_logprobs` begin at
`logprob_start_len`, whose own token has no value, so it is set one token before the response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kl_core.sources.calls import Candidate
from kl_core.sources.json_values import mapping
from kl_core.sources.score_lists import (
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

PATH = "/generate"
Json = dict[str, Any]


def body(question: ScoreQuestion, model: str, top: int) -> Json:
    """The request; a server of this kind has one model, which has no field here.

    No token is drawn, so that a text may fill the context.

    Raises:
        CallError: the question has no ids (refused).
    """
    ids = ids_of(question)
    return {
        "input_ids": list(ids),
        "sampling_params": {"max_new_tokens": 0, "temperature": 0},
        "return_logprob": True,
        "logprob_start_len": max(len(question.prompt_ids or ()) - 1, 0),
        "top_logprobs_num": top,
        "return_text_in_logprobs": True,
    }


def read(reply: Mapping[str, Any], question: ScoreQuestion, top: int) -> ScoredText:
    """The response's tokens and lists; ids and lengths are checked, not what the ids spell.

    Raises:
        CallError: nothing of the kind in the reply, or other tokens than were asked (odd).
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
    found = [
        _row(row, listed, number, top)
        for row, listed, number in zip(rows[start:], given[start:], response, strict=True)
    ]
    return gathered(found, top, not question.prompt_ids)


def _row(row: Any, listed: Any, number: int, top: int) -> Row:
    """One position; a row is [log-probability, id, text or null]."""
    if not _is_row(row) or type(row[1]) is not int or row[1] != number:
        came = repr(row[1])[:40] if _is_row(row) else "none"
        raise other_tokens(f"token {number} was sent and the reply tells of {came}")
    value, impossible = own_value(row[0])
    token = Candidate(_name(row), number, value)
    entries = listed if isinstance(listed, list) else []
    whole = read_list(
        [
            (_name(each), each[1], each[0]) if _is_row(each) else ("", None, None)
            for each in entries
        ],
        with_ids=True,
    )
    tops = likeliest(whole or (), token, top)
    return Row(token, rank_in(tops, token), tops, impossible or whole is None)


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) >= 2


def _name(row: Sequence[Any]) -> str:
    return row[2] if len(row) > 2 and isinstance(row[2], str) else ""
