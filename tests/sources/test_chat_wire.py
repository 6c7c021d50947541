"""Chat completions on the wire: turns as messages, and the quirks of providers' lists."""

import asyncio

import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import Provider, Settings
from kl_core.errors import InputError
from kl_core.records import Message
from kl_core.sources.calls import CallError, Candidate
from kl_core.sources.chat_wire import chat_body, messages_of, read_chat_reply
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.servers import Server, resolve_server
from tests.sources.openai_stub import GOOD, QUESTION, TOKEN, TOP

PROMPT = (Message("system", "Be brief."), Message("human", QUESTION))
LOCAL = Server("http://127.0.0.1:1/v1", None, True)
ROUTER = Server("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", False)


def test_what_was_said_becomes_a_turn_to_be_continued():
    """With vLLM's two fields; OpenRouter takes the turn as it is."""
    body = chat_body("m", PROMPT, "So far", LOCAL)
    assert body["messages"][-1] == {"role": "assistant", "content": "So far"}
    assert body["messages"][1]["role"] == "user"
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert set(chat_body("m", PROMPT, "So far", ROUTER)) == {"model", "messages"}
    assert set(chat_body("m", PROMPT, "", LOCAL)) == {"model", "messages"}


def test_a_started_answer_is_continued_literally():
    """One turn of the assistant, not two."""
    started = (*PROMPT, Message("model", "So"))
    for said, wanted in (("", "So"), (" far", "So far")):
        body = chat_body("m", started, said, LOCAL)
        assert [each["role"] for each in body["messages"]] == ["system", "user", "assistant"]
        assert body["messages"][-1]["content"] == wanted
        assert body["continue_final_message"] is True


@pytest.mark.parametrize("prompt", [(), (Message("wizard", "x"),)])
def test_a_prompt_that_no_server_takes_is_refused(prompt):
    """Before it is sent."""
    with pytest.raises(InputError):
        messages_of(prompt)


def reply_of(token, finish="length", **message):
    choice = {"message": {"content": "x"} | message, "finish_reason": finish}
    return {"choices": [choice | {"logprobs": token and {"content": [token]}}]}


def test_a_list_is_read_with_its_counts():
    """Model, tokens billed, finish reason."""
    answer = read_chat_reply(GOOD)
    assert answer.top == (Candidate("a", None, -0.5), Candidate("b", None, -1.5))
    assert answer.chosen == Candidate("a", None, -0.5)
    assert (answer.model, answer.input_tokens, answer.output_tokens) == ("m-2", 7, 1)
    assert answer.finish == "length"


def test_entries_outside_the_list_are_no_candidates():
    """-9999 is no log-probability; nor are strings, null, NaN or true."""
    odd = [{"token": "z", "logprob": each} for each in (-9999.0, "x", None, float("nan"), True)]
    answer = read_chat_reply(reply_of({**TOKEN, "top_logprobs": [*odd, TOP[1], TOP[0], {}, None]}))
    assert [each.token for each in answer.top] == ["a", "b"]


def test_the_chosen_token_may_be_missing_from_its_list():
    """It is kept beside it; one that is outside is not known."""
    answer = read_chat_reply(reply_of({**TOKEN, "token": "c", "logprob": -7}))
    assert answer.chosen == Candidate("c", None, -7.0)
    assert read_chat_reply(reply_of({**TOKEN, "logprob": -9999.0})).chosen is None


def test_raw_pieces_and_parts_of_characters_keep_what_is_known():
    """Bytes say what U+FFFD hides; bytes of U+FFFD itself, or none, say nothing."""
    tokens = [
        {"token": "Ġthe", "logprob": -1, "bytes": [196, 160, 116, 104, 101]},
        {"token": "\ufffd", "logprob": -2, "bytes": [0xE6, 0x9D]},
        {"token": "\ufffd", "logprob": -3, "bytes": [0xEF, 0xBF, 0xBD]},
        {"token": "\ufffd", "logprob": -4, "bytes": None},
        {"token": "\ufffd", "logprob": -5, "bytes": [999]},
    ]
    answer = read_chat_reply(reply_of({**TOKEN, "top_logprobs": tokens}))
    names = [each.token for each in answer.top]
    assert names == ["Ġthe", "bytes:\\xe6\\x9d", "\ufffd", "\ufffd", "\ufffd"]


def test_plain_completions_are_read_alike():
    """An object of log-probabilities by token."""
    logprobs = {"tokens": ["b"], "token_logprobs": [-2], "top_logprobs": [{"b": -2, "a": -0.5}]}
    answer = read_chat_reply({"choices": [{"text": "b", "logprobs": logprobs}]})
    assert [each.token for each in answer.top] == ["a", "b"]
    assert answer.chosen == Candidate("b", None, -2.0)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ({}, "empty"),
        ({"choices": []}, "empty"),
        (reply_of(None), "no logprobs"),
        (reply_of({**TOKEN, "top_logprobs": []}), "no logprobs"),
        (reply_of(None, content="", reasoning="hm"), "no logprobs"),
        (reply_of(None, content=""), "empty"),
        (reply_of(None, "content_filter"), "blocked"),
        ({"provider": "Acme", **reply_of(None)}, "no logprobs"),
    ],
)
def test_a_reply_without_a_list_is_odd_and_names_its_provider(reply, kind):
    """It may be another provider's turn next time."""
    with pytest.raises(CallError) as raised:
        read_chat_reply(reply)
    assert (raised.value.kind, raised.value.retry) == (kind, "odd")
    assert reply.get("provider", "") in raised.value.reason


@pytest.mark.parametrize(
    "quirk", ["pieces", "replaced", "no-bytes", "floor", "chosen-missing", "fewer"]
)
def test_the_quirks_of_providers_give_usable_lists(quirk):
    """Through the whole protocol, at the local server."""

    async def ask(server):
        client = OpenAiClient(server)
        fields = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 8}
        try:
            return await client.post(
                "/chat/completions", chat_body("tiny-tuned", PROMPT, "", server) | fields
            )
        finally:
            await client.close()

    with running(Settings(answers="hash", providers=(Provider("P", (quirk,)),))) as started:
        reply = asyncio.run(ask(resolve_server(f"{started.base_url}/v1", None)))
    answer = read_chat_reply(reply)
    assert len(answer.top) == {"floor": 4, "fewer": 4, "chosen-missing": len(answer.top)}.get(
        quirk, 8
    )
    assert all(-100 < each.logprob <= 0 for each in answer.top)
