"""What is kept of a reply, and what is no answer."""

from __future__ import annotations

import json

import pytest

from kl_core.sources.calls import CallError
from kl_core.sources.sample_gemini import read_gemini
from kl_core.sources.sample_reply import has_logprobs, is_end, provider_of, read_sample

LIST = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": []}]}


def choice(text="a", finish="stop", logprobs=LIST, **message):
    said = {"role": "assistant", "content": text, **message}
    return {"index": 0, "message": said, "finish_reason": finish, "logprobs": logprobs}


def reply(*choices, **more):
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return {
        "id": "x",
        "model": "m",
        "provider": "P",
        "choices": list(choices),
        "usage": usage,
    } | more


def test_a_reply_is_kept_as_it_came_with_one_choice():
    """Fields that nobody here knows included."""
    answer = read_sample(reply(choice(), choice("b"), odd={"k": [1]}))
    kept = json.loads(answer.body)
    assert kept["odd"] == {"k": [1]}
    assert [each["message"]["content"] for each in kept["choices"]] == ["a"]
    assert (answer.model, answer.input_tokens, answer.output_tokens) == ("m", 3, 2)
    assert answer.finish == "stop"
    assert has_logprobs(kept)
    assert provider_of(kept) == "P"


def test_a_reply_without_lists_is_an_answer():
    """Whoever asked for them counts it."""
    kept = json.loads(read_sample(reply(choice(logprobs=None))).body)
    assert not has_logprobs(kept)


@pytest.mark.parametrize(
    ("found", "kind", "said"),
    [
        (reply(), "empty", "no choice"),
        (reply(None), "empty", "no choice"),
        (reply(choice("", "stop", None)), "empty", "finish reason stop"),
        (reply(choice("", "content_filter", None)), "blocked", "blocked"),
        (reply(choice("", "stop", None, reasoning="hm")), "empty", "reasoning: false"),
    ],
)
def test_a_reply_that_says_nothing_is_odd(found, kind, said):
    """Asked again a few times; what it cost counts."""
    with pytest.raises(CallError, match=said) as caught:
        read_sample(found)
    assert (caught.value.kind, caught.value.retry) == (kind, "odd")
    assert (caught.value.input_tokens, caught.value.output_tokens) == (3, 2)


@pytest.mark.parametrize("more", [{}, {"reasoning": "hm"}])
def test_a_reply_that_was_all_reasoning_is_not_asked_again(more):
    """Asking again would spend as much on as little; the sentence says what to change."""
    with pytest.raises(CallError, match=r"raise max_tokens, or set reasoning: false") as caught:
        read_sample(reply(choice("", "length", None, **more)))
    assert (caught.value.retry, caught.value.output_tokens) == ("refused", 2)
    with pytest.raises(CallError, match=r"raise max_tokens, or set reasoning: false") as caught:
        read_gemini(gemini("", "MAX_TOKENS", chosen=False), "g")
    assert (caught.value.retry, caught.value.output_tokens) == ("refused", 3)


def test_a_choice_that_broke_off_is_asked_again():
    """However much of a text it has: it is no sample of the model."""
    with pytest.raises(CallError, match="broke off") as caught:
        read_sample(reply(choice("half a sen", "error")))
    assert caught.value.retry == "again"
    assert (caught.value.input_tokens, caught.value.output_tokens) == (3, 2)


@pytest.mark.parametrize("lists", [None, {"content": []}])
def test_a_started_answer_that_was_complete_lacks_no_lists(lists):
    """It has no token to list; an empty text that broke off does."""
    kept = json.loads(read_sample(reply(choice("", "stop", lists)), continued=True).body)
    assert is_end(kept)
    kept = json.loads(read_gemini(gemini("", chosen=False), "g", continued=True).body)
    assert kept["text"] == ""
    assert is_end(kept)
    assert not is_end(reply(choice("a", "stop", None)))
    assert not is_end(reply(choice("", "length", None)))


def test_the_end_at_once_is_an_answer_where_it_can_be_one():
    """A started answer may have nothing more to say; so may a reply whose end token is listed."""
    assert read_sample(reply(choice("", "stop", None)), continued=True).finish == "stop"
    assert read_sample(reply(choice("", "stop", LIST))).finish == "stop"


def gemini(text="hi", finish="STOP", chosen=True, **more):
    candidate = {"content": {"parts": [{"text": "hmm", "thought": True}, {"text": text}]}}
    candidate["finishReason"] = finish
    if chosen:
        token = {"token": "hi", "tokenId": 7, "logProbability": -0.5}
        first = {"token": "ho", "tokenId": 8}
        candidate["logprobsResult"] = {
            "chosenCandidates": [token],
            "topCandidates": [{"candidates": [first, token]}],
        }
    usage = {"promptTokenCount": 4, "candidatesTokenCount": 1, "thoughtsTokenCount": 2}
    return {"candidates": [candidate], "modelVersion": "g-001", "usageMetadata": usage} | more


def test_geminis_reply_becomes_an_item_of_its_format():
    """Thoughts are left out of the text and paid for; a log-probability of 0 is written."""
    answer = read_gemini(gemini(), "g")
    assert json.loads(answer.body) == {
        "text": "hi",
        "logprobs": {
            "content": [
                {
                    "token": "hi",
                    "logprob": -0.5,
                    "token_id": 7,
                    "top_logprobs": [
                        {"token": "ho", "logprob": 0.0, "token_id": 8},
                        {"token": "hi", "logprob": -0.5, "token_id": 7},
                    ],
                }
            ]
        },
        "finish_reason": "STOP",
        "model_version": "g-001",
    }
    assert (answer.input_tokens, answer.output_tokens) == (4, 3)


@pytest.mark.parametrize(
    ("found", "kind", "retry"),
    [
        (gemini(modelVersion="other-1"), "other model", "stop"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "blocked", "odd"),
        ({}, "empty", "odd"),
        (gemini("", "MAX_TOKENS", chosen=False), "empty", "refused"),
        (gemini("", "STOP", chosen=False), "empty", "odd"),
        (gemini("", "SAFETY", chosen=False), "blocked", "odd"),
    ],
)
def test_what_is_no_answer_of_gemini_is_sorted(found, kind, retry):
    """By what to do about it."""
    with pytest.raises(CallError) as caught:
        read_gemini(found, "g")
    assert (caught.value.kind, caught.value.retry) == (kind, retry)
    assert caught.value.output_tokens == (3 if found.get("candidates") else 0)


def test_a_text_of_gemini_without_lists_is_an_answer():
    """It is kept, and counted by whoever asked for lists."""
    item = json.loads(read_gemini(gemini(chosen=False), "g").body)
    assert not has_logprobs(item)
    assert item["text"] == "hi"
