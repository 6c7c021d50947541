"""Bodies and replies of generateContent."""

from __future__ import annotations

import pytest

from kl_core.records import Message
from kl_core.sources.calls import CallError, Candidate, Context
from kl_core.sources.gemini_wire import WireSettings, read_reply, request_body, same_model

SETTINGS = WireSettings("gemini-2.5-flash")


def reply(**changes):
    listed = {"candidates": [{"token": " a", "tokenId": 7, "logProbability": -0.1}]}
    candidate = {
        "content": {"parts": [{"text": " a"}], "role": "model"},
        "finishReason": "MAX_TOKENS",
        "logprobsResult": {
            "topCandidates": [listed],
            "chosenCandidates": [listed["candidates"][0]],
        },
    }
    whole = {
        "candidates": [candidate],
        "modelVersion": "gemini-2.5-flash",
        "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 1},
    }
    return whole | changes


def test_the_body_ends_with_a_turn_of_the_model():
    """That is what prefill is; system turns have a place of their own."""
    prompt = (Message("system", "Be brief."), Message("user", "Hi"))
    body = request_body(Context(b"k", prompt, b"Good day", 4), SETTINGS)
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Good"}]},
    ]
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["generationConfig"] == {
        "temperature": 0.0,
        "maxOutputTokens": 1,
        "responseLogprobs": True,
        "logprobs": 20,
        "thinkingConfig": {"thinkingBudget": 0},
    }


def test_the_first_position_sends_no_empty_turn():
    """Gemini refuses an empty part."""
    body = request_body(Context(b"k", (Message("user", "Hi"),), b"Good", 0), SETTINGS)
    assert [turn["role"] for turn in body["contents"]] == ["user"]


def test_a_prompt_that_ends_with_the_assistant_is_continued_in_the_same_turn():
    """Two turns of one role in a row are one turn of two parts."""
    prompt = (Message("user", "Hi"), Message("assistant", "Well,"))
    body = request_body(Context(b"k", prompt, b" good", 5), SETTINGS)
    assert body["contents"][1] == {"role": "model", "parts": [{"text": "Well,"}, {"text": " good"}]}


def test_a_reply_gives_the_list_the_drawn_token_and_the_bill():
    """All that is kept of a call."""
    answer = read_reply(reply(), SETTINGS)
    assert answer.top == (Candidate(" a", 7, -0.1),)
    assert answer.chosen == Candidate(" a", 7, -0.1)
    assert (answer.input_tokens, answer.output_tokens) == (12, 1)


@pytest.mark.parametrize("number", [2**31, 2**63, 2**200, -1, True, "12", None])
def test_a_count_or_an_id_that_cannot_be_is_not_known(number):
    """The server's integers go into files of 64 bits and are summed there."""
    usage = {"promptTokenCount": number, "candidatesTokenCount": number}
    answer = read_reply(reply(usageMetadata=usage), SETTINGS)
    assert (answer.input_tokens, answer.output_tokens) == (0, 0)
    for given, known in ((2**63 - 1, 2**63 - 1), (2**63, None), (-(2**200), None)):
        listed = {"candidates": [{"token": "a", "tokenId": given, "logProbability": -0.1}]}
        result = {"topCandidates": [listed]}
        answer = read_reply(reply(candidates=[{"logprobsResult": result}]), SETTINGS)
        assert answer.top[0].id == known


def test_a_log_probability_of_zero_is_left_out_on_the_wire():
    """Protocol buffers leave out zeros; a certain token is no missing one."""
    result = {"topCandidates": [{"candidates": [{"token": "a"}]}]}
    answer = read_reply(reply(candidates=[{"logprobsResult": result}]), SETTINGS)
    assert answer.top == (Candidate("a", None, 0.0),)


@pytest.mark.parametrize(
    ("changes", "kind", "retry"),
    [
        ({"modelVersion": "gemini-2.5-flash-lite"}, "other model", "stop"),
        ({"candidates": None, "promptFeedback": {"blockReason": "SAFETY"}}, "blocked", "odd"),
        ({"candidates": []}, "empty", "odd"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "empty", "odd"),
        ({"candidates": [{"content": {"parts": [{"text": "a"}]}}]}, "no logprobs", "odd"),
    ],
)
def test_a_reply_without_a_usable_list_says_what_is_missing(changes, kind, retry):
    """Never a made-up distribution; another model's answer is never used."""
    with pytest.raises(CallError) as caught:
        read_reply(reply(**changes), SETTINGS)
    assert (caught.value.kind, caught.value.retry) == (kind, retry)
    assert caught.value.input_tokens == 12


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash", True),
        ("gemini-2.5-flash", "gemini-2.5-flash-001", True),
        ("models/gemini-2.5-flash", "gemini-2.5-flash-preview-05-20", True),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite", False),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite-001", False),
        ("gemini-2.5-flash", "gemini-3-flash", False),
        ("gemini-2.5-flash", "gemini-2.5-flashy", False),
        ("gemini-2.5-flash-001", "gemini-2.5-flash", False),
    ],
)
def test_a_version_of_the_model_is_the_model_and_a_sibling_is_not(asked, answered, same):
    """Retired names are rerouted silently."""
    assert same_model(asked, answered) is same
