"""What is asked of an entry, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kl_core.records import Entry, Message, Position, Response, Token, TokenDist
from kl_core.sources.contexts import INSIDE, NO_LIST, prepared

A_LIST = TokenDist((Token("x", b"x", None, "x"),), (-0.1,), 1)


def position(data: bytes | None, piece: str = "", special: bool = False) -> Position:
    text = piece or (data or b"").decode("utf-8", "replace")
    return Position(Token(text, data, None, piece or text, special), -0.5, A_LIST)


def entry(*responses: list[Position], prompt: str = "Say it", **more) -> Entry:
    made = tuple(
        Response(
            n, b"".join(p.token.data or b"" for p in each).decode("utf-8", "replace"), (*each,)
        )
        for n, each in enumerate(responses)
    )
    defaults = {"file": "a.json", "index": 0, "entries_in_file": 1, "model": "m"}
    return Entry(**defaults | more, prompt=(Message("user", prompt),), responses=made)


def words(*texts: str) -> list[Position]:
    return [position(text.encode()) for text in texts]


def test_each_position_is_asked_with_the_bytes_of_the_tokens_before_it():
    """The prefix is model 1's own text, and the first position has none."""
    [calls] = prepared(entry(words("Hello", " wor", "ld"))).responses
    assert [context.prefix for context in calls.contexts] == ["", "Hello", "Hello wor"]
    assert calls.askable == (0, 1, 2)


def test_responses_to_one_prompt_share_the_contexts_they_share():
    """Equal text before a position is one call, however it was cut into tokens."""
    ready = prepared(entry(words("The", " cat", " sat"), words("Th", "e", " cat", " ran")))
    prefixes = [context.prefix for context in ready.contexts()]
    assert prefixes == ["", "The", "The cat", "Th"]


def test_another_prompt_is_another_context():
    """The same text after another prompt is another question."""
    keys = {
        context.key
        for prompt in ("Say it", "Say it ")
        for context in prepared(entry(words("A", "B"), prompt=prompt)).contexts()
    }
    assert len(keys) == 4


def test_positions_inside_a_character_are_marked_and_those_after_it_asked():
    """Only whole characters can be sent as text."""
    parts = [position(byte) for byte in ("é".encode()[:1], "é".encode()[1:], b"!", b"?")]
    [calls] = prepared(entry(parts)).responses
    assert calls.reasons == (None, INSIDE, None, None)
    assert calls.contexts[2].prefix == "é"


def test_what_follows_a_special_token_cannot_be_asked_and_says_why():
    """A special token is no text: the context after it would be another one."""
    parts = [position(b"A"), position(b"", "<|eot|>", special=True), position(b"B")]
    [calls] = prepared(entry(parts)).responses
    assert calls.askable == (0, 1)
    assert "<|eot|>" in calls.reasons[2]


def test_bytes_that_nobody_knows_end_what_can_be_asked():
    """After a token of unknown bytes that the text does not settle either, the text is lost."""
    parts = [position(b"A"), position(None, "\ufffd"), position(b"B")]
    ready = entry(parts)
    ready = replace(ready, responses=(replace(ready.responses[0], text="something else"),))
    [calls] = prepared(ready).responses
    assert calls.askable == (0, 1)
    assert "not known" in calls.reasons[2]


def test_unknown_bytes_that_the_text_settles_are_used():
    """The text between known neighbours gives the bytes of tokens written as U+FFFD."""
    parts = [position(b"A"), position(None, "\ufffd"), position(None, "\ufffd"), position(b"B")]
    ready = entry(parts)
    ready = replace(ready, responses=(replace(ready.responses[0], text="AéB"),))
    [calls] = prepared(ready).responses
    assert calls.reasons == (None, None, INSIDE, None)
    assert calls.contexts[3].prefix == "Aé"


def test_invalid_utf8_ends_what_can_be_asked():
    """Bytes that are no text at all are not sent as something else."""
    [calls] = prepared(entry([position(b"A"), position(b"\xff"), position(b"B")])).responses
    assert calls.askable == (0, 1)
    assert "UTF-8" in calls.reasons[2]


def test_a_position_that_model_1_left_without_a_list_costs_no_call():
    """There is nothing to compare an answer with."""
    parts = words("A", "B")
    parts[1] = replace(parts[1], dist=None)
    [calls] = prepared(entry(parts)).responses
    assert calls.reasons == (None, NO_LIST)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [((Message("tool", "42"),), "tool"), ((Message("user", ""),), "empty")],
)
def test_a_prompt_that_gemini_refuses_is_refused_with_its_reason(prompt, said):
    """Before a call is paid for."""
    ready = prepared(replace(entry(words("A")), prompt=prompt))
    assert said in (ready.refusal or "")
    assert not list(ready.contexts())
