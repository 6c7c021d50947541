"""generateContent from the tiny models, asked by the real client on both paths."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from kl_core.emulator.made_up import MadeUp
from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.emulator.spelling import Spelling
from kl_core.emulator.state import SAMPLE_MODELS, State
from kl_core.errors import ModelError
from kl_core.formats.pieces import Style
from kl_core.formats.tokens import TokenTable
from kl_core.models.engine import PrefixCacheEngine, Work
from kl_core.models.load import (
    ModelSpec,
    encode_prompt,
    encode_text,
    load_model,
    vocabulary_pieces,
)
from kl_core.records import Message
from tests.emulator import gemini

HASH = Settings(answers="hash")
SAID = ("", "The", "The capital of Merrow is", "It lies at the mouth of the river Lune, and")


@pytest.fixture(scope="module")
def server():
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def quick():
    with running(HASH) as found:
        yield found


@pytest.fixture(scope="module")
def loaded():
    return load_model(ModelSpec(str(SAMPLE_MODELS / gemini.MODEL), device="cpu"))


@pytest.mark.parametrize("kind", gemini.BOTH)
def test_lists_are_what_scoring_the_same_context_locally_gives(kind, server, loaded):
    """Ids, order and log-probabilities of the engine, to 1e-5, at every prefix asked."""
    found = gemini.client(kind, server.base_url)
    engine = PrefixCacheEngine(loaded, 20)
    prompt = encode_prompt(loaded, (Message("user", gemini.QUESTION),))
    for said in SAID:
        reply = gemini.ask(found, said)
        result = reply.candidates[0].logprobs_result
        listed = result.top_candidates[0].candidates
        ids = encode_text(loaded, said)
        [[scores]] = engine.score([Work(prompt, ((*ids, listed[0].token_id),))])
        np.testing.assert_allclose(
            [one.log_probability for one in listed], scores.top_logprobs[-1], atol=1e-5
        )
        assert [one.token_id for one in listed] == scores.top_ids[-1].tolist()
        assert result.chosen_candidates[0] == listed[0]
        assert reply.usage_metadata.prompt_token_count == len(prompt) + len(ids)
        assert reply.model_version == gemini.MODEL


def test_both_models_are_served_and_differ_where_one_was_tuned(server):
    """The name in the path decides who answers."""
    found = gemini.client("developer", server.base_url)
    lists = [
        found.models.generate_content(
            model=name,
            contents=gemini.contents("The capital of Merrow is"),
            config=gemini.config(),
        ).candidates[0]
        for name in ("tiny-base", "tiny-tuned")
    ]
    assert lists[0].avg_logprobs != lists[1].avg_logprobs


def test_token_strings_are_read_back_as_the_bytes_of_the_vocabulary(loaded):
    """What kl_core.formats makes of each string is what that id adds to a text."""
    spelling = Spelling.of_folder(SAMPLE_MODELS / gemini.MODEL)
    pieces, special = vocabulary_pieces(loaded)
    table = TokenTable(Style.PLAIN)
    assert len(spelling) == len(pieces)
    for number, shown in enumerate(spelling.shown):
        token, _, _ = table.look_up(shown, number)
        assert token.special == (number in special)
        assert token.data == spelling.data[number]
        if number in special:
            assert shown == pieces[number]
        else:
            assert loaded.tokenizer.decode([number]).encode().replace(
                "\ufffd".encode(), token.data
            ) == token.data  # fmt: skip


def test_a_model_that_ends_says_stop_without_parts_and_lists_the_end_token(server, loaded):
    """The list is there all the same, and the end token stands in it by its name."""
    found = gemini.client("developer", server.base_url)
    whole = gemini.ask(found, max_output_tokens=200)
    assert whole.candidates[0].finish_reason.name == "STOP"
    reply = gemini.ask(found, whole.text)
    candidate = reply.candidates[0]
    assert candidate.finish_reason.name == "STOP"
    assert candidate.content.parts is None
    assert reply.text is None
    assert candidate.logprobs_result.chosen_candidates[0].token == "<|eot|>"
    assert candidate.logprobs_result.top_candidates[0].candidates[0].token == "<|eot|>"


def test_greedy_answers_of_many_tokens_are_the_greedy_steps_one_by_one(server):
    """Each position's list is that of a one-token call with the ids so far."""
    found = gemini.client("vertex", server.base_url)
    reply = gemini.ask(found, max_output_tokens=6)
    result = reply.candidates[0].logprobs_result
    assert len(result.top_candidates) == len(result.chosen_candidates) == 6
    said = ""
    for listed, chosen in zip(result.top_candidates, result.chosen_candidates, strict=True):
        assert listed.candidates[0] == chosen
        said += chosen.token
    assert reply.text == said
    assert reply.candidates[0].finish_reason.name == "MAX_TOKENS"
    assert reply.usage_metadata.candidates_token_count == 6
    values = [one.log_probability for one in result.chosen_candidates]
    assert reply.candidates[0].avg_logprobs == pytest.approx(sum(values) / 6)


def test_sampling_follows_the_seed_and_records_untempered_log_probabilities(server):
    """The same seed gives the same answer; seeds differ; drawn tokens need not be listed."""
    found = gemini.client("developer", server.base_url)

    def drawn(seed):
        return gemini.ask(found, temperature=1.0, seed=seed, max_output_tokens=30, logprobs=1)

    assert drawn(1).text == drawn(1).text
    replies = [drawn(seed) for seed in range(8)]
    assert len({reply.text for reply in replies}) > 1
    for reply in replies:
        result = reply.candidates[0].logprobs_result
        for listed, chosen in zip(result.top_candidates, result.chosen_candidates, strict=True):
            assert chosen.log_probability <= listed.candidates[0].log_probability


def test_drawn_tokens_have_the_frequencies_of_the_list(server):
    """1,000 draws of one token: each share within four standard errors of its probability."""
    state, draws = server.state, 1000
    body = gemini.body(temperature=1.0)
    seen: dict[int, int] = {}
    for seed in range(draws):
        body["generationConfig"]["seed"] = seed
        result = state.answer(gemini.MODEL, body)["candidates"][0]["logprobsResult"]
        token = result["chosenCandidates"][0]["tokenId"]
        seen[token] = seen.get(token, 0) + 1
    for one in result["topCandidates"][0]["candidates"][:5]:
        share = np.exp(one["logProbability"])
        error = np.sqrt(share * (1 - share) / draws)
        assert abs(seen.get(one["tokenId"], 0) / draws - share) < 4 * error + 1e-9


def test_threads_and_concurrent_calls_get_the_answers_of_single_ones(server):
    """Forty calls at once, and eight threads without HTTP: nothing is mixed up."""
    found = gemini.client("developer", server.base_url)
    saids = [f"The island has {n} " for n in range(40)]
    single = [server.state.answer(gemini.MODEL, gemini.body(said)) for said in saids]

    async def together():
        calls = [
            found.aio.models.generate_content(
                model=gemini.MODEL, contents=gemini.contents(said), config=gemini.config()
            )
            for said in saids
        ]
        return await asyncio.gather(*calls)

    fresh = State()
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda said: fresh.answer(gemini.MODEL, gemini.body(said)), saids))
    assert again == single
    for reply, expected in zip(asyncio.run(together()), single, strict=True):
        assert reply.candidates[0].avg_logprobs == expected["candidates"][0]["avgLogprobs"]


def test_a_context_longer_than_the_model_is_refused(server):
    """The sentence has both lengths."""
    status, reply = gemini.send(
        server.base_url + gemini.PATHS["developer"], gemini.body("the island " * 400)
    )
    assert status == 400
    assert "exceeds the maximum number of tokens allowed (512)" in reply["error"]["message"]


BAD = {
    "no contents": ({"contents": []}, "contents is not specified"),
    "role": ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
    "empty part": ({"contents": [{"role": "user", "parts": [{"text": ""}]}]}, "text parameter"),
    "no parts": ({"contents": [{"role": "user", "parts": []}]}, "parts field"),
    "unknown": ({**gemini.body(), "generation": {}}, 'Unknown name "generation"'),
    "too many": (gemini.body(logprobs=21), "logprobs value of 21"),
    "none": (gemini.body(logprobs=0), "logprobs value of 0"),
    "not asked": (gemini.body(responseLogprobs=False), "responseLogprobs is not"),
    "no room": (gemini.body(maxOutputTokens=0), "maxOutputTokens value of 0"),
    "hot": (gemini.body(temperature=2.5), "temperature value of 2.5"),
    "text": (gemini.body(temperature="1"), "Invalid value"),
    "top k": (gemini.body(topK=5), "does not offer topK"),
    "list": ([], "Expected an object"),
}


@pytest.mark.parametrize("kind", gemini.BOTH)
@pytest.mark.parametrize("name", BAD)
def test_bodies_that_the_service_refuses_are_refused_with_a_reason(name, kind, quick):
    """400 INVALID_ARGUMENT in Google's error shape, naming what is wrong."""
    sent, reason = BAD[name]
    status, reply = gemini.send(quick.base_url + gemini.PATHS[kind], sent)
    assert status == reply["error"]["code"] == 400
    assert reply["error"]["status"] == "INVALID_ARGUMENT"
    assert reason in reply["error"]["message"]


def test_both_spellings_of_keys_are_read(quick):
    """thinkingConfig with thinking_budget, as the client writes it, and all of snake_case."""
    camel = gemini.body(thinkingConfig={"thinkingBudget": 0})
    mixed = gemini.body(thinkingConfig={"thinking_budget": 0})
    snake = {
        "contents": camel["contents"],
        "generation_config": {
            "temperature": 0.0,
            "max_output_tokens": 1,
            "response_logprobs": True,
            "logprobs": 20,
            "thinking_config": {"thinking_budget": 0},
        },
    }
    url = quick.base_url + gemini.PATHS["developer"]
    replies = [gemini.send(url, sent)[1] for sent in (camel, mixed, snake)]
    assert replies[0] == replies[1] == replies[2]


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [("developer", 403, "PERMISSION_DENIED"), ("vertex", 401, "UNAUTHENTICATED")],
)
def test_calls_without_credentials_are_refused(kind, status, name, quick):
    """A key for the Developer API, a bearer token for Vertex; any value will do."""
    got, reply = gemini.send(quick.base_url + gemini.PATHS[kind], gemini.body(), headers={})
    assert got == status
    assert reply["error"]["status"] == name


def test_an_unknown_model_is_not_found(quick):
    """404 NOT_FOUND with the names that are served."""
    status, reply = gemini.send(
        quick.base_url + "/v1/models/gemini-9:generateContent", gemini.body()
    )
    assert status == 404
    assert "tiny-base, tiny-tuned" in reply["error"]["message"]


def test_system_instructions_and_labels_are_taken(server):
    """A system turn changes the answer, a label does not."""
    plain = server.state.answer(gemini.MODEL, gemini.body())
    labelled = {**gemini.body(), "labels": {"key": "k-1"}}
    assert server.state.answer(gemini.MODEL, labelled) == plain
    told = {**gemini.body(), "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    assert server.state.answer(gemini.MODEL, told) != plain


def test_made_up_lists_are_fixed_falling_and_nearly_normalised():
    """The same context gives the same list, another one another; mass in (0.89, 1)."""
    source = MadeUp.of_folder(SAMPLE_MODELS / gemini.MODEL)
    seen = set()
    for n in range(300):
        start = source.start((Message("user", f"q{n}"),), "so far")
        first, again = source.following(start), source.following(start)
        assert first == again
        assert len(set(first.ids)) == 20
        assert list(first.logprobs) == sorted(first.logprobs, reverse=True)
        assert 0.89 < np.exp(first.logprobs).sum() < 1
        seen.add(tuple(first.ids) + tuple(first.logprobs))
    assert len(seen) == 300


def test_a_folder_without_models_is_refused(tmp_path):
    """One sentence with the folder and what belongs there."""
    with pytest.raises(ModelError, match="holds no model"):
        State(models_dir=tmp_path)
