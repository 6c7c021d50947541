"""Google's client against local servers: what is sent, what is read, and every failure sorted."""

import asyncio
import email.utils
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from aiohttp import web
from google.auth.exceptions import RefreshError, TransportError
from google.genai import _api_client

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.errors import InputError
from kl_core.records import Message
from kl_core.sources import gemini_client
from kl_core.sources.call_errors import call_error, retry_info
from kl_core.sources.calls import CallError, Context
from kl_core.sources.endpoint import Endpoint
from kl_core.sources.gemini_client import GeminiClient
from kl_core.sources.gemini_wire import WireSettings
from kl_core.sources.journal import Journal
from kl_core.sources.pool import Pool, PoolSettings
from kl_core.sources.redaction import redacted
from kl_core.sources.waiting import retry_after

KEY = "AIzaSyTheRealKeyThatMustNotBeSeen"
WIRE = WireSettings("gemini-9-flash")
PROMPT = (Message("system", "Be brief."), Message("user", "Héllo?"))
GOOD = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "x"}]},
            "finishReason": "MAX_TOKENS",
            "logprobsResult": {
                "topCandidates": [
                    {"candidates": [{"token": "x", "tokenId": 7, "logProbability": -0.125}]}
                ],
                "chosenCandidates": [{"token": "x", "tokenId": 7, "logProbability": -0.125}],
            },
        }
    ],
    "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 1},
    "modelVersion": "gemini-9-flash-001",
}


def at(url, vertex=True):
    return Endpoint(vertex, url, "p" if vertex else None, "us-central1" if vertex else None, True)


def context(number=0, said="Well, ünd so"):
    return Context(number.to_bytes(16, "big"), PROMPT, said.encode(), len(said.encode()))


@asynccontextmanager
async def serving(answer):
    """A server that answers by `answer(request)` and keeps what it was sent."""
    kept = []

    async def handle(request):
        kept.append((request.path, dict(request.headers), await request.read()))
        found = answer(request)
        return await found if asyncio.iscoroutine(found) else found

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", kept
    finally:
        await runner.cleanup()


def ask(answer, vertex=True, timeout_s=5.0, wire=WIRE):
    """One call: the answer or the error, and what the server was sent."""

    async def main():
        async with serving(answer) as (url, kept):
            client = GeminiClient(at(url, vertex), wire, timeout_s, 2)
            try:
                return await client(context()), kept
            except CallError as error:
                return error, kept
            finally:
                await client.close()

    return asyncio.run(main())


def good(_request):
    return web.json_response(GOOD)


def _other_requests(monkeypatch):
    """Requests are no dataclasses any more."""
    build = _api_client.BaseApiClient._build_request

    def built(*arguments):
        return SimpleNamespace(**vars(build(*arguments)))

    monkeypatch.setattr(_api_client.BaseApiClient, "_build_request", built)


def _other_arguments(monkeypatch):
    """Sending takes one more argument, which the library's own callers give."""
    send = _api_client.BaseApiClient._async_request_once

    async def sent(self, request, stream):
        return await send(self, request, stream)

    monkeypatch.setattr(_api_client.BaseApiClient, "_async_request_once", sent)


@pytest.mark.parametrize("vertex", [False, True])
def test_the_short_way_sends_what_the_public_way_sends(vertex, monkeypatch):
    """Same path, same headers, same body; same answer."""
    answer, ((path, headers, body),) = ask(good, vertex)
    monkeypatch.setattr(gemini_client, "_form", lambda *_: None)
    public, ((public_path, public_headers, public_body),) = ask(good, vertex)
    assert path == public_path
    for each in (headers, public_headers):
        each.pop("Host")
        each.pop("Content-Length")
    assert headers == public_headers
    ours, theirs = json.loads(body), json.loads(public_body)
    ours["generationConfig"]["thinkingConfig"] = theirs["generationConfig"]["thinkingConfig"]
    theirs["systemInstruction"].pop("role", None)
    assert ours == theirs
    assert answer == public
    assert answer.top[0].logprob == -0.125


@pytest.mark.parametrize("change", [_other_requests, _other_arguments])
def test_a_client_that_has_changed_inside_is_used_by_its_public_way(change, monkeypatch):
    """Slower, and right."""
    change(monkeypatch)

    async def main():
        async with serving(good) as (url, _):
            client = GeminiClient(at(url), WIRE, 5.0, 2)
            assert not client.short
            answer = await client(context())
            await client.close()
            return answer

    assert asyncio.run(main()).top[0].token == "x"


@pytest.mark.parametrize("vertex", [False, True])
def test_a_real_key_is_never_sent_to_this_machine(vertex, monkeypatch):
    """Placeholders go there, whatever the environment holds."""
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    _, ((path, headers, body),) = ask(good, vertex)
    assert KEY not in path + str(headers) + body.decode()


def test_a_redirect_is_not_followed(monkeypatch):
    """The key would go along."""
    found, kept = ask(lambda _: web.Response(status=307, headers={"Location": "/elsewhere"}))
    assert len(kept) == 1
    assert found.retry == "denied"


def test_a_key_shows_in_no_error_and_no_repr(monkeypatch):
    """Google's own messages quote it at times."""
    monkeypatch.setenv("GEMINI_API_KEY", "secret-of-an-odd-shape")
    text = f"Consumer 'api_key:{KEY}' suspended secret-of-an-odd-shape ?key=abc&x Bearer ya29.a0b"
    reply = {"error": {"code": 403, "message": text, "status": "PERMISSION_DENIED"}}
    found, _ = ask(lambda _: web.json_response(reply, status=403), vertex=False)
    assert found.retry == "denied"
    for secret in (KEY, "secret-of", "key=abc", "ya29"):
        assert secret not in str(found)
        assert secret not in redacted(text)


def failing(code, message="m", **more):
    error = {"code": code, "message": message, "status": "X"} | more
    return lambda _: web.json_response({"error": error}, status=code)


@pytest.mark.parametrize(
    ("answer", "kind", "retry"),
    [
        (failing(429), "429", "again"),
        (failing(500), "500", "again"),
        (failing(503), "503", "again"),
        (lambda _: web.Response(status=502, text="<html>"), "502", "again"),
        (
            lambda _: web.Response(status=500, text="{", content_type="application/json"),
            "not JSON",
            "again",
        ),
        (failing(400, "odd request"), "400", "refused"),
        (failing(413), "413", "refused"),
        (failing(400, "Logprobs is not supported for this model"), "logprobs unsupported", "stop"),
        (
            failing(400, "Requests ending with a model turn are not supported"),
            "prefill unsupported",
            "stop",
        ),
        (failing(400, "API key not valid. Please pass a valid API key."), "400", "denied"),
        (failing(400, "Not in your place", status="FAILED_PRECONDITION"), "400", "denied"),
        (failing(401), "401", "denied"),
        (failing(403), "403", "denied"),
        (failing(404), "404", "denied"),
        (lambda _: web.Response(text="hello"), "not JSON", "again"),
        (lambda _: web.Response(text=""), "not JSON", "again"),
        (lambda _: web.Response(text="[1]"), "not JSON", "again"),
        (lambda _: web.json_response({"candidates": []}), "empty", "odd"),
        (lambda _: web.json_response(GOOD | {"modelVersion": "other"}), "other model", "stop"),
    ],
)
def test_every_refusal_is_sorted_by_what_to_do(answer, kind, retry):
    """One call each, never repeated in here; both ways of asking agree."""
    found, kept = ask(answer)
    assert (found.kind, found.retry) == (kind, retry)
    assert len(kept) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_denial_says_model_place_and_next_step(status):
    """In one sentence."""
    found, _ = ask(failing(status))
    assert "gemini-9-flash" in found.reason
    assert "Vertex AI (project p, us-central1)" in found.reason
    assert "check" in found.reason or "ask for" in found.reason


def test_time_outs_and_lost_connections_may_pass():
    """No answer in time, closed without one, in the middle of one, nobody there."""

    async def late(_request):
        await asyncio.sleep(2)

    async def close(request):
        request.transport.abort()
        return web.Response()

    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    began = time.monotonic()
    assert ask(late, timeout_s=0.1)[0].kind == "timeout"
    assert time.monotonic() - began < 1.5
    assert ask(close)[0].kind == "connection"
    assert ask(half)[0].kind == "connection"

    async def nobody():
        client = GeminiClient(at("http://127.0.0.1:9"), WIRE, 5.0, 1)
        with pytest.raises(CallError) as error:
            await client(context())
        await client.close()
        return error.value

    found = asyncio.run(nobody())
    assert (found.kind, found.retry) == ("connection", "again")


def test_a_login_that_cannot_be_renewed_denies_and_a_passing_trouble_does_not():
    """Expired application-default credentials; a token server out of reach."""
    found = call_error(RefreshError("expired"), "m", at(None))
    assert found.retry == "denied"
    assert "gcloud auth application-default login" in found.reason
    assert call_error(RefreshError("x", retryable=True), "m", at(None)).retry == "again"
    assert call_error(TransportError("x"), "m", at(None)).retry == "again"
    assert call_error(KeyError("a bug"), "m", at(None)) is None


def test_retry_after_is_read_in_all_its_forms():
    """Seconds, fractions, a date; else RetryInfo; nonsense is none."""
    info = {"error": {"details": [{"@type": "x"}, {"retryDelay": "3.5s"}]}}
    assert retry_after({"Retry-After": "2"}) == 2.0
    assert retry_after({"Retry-After": "0.25"}) == 0.25
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 27.0 <= retry_after({"Retry-After": date}) <= 31.0
    assert retry_after({"Retry-After": "Fri, 01 Jan 2021 00:00:00 GMT"}) == 0.0
    assert retry_info(info) == 3.5
    for nonsense in ("soon", "nan", "inf", ""):
        assert retry_after({"Retry-After": nonsense}) is None
    assert retry_after(None) is None
    assert retry_info({"error": "?"}) is None
    found, _ = ask(failing(429, details=[{"retryDelay": "1.5s"}]))
    assert found.retry_after_s == 1.5


def test_a_name_that_would_change_the_address_is_refused():
    """A model's name stands in the path."""
    for name in ("../x", "a b", "", "a?key=1", "m/../../x"):
        with pytest.raises(InputError, match="model name"):
            GeminiClient(at("http://127.0.0.1:9"), WireSettings(name))


def test_a_prompt_that_cannot_be_sent_is_refused_without_a_call():
    """A role the API does not know."""

    async def main():
        client = GeminiClient(at("http://127.0.0.1:9"), WIRE)
        odd = Context(b"0" * 16, (Message("robot", "hi"),), b"", 0)
        with pytest.raises(CallError) as error:
            await client(odd)
        await client.close()
        return error.value

    found = asyncio.run(main())
    assert (found.kind, found.retry) == ("bad prompt", "refused")


@dataclass(frozen=True)
class Part:
    contexts: list


def through_the_server(settings, folder, count=150):
    """Pool, client and journal against the local server: top lists by key, and the counts."""

    asked = [context(number, "word " * (number % 40) + str(number)) for number in range(count)]

    async def main(url):
        journal = Journal.open(folder)
        client = GeminiClient(at(url), WireSettings("tiny-tuned"), 0.5, 20)
        quick = PoolSettings(20, base_s=0.01, tick_s=0.05)
        pool = Pool(client, journal, quick, None, lambda _: None)
        failures = []
        await pool.run(iter([Part(asked)]), lambda _, failed: failures.append(dict(failed)))
        found = {each.key: journal.get(each.key) for each in asked}
        await client.close()
        journal.close()
        return found, pool.stats, failures

    with running(settings) as server:
        return asyncio.run(main(server.base_url)), server.stats()


def test_faults_of_every_kind_change_nothing_in_the_result(tmp_path):
    """A fifth of all calls fails in ten ways: the lists equal the fault-free ones bit by bit."""
    (clean, _, _), _ = through_the_server(Settings(answers="hash"), tmp_path / "a.db")
    faulty = Settings(answers="hash", fault_rate=0.2, hang_s=2.0, retry_after_s=0.05)
    (found, stats, failures), _ = through_the_server(faulty, tmp_path / "b.db")
    assert failures == [{}]
    assert {k: (a.top, a.chosen) for k, a in found.items()} == {
        k: (a.top, a.chosen) for k, a in clean.items()
    }
    assert stats.made == 150
    assert len(stats.errors) >= 7
    assert sum(stats.errors.values()) == stats.retried
