"""Chat completions as the real client meets them."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import openai
import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import SAMPLE_MODELS
from kl_core.models.engine import PrefixCacheEngine
from kl_core.models.load import ModelSpec, encode_prompt, encode_text, load_model
from kl_core.models.work import Work
from kl_core.records import Message
from tests.emulator import openai_shaped as shaped

GOES_ON = {"continue_final_message": True, "add_generation_prompt": False}


@pytest.fixture(scope="module")
def shared():
    with running() as found:
        yield found


@pytest.fixture
def server(shared):
    shared.settings = Settings()
    shared.reset()
    return shared


@pytest.fixture(scope="module")
def loaded():
    return load_model(ModelSpec(str(SAMPLE_MODELS / shaped.MODEL), device="cpu"))


def engine_scores(loaded, said, text, top):
    prompt = encode_prompt(loaded, (Message("user", shaped.QUESTION),)) + encode_text(loaded, said)
    ids = encode_text(loaded, text)
    return PrefixCacheEngine(loaded, top).score([Work(prompt, (ids,))])[0][0]


def test_log_probabilities_equal_the_engine(server, loaded):
    """Each token's own and the lists, with the bytes that join to the text."""
    reply = shaped.chat(server.base_url, max_tokens=8)
    choice = reply.choices[0]
    content = choice.logprobs.content
    assert len(content) == reply.usage.completion_tokens == 8
    assert b"".join(bytes(each.bytes) for each in content).decode() == choice.message.content
    truth = engine_scores(loaded, "", choice.message.content, 5)
    near = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-5)
    near([each.logprob for each in content], truth.chosen)
    lists = [[one.logprob for one in each.top_logprobs] for each in content]
    near(lists, truth.top_logprobs)
    assert (reply.model, reply.provider, choice.finish_reason) == (
        shaped.MODEL,
        "Emulator",
        "length",
    )


@pytest.mark.parametrize("extra", [GOES_ON, None])
def test_a_started_answer_is_continued_literally(server, loaded, extra):
    """By vLLM's words, and without them as OpenRouter's providers do."""
    reply = shaped.chat(server.base_url, "The island has", extra, max_tokens=1)
    first = reply.choices[0].logprobs.content[0]
    truth = engine_scores(loaded, "The island has", first.token, 1)
    np.testing.assert_allclose(first.logprob, truth.chosen[0], atol=1e-5)


def test_plain_vllm_takes_a_last_turn_of_the_assistant_as_over(server):
    """Unless it is told to go on; a new turn then follows the old one."""
    server.settings = Settings(trailing_turn=False)
    over = shaped.chat(server.base_url, "The island has", max_tokens=1)
    on = shaped.chat(server.base_url, "The island has", GOES_ON, max_tokens=1)
    assert over.usage.prompt_tokens == on.usage.prompt_tokens + 2  # the end, the next turn
    first = [each.choices[0].logprobs.content[0].logprob for each in (over, on)]
    assert first[0] != first[1]


@pytest.mark.parametrize(
    ("said", "changes", "reason"),
    [
        ("The", {"extra": {"continue_final_message": True}}, "Cannot set both"),
        ("", {"extra": GOES_ON}, "continues turns of the assistant alone"),
        ("", {"stop": "."}, "does not offer stop"),
        ("", {"stream": True}, "does not offer stream"),
        ("", {"frequency_penalty": 0.5}, "does not offer frequency_penalty"),
        ("", {"top_logprobs": 21}, "greater than max allowed: 20"),
        ("", {"logprobs": False}, "`logprobs` must be set to true"),
        ("", {"max_tokens": 600}, "maximum context length is 512 tokens"),
        ("", {"top_p": 0}, "top_p must be in"),
        ("", {"seed": 1.5}, "seed must be an integer"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_never_left_out(server, said, changes, reason):
    """400 with the reason."""
    with pytest.raises(openai.BadRequestError, match=reason):
        shaped.chat(server.base_url, said, **changes)


def test_models_that_cannot_refuse(server):
    """The settings of the Gemini routes hold here too."""
    server.settings = Settings(logprobs=False, prefill=False)
    with pytest.raises(openai.BadRequestError, match="logprobs is not supported"):
        shaped.chat(server.base_url)
    with pytest.raises(openai.BadRequestError, match="last message of the assistant"):
        shaped.chat(server.base_url, "The")


def test_several_choices_differ_and_a_seed_repeats_them(server):
    """Drawn at a temperature; the same call with the same seed says the same."""
    given = {"n": 4, "temperature": 1.5, "max_tokens": 6, "seed": 7}
    one, again = (shaped.chat(server.base_url, **given) for _ in range(2))
    texts = [choice.message.content for choice in one.choices]
    assert texts == [choice.message.content for choice in again.choices]
    assert len(set(texts)) > 1
    assert [choice.index for choice in one.choices] == [0, 1, 2, 3]
    assert one.usage.completion_tokens == sum(len(c.logprobs.content) for c in one.choices)


def test_a_narrow_top_p_is_the_likeliest_token(server):
    """Log-probabilities stay those of temperature 1 and of the whole vocabulary."""
    narrow = shaped.chat(server.base_url, temperature=2, top_p=1e-6)
    plain = shaped.chat(server.base_url)
    assert narrow.choices[0].message.content == plain.choices[0].message.content
    assert narrow.choices[0].logprobs == plain.choices[0].logprobs


def test_an_answer_that_ends_says_so(server):
    """The end token stands in the log-probabilities and not in the text."""
    choice = shaped.chat(server.base_url, max_tokens=200).choices[0]
    assert choice.finish_reason == "stop"
    assert choice.logprobs.content[-1].token == "<|eot|>"
    assert "<|eot|>" not in choice.message.content


def test_a_call_without_a_key_is_refused_unless_the_server_needs_none(server):
    """Any key will do; plain vLLM asks for none."""
    body = {"model": shaped.MODEL, "messages": [{"role": "user", "content": "Hi"}]}
    status, reply = shaped.post(server.base_url, "/v1/chat/completions", body, {})
    assert (status, reply["error"]["code"]) == (401, 401)
    assert shaped.get(server.base_url, "/v1/models", {})[0] == 401
    assert shaped.get(server.base_url, "/get_model_info", {})[0] == 401
    server.settings = Settings(require_key=False)
    assert shaped.post(server.base_url, "/v1/chat/completions", body, {})[0] == 200
    assert shaped.get(server.base_url, "/v1/models", {})[0] == 200


def test_models_and_their_prices(server):
    """Names of the folder; dollars a token as strings where there are prices."""
    models = shaped.client(server.base_url).models.list().data
    assert [model.id for model in models] == ["tiny-base", "tiny-tuned"]
    assert all(getattr(model, "pricing", None) is None for model in models)
    server.settings = Settings(input_price=0.1, output_price=2.5)
    model = shaped.client(server.base_url).models.list().data[0]
    assert model.pricing == {"prompt": "0.0000001", "completion": "0.0000025"}
    usage = shaped.chat(server.base_url).usage
    assert usage.cost == pytest.approx(
        (usage.prompt_tokens * 0.1 + usage.completion_tokens * 2.5) / 1e6
    )


def test_another_model_is_not_found(server):
    """404, with the models there are."""
    server.settings = Settings(served_model="tiny-base")
    with pytest.raises(openai.NotFoundError, match="tiny-tuned` does not exist.*tiny-base"):
        shaped.chat(server.base_url)


def test_the_asynchronous_client_is_answered_while_a_model_computes(server):
    """Many calls at once; the event loop stays free and every call is counted."""

    async def ask():
        found = openai.AsyncOpenAI(
            base_url=f"{server.base_url}/v1", api_key="any", max_retries=0, timeout=30
        )
        turns = [{"role": "user", "content": shaped.QUESTION}]
        calls = [
            found.chat.completions.create(
                model=shaped.MODEL, messages=turns, max_tokens=20, seed=n, logprobs=True
            )
            for n in range(8)
        ]
        return await asyncio.gather(*calls)

    assert len({reply.id for reply in asyncio.run(ask())}) == 8
    stats = server.stats()
    assert stats["outcomes"] == {"ok": 8}
    assert stats["routes"] == {"/v1/chat/completions": 8}
    assert stats["peak_in_flight"] > 1
