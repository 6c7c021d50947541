"""Faults as the real client meets them, and who meets which."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest
from google.genai import errors

from kl_core.emulator.faults import Capacity, fault_of
from kl_core.emulator.server import running
from kl_core.emulator.settings import FAULTS, Settings
from kl_core.sources.calls import CallError
from kl_core.sources.gemini_wire import WireSettings, read_reply
from tests.emulator import gemini

HASH = Settings(answers="hash")
WIRE = WireSettings(gemini.MODEL)


@pytest.fixture
def server():
    with running(HASH) as found:
        yield found


def always(fault: str, **changes) -> Settings:
    return replace(HASH, fault_rate=1.0, faults=(fault,), **changes)


async def ask_later(found, said=""):
    return await found.aio.models.generate_content(
        model=gemini.MODEL, contents=gemini.contents(said), config=gemini.config()
    )


REFUSALS = [
    ("429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
    ("429-after", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
    ("500", errors.ServerError, 500, "INTERNAL"),
    ("503", errors.ServerError, 503, "UNAVAILABLE"),
    ("hang", errors.ServerError, 504, "DEADLINE_EXCEEDED"),
]


@pytest.mark.parametrize("kind", gemini.BOTH)
@pytest.mark.parametrize(("fault", "error_class", "code", "status"), REFUSALS)
def test_refusals_raise_the_clients_own_errors(server, kind, fault, error_class, code, status):
    """Class, code and status; Retry-After and RetryInfo with `429-after` alone."""
    server.settings = always(fault, hang_s=0.05, retry_after_s=0.7)
    with pytest.raises(error_class) as caught:
        asyncio.run(ask_later(gemini.client(kind, server.base_url)))
    error = caught.value
    assert (error.code, error.status) == (code, status)
    told = error.response.headers.get("Retry-After")
    details = error.details["error"].get("details", [])
    if fault == "429-after":
        assert float(told) == 0.7
        assert details == [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.7s"}
        ]
    else:
        assert told is None
        assert details == []
    assert server.stats()["outcomes"] == {fault: 1}


@pytest.mark.parametrize("kind", gemini.BOTH)
def test_a_dropped_connection_breaks_off_inside_the_reply(server, kind):
    """Both transports of the client see a body that is too short, not an HTTP error."""
    server.settings = always("drop")
    found = gemini.client(kind, server.base_url)
    with pytest.raises(aiohttp.ClientPayloadError):
        asyncio.run(ask_later(found))
    with pytest.raises(Exception, match="without sending complete message body") as caught:
        gemini.ask(found)
    assert not isinstance(caught.value, errors.APIError)


def test_a_hanging_call_runs_into_the_clients_time_limit(server):
    """Nothing comes before hang_s, and the server forgets a caller who left."""
    server.settings = always("hang", hang_s=60.0)
    started = time.monotonic()
    with pytest.raises((TimeoutError, aiohttp.ClientError)):
        asyncio.run(ask_later(gemini.client("developer", server.base_url, timeout_ms=300)))
    assert time.monotonic() - started < 5
    deadline = time.monotonic() + 5
    while server.stats()["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.stats()["outcomes"] == {"client gone": 1}


@pytest.mark.parametrize("kind", gemini.BOTH)
def test_odd_replies_are_replies_that_miss_something(server, kind):
    """empty, blocked, no-logprobs and other-model parse, and the reader knows each."""
    found = gemini.client(kind, server.base_url)
    server.settings = always("empty")
    candidate = gemini.ask(found).candidates[0]
    assert candidate.content.parts is None
    assert candidate.logprobs_result is None
    server.settings = always("blocked")
    reply = gemini.ask(found)
    assert reply.candidates is None
    assert reply.prompt_feedback.block_reason.name == "PROHIBITED_CONTENT"
    server.settings = always("no-logprobs")
    reply = gemini.ask(found)
    assert reply.text
    assert reply.candidates[0].logprobs_result is None
    assert reply.candidates[0].avg_logprobs is None
    server.settings = always("other-model")
    reply = gemini.ask(found)
    assert reply.model_version != gemini.MODEL
    assert reply.candidates[0].logprobs_result.top_candidates


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("empty", "empty"),
        ("blocked", "blocked"),
        ("no-logprobs", "no logprobs"),
        ("other-model", "other model"),
    ],
)
def test_the_reader_of_replies_gives_each_odd_one_its_name(server, fault, kind):
    """Each fault is what kl_core.sources counts it as."""
    server.settings = always(fault)
    _, reply = gemini.send(server.base_url + gemini.PATHS["developer"], gemini.body())
    with pytest.raises(CallError) as caught:
        read_reply(reply, WIRE)
    assert caught.value.kind == kind
    assert caught.value.input_tokens > 0


@pytest.mark.parametrize("kind", gemini.BOTH)
def test_models_without_logprobs_or_prefill_say_so(server, kind):
    """400 with the sentences of the service, and only for calls that need it."""
    found = gemini.client(kind, server.base_url)
    server.settings = replace(HASH, logprobs=False)
    with pytest.raises(errors.ClientError, match="Logprobs is not supported for this model"):
        gemini.ask(found)
    assert gemini.ask(found, response_logprobs=False, logprobs=None).text
    server.settings = replace(HASH, prefill=False)
    with pytest.raises(errors.ClientError, match="ending with a model turn are not supported"):
        gemini.ask(found, "The")
    assert gemini.ask(found).candidates
    server.settings = replace(HASH, model_version="tiny-tuned-002")
    assert gemini.ask(found).model_version == "tiny-tuned-002"


def test_the_same_run_meets_the_same_faults_in_any_order(server):
    """Each context and attempt has its fault; a retry is drawn anew."""
    server.settings = replace(HASH, fault_rate=0.5, faults=("500", "503", "blocked"), seed=3)
    found = gemini.client("developer", server.base_url)
    saids = [f"word {n}" for n in range(12)]

    async def run(order):
        met = {}
        for said in order:
            for attempt in range(3):
                try:
                    reply = await ask_later(found, said)
                    met[said, attempt] = "ok" if reply.candidates else "blocked"
                except errors.ServerError as error:
                    met[said, attempt] = error.code
        return met

    first = asyncio.run(run(saids))
    server.reset()
    assert asyncio.run(run(saids[::-1])) == first
    assert len(set(first.values())) == 4
    assert any(first[said, 0] != first[said, 1] for said in saids)
    server.settings = replace(server.settings, seed=4)
    server.reset()
    assert asyncio.run(run(saids)) != first


def test_faults_come_as_often_as_asked_and_evenly():
    """Over 20,000 draws: the rate within four standard errors, each kind within five."""
    settings = Settings(fault_rate=0.2)
    draws = 20_000
    met = Counter(fault_of(settings, n.to_bytes(16, "big"), n % 3) for n in range(draws))
    failed = draws - met.pop(None)
    assert abs(failed / draws - 0.2) < 4 * (0.2 * 0.8 / draws) ** 0.5
    assert set(met) == set(FAULTS)
    for times in met.values():
        share = 0.2 / len(FAULTS)
        assert abs(times / draws - share) < 5 * (share * (1 - share) / draws) ** 0.5


def test_capacity_lets_through_its_rate_and_no_more():
    """100 calls a second offered for ten seconds to a capacity of 40: 400 and one burst."""
    bucket = Capacity()
    passed = sum(bucket.takes(40.0, n / 100) for n in range(1000))
    assert 400 <= passed <= 410
    assert all(bucket.takes(None, 10.0) for _ in range(100))


@pytest.mark.parametrize("told", [True, False])
def test_above_capacity_429_is_answered_with_or_without_retry_after(server, told):
    """The header and RetryInfo as asked; such calls are no attempts and no successes."""
    server.settings = replace(HASH, capacity_per_s=0.5, retry_after=told, retry_after_s=1.5)
    found = gemini.client("developer", server.base_url)
    assert gemini.ask(found).candidates
    with pytest.raises(errors.ClientError) as caught:
        asyncio.run(ask_later(found))
    assert caught.value.response.headers.get("Retry-After") == ("1.5" if told else None)
    report = server.stats()
    assert report["outcomes"] == {"429 capacity": 1, "ok": 1}
    assert report["contexts_succeeded"] == 1


def test_latency_is_the_least_time_of_any_answer(server):
    """Good or refused; calls in flight at once do not wait for each other."""
    server.settings = replace(HASH, latency_ms=150.0)
    found = gemini.client("developer", server.base_url)

    async def together():
        return await asyncio.gather(*[ask_later(found, f"w{n}") for n in range(10)])

    started = time.monotonic()
    asyncio.run(together())
    assert 0.15 <= time.monotonic() - started < 1.5
    assert server.stats()["peak_in_flight"] > 1
    server.settings = always("503", latency_ms=150.0)
    started = time.monotonic()
    with pytest.raises(errors.ServerError):
        gemini.ask(found)
    assert time.monotonic() - started >= 0.15


def test_repeated_successes_are_counted_by_context(server):
    """Two contexts, one of them asked twice."""
    found = gemini.client("vertex", server.base_url)
    for said in ("one", "two", "one"):
        gemini.ask(found, said)
    report = server.stats()
    assert (report["contexts"], report["contexts_succeeded"]) == (2, 2)
    assert report["contexts_repeated"] == 1
    assert report["output_tokens"] == 3
    assert report["input_tokens"] > 3


def test_settings_change_while_the_server_runs(server):
    """PUT changes what it names; unknown names and bad values change nothing."""
    url = server.base_url + "/emulator/settings"
    status, now = gemini.send(url, {"fault_rate": 1.0, "faults": ["500"]}, method="PUT")
    assert status == 200
    assert now["answers"] == "hash"
    with pytest.raises(errors.ServerError):
        gemini.ask(gemini.client("developer", server.base_url))
    for bad in ({"fault": 1}, {"fault_rate": 2}, {"faults": ["x"]}, {"answers": "magic"}, []):
        status, reply = gemini.send(url, bad, method="PUT")
        assert status == 400
        assert reply["error"]["message"]
    assert gemini.send(url, None, method="GET")[1] == now
    stats = server.base_url + "/emulator/stats"
    assert gemini.send(stats, None, method="GET")[1]["outcomes"] == {"500": 1}
    gemini.send(server.base_url + "/emulator/reset", {})
    assert gemini.send(stats, None, method="GET")[1]["calls"] == 0


def test_a_server_stops_at_once_with_calls_hanging():
    """The caller's connection ends; the block does not wait for hang_s."""
    with running(always("hang", hang_s=60.0)) as server:
        found = gemini.client("developer", server.base_url)

        threading.Thread(target=lambda: _quietly(found), daemon=True).start()
        while not server.stats()["in_flight"]:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def _quietly(found):
    try:
        gemini.ask(found)
    except Exception:
        return
