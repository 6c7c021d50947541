"""Whole texts scored by vLLM, SGLang and echo: values, alignment, and what is no answer."""

import asyncio
import copy
import math

import pytest
import torch

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.sources import score_echo, score_sglang, score_vllm
from kl_core.sources.calls import CallError
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.score_client import ScoreClient
from kl_core.sources.scored_text import ScoreQuestion, packed, unpacked
from kl_core.sources.servers import resolve_server
from tests.sources.openai_stub import MODELS, QUESTION, SAID, ids, question, run

MODEL, TOP = "tiny-tuned", 6
SETTINGS = {kind: Settings(scoring=(kind,)) for kind in ("vllm", "sglang", "echo")}


@pytest.fixture(scope="module")
def emulator():
    with running() as started:
        yield started


def ask(emulator, kind, asked, by_text=False, top=TOP):
    """The answer of one call, and how many calls the server saw."""

    async def main():
        client = ScoreClient(
            resolve_server(f"{emulator.base_url}/v1", None), MODEL, kind, top, by_text=by_text
        )
        try:
            return await client(asked)
        finally:
            await client.close()

    emulator.settings = SETTINGS[kind]
    emulator.reset()
    return asyncio.run(main()), sum(emulator.stats()["routes"].values())


def truth(asked):
    """[T, V] log-probabilities before each token of the response, by one forward pass."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(MODELS / MODEL, dtype=torch.float32).eval()
    both = torch.tensor([[*asked.prompt_ids, *asked.response_ids]])
    with torch.inference_mode():
        logits = model(both).logits[0]
    start = len(asked.prompt_ids)
    return torch.log_softmax(logits[start - 1 : -1], -1)


WAYS = [("vllm", False), ("sglang", False), ("echo", False), ("echo", True)]


@pytest.mark.parametrize(("kind", "by_text"), WAYS)
def test_one_call_gives_the_models_own_values(kind, by_text, emulator):
    """Equal to a forward pass with the same weights within float error, in one request."""
    asked = question()
    answer, requests = ask(emulator, kind, asked, by_text)
    scored, expected = unpacked(answer.body), truth(asked)
    assert requests == (3 if kind == "sglang" else 1)  # it is asked once what it serves
    assert len(scored.tokens) == len(asked.response_ids) == len(scored.tops) == len(scored.ranks)
    assert scored.skipped == 0
    own = expected.gather(1, torch.tensor(asked.response_ids)[:, None])[:, 0]
    assert [t.logprob for t in scored.tokens] == pytest.approx(own.tolist(), abs=1e-4)
    best = expected.topk(TOP, 1).values
    for listed, row in zip(scored.tops, best.tolist(), strict=True):
        values = [each.logprob for each in listed]
        assert values == sorted(values, reverse=True)
        if kind != "echo":  # there, tokens that are written alike are one
            assert values == pytest.approx(row, abs=1e-4)
        else:
            assert all(min(abs(value - each) for each in row) < 1e-4 for value in values)
    if not by_text:
        assert tuple(each.id for each in scored.tokens) == asked.response_ids
    assert answer.input_tokens == len(asked.prompt_ids) + len(asked.response_ids)


@pytest.mark.parametrize(("kind", "by_text"), WAYS)
def test_ranks_count_from_one(kind, by_text, emulator):
    """vLLM tells all of them; elsewhere a token outside the list has none."""
    asked = question()
    scored = unpacked(ask(emulator, kind, asked, by_text)[0].body)
    above = truth(asked) > torch.tensor([t.logprob for t in scored.tokens])[:, None] + 1e-5
    for rank, expected in zip(scored.ranks, (1 + above.sum(1)).tolist(), strict=True):
        if kind == "vllm" or rank > 0:
            assert kind == "echo" or rank == expected
        else:
            assert rank == -1
            assert expected > TOP or kind == "echo"


@pytest.mark.parametrize(("kind", "by_text"), WAYS)
def test_a_text_without_a_prompt_has_no_value_for_its_first_token(kind, by_text, emulator):
    """Nothing stands before it: NaN, an empty list, and everything else is there."""
    asked = ScoreQuestion(b"k" * 16, (), ids(SAID), "", SAID)
    scored = unpacked(ask(emulator, kind, asked, by_text)[0].body)
    assert math.isnan(scored.tokens[0].logprob)
    assert scored.tops[0] == ()
    assert all(math.isfinite(each.logprob) for each in scored.tokens[1:])
    assert len(scored.tokens) == len(ids(SAID))


@pytest.mark.parametrize(("kind", "by_text"), WAYS[:3])
def test_without_ids_a_call_that_needs_them_is_refused_unsent(kind, by_text, emulator):
    """The sentence says what is missing."""
    if kind == "echo":
        assert unpacked(ask(emulator, kind, question(with_ids=False))[0].body).tokens
        return
    with pytest.raises(CallError, match="--tokenizer") as raised:
        ask(emulator, kind, question(with_ids=False))
    assert raised.value.retry == "refused"


def test_lists_longer_than_the_server_gives_stop_the_run(emulator):
    """The same answer would come to every question."""
    with pytest.raises(CallError, match="20") as raised:
        ask(emulator, "vllm", question(), top=21)
    assert raised.value.retry == "stop"


def replies():
    """A good reply of each kind to a small question, and how it is read."""
    asked = ScoreQuestion(b"k", (1, 2), (3, 4), "ab", "cd")
    vllm = [
        None,
        {"2": {"logprob": -1, "rank": 2, "decoded_token": "b"}},
        {
            "3": {"logprob": -3.0, "rank": 9, "decoded_token": "c"},
            "7": {"logprob": -1.0, "rank": 1, "decoded_token": "x"},
        },
        {"4": {"logprob": -0.5, "rank": 1, "decoded_token": "d"}},
    ]
    rows = [[None, 2, "b"], [-3.0, 3, "c"], [-0.5, 4, None]]
    tops = [None, [[-1.0, 7, "x"]], [[-0.5, 4, "d"]]]
    echo = {
        "tokens": ["a", "b", "c", "d", "!"],
        "token_logprobs": [None, -1, -3.0, -0.5, -1],
        "top_logprobs": [None, {"b": -1}, {"c": -3.0, "x": -1.0}, {"d": -0.5}, {"!": -1}],
        "text_offset": [0, 1, 2, 3, 4],
    }
    return asked, {
        "vllm": (score_vllm.read, {"choices": [{"prompt_logprobs": vllm}]}),
        "sglang": (
            score_sglang.read,
            {"meta_info": {"input_token_logprobs": rows, "input_top_logprobs": tops}},
        ),
        "echo": (score_echo.read_ids, {"choices": [{"logprobs": echo}]}),
        "echo text": (score_echo.read_text, {"choices": [{"logprobs": echo}]}),
    }


KINDS = ("vllm", "sglang", "echo", "echo text")


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_itself_is_not_of_the_list_unless_it_is_likely(kind):
    """Servers put it there all the same."""
    asked, kinds = replies()
    read, reply = kinds[kind]
    scored = read(reply, asked, 1)
    assert [each.token for each in scored.tops[0]] == ["x"]
    assert [each.token for each in scored.tops[1]] == ["d"]
    assert [each.logprob for each in scored.tokens] == [-3.0, -0.5]
    assert scored.ranks == ((9, 1) if kind == "vllm" else (-1, 1))
    assert unpacked(packed(scored)) == scored


def spoilt(kind, change):
    asked, kinds = replies()
    read, reply = kinds[kind]
    reply = copy.deepcopy(reply)
    if kind == "vllm":
        place = reply["choices"][0]["prompt_logprobs"]
    elif kind == "sglang":
        place = reply["meta_info"]
    else:
        place = reply["choices"][0]["logprobs"]
    changed = change(place, reply)
    with pytest.raises(CallError) as raised:
        read(reply if changed is None else changed, asked, 1)
    assert raised.value.retry == "odd"  # one reply says nothing about the run
    return raised.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reply", [{}, {"choices": [{"text": "x", "logprobs": None}]}])
def test_fields_left_out_in_silence_are_not_offered(kind, reply):
    """Many servers drop what they do not know."""
    assert spoilt(kind, lambda *_: reply).kind == "not offered"


def test_another_length_is_another_tokenizer():
    """The sentence says so."""
    found = [
        spoilt("vllm", lambda place, _: place.append({"9": {"logprob": -1}}) or None),
        spoilt("sglang", lambda place, _: place["input_token_logprobs"].pop() and None),
        spoilt("echo", lambda place, _: _cut(place, 3)),
    ]
    for error in found:
        assert error.kind == "other tokens"
        assert "tokenizer is not the model's" in error.reason


def _cut(place, count):
    for name in place:
        place[name] = place[name][:count]


def test_other_ids_are_another_tokenizer():
    """Each token is compared."""
    other = {"5": {"logprob": -1.0, "rank": 1, "decoded_token": "c"}}
    assert spoilt("vllm", lambda p, _: p.__setitem__(2, other)).kind == "other tokens"

    def change(place, _):
        place["input_token_logprobs"][2][1] = 5

    assert spoilt("sglang", change).kind == "other tokens"


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_what_ids_spell_is_not_judged_by_the_wire(kind):
    """Who knows the vocabulary compares the names, which are handed on as they came."""
    asked, kinds = replies()
    read, reply = kinds[kind]
    if kind == "vllm":
        place = reply["choices"][0]["prompt_logprobs"]
        place[2]["3"]["decoded_token"], place[3]["4"]["decoded_token"] = "zz", "zz"
    else:
        for row in reply["meta_info"]["input_token_logprobs"]:
            row[2] = "zz"
    scored = read(reply, asked, 1)
    assert [(each.token, each.id) for each in scored.tokens] == [("zz", 3), ("zz", 4)]


@pytest.mark.parametrize("bad", [None, -9999.0, "x"])
def test_values_that_are_none_are_not_offered(bad):
    """Not a single token has one."""

    def change_vllm(place, _):
        for item in place[1:]:
            for each in item.values():
                each["logprob"] = bad

    def change_sglang(place, _):
        for row in place["input_token_logprobs"]:
            row[0] = bad

    def change_echo(place, _):
        place["token_logprobs"] = [bad] * 5

    for kind, change in zip(
        KINDS, (change_vllm, change_sglang, change_echo, change_echo), strict=True
    ):
        assert spoilt(kind, change).kind == "not offered"


def test_lists_that_never_come_are_not_offered():
    """A server that gives values alone."""

    def change(place, _):
        place["top_logprobs"] = None

    assert spoilt("echo", change).kind == "not offered"
    assert spoilt("sglang", lambda p, _: p.pop("input_top_logprobs") and None).kind == "not offered"


def test_raw_pieces_of_characters_are_no_other_tokenizer():
    """Bytes of one character over several tokens, in the vocabulary's own writing."""
    asked = ScoreQuestion(b"k", (1,), (2, 3, 4, 5), "a", "東京")
    names = ["a", "æĿ", "±", "äº", "¬"]
    items = [{str(n): {"logprob": -1.0, "decoded_token": name}} for n, name in enumerate(names, 1)]
    reply = {"choices": [{"prompt_logprobs": [None, *items[1:]]}]}
    assert len(score_vllm.read(reply, asked, 1).tokens) == 4


def test_what_an_unusable_reply_cost_is_told():
    """The estimate of a run counts it."""
    reply = {"usage": {"prompt_tokens": 11, "completion_tokens": 1}, "choices": []}

    async def work(server):
        client = ScoreClient(server, MODEL, "vllm", 1)
        try:
            return await client(question())
        finally:
            await client.close()

    assert run(lambda *_: reply, work)[0].input_tokens == 11


def test_what_is_asked_is_what_the_servers_document():
    """SGLang is asked from one position earlier than needed, at its root."""
    asked = question()
    both = [*asked.prompt_ids, *asked.response_ids]
    body = score_sglang.body(asked, MODEL, TOP)
    assert (body["input_ids"], body["logprob_start_len"]) == (both, len(asked.prompt_ids) - 1)
    assert score_vllm.body(asked, MODEL, TOP)["prompt"] == both
    assert score_echo.body(asked, MODEL, TOP, ids=False)["prompt"].endswith(SAID)
    assert QUESTION in asked.prompt_text


def test_the_client_shows_no_key(monkeypatch):
    """In its repr."""
    monkeypatch.setenv("MY_KEY", "secret-of-an-odd-shape")

    async def main():
        server = resolve_server("http://127.0.0.1:1/v1", "MY_KEY")
        found = [ScoreClient(server, MODEL, "vllm", 1), OpenAiClient(server)]
        for each in found:
            await each.close()
        return repr(found)

    assert "secret" not in asyncio.run(main())
