"""One position a call: what is sent for a context, and that the lists are the model's own."""

import asyncio

import pytest
import torch

from kl_core.emulator.server import running
from kl_core.errors import InputError
from kl_core.formats.reader import read_entries
from kl_core.records import Message, ProblemLog
from kl_core.sources.calls import CallError, Context
from kl_core.sources.contexts import prepared
from kl_core.sources.position_client import PositionClient
from kl_core.sources.remote import Assembler
from kl_core.sources.servers import Server, resolve_server
from tests.sources.openai_stub import MODELS, QUESTION, ids, question, run

MODEL, TOP = "tiny-tuned", 6
PROMPT = (Message("user", QUESTION),)
GOOD = {
    "choices": [
        {"logprobs": {"tokens": ["a"], "token_logprobs": [-1], "top_logprobs": [{"a": -1}]}}
    ]
}


@pytest.fixture(scope="module")
def emulator():
    with running() as started:
        yield started


def context(said="The capital of"):
    return Context(b"k" * 16, PROMPT, said.encode(), len(said.encode()))


def rendered(_prompt):
    return question().prompt_text


def rendered_ids(_prompt):
    return question().prompt_ids


ROADS = {
    "chat": {"mode": "chat"},
    "text": {"mode": "completion", "render": rendered},
    "ids": {"mode": "completion", "render": rendered_ids, "encode": ids},
    "all ids": {"mode": "completion", "render": rendered, "encode": ids},
}


def asked(server, road, contexts, **more):
    async def main():
        client = PositionClient(server, MODEL, top=TOP, **ROADS[road], **more)
        try:
            return [await client(each) for each in contexts]
        finally:
            await client.close()

    return main()


@pytest.mark.parametrize("road", ROADS)
def test_every_road_gives_the_models_own_list(road, emulator):
    """At the first position and in the middle of the text."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODELS / MODEL, dtype=torch.float32).eval()
    server = resolve_server(f"{emulator.base_url}/v1", None)
    saids = ["", "The capital of", "The capital of Merrow is T"]
    answers = asyncio.run(asked(server, road, [context(said) for said in saids]))
    for said, answer in zip(saids, answers, strict=True):
        before = torch.tensor([[*question().prompt_ids, *ids(said)]])
        with torch.inference_mode():
            best = torch.log_softmax(model(before).logits[0, -1], -1).topk(TOP).values
        assert [each.logprob for each in answer.top] == pytest.approx(best.tolist(), abs=1e-4)
        assert (answer.model, answer.output_tokens) == (MODEL, 1)


def test_the_answers_stand_beside_the_saved_response(emulator):
    """Through the Assembler, as Gemini's do: every position of a model's own text has a value."""
    folder = MODELS.parent / "responses" / "openrouter"
    entry = next(iter(read_entries(folder, None, ProblemLog())))
    ready = prepared(entry)
    contexts = list(ready.contexts())[:12]
    server = resolve_server(f"{emulator.base_url}/v1", None)
    answers = asyncio.run(asked(server, "chat", contexts))
    found = {each.key: answer for each, answer in zip(contexts, answers, strict=True)}
    scored = Assembler(MODEL, match_lists=True).assemble(ready, found.get, {})
    values = scored.responses[0].measures.headline
    assert sum(value == value for value in values[:12].tolist()) >= 10


def sent(road, said="The capital of", **more):
    answers, ((path, _, body),) = run(
        lambda *_: GOOD, lambda server: asked(server, road, [context(said)], **more)
    )
    assert answers[0].top[0].token == "a"
    return path, body


def test_chat_sends_the_text_as_a_turn_to_be_continued():
    """One token, the likeliest, with lists."""
    path, body = sent("chat")
    assert path == "/v1/chat/completions"
    assert body["messages"][-1] == {"role": "assistant", "content": "The capital of"}
    assert (body["max_tokens"], body["temperature"], body["top_logprobs"]) == (1, 0, TOP)
    assert body["logprobs"] is True
    assert [each["role"] for each in sent("chat", "")[1]["messages"]] == ["user"]


def test_completions_send_the_prompt_and_the_text_after_it():
    """As text, or as ids where they can be had."""
    path, body = sent("text")
    assert path == "/v1/completions"
    assert body["prompt"] == question().prompt_text + "The capital of"
    assert body["logprobs"] == TOP
    wanted = [*question().prompt_ids, *ids("The capital of")]
    assert sent("ids")[1]["prompt"] == sent("all ids")[1]["prompt"] == wanted
    assert sent("ids", "")[1]["prompt"] == list(question().prompt_ids)


def test_fields_of_the_caller_are_added():
    """Such as providers."""
    provider = {"only": ["x"], "allow_fallbacks": False}
    assert sent("chat", extra={"provider": provider})[1]["provider"] == provider


def test_openrouter_is_told_that_log_probabilities_are_required(monkeypatch):
    """It drops them in silence otherwise; the caller's choice of providers stays."""
    monkeypatch.setattr(Server, "openrouter", True)
    assert sent("chat")[1]["provider"] == {"require_parameters": True}
    body = sent("chat", extra={"provider": {"only": ["x"]}})[1]
    assert body["provider"] == {"require_parameters": True, "only": ["x"]}
    assert "continue_final_message" not in body


def test_completions_without_a_template_are_refused():
    """Before anything is sent."""
    with pytest.raises(InputError, match="--tokenizer"):
        PositionClient(resolve_server("http://127.0.0.1:1/v1", None), MODEL, "completion", TOP)


def test_a_prompt_that_no_server_takes_is_given_up():
    """The position has no value; nothing is sent."""
    odd = Context(b"k" * 16, (Message("wizard", "x"),), b"", 0)
    found, kept = run(lambda *_: GOOD, lambda server: asked(server, "chat", [odd]))
    assert isinstance(found, CallError)
    assert (found.retry, kept) == ("refused", [])


def test_the_client_shows_no_key(monkeypatch):
    """In its repr."""
    monkeypatch.setenv("MY_KEY", "secret-of-an-odd-shape")

    async def main():
        server = resolve_server("http://127.0.0.1:1/v1", "MY_KEY")
        client = PositionClient(server, MODEL, "chat", TOP)
        await client.close()
        return repr(client)

    assert "secret" not in asyncio.run(main())
