"""Replies that cannot be: what is kept of them, and that nothing but a CallError comes of one."""

import copy
import math
import random

import pytest
from aiohttp import web

from kl_core.sources import score_echo, score_sglang, score_vllm
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.json_values import finite
from kl_core.sources.score_client import ScoreClient
from kl_core.sources.scored_text import ScoreQuestion, unpacked
from tests.sources.openai_stub import failing, run

ASKED = ScoreQuestion(b"k", (1,), (2, 3, 4), "a", "bcd")
CASES = 300


def vllm_reply():
    items = [
        {str(n): {"logprob": -1.0, "rank": 1}, "9": {"logprob": -2.0, "rank": 2}}
        for n in ASKED.response_ids
    ]
    return {"model": "m", "choices": [{"prompt_logprobs": [None, *items]}], "usage": {}}


def sglang_reply():
    rows = [[None, 1, "a"], [-1.0, 2, "b"], [-1.0, 3, "c"], [-1.0, 4, "d"]]
    tops = [None, *[[[-1.0, row[1], row[2]], [-2.0, 9, "x"]] for row in rows[1:]]]
    told = {"input_token_logprobs": rows, "input_top_logprobs": tops, "prompt_tokens": 4}
    return {"meta_info": told}


def echo_reply(pieces=("a", "b", "c", "d"), lists=None, values=None):
    lists = lists or [None, *[{each: -1.0, "x": -2.0} for each in pieces[1:]]]
    told = {
        "tokens": list(pieces),
        "token_logprobs": values or [None, *[-1.0] * (len(pieces) - 1)],
        "top_logprobs": lists,
        "text_offset": list(range(len(pieces))),
    }
    usage = {"prompt_tokens": 4, "completion_tokens": 0}
    return {"model": "m", "choices": [{"logprobs": told}], "usage": usage}


REPLIES = {
    ("vllm", False): vllm_reply(),
    ("sglang", False): sglang_reply(),
    ("echo", False): echo_reply(),
    ("echo", True): echo_reply(),
}
ODD = [
    None, True, 0, -1, 3, 2**31, 2**63, -(10**400), 10**400, 1e308, -9999.0, 0.5, "", "x",
    "9" * 5000, "\x00", "\ufffd", "<s>", [], [[]], [None], {}, {"": None}, {"9" * 5000: {}},
    {"9" * 30: {"logprob": -1.0}}, {"\ufffd": -1.0}, [-1.0, True, 7], [1.0, 2, "b"],
]  # fmt: skip


def places(value, path=()):
    """Paths of everything in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, each in items:
        yield from places(each, (*path, key))


def changed(reply, draw):
    """The reply with one to three odd values in it."""
    reply = copy.deepcopy(reply)
    for _ in range(draw.randint(1, 3)):
        *way, last = draw.choice([each for each in places(reply) if each])
        inside = reply
        for key in way:
            inside = inside[key]
        inside[last] = copy.deepcopy(draw.choice(ODD))
    return reply


@pytest.mark.parametrize(("kind", "by_text"), list(REPLIES))
def test_no_reply_raises_anything_but_a_call_error(kind, by_text):
    """Odd values in every field of the reply, over HTTP as they would come."""
    draw = random.Random(5)
    good = REPLIES[kind, by_text]
    cases = [changed(good, draw) for _ in range(CASES // 2)]
    cases += [{"error": draw.choice(ODD)} for _ in range(9)]
    left = [good, *cases]

    async def work(server):
        client = ScoreClient(server, "m", kind, 2, by_text=by_text)
        found = []
        while left:
            try:
                found.append(await client(ASKED))
            except CallError as error:
                found.append(error)
        await client.close()
        return found

    found, _ = run(lambda request, _: left.pop(0) if request.method == "POST" else {}, work)
    assert isinstance(found[0], Answer)
    answers = [unpacked(each.body) for each in found if isinstance(each, Answer)]
    assert 10 < len(answers) < len(found)
    for scored in answers:
        assert len(scored.tokens) == len(scored.ranks) == len(scored.tops)
        assert all(rank == -1 or 0 < rank < 2**31 for rank in scored.ranks)
        for values in [scored.tokens, *scored.tops]:
            assert all(math.isnan(each.logprob) or each.logprob <= 0 for each in values)


def test_numbers_that_no_float_holds_are_none():
    """Integers of any length."""
    assert finite(10**400) is None
    assert finite(-(10**400)) is None
    assert finite(-3) == -3.0


@pytest.mark.parametrize("rank", [0, 2**31, 2**63, 10**30, True, "1", None])
def test_a_rank_that_cannot_be_is_the_place_in_the_list(rank):
    """Or unknown where the token is not there."""
    reply = vllm_reply()
    reply["choices"][0]["prompt_logprobs"][2]["3"] |= {"rank": rank, "logprob": -5.0}
    assert score_vllm.read(reply, ASKED, 1).ranks == (1, -1, 1)
    assert score_vllm.read(reply, ASKED, 2).ranks == (1, 2, 1)


def spoil_vllm(reply, at, change):
    change(reply["choices"][0]["prompt_logprobs"][at])
    return score_vllm.read(reply, ASKED, 2)


def test_a_value_above_zero_is_dropped_with_its_list():
    """Rounding is not meant."""
    scored = spoil_vllm(vllm_reply(), 2, lambda item: item["3"].update(logprob=0.5))
    assert [math.isnan(each.logprob) for each in scored.tokens] == [False, True, False]
    assert [len(top) for top in scored.tops] == [2, 0, 2]
    scored = spoil_vllm(
        vllm_reply(), 2, lambda i: i.update({"3": {"logprob": 5e-4}, "9": {"logprob": -9.0}})
    )
    assert scored.tokens[1].logprob == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"9": {"logprob": -0.1}},
        {"9": {"logprob": None}},
        {"9": {"logprob": "x"}},
        {"9" * 30: {"logprob": -7.0}},
        {"9" * 5000: {"logprob": -7.0}},
        {"x": {"logprob": -7.0}},
    ],
)
def test_a_list_that_cannot_be_is_dropped_and_the_value_is_kept(change):
    """Probabilities above 1 in all, or an entry that cannot be read and leaves a hole."""
    scored = spoil_vllm(vllm_reply(), 2, lambda item: item.update(change))
    assert [len(top) for top in scored.tops] == [2, 0, 2]
    assert scored.tokens[1].logprob == -1.0


def test_an_entry_outside_the_list_leaves_no_hole():
    """-9999 stands for what is less likely than all others."""
    scored = spoil_vllm(vllm_reply(), 2, lambda item: item.update({"9": {"logprob": -9999.0}}))
    assert [len(top) for top in scored.tops] == [2, 1, 2]


def test_a_reply_that_is_mostly_impossible_is_odd():
    """Two of three positions."""
    reply = vllm_reply()
    for at in (1, 2):
        reply["choices"][0]["prompt_logprobs"][at]["9"]["logprob"] = -0.1
    with pytest.raises(CallError, match="2 of 3 positions") as raised:
        score_vllm.read(reply, ASKED, 2)
    assert raised.value.retry == "odd"


def test_sglangs_ids_are_numbers():
    """True is not 1, and a list names each id once."""
    asked = ScoreQuestion(b"k", (7,), (1,), "a", "b")
    row = {"meta_info": {"input_token_logprobs": [[None, 7], [-1.0, True]]}}
    with pytest.raises(CallError, match="True"):
        score_sglang.read(row, asked, 1)
    reply = sglang_reply()
    reply["meta_info"]["input_top_logprobs"][2] = [[-1.0, 3], [-2.0, 3]]
    assert [len(top) for top in score_sglang.read(reply, ASKED, 2).tops] == [2, 0, 2]


def echo_tops(pieces, lists, values=None, top=2):
    scored = score_echo.read_ids(echo_reply(pieces, [None, *lists], values), ASKED, top)
    assert tuple(each.id for each in scored.tokens) == ASKED.response_ids
    return [len(each) for each in scored.tops]


def test_a_list_that_lost_a_name_is_no_list():
    """Two parts of characters are one key; what is missing may be likely."""
    pieces = ("a", "b", "\ufffd", "d")
    whole = {"b": -1.0, "x": -2.0}
    assert echo_tops(pieces, [whole, {"\ufffd": -1.0}, {"d": -1.0, "x": -2.0}]) == [2, 0, 2]
    lists = [whole, {"\ufffd": -1.0, "x": -2.0}, {"d": -1.0, "x": -2.0}]
    assert echo_tops(pieces, lists) == [2, 2, 2]


def test_a_list_shorter_than_the_others_is_no_list():
    """Names that are equal without being unclear; a server that gives less to all is believed."""
    pieces = ("a", "b", "c", "d")
    lists = [{"b": -1.0, "x": -2.0}, {"c": -1.0}, {"d": -1.0, "x": -2.0}]
    assert echo_tops(pieces, lists) == [2, 0, 2]
    assert echo_tops(pieces, lists, top=5) == [2, 0, 2]
    assert echo_tops(pieces, [{each: -1.0} for each in "bcd"], top=5) == [1, 1, 1]


def test_the_token_itself_does_not_fill_the_place_of_a_lost_one():
    """It stands beside the list, and makes a list with a hole as long as a whole one."""
    pieces, values = ("a", "b", "c", "d"), [None, -5.0, -5.0, -1.0]
    lists = [{"x": -1.0, "y": -2.0, "b": -5.0}, {"\ufffd": -1.0, "c": -5.0}, {"d": -1.0, "x": -2.0}]
    assert echo_tops(pieces, lists, values) == [2, 0, 2]
    lists[1] = {"\ufffd": -1.0, "y": -2.0, "c": -5.0}
    assert echo_tops(pieces, lists, values) == [2, 2, 2]


def test_a_name_that_stands_for_another_token_is_not_this_one():
    """Its value is not the token's."""
    pieces, values = ("a", "b", "\ufffd", "d"), [None, -1.0, -4.0, -1.0]
    lists = [{"b": -1.0, "x": -2.0}, {"\ufffd": -1.0, "x": -2.0}, {"d": -1.0, "x": -2.0}]
    assert echo_tops(pieces, lists, values) == [2, 0, 2]


def test_lists_that_all_lost_names_leave_the_values():
    """The log-ratios are known all the same."""
    pieces = ("a", "\ufffd", "\ufffd", "\ufffd")
    assert echo_tops(pieces, [{"\ufffd": -1.0}] * 3) == [0, 0, 0]


def client_of(kind, model="m"):
    async def work(server):
        client = ScoreClient(server, model, kind, 2)
        try:
            await client(ASKED)
            return await client(ASKED)
        finally:
            await client.close()

    return work


@pytest.mark.parametrize("kind", ["vllm", "echo"])
def test_another_models_reply_stops_the_run(kind):
    """The sentence names both; a longer name of the same model is taken."""
    reply = REPLIES[kind, False]
    found, _ = run(lambda *_: {**reply, "model": "org/other"}, client_of(kind))
    assert (found.kind, found.retry) == ("other model", "stop")
    assert "org/other" in found.reason
    assert " m was asked" in found.reason
    found, _ = run(lambda *_: {**reply, "model": "org/M-2024"}, client_of(kind))
    assert found.model == "org/M-2024"


def test_sglang_is_asked_once_what_it_serves():
    """It takes no name; where it tells nothing, the answer stands without one."""

    def serving(models, code=404):
        def answer(request, body):
            if request.path == "/v1/models":
                return {"data": [{"id": each} for each in models]}
            return sglang_reply() if request.method == "POST" else failing(code)()

        return answer

    found, kept = run(serving(["org/m"]), client_of("sglang"))
    assert found.model == "m"
    assert [path for path, *_ in kept] == [
        "/generate",
        "/v1/models",
        "/get_model_info",
        "/generate",
    ]
    found, _ = run(serving(["m-other"]), client_of("sglang"))
    assert (found.kind, found.retry) == ("other model", "stop")
    assert run(serving([]), client_of("sglang"))[0].model == ""
    assert run(serving([], 500), client_of("sglang"))[0].model == ""


@pytest.mark.parametrize("kind", ["vllm", "echo"])
def test_a_text_that_fills_the_context_is_asked_without_a_drawn_token(kind):
    """Only then; a server that takes no such request is told of by its first sentence."""
    full = web.json_response

    def answer(_request, body):
        if body["max_tokens"]:
            return full({"error": {"message": "maximum context length is 4"}}, status=400)
        return REPLIES[kind, False]

    found, kept = run(answer, client_of(kind))
    assert isinstance(found, Answer)
    assert [body["max_tokens"] for *_, body in kept] == [1, 0, 1, 0]

    def never(_request, body):
        said = "maximum context length is 4" if body["max_tokens"] else "max_tokens is 0"
        return full({"error": {"message": said}}, status=400)

    found, kept = run(never, client_of(kind))
    assert (found.kind, found.retry, len(kept)) == ("too long", "refused", 2)
    found, kept = run(failing(400, "no"), client_of(kind))
    assert (found.retry, len(kept)) == ("refused", 1)


def test_sglang_draws_nothing():
    """So that a text may fill the context."""
    assert score_sglang.body(ASKED, "m", 2)["sampling_params"]["max_new_tokens"] == 0
