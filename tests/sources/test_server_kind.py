"""What a server offers is found by asking it, and said in one sentence."""

import asyncio

import pytest
from aiohttp import web

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.sources.calls import CallError
from kl_core.sources.pricing import Price
from kl_core.sources.scored_text import unpacked
from kl_core.sources.served_models import listed_prices, served_models
from kl_core.sources.server_kind import detect
from kl_core.sources.servers import resolve_server
from tests.sources.openai_stub import failing, question, run

MODEL = "tiny-tuned"


@pytest.fixture(scope="module")
def emulator():
    with running() as started:
        yield started


def found_at(emulator, settings, asked, model=MODEL):
    emulator.settings = settings
    emulator.reset()
    server = resolve_server(f"{emulator.base_url}/v1/", None)
    return asyncio.run(detect(server, model, asked, 5))


@pytest.mark.parametrize(
    ("scoring", "kind", "calls"),
    [
        (("vllm", "sglang", "echo"), "vllm", 1),
        (("sglang", "echo"), "sglang", 2),
        (("echo",), "echo", 3),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_the_first_kind_that_answers_is_taken(scoring, kind, calls, strict, emulator):
    """Whether others are left out in silence or refused; the answer is kept."""
    found = found_at(emulator, Settings(scoring=scoring, refuses_unknown=strict), question())
    assert (found.kind, found.by_text, found.calls) == (kind, False, calls)
    assert len(found.tried) == calls
    assert len(unpacked(found.answer.body).tokens) == len(question().response_ids)
    assert f"by {kind}" in found.sentence
    if kind != "echo":
        assert found.version


def test_without_ids_only_text_is_tried_and_the_rest_is_said(emulator):
    """No tokenizer, no ids."""
    found = found_at(emulator, Settings(), question(with_ids=False))
    assert (found.kind, found.by_text, found.calls) == ("echo", True, 1)
    assert [("no tokenizer" in each) for each in found.tried] == [True, True, True, False]


@pytest.mark.parametrize("completions", [False, True])
def test_a_server_that_scores_nothing_is_told_with_all_that_was_tried(completions, emulator):
    """One clause each."""
    settings = Settings(scoring=(), completions=completions)
    found = found_at(emulator, settings, question())
    assert (found.kind, found.answer, found.calls) == (None, None, 8)
    for name in ("prompt_logprobs", "/generate", "echo of token ids", "echo of text"):
        assert name in found.sentence
    assert found.sentence.count("there is no such route") == (1 if completions else 4)
    assert "\n" not in found.sentence


def test_a_model_that_is_not_there_is_no_matter_of_kinds(emulator):
    """The run could not go on whatever the kind."""
    with pytest.raises(CallError, match="does not exist") as raised:
        found_at(emulator, Settings(), question(), "no-such-model")
    assert raised.value.retry == "denied"


@pytest.mark.parametrize(
    ("answer", "retry"),
    [
        (failing(429, headers={"Retry-After": "2"}), "again"),
        (failing(500), "again"),
        (failing(401), "denied"),
    ],
)
def test_failures_that_say_nothing_are_the_callers(answer, retry):
    """A busy server is not one that offers nothing."""
    found, kept = run(answer, lambda server: detect(server, MODEL, question(), 5))
    assert isinstance(found, CallError)
    assert (found.retry, len(kept)) == (retry, 1)


def test_a_page_for_people_is_no_answer():
    """As gateways show at any path."""

    def page(*_):
        return web.Response(text="<html>", content_type="text/html")

    found, _ = run(page, lambda server: detect(server, MODEL, question(), 5))
    assert found.kind is None
    assert found.sentence.count("no JSON object") == 4


def test_being_denied_above_the_base_url_is_not_the_end():
    """A gateway guards what it does not offer."""

    def answer(request, _):
        if request.path == "/generate":
            return web.json_response({"error": "forbidden"}, status=403)
        return {"model": MODEL, "choices": [{"text": "x", "logprobs": None}]}

    found, kept = run(answer, lambda server: detect(server, MODEL, question(), 5))
    assert (found.kind, found.calls, len(kept)) == (None, 8, 8)


def test_values_that_are_no_numbers_are_not_offered():
    """Null for every token, in the right shape."""

    def answer(request, body):
        if "prompt_logprobs" not in body:
            return web.json_response({"detail": "Not Found"}, status=404)
        items = [{str(n): {"logprob": None, "decoded_token": ""}} for n in body["prompt"]]
        return {"choices": [{"prompt_logprobs": [None, *items[1:]]}]}

    found, _ = run(answer, lambda server: detect(server, MODEL, question(), 5))
    assert found.kind is None
    assert "no log-probability of any token" in found.tried[0]


def test_one_odd_reply_is_not_the_end():
    """A gateway's hiccup: what is offered a moment later is found."""
    seen = []

    def answer(_request, body):
        seen.append(body)
        if "prompt_logprobs" not in body or len(seen) == 1:
            return web.json_response({"detail": "Not Found"}, status=404)
        items = [{str(n): {"logprob": -1.0, "decoded_token": ""}} for n in body["prompt"]]
        return {"choices": [{"prompt_logprobs": [None, *items[1:]]}]}

    found, _ = run(answer, lambda server: detect(server, MODEL, question(), 5))
    assert (found.kind, found.calls) == ("vllm", 5)


def test_models_and_prices_are_read_from_the_list(emulator):
    """Dollars per million tokens."""
    server = resolve_server(f"{emulator.base_url}/v1", None)
    emulator.settings = Settings(input_price=0.25, output_price=1.5)
    prices = asyncio.run(listed_prices(server))
    assert prices[MODEL].input == pytest.approx(0.25)
    assert prices[MODEL].output == pytest.approx(1.5)
    emulator.settings = Settings()
    assert asyncio.run(served_models(server)) == ["tiny-base", MODEL]
    assert asyncio.run(listed_prices(server))[MODEL] == Price(None, None)


def test_prices_that_are_none_are_unknown():
    """OpenRouter writes -1 where they vary; others write nothing of use."""
    data = [
        {"id": "a", "pricing": {"prompt": "-1", "completion": "x"}},
        {"id": "b", "pricing": {"prompt": "0", "completion": 0.000002}},
        {"id": "c", "pricing": None},
        {"id": 7},
        "d",
    ]
    prices, _ = run(lambda *_: {"data": data}, listed_prices)
    assert list(prices) == ["a", "b", "c"]
    assert prices["a"] == prices["c"] == Price(None, None)
    assert (prices["b"].input, prices["b"].output) == (0.0, pytest.approx(2.0))
