"""Whole prompts scored by vLLM's, SGLang's and echo's calls, against the local engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import openai
import pytest

from kl_core.emulator.made_up import MadeUp
from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import SAMPLE_MODELS
from kl_core.models.engine import PrefixCacheEngine
from kl_core.models.load import ModelSpec, encode_prompt, encode_text, load_model
from kl_core.models.work import Work
from kl_core.records import Message
from tests.emulator import openai_shaped as shaped

TEXT = "<|bos|><|user|>What is a haiku?<|eot|><|assistant|>A short poem, été 海."
TOP = 5


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


@pytest.fixture(scope="module")
def prompt_ids(loaded):
    return encode_prompt(loaded, (Message("user", "What is a haiku?"),))


@pytest.fixture(scope="module")
def response_ids(loaded):
    return encode_text(loaded, "A haiku is a poem of three short lines. 海")


@pytest.fixture(scope="module")
def truth(loaded, prompt_ids, response_ids):
    """What `score` computes for the response."""
    engine = PrefixCacheEngine(loaded, TOP)
    return engine.score([Work(prompt_ids, (response_ids,))])[0][0]


def near(values, expected):
    """To float32 of logits around 30: rounding depends on the length of the batch."""
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=5e-5)


def test_vllms_prompt_logprobs_equal_the_engine(server, truth, prompt_ids, response_ids):
    """Null first, then each token with its rank and the k likeliest; one call."""
    ids = [*prompt_ids, *response_ids]
    reply = shaped.complete(server.base_url, ids, {"prompt_logprobs": TOP})
    found = reply.choices[0].prompt_logprobs
    assert len(found) == len(ids)
    assert found[0] is None
    rows = found[len(prompt_ids) :]
    own = [row[str(number)] for row, number in zip(rows, response_ids, strict=True)]
    near([each["logprob"] for each in own], truth.chosen)
    assert [each["rank"] for each in own] == truth.rank.tolist()
    for row, number, values in zip(rows, response_ids, truth.top_logprobs, strict=True):
        assert next(iter(row)) == str(number), "the token itself stands first"
        listed = sorted(row.values(), key=lambda each: each["rank"])[:TOP]
        near([each["logprob"] for each in listed], values)
    assert server.stats()["routes"] == {"/v1/completions": 1}


def test_echo_gives_the_same_values_in_parallel_lists(server, truth, prompt_ids, response_ids):
    """Token, value, candidates by their strings, offset into the text of the tokens."""
    ids = [*prompt_ids, *response_ids]
    reply = shaped.complete(server.base_url, ids, echo=True, logprobs=TOP, max_tokens=0)
    lists = reply.choices[0].logprobs
    sizes = {len(each) for each in (lists.tokens, lists.token_logprobs, lists.top_logprobs)}
    assert sizes == {len(ids)} == {len(lists.text_offset)}
    assert lists.token_logprobs[0] is None
    assert lists.top_logprobs[0] is None
    near(lists.token_logprobs[len(prompt_ids) :], truth.chosen)
    row, at = lists.top_logprobs[len(prompt_ids)], lists.tokens[len(prompt_ids)]
    assert row[at] == lists.token_logprobs[len(prompt_ids)]
    near(sorted(row.values(), reverse=True)[:TOP], truth.top_logprobs[0])
    offsets = np.cumsum([0, *map(len, lists.tokens)])[:-1]
    assert lists.text_offset == offsets.tolist()


def test_sglangs_input_logprobs_begin_after_the_place_asked_for(
    server, truth, prompt_ids, response_ids
):
    """The first token of the window is null: a response is asked for one token earlier."""
    status, reply = shaped.generate(
        server.base_url, TOP, len(prompt_ids) - 1, input_ids=[*prompt_ids, *response_ids]
    )
    assert status == 200
    meta = reply["meta_info"]
    assert meta["input_token_logprobs"][0] == [None, prompt_ids[-1], None]
    assert meta["input_top_logprobs"][0] is None
    triples, tops = meta["input_token_logprobs"][1:], meta["input_top_logprobs"][1:]
    assert tuple(number for _, number, _ in triples) == response_ids
    near([value for value, _, _ in triples], truth.chosen)
    near([[value for value, _, _ in row] for row in tops], truth.top_logprobs)
    assert [[number for _, number, _ in row] for row in tops] == truth.top_ids.tolist()
    assert len(meta["output_token_logprobs"]) == 1
    assert len(meta["output_top_logprobs"][0]) == TOP


@pytest.mark.parametrize("way", ["vllm", "echo", "sglang"])
def test_a_whole_prompt_is_one_forward_pass(server, prompt_ids, response_ids, way, monkeypatch):
    """However long, and the token generated after it included."""
    source = server.state.source(shaped.MODEL)
    _, runner = source.load()
    passes = []
    base = runner.body.base
    monkeypatch.setattr(runner.body, "base", lambda **given: passes.append(given) or base(**given))
    ids = [*prompt_ids, *response_ids, {"vllm": 70, "echo": 71, "sglang": 72}[way]]
    if way == "vllm":
        shaped.complete(server.base_url, ids, {"prompt_logprobs": TOP})
    elif way == "echo":
        shaped.complete(server.base_url, ids, echo=True, logprobs=TOP)
    else:
        server.settings = Settings(served_model=shaped.MODEL)
        shaped.generate(server.base_url, input_ids=ids)
    assert len(passes) == 1
    assert passes[0]["input_ids"].shape == (1, len(ids))


def test_a_text_is_read_as_the_models_tokenizer_reads_it(server, loaded):
    """Names of special tokens are special tokens, and the text comes back in the echo."""
    reply = shaped.complete(
        server.base_url, TEXT, {"return_token_ids": True}, echo=True, logprobs=0, max_tokens=0
    )
    choice = reply.choices[0]
    assert tuple(choice.prompt_token_ids) == encode_text(loaded, TEXT)
    assert choice.text == TEXT
    assert shaped.complete(server.base_url, [TEXT]).usage.prompt_tokens == len(
        choice.prompt_token_ids
    )


def test_a_tokenizer_may_begin_a_text_with_its_bos(server, loaded):
    """Not where the call forbids it, and never before token ids."""
    server.settings = Settings(adds_bos=True)
    ids = encode_text(loaded, TEXT)

    def sent(prompt, **extra):
        extra["return_token_ids"] = True
        return tuple(shaped.complete(server.base_url, prompt, extra).choices[0].prompt_token_ids)

    assert sent(TEXT) == (loaded.tokenizer.bos_token_id, *ids)
    assert sent(TEXT, add_special_tokens=False) == ids
    assert sent(list(ids)) == ids


def test_parts_of_a_character_keep_their_bytes_in_the_echo(server):
    """As OpenAI writes them; vLLM's ids on demand make every string unique."""
    tokens = shaped.complete(
        server.base_url, "海", echo=True, logprobs=0, max_tokens=0
    ).choices[0].logprobs.tokens  # fmt: skip
    data = b"".join(
        bytes.fromhex(token.removeprefix("bytes:").replace("\\x", "")) for token in tokens
    )
    assert data.decode() == "海"
    ids = shaped.complete(
        server.base_url,
        "海",
        {"return_tokens_as_token_ids": True},
        echo=True,
        logprobs=2,
        max_tokens=0,
    ).choices[0].logprobs  # fmt: skip
    assert all(token.startswith("token_id:") for token in ids.tokens)
    assert all(len(row) >= 2 for row in ids.top_logprobs[1:])


@pytest.mark.parametrize(
    ("prompt", "changes", "reason"),
    [
        ([1, 4], {"logprobs": 21}, "Requested sample logprobs of 21, which is greater than max"),
        (
            [1, 4],
            {"extra": {"prompt_logprobs": 21}},
            "Requested prompt logprobs of 21, which is greater than max allowed: 20",
        ),
        ([6] * 512, {}, "maximum context length is 512 tokens"),
        ([1, 512], {}, "Token id 512 is out of vocabulary"),
        ([[1, 4], [1, 5]], {}, "one prompt a call"),
        ("", {}, "non-empty"),
        ([1], {"max_tokens": 0}, "max_tokens must be at least 1, got 0"),
        ([1], {"stop": ["x"]}, "does not offer stop"),
        ([1], {"best_of": 3}, "does not offer best_of"),
        ([1], {"temperature": 3}, "temperature must be in"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_never_left_out(server, prompt, changes, reason):
    """400 in the client's own class, in vLLM's words where it has some."""
    with pytest.raises(openai.BadRequestError, match=reason):
        shaped.complete(server.base_url, prompt, **changes)
    assert server.stats()["outcomes"] == {"400": 1}


def test_a_larger_limit_of_lists_is_a_setting(server):
    """Like --max-logprobs of vLLM; the whole vocabulary has probability 1."""
    server.settings = Settings(max_logprobs=512)
    reply = shaped.complete(server.base_url, [1, 4, 70], {"prompt_logprobs": 512})
    rows = reply.choices[0].prompt_logprobs[1:]
    for row in rows:
        assert len(row) == 512
        near(sum(np.exp([each["logprob"] for each in row.values()])), 1.0)


def test_a_text_that_fills_the_context_can_be_echoed(server):
    """max_tokens 0 leaves no room for an answer, and none is needed."""
    reply = shaped.complete(server.base_url, [6] * 512, echo=True, logprobs=0, max_tokens=0)
    assert len(reply.choices[0].logprobs.tokens) == 512
    status, reply = shaped.generate(server.base_url, input_ids=[6] * 513)
    assert status == 400
    assert "longer than the model's context length" in reply["error"]["message"]


def test_sglangs_call_says_only_what_is_asked(server):
    """No input without a start, no lists without a length, texts on demand."""
    _, reply = shaped.generate(server.base_url, 0, -1, 3, text="Hello")
    assert reply["meta_info"]["input_token_logprobs"] == []
    assert "input_top_logprobs" not in reply["meta_info"]
    assert len(reply["meta_info"]["output_token_logprobs"]) == 3
    _, reply = shaped.generate(server.base_url, 1, 0, 0, text="Hello", return_text_in_logprobs=True)
    texts = [text for _, _, text in reply["meta_info"]["input_token_logprobs"]]
    assert "".join(texts) == "Hello"
    assert reply["meta_info"]["output_token_logprobs"] == []
    assert reply["text"] == ""
    assert shaped.generate(server.base_url, text="a", input_ids=[1])[0] == 400


def test_made_up_answers_score_a_whole_text_as_they_do_step_by_step():
    """`answers: hash` has one distribution per prefix, and lists no token twice."""
    source = MadeUp.of_folder(SAMPLE_MODELS / shaped.MODEL)
    ids = source.encode(TEXT, special=True)
    assert b"".join(
        source.spelling.data[n] or source.spelling.shown[n].encode() for n in ids
    ) == TEXT.encode()  # fmt: skip
    whole = source.whole(ids, 20)
    for at in range(1, len(ids)):
        step = source.following(ids[:at])
        np.testing.assert_array_equal(whole.top_ids[at - 1], step.ids)
        if ids[at] in list(step.ids):
            place = list(step.ids).index(ids[at])
            near(whole.logprobs[at - 1], step.logprobs[place])
            assert whole.ranks[at - 1] == place + 1
        else:
            assert whole.logprobs[at - 1] < 0
            assert whole.ranks[at - 1] == 21


def test_made_up_answers_speak_all_three_protocols(server):
    """For benchmarks, without a model."""
    server.settings = replace(Settings(), answers="hash")
    one = shaped.complete(server.base_url, [1, 4, 70], {"prompt_logprobs": 20})
    again = shaped.complete(server.base_url, [1, 4, 70], echo=True, logprobs=20)
    rows = one.choices[0].prompt_logprobs
    values = [rows[1]["4"]["logprob"], rows[2]["70"]["logprob"]]
    near(again.choices[0].logprobs.token_logprobs[1:3], values)
    _, reply = shaped.generate(server.base_url, 20, input_ids=[1, 4, 70])
    near([value for value, _, _ in reply["meta_info"]["input_token_logprobs"][1:]], values)
    assert shaped.chat(server.base_url).choices[0].logprobs.content
