"""Faults of OpenAI-shaped servers as the real client meets them, and what each server offers."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

import openai
import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from tests.emulator import openai_shaped as shaped

HASH = Settings(answers="hash")
IDS = [1, 4, 70, 71]


@pytest.fixture(scope="module")
def shared():
    with running(HASH) as found:
        yield found


@pytest.fixture
def server(shared):
    shared.settings = HASH
    shared.reset()
    return shared


def always(fault: str, **changes) -> Settings:
    return replace(HASH, fault_rate=1.0, faults=(fault,), **changes)


REFUSALS = [
    ("429", openai.RateLimitError, 429),
    ("429-after", openai.RateLimitError, 429),
    ("500", openai.InternalServerError, 500),
    ("503", openai.InternalServerError, 503),
    ("hang", openai.InternalServerError, 504),
]


@pytest.mark.parametrize("ask", ["chat", "completions"])
@pytest.mark.parametrize(("fault", "error_class", "code"), REFUSALS)
def test_refusals_raise_the_clients_own_errors(server, ask, fault, error_class, code):
    """Class, code and the shape {error: {message, type, code}}; Retry-After with one alone."""
    server.settings = always(fault, hang_s=0.02, retry_after_s=0.7)
    call = {
        "chat": partial(shaped.chat, server.base_url),
        "completions": partial(shaped.complete, server.base_url, IDS),
    }[ask]
    with pytest.raises(error_class) as caught:
        call()
    error = caught.value
    assert (error.status_code, error.body["code"]) == (code, code)
    assert error.body["type"]
    assert error.body["message"]
    told = error.response.headers.get("Retry-After")
    assert told == ("0.7" if fault == "429-after" else None)
    assert server.stats()["outcomes"] == {fault: 1}


def test_a_dropped_connection_and_a_hanging_one_are_no_http_errors(server):
    """The client sees a broken connection, and its own time limit."""
    server.settings = always("drop")
    with pytest.raises(Exception, match="without sending complete message body|Connection") as seen:
        shaped.chat(server.base_url)
    assert not isinstance(seen.value, openai.APIStatusError)
    server.settings = always("hang", hang_s=60.0)
    started = time.monotonic()
    turns = [{"role": "user", "content": "Hi"}]
    with pytest.raises(openai.APITimeoutError):
        shaped.client(server.base_url, 0.3).chat.completions.create(
            model=shaped.MODEL, messages=turns
        )
    assert time.monotonic() - started < 5


def test_an_empty_reply_has_no_choices_or_an_empty_one(server):
    """Both kinds occur, and neither has log-probabilities."""
    server.settings = always("empty")
    found = [shaped.chat(server.base_url).choices for _ in range(4)]
    assert {len(choices) for choices in found} == {0, 1}
    for choices in found:
        for choice in choices:
            assert choice.message.content == ""
            assert choice.logprobs is None
    _, reply = shaped.generate(server.base_url, input_ids=IDS)
    assert reply["text"] == ""
    assert "input_token_logprobs" not in reply["meta_info"]


def test_a_blocked_prompt_is_a_moderation_error_or_a_filtered_reply(server):
    """OpenRouter's 403 with its metadata, or finish_reason content_filter."""
    server.settings = always("blocked")
    body = {"model": shaped.MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    replies = [shaped.post(server.base_url, "/v1/chat/completions", body) for _ in range(4)]
    refused = [reply["error"] for status, reply in replies if status == 403]
    filtered = [reply["choices"][0] for status, reply in replies if status == 200]
    assert len(refused) == len(filtered) == 2
    assert {error["metadata"]["model_slug"] for error in refused} == {shaped.MODEL}
    assert {choice["finish_reason"] for choice in filtered} == {"content_filter"}
    assert {choice["message"]["content"] for choice in filtered} == {""}


def test_logprobs_and_the_model_may_be_others_than_asked_for(server):
    """A text without them in all three protocols; a reply by another model."""
    server.settings = always("no-logprobs")
    assert shaped.chat(server.base_url).choices[0].logprobs is None
    choice = shaped.complete(
        server.base_url, IDS, {"prompt_logprobs": 2}, echo=True, logprobs=2
    ).choices[0]  # fmt: skip
    assert choice.logprobs is None
    assert choice.prompt_logprobs is None
    _, reply = shaped.generate(server.base_url, input_ids=IDS)
    assert "input_token_logprobs" not in reply["meta_info"]
    assert server.stats()["outcomes"] == {"no-logprobs": 3}
    server.settings = always("other-model")
    assert shaped.chat(server.base_url).model != shaped.MODEL


def test_a_fault_that_changes_nothing_is_none(server):
    """No log-probabilities were asked for, so none are missing; SGLang names no model."""
    server.settings = always("no-logprobs")
    shaped.complete(server.base_url, IDS)
    server.settings = always("other-model")
    shaped.generate(server.base_url, input_ids=IDS)
    assert server.stats()["outcomes"] == {"ok": 2}


def test_faults_are_the_same_on_every_run_and_differ_by_attempt(server):
    """By seed, call and attempt, whatever the order."""
    server.settings = replace(HASH, fault_rate=0.4, faults=("503",), seed=3)

    def outcomes():
        server.reset()
        return [
            shaped.post(
                server.base_url, "/v1/completions", {"model": shaped.MODEL, "prompt": [n % 5]}
            )[0]
            for n in range(20)
        ]

    first = outcomes()
    assert set(first) == {200, 503}
    assert outcomes() == first
    server.settings = replace(server.settings, seed=4)
    assert outcomes() != first


def test_capacity_answers_429_above_its_rate(server):
    """With Retry-After where the settings say so."""
    server.settings = replace(HASH, capacity_per_s=0.01, retry_after=True, retry_after_s=0.3)
    shaped.complete(server.base_url, IDS)
    with pytest.raises(openai.RateLimitError) as caught:
        shaped.complete(server.base_url, IDS)
    assert caught.value.response.headers["Retry-After"] == "0.3"
    assert server.stats()["outcomes"]["429 capacity"] == 1


def test_requests_are_counted_by_route(server):
    """Also those that were refused, and those that ask what a server is."""
    shaped.get(server.base_url, "/v1/models")
    shaped.get(server.base_url, "/version")
    shaped.get(server.base_url, "/get_model_info")
    shaped.complete(server.base_url, IDS)
    shaped.post(server.base_url, "/v1/completions", {"model": "nobody", "prompt": IDS})
    shaped.generate(server.base_url, input_ids=IDS)
    _, stats = shaped.get(server.base_url, "/emulator/stats")
    assert stats["routes"] == {
        "/generate": 1,
        "/get_model_info": 1,
        "/v1/completions": 2,
        "/v1/models": 1,
        "/version": 1,
    }
    assert stats["outcomes"] == {"404": 1, "ok": 2}


def test_a_server_offers_the_scoring_calls_of_its_kind_alone(server):
    """Routes that are not there are 404; fields that are not known go unread."""
    server.settings = replace(HASH, scoring=("vllm",))
    assert shaped.get(server.base_url, "/version", {})[0] == 200
    assert shaped.get(server.base_url, "/get_model_info")[0] == 404
    assert shaped.generate(server.base_url, input_ids=IDS)[0] == 404
    server.settings = replace(HASH, scoring=("sglang",))
    assert shaped.get(server.base_url, "/version")[0] == 404
    status, info = shaped.get(server.base_url, "/get_model_info")
    assert status == 200
    assert info["model_path"].endswith("tiny-tuned")
    assert shaped.generate(server.base_url, input_ids=IDS)[0] == 200
    choice = shaped.complete(
        server.base_url, IDS, {"prompt_logprobs": 2}, echo=True, logprobs=2
    ).choices[0]  # fmt: skip
    assert not hasattr(choice, "prompt_logprobs")
    assert len(choice.logprobs.tokens) == 1, "of the answer alone: echo went unread"


def test_a_strict_server_refuses_the_fields_it_does_not_know(server):
    """400, as OpenAI's own."""
    server.settings = replace(HASH, scoring=("echo",), refuses_unknown=True)
    with pytest.raises(openai.BadRequestError, match="Unrecognized request argument.*prompt_logp"):
        shaped.complete(server.base_url, IDS, {"prompt_logprobs": 2})
    assert len(shaped.complete(server.base_url, IDS, echo=True, logprobs=1).choices) == 1
    server.settings = replace(server.settings, scoring=())
    with pytest.raises(openai.BadRequestError, match="Unrecognized request argument.*echo"):
        shaped.complete(server.base_url, IDS, echo=True, logprobs=1)


def test_a_server_may_know_chats_alone(server):
    """No /v1/completions at all."""
    server.settings = replace(HASH, scoring=(), completions=False)
    with pytest.raises(openai.NotFoundError):
        shaped.complete(server.base_url, IDS)
    assert shaped.chat(server.base_url).choices[0].message.content
