"""Servers with `echo`: a response scored by completions, token ids or text in.

Source: OpenAI's completions API with `echo` and `logprobs`; one list of strings for the tokens,
one object of log-probabilities by string for each position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kl_core.formats.pieces import looks_special
from kl_core.sources.calls import CallError, Candidate
from kl_core.sources.echo_lists import Lists, usual
from kl_core.sources.echo_text import Part, by_bytes, by_offsets, doubled, leading, spell
from kl_core.sources.json_values import count, mapping
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

PATH = "/completions"
Json = dict[str, Any]


class DoubledStartError(CallError):
    """The server begins texts itself; `start` is to be left out of the prompt."""

    def __init__(self, start: str) -> None:
        super().__init__(
            "start doubled", f"the server puts {start!r} before texts by itself", "again"
        )
        self.start = start


def body(question: ScoreQuestion, model: str, top: int, ids: bool, start: str = "") -> Json:
    """The request; one token is drawn because few servers take a request for none.

    Args:
        ids: send token ids, not text.
        start: what the server puts before texts by itself.

    Raises:
        CallError: the question has no ids (refused).
    """
    prompt: object = list(ids_of(question)) if ids else _text(question, start)
    return {
        "model": model,
        "prompt": prompt,
        "echo": True,
        "logprobs": top,
        "max_tokens": 1,
        "temperature": 0,
    }


def _text(question: ScoreQuestion, start: str) -> str:
    return question.prompt_text.removeprefix(start) + question.response_text


def read_ids(reply: Mapping[str, Any], question: ScoreQuestion, top: int) -> ScoredText:
    """The response's tokens and lists where ids were sent.

    The reply has strings alone: its length is checked, and what they spell tells a beginning
    of the server's own from a drawn token. The tokens keep the ids that were sent.

    Raises:
        CallError: nothing of the kind in the reply, or another length (odd).
    """
    ids, response = ids_of(question), question.response_ids or ()
    echoed = _echoed(reply)
    pieces = echoed.pieces
    parts = []
    for lead in (0, 1):
        start = lead + len(ids) - len(response)
        part = Part(start, start + len(response))
        fits = len(pieces) - part.end in (0, 1)
        if fits and (not lead or looks_special(pieces[0])):
            parts.append(part)
    if not parts:
        raise other_tokens(f"{len(ids)} tokens were sent and {len(pieces)} came back")
    exact = [each for each in parts if spell(pieces[each.start : each.end], question.response_text)]
    return _scored(echoed, (exact or parts)[0], response, top)


def read_text(
    reply: Mapping[str, Any], question: ScoreQuestion, top: int, start: str = ""
) -> ScoredText:
    """The response's tokens and lists where text was sent; the tokens are the server's.

    Raises:
        DoubledStartError: the server begins texts itself (again).
        CallError: nothing of the kind in the reply, or tokens of another text (odd).
    """
    echoed = _echoed(reply)
    prompt, response = question.prompt_text.removeprefix(start), question.response_text
    twice = doubled(echoed.pieces, prompt + response)
    if twice:
        raise DoubledStartError(twice)
    lead = leading(echoed.pieces, prompt + response)
    part = by_bytes(echoed.pieces[lead:], prompt, response, echoed.drawn)
    if part is not None:
        part = Part(part.start + lead, part.end + lead, part.skipped)
    elif echoed.offsets:
        part = by_offsets(echoed.pieces, echoed.offsets, lead, prompt, response)
    if part is None:
        raise CallError(
            "other tokens",
            "the tokens that came back do not spell the text that was sent: this server's echo "
            "cannot be used as text, give a --tokenizer to send token ids",
            "odd",
        )
    return _scored(echoed, part, None, top)


@dataclass(frozen=True, slots=True)
class _Echoed:
    """The arrays of a reply, of one length; `offsets` is empty where the server gives none.

    Attributes:
        drawn: how many tokens were drawn after the text, None where the counts do not tell.
    """

    pieces: list[str]
    values: list[Any]
    lists: list[Any]
    offsets: list[int]
    drawn: int | None


def _echoed(reply: Mapping[str, Any]) -> _Echoed:
    choices = reply.get("choices")
    first = mapping(choices[0]) if isinstance(choices, list) and choices else {}
    found = mapping(first.get("logprobs"))
    pieces, values = found.get("tokens"), found.get("token_logprobs")
    if not isinstance(pieces, list) or not all(isinstance(each, str) for each in pieces):
        raise lacking("the reply has no tokens with log-probabilities")
    if not isinstance(values, list) or len(values) != len(pieces):
        raise lacking("the reply has no log-probability for each of its tokens")
    if len(pieces) < 2:
        raise lacking("the reply does not echo the prompt's tokens")
    lists, offsets = found.get("top_logprobs"), found.get("text_offset")
    if not isinstance(lists, list) or len(lists) != len(pieces):
        lists = [None] * len(pieces)
    whole = isinstance(offsets, list) and len(offsets) == len(pieces)
    if not (whole and all(type(each) is int for each in offsets or ())):
        offsets = []
    usage = mapping(reply.get("usage"))
    drawn = count(usage, "completion_tokens")
    told = count(usage, "prompt_tokens") + drawn == len(pieces)
    return _Echoed(pieces, values, lists, offsets or [], drawn if told else None)


def _scored(echoed: _Echoed, part: Part, response: tuple[int, ...] | None, top: int) -> ScoredText:
    shape = usual(echoed.lists, echoed.pieces, top)
    rows = [
        _row(echoed, at, None if response is None else response[at - part.start], shape, top)
        for at in range(part.start, part.end)
    ]
    return gathered(rows, top, part.start == 0, part.skipped)


def _row(echoed: _Echoed, at: int, number: int | None, shape: Lists, top: int) -> Row:
    """One position; a list that has lost tokens (echo_lists) is left out."""
    value, impossible = own_value(echoed.values[at])
    named = Candidate(echoed.pieces[at], None, value)
    token = Candidate(named.token, number, value)
    listed = echoed.lists[at]
    if not isinstance(listed, dict) or not listed:
        return Row(token, spoilt=impossible)
    whole = read_list([(name, None, each) for name, each in listed.items()], with_ids=False)
    if whole is None:
        return Row(token, spoilt=True)
    if shape.lost(listed, named.token, value):
        return Row(token, spoilt=impossible, merged=True)
    tops = likeliest(whole, named, top)
    return Row(token, rank_in(tops, named), tops, impossible)
