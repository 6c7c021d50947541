"""Providers behind OpenRouter: who is chosen, and in which odd way each answers."""

from __future__ import annotations

from dataclasses import replace

import openai
import pytest

from kl_core.emulator.change import changed
from kl_core.emulator.server import running
from kl_core.emulator.settings import Provider, Settings
from kl_core.errors import InputError
from tests.emulator import openai_shaped as shaped

HASH = Settings(answers="hash")
QUIET, LOUD = Provider("Quiethost", ("no-logprobs",)), Provider("Lanternhost")


@pytest.fixture(scope="module")
def shared():
    with running(HASH) as found:
        yield found


@pytest.fixture
def server(shared):
    shared.settings = HASH
    shared.reset()
    return shared


def served_by(server, *quirks, **changes):
    server.settings = replace(HASH, providers=(Provider("Oddhost", quirks),))
    return shaped.chat(server.base_url, **changes)


def routed(server, **wanted):
    return shaped.chat(server.base_url, extra={"provider": wanted})


def test_logprobs_are_dropped_silently_unless_they_are_required(server):
    """200 without them from the one provider; with require_parameters only the other answers."""
    server.settings = replace(HASH, providers=(QUIET, LOUD))
    found = [shaped.chat(server.base_url) for _ in range(20)]
    assert {reply.provider for reply in found} == {"Quiethost", "Lanternhost"}
    for reply in found:
        assert (reply.choices[0].logprobs is None) == (reply.provider == "Quiethost")
        assert reply.choices[0].message.content
    found = [routed(server, require_parameters=True) for _ in range(20)]
    assert {reply.provider for reply in found} == {"Lanternhost"}


def test_a_pinned_provider_answers_or_nobody_does(server):
    """`only`, `ignore` and `order` by name in any case; OpenRouter's 404 where nobody is left."""
    server.settings = replace(HASH, providers=(QUIET, LOUD))
    assert routed(server, only=["quiethost"], allow_fallbacks=False).provider == "Quiethost"
    assert routed(server, ignore=["Quiethost"]).provider == "Lanternhost"
    assert routed(server, order=["nobody", "Lanternhost"]).provider == "Lanternhost"
    with pytest.raises(openai.NotFoundError, match="No endpoints found that can handle the req"):
        routed(server, only=["Quiethost"], require_parameters=True)
    with pytest.raises(openai.NotFoundError, match="No allowed providers are available"):
        routed(server, only=["elsewhere"])
    with pytest.raises(openai.NotFoundError, match="No allowed providers are available"):
        routed(server, order=["elsewhere"], allow_fallbacks=False)
    with pytest.raises(openai.BadRequestError, match=r"provider.only must be a list"):
        routed(server, only="Quiethost")


def test_the_same_calls_meet_the_same_providers_again(server):
    """The attempt and the call decide, not chance."""
    server.settings = replace(HASH, providers=(QUIET, LOUD))
    first = [shaped.chat(server.base_url).provider for _ in range(8)]
    server.reset()
    assert [shaped.chat(server.base_url).provider for _ in range(8)] == first


def test_a_server_that_is_no_openrouter_names_no_provider(server):
    """No provider and no native_finish_reason in the reply, and routing is not read."""
    server.settings = replace(HASH, providers=())
    reply = routed(server, only=["elsewhere"]).model_dump()
    assert "provider" not in reply
    assert "native_finish_reason" not in reply["choices"][0]


def test_vocabulary_pieces_come_with_the_bytes_of_the_piece(server):
    """`Ġthe` and not ` the`, as in real files."""
    spelling = server.state.source(shaped.MODEL).spelling
    reply = served_by(server, "pieces", top_logprobs=20, max_tokens=20)
    listed = [one for each in reply.choices[0].logprobs.content for one in each.top_logprobs]
    assert {one.token for one in listed} <= set(spelling.pieces)
    assert any(one.token.startswith("Ġ") for one in listed)
    assert all(bytes(one.bytes).decode() == one.token for one in listed)


def test_parts_of_characters_may_lose_their_bytes(server):
    """As vLLM's U+FFFD, or by a provider that gives no bytes at all."""
    reply = served_by(server, "replaced", top_logprobs=20, max_tokens=20)
    listed = [one for each in reply.choices[0].logprobs.content for one in each.top_logprobs]
    broken = [one for one in listed if "\ufffd" in one.token]
    assert broken
    assert all(bytes(one.bytes).decode() == one.token for one in broken)
    reply = served_by(server, "no-bytes")
    assert all(each.bytes is None for each in reply.choices[0].logprobs.content)


def test_lists_may_be_short_floored_or_without_the_chosen_token(server):
    """Fewer entries, -9999.0 for the unknown, and the chosen token in no list."""
    plain = shaped.chat(server.base_url, top_logprobs=8).choices[0].logprobs.content[0]
    assert plain.token == plain.top_logprobs[0].token
    fewer = served_by(server, "fewer", top_logprobs=8).choices[0].logprobs.content[0]
    assert fewer.top_logprobs == plain.top_logprobs[:4]
    floor = served_by(server, "floor", top_logprobs=8).choices[0].logprobs.content[0]
    assert [one.logprob for one in floor.top_logprobs[4:]] == [-9999.0] * 4
    assert floor.top_logprobs[:4] == plain.top_logprobs[:4]
    missing = served_by(server, "chosen-missing", top_logprobs=8).choices[0].logprobs.content[0]
    assert missing.top_logprobs == plain.top_logprobs[1:]


def test_a_model_that_thinks_gives_no_logprobs_until_told_not_to(server):
    """The thought stands in `reasoning`, costs tokens, and may leave nothing for the answer."""
    reply = served_by(server, "reasoning", max_tokens=20)
    choice = reply.choices[0]
    assert choice.logprobs is None
    assert choice.message.reasoning
    assert choice.message.content
    assert reply.usage.completion_tokens_details.reasoning_tokens > 0
    assert reply.usage.completion_tokens <= 20
    short = served_by(server, "reasoning", max_tokens=4).choices[0]
    assert (short.message.content, short.finish_reason) == ("", "length")
    hidden = served_by(server, "reasoning", extra={"reasoning": {"exclude": True}}).choices[0]
    assert not hasattr(hidden.message, "reasoning")
    off = served_by(server, "reasoning", extra={"reasoning": {"enabled": False}}).choices[0]
    assert len(off.logprobs.content) == 4
    with pytest.raises(openai.NotFoundError, match="No endpoints found"):
        served_by(server, "reasoning", extra={"provider": {"require_parameters": True}})


def test_an_error_may_stand_inside_a_reply_of_status_200(server):
    """The client raises nothing: no choices, and OpenRouter's error object."""
    reply = served_by(server, "error-in-200")
    assert reply.choices is None
    assert reply.error["code"] == 502
    assert reply.error["metadata"]["provider_name"] == "Oddhost"
    assert server.stats()["outcomes"] == {"error-in-200": 1}


def test_a_provider_may_ignore_n(server):
    """One choice, unless the parameters are required."""
    assert len(served_by(server, n=3).choices) == 3
    assert len(served_by(server, "one-choice", n=3).choices) == 1
    with pytest.raises(openai.NotFoundError):
        served_by(server, "one-choice", n=3, extra={"provider": {"require_parameters": True}})


def test_providers_change_while_it_runs(server):
    """By the settings' route; an unknown quirk is refused with the known ones."""
    change = {"providers": [{"name": "Newhost", "quirks": ["no-bytes"]}]}
    url = server.base_url + "/emulator/settings"
    status, found = shaped.gemini.send(url, change, {}, "PUT")
    assert status == 200
    assert found["providers"] == change["providers"]
    assert shaped.chat(server.base_url).provider == "Newhost"
    with pytest.raises(InputError, match=r"quirk of X 'odd' is not known; use one of no-logprobs"):
        changed(HASH, {"providers": [{"name": "X", "quirks": ["odd"]}]})
    with pytest.raises(InputError, match="scoring 'llama' is not known"):
        changed(HASH, {"scoring": ["llama"]})
