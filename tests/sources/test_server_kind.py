"""What a server offers is found by asking it, and said in one sentence."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.sources.calls import CallError
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.pricing import Price
from kl_core.sources.scored_text import ScoreQuestion, unpacked
from kl_core.sources.served_models import (
    listed_prices,
    may_be_same,
    names_at_root,
    served_models,
)
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
        (failing(401), "denied"),
        (failing(403, "moderation"), "refused"),
        (failing(413), "refused"),
    ],
)
def test_failures_that_say_nothing_are_the_callers(answer, retry):
    """A busy server is not one that offers nothing, and another text may be taken."""
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
    assert "no usable log-probability of any token" in found.tried[0]


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


def good(body, usage=9):
    items = [{str(n): {"logprob": -1.0, "decoded_token": ""}} for n in body["prompt"]]
    used = {"prompt_tokens": usage, "completion_tokens": 1}
    return {"choices": [{"prompt_logprobs": [None, *items[1:]]}], "usage": used}


def test_a_kind_that_fails_by_itself_does_not_hide_another():
    """A server that stumbles over a field that it does not know; what it cost is told."""

    def answer(request, body):
        if "prompt_logprobs" in body or request.path == "/generate":
            return web.json_response({"error": {"message": "unexpected keyword"}}, status=500)
        n = len(body["prompt"])
        lists = [None, *[{"a": -1.0}] * (n - 1)]
        used = {"prompt_tokens": n, "completion_tokens": 0}
        told = {"tokens": ["a"] * n, "token_logprobs": [-1.0] * n, "top_logprobs": lists}
        return {"choices": [{"logprobs": told}], "usage": used}

    found, _ = run(answer, lambda server: detect(server, MODEL, question(), 5))
    sent = len(question().prompt_ids) + len(question().response_ids)
    assert (found.kind, found.by_text, found.calls) == ("echo", False, 3)
    assert found.input_tokens == sent
    assert "500" in found.tried[0]


def test_where_nothing_fits_a_failure_that_may_pass_is_told_with_the_way_around_it():
    """The caller tries again, and can name the kind."""

    def answer(_request, body):
        if "prompt_logprobs" in body:
            return web.json_response({"error": {"message": "m"}}, status=503)
        return {"choices": [], "usage": {"prompt_tokens": 3}}

    found, kept = run(answer, lambda server: detect(server, MODEL, question(), 5))
    assert (found.kind, found.retry, len(kept)) == ("503", "again", 4)
    assert "--server" in found.reason
    assert found.input_tokens == 9  # of the three others
    found, kept = run(answer, lambda server: detect(server, MODEL, question(), 5, kinds=["vllm"]))
    assert (found.retry, len(kept)) == ("again", 1)
    assert "--server" not in found.reason


def test_a_text_that_is_refused_says_nothing_about_the_kind():
    """No kind fits, and one refused: another response is to be tried."""

    def answer(_request, body):
        if "prompt_logprobs" in body:
            return web.json_response({"error": {"message": "not this one"}}, status=400)
        return web.json_response({"detail": "Not Found"}, status=404)

    found, _ = run(answer, lambda server: detect(server, MODEL, question(), 5))
    assert found.retry == "refused"


def test_a_server_that_takes_text_alone_is_asked_by_text():
    """Its refusal of ids is about their type and not about this text."""

    def answer(_request, body):
        if not isinstance(body.get("prompt"), str):
            return web.json_response({"detail": [{"msg": "str type expected"}]}, status=422)
        if "echo" not in body:
            return web.json_response({"detail": "Not Found"}, status=404)
        pieces = list(body["prompt"])
        lists = [None, *[{each: -1.0} for each in pieces[1:]]]
        told = {"tokens": pieces, "token_logprobs": [-1.0] * len(pieces), "top_logprobs": lists}
        return {"choices": [{"logprobs": told}]}

    found, _ = run(answer, lambda server: detect(server, MODEL, question(), 1))
    assert (found.kind, found.by_text) == ("echo", True)


def test_one_token_without_a_value_proves_nothing():
    """Unless nothing stands before it."""
    text = question()
    one = ScoreQuestion(b"k" * 16, text.prompt_ids, text.response_ids[:1], text.prompt_text, "T")

    def answer(_request, body):
        if "prompt_logprobs" not in body:
            return web.json_response({"detail": "Not Found"}, status=404)
        reply = good(body)
        item = reply["choices"][0]["prompt_logprobs"][-1]
        item[str(body["prompt"][-1])]["logprob"] = None
        return reply

    assert run(answer, lambda server: detect(server, MODEL, one, 5))[0].kind is None


def test_ids_that_the_server_does_not_know_end_detection(emulator):
    """The tokenizer is another model's; taking the text instead would hide that."""
    foreign = replace(question(), response_ids=(*question().response_ids[:-1], 99_999))
    with pytest.raises(CallError, match="--tokenizer") as told:
        found_at(emulator, Settings(), foreign)
    assert (told.value.kind, told.value.retry) == ("other tokens", "stop")


def test_another_model_ends_detection(emulator):
    """SGLang takes no name, so that it would answer for any model."""
    with pytest.raises(CallError, match="tiny-tuned is served where tiny-base") as raised:
        found_at(emulator, Settings(scoring=("sglang",)), question(), "tiny-base")
    assert (raised.value.kind, raised.value.retry) == ("other model", "stop")
    found = found_at(emulator, Settings(scoring=("sglang",)), question())
    assert (found.kind, found.answer.model) == ("sglang", "tiny-tuned")


@pytest.mark.parametrize(
    ("asked", "told", "same"),
    [
        ("m-1", "org/M-1", True),
        ("org/m-1", "m-1-2024-08-06", True),
        ("org/m-1:free", "org/m-1", True),
        ("m:8b", "m:70b", False),
        ("m-1", "m-2", False),
        ("m-1-large", "m-1", False),
    ],
)
def test_names_of_one_model(asked, told, same):
    """Gateways answer with a longer or dated name."""
    assert may_be_same(asked, told) is same


@pytest.mark.parametrize(
    ("cards", "path", "names"),
    [
        ([{"id": "mine"}], "/data/x", ("mine", "/data/x")),
        ([{"id": "mine"}, {"id": "lora", "parent": "mine"}], "/data/x", ("mine", "/data/x")),
        ([{"id": "a"}, {"id": "b"}], "/data/b", ("/data/b",)),
        ([{"id": "a"}, {"id": "b"}], None, ("a", "b")),
        (None, None, ()),
    ],
)
def test_the_model_behind_generate_is_the_one_that_was_loaded(cards, path, names):
    """An adapter in the list is not it."""

    async def work(server):
        client = OpenAiClient(server)
        try:
            return await names_at_root(client)
        finally:
            await client.close()

    found, _ = run(
        lambda request, _: {"data": cards} if "models" in request.path else {"model_path": path},
        work,
    )
    assert found == names


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
