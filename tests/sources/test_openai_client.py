"""The openai package against local servers: what is sent, what is read, every failure sorted."""

import asyncio
import email.utils
import time

import pytest
from aiohttp import web
from openai import AsyncOpenAI

from kl_core.errors import InputError
from kl_core.records import Message
from kl_core.sources.calls import CallError
from kl_core.sources.chat_wire import messages_of
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.servers import Server
from tests.sources.openai_stub import GOOD, QUESTION, at, failing, run, serving

KEY = "sk-or-v1-TheRealKeyThatMustNotBeSeen"
PROMPT = (Message("system", "Be brief."), Message("human", QUESTION))
BODY = {"model": "m", "messages": messages_of(PROMPT)}


def good(*_):
    return GOOD


def post(answer, key_env=None, timeout_s=5.0, path="/chat/completions", body=BODY, root=False):
    async def work(server):
        client = OpenAiClient(server, timeout_s, 2)
        try:
            return await client.post(path, body, root=root)
        finally:
            await client.close()

    return run(answer, work, key_env)


def test_the_short_way_sends_what_the_package_sends():
    """Same path, headers and body; only what counts its retries is left out."""
    reply, ((path, headers, body),) = post(good)

    async def by_create(server):
        client = AsyncOpenAI(api_key="no-key-needed", base_url=server.base_url, max_retries=0)
        found = await client.chat.completions.create(**BODY)
        await client.close()
        return found

    _, ((path2, headers2, body2),) = run(good, by_create)
    assert (path, body, reply) == (path2, body2, GOOD)
    left_out = {"host", "content-length", "accept-encoding", "connection"}
    left_out |= {"x-stainless-retry-count", "x-stainless-read-timeout", "x-stainless-async"}
    left_out |= {"idempotency-key", "x-stainless-raw-response"}
    kept, kept2 = (
        {name.lower(): value for name, value in each.items() if name.lower() not in left_out}
        for each in (headers, headers2)
    )
    assert kept == kept2
    assert kept["authorization"] == "Bearer no-key-needed"


def test_paths_lie_below_the_base_url_or_the_root():
    """SGLang's /generate stands above /v1."""
    assert post(good)[1][0][0] == "/v1/chat/completions"
    assert post(good, path="/generate", root=True)[1][0][0] == "/generate"

    async def work(server):
        client = OpenAiClient(server)
        found = await client.get("/models")
        await client.close()
        return found

    reply, ((path, _, body),) = run(lambda *_: {"data": []}, work)
    assert (reply, path, body) == ({"data": []}, "/v1/models", None)


def test_only_the_named_key_goes_out(monkeypatch):
    """Not OpenAI's own settings of the environment, which belong to another host."""
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENROUTER_API_KEY", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OPENAI_PROJECT_ID", KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Secret: {KEY}\nAuthorization: Bearer {KEY}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    reply, kept = post(good)
    assert reply == GOOD
    assert KEY not in str(kept)
    monkeypatch.setenv("MY_KEY", "its-own-key")
    _, ((_, headers, _),) = post(good, key_env="MY_KEY")
    assert headers["Authorization"] == "Bearer its-own-key"


def test_a_key_that_is_gone_is_asked_for_when_the_client_is_made(monkeypatch):
    """The environment may differ from when the address was checked."""
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match="MY_KEY"):
        OpenAiClient(Server("http://127.0.0.1:1/v1", "MY_KEY", True))


def test_a_redirect_is_not_followed(monkeypatch):
    """The key would go along."""
    monkeypatch.setenv("MY_KEY", KEY)

    async def main():
        async with serving(good) as (foreign, seen):
            moved = web.Response(status=307, headers={"Location": f"{foreign}/chat/completions"})
            async with serving(lambda *_: moved) as (url, _):
                client = OpenAiClient(at(url, "MY_KEY"))
                with pytest.raises(CallError) as raised:
                    await client.post("/chat/completions", BODY)
                await client.close()
            return raised.value, seen

    error, seen = asyncio.run(main())
    assert (error.kind, error.retry, seen) == ("307", "denied", [])


def test_a_key_shows_in_no_error_and_no_repr(monkeypatch):
    """Servers quote it at times."""
    monkeypatch.setenv("MY_KEY", "secret-of-an-odd-shape")
    text = f"Incorrect API key provided: {KEY} secret-of-an-odd-shape, Bearer abc.def"
    found, _ = post(failing(401, text), key_env="MY_KEY", body={**BODY, "model": KEY})
    assert found.retry == "denied"
    for secret in (KEY, "secret-of", "abc.def"):
        assert secret not in str(found)
        assert secret not in repr(found)

    async def shown():
        client = OpenAiClient(Server("http://127.0.0.1:1/v1", "MY_KEY", True))
        await client.close()
        return repr(client) + str(client)

    assert "secret-of" not in asyncio.run(shown())


def coded(status, code):
    """A refusal with a code of its own."""
    return lambda *_: web.json_response({"error": {"message": "m", "code": code}}, status=status)


MODERATED = failing(403, "Your chosen model requires moderation", metadata={"reasons": ["x"]})
IN_200 = {"error": {"code": 429, "message": "Rate limit", "metadata": {"raw": "upstream is busy"}}}


@pytest.mark.parametrize(
    ("answer", "kind", "retry"),
    [
        (failing(429), "429", "again"),
        (failing(408), "408", "again"),
        (failing(500), "500", "again"),
        (failing(503), "503", "again"),
        (failing(529), "529", "again"),
        (lambda *_: web.Response(status=502, text="<html>"), "502", "again"),
        (failing(429, "You exceeded your quota", type="insufficient_quota"), "429", "denied"),
        (failing(400, "odd request"), "400", "refused"),
        (failing(413), "413", "refused"),
        (failing(422), "422", "refused"),
        (failing(400, "This model's maximum context length is 8 tokens"), "too long", "refused"),
        (coded(400, "context_length_exceeded"), "too long", "refused"),
        (failing(400, "Invalid value: user text about logprobs flagged"), "400", "refused"),
        (failing(400, "top_logprobs: at most 5"), "unsupported", "stop"),
        (failing(400, "echo is not supported"), "unsupported", "stop"),
        (failing(400, "unknown word in echoes"), "400", "refused"),
        (coded(400, "9" * 5000), "400", "refused"),
        (lambda *_: {"error": {"code": "9" * 5000, "message": "m"}}, "502", "again"),
        (lambda *_: web.Response(text='{"a":' * 9000 + "1" + "}" * 9000), "not JSON", "again"),
        (failing(400, "logprobs: Extra inputs are not permitted"), "unsupported", "stop"),
        (
            failing(400, "Requested prompt logprobs of 20, which is greater than max allowed: 5"),
            "unsupported",
            "stop",
        ),
        (failing(501, "Not implemented"), "unsupported", "stop"),
        (failing(400, "Token id 999 is out of vocabulary"), "other tokens", "stop"),
        (failing(400, "foo is not a valid model ID"), "400", "denied"),
        (failing(400, "Incorrect API key provided"), "400", "denied"),
        (failing(401), "401", "denied"),
        (failing(402), "402", "denied"),
        (failing(403), "403", "denied"),
        (MODERATED, "moderation", "refused"),
        (failing(404, "The model `m` does not exist"), "404", "denied"),
        (lambda *_: web.json_response({"detail": "Not Found"}, status=404), "no route", "denied"),
        (lambda *_: web.Response(status=405), "no route", "denied"),
        (lambda *_: web.Response(text="hello"), "not JSON", "again"),
        (lambda *_: web.Response(text=""), "not JSON", "again"),
        (lambda *_: web.Response(text="[1]"), "not JSON", "again"),
        (lambda *_: IN_200, "429", "again"),
        (lambda *_: {"error": {"code": "502", "message": "m"}}, "502", "again"),
        (lambda *_: {"error": {"code": 403, "message": "input was flagged"}}, "moderation", None),
        (lambda *_: {"error": "something broke"}, "502", "again"),
        (lambda *_: {"choices": [{"error": {"code": 503, "message": "m"}}]}, "503", "again"),
    ],
)
def test_every_refusal_is_sorted_by_what_to_do(answer, kind, retry):
    """One call each, never repeated in here."""
    found, kept = post(answer)
    assert isinstance(found, CallError)
    assert (found.kind, found.retry) == (kind, retry or "refused")
    assert len(kept) == 1
    assert "\n" not in found.reason


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_denial_says_model_place_and_next_step(status):
    """In one sentence."""
    found, _ = post(failing(status, "no such model"))
    assert " for m, " in found.reason
    assert "127.0.0.1" in found.reason
    assert "check" in found.reason or "ask for" in found.reason


def test_the_providers_own_words_are_told():
    """A gateway's message alone explains nothing."""
    assert "upstream is busy" in post(lambda *_: IN_200)[0].reason


@pytest.mark.parametrize(("said", "least", "most"), [("2.5", 2.5, 2.5), ("date", 20, 40)])
def test_retry_after_is_read_as_seconds_or_date(said, least, most):
    """Fractions too; what is neither is no wait."""
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    answer = failing(429, headers={"Retry-After": date if said == "date" else said})
    assert least <= post(answer)[0].retry_after_s <= most
    assert post(failing(429, headers={"Retry-After": "soon"}))[0].retry_after_s is None
    assert post(failing(429))[0].retry_after_s is None


def test_time_outs_and_lost_connections_may_pass():
    """No answer in time, a trickle of one, closed without one or in its middle, nobody there."""

    async def late(*_):
        await asyncio.sleep(2)

    async def trickle(request, _):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(20):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    async def close(request, _):
        request.transport.abort()
        return web.Response()

    async def half(request, _):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    for answer in (late, trickle):
        found, _ = post(answer, timeout_s=0.3)
        assert (found.kind, found.retry) == ("timeout", "again")
    for answer in (close, half):
        found, _ = post(answer)
        assert (found.kind, found.retry) == ("connection", "again")

    async def nobody():
        client = OpenAiClient(Server("http://127.0.0.1:9/v1", None, True))
        with pytest.raises(CallError) as raised:
            await client.post("/x", {})
        await client.close()
        return raised.value

    assert asyncio.run(nobody()).kind == "connection"


def test_https_to_a_server_without_it_is_a_lost_connection():
    """Nothing is sent in the clear instead."""

    async def work(server):
        client = OpenAiClient(Server(server.base_url.replace("http:", "https:"), None, True))
        try:
            return await client.post("/x", {})
        finally:
            await client.close()

    assert run(good, work)[0].kind == "connection"


def test_a_text_that_is_no_unicode_is_refused_before_it_is_sent():
    """A lone surrogate has no JSON."""
    found, kept = post(good, body={"model": "m", "messages": [{"content": "\ud800"}]})
    assert (found.retry, kept) == ("refused", [])
