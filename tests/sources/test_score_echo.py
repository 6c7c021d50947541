"""Texts echoed by a server: where the response begins and ends among its own tokens."""

import pytest

from kl_core.sources import score_echo
from kl_core.sources.calls import CallError
from kl_core.sources.score_client import ScoreClient
from kl_core.sources.scored_text import ScoreQuestion, unpacked
from tests.sources.openai_stub import SAID, question, run

MODEL = "tiny-tuned"


def echo_reply(tokens, offsets=None):
    lists = [None, *[{token: -1.0 - n} for n, token in enumerate(tokens[1:])]]
    logprobs = {
        "tokens": tokens,
        "token_logprobs": [None, *[-1.0 - n for n in range(len(tokens) - 1)]],
        "top_logprobs": lists,
        "text_offset": offsets,
    }
    return {"choices": [{"text": "", "logprobs": logprobs}]}


def by_text(tokens, prompt, said, offsets=None, start=""):
    asked = ScoreQuestion(b"k", None, None, prompt, said)
    return score_echo.read_text(echo_reply(tokens, offsets), asked, 1, start)


@pytest.mark.parametrize(
    "tokens",
    [
        ["Who", "?", " I", " am"],
        ["Who", "?", " I", " am", " drawn"],
        ["<s>", "Who", "?", " I", " am"],
        ["<|begin_of_text|>", "Who", "?", " I", " am", ""],
        ["Who", "?", "ĠI", "Ġam"],
    ],
)
def test_a_drawn_token_and_the_servers_own_beginning_are_left_out(tokens):
    """However many of them there are."""
    scored = by_text(tokens, "Who?", " I am")
    assert [each.token[1:] for each in scored.tokens] == ["I", "am"]
    assert scored.skipped == 0


def test_bytes_that_share_a_token_with_the_prompt_are_skipped():
    """They have no value of their own."""
    scored = by_text(["Who", "?I", " am"], "Who?", "I am")
    assert ([each.token for each in scored.tokens], scored.skipped) == ([" am"], 1)
    scored = by_text(["Wh", "o?é", " am"], "Who?", "é am")
    assert scored.skipped == 2


def test_special_tokens_of_the_prompt_are_found_by_their_names():
    """As chat templates write them."""
    tokens = ["<|user|>", "Hi", "<|eot|>", "<|assistant|>", "Yes", "!"]
    scored = by_text(tokens, "<|user|>Hi<|eot|><|assistant|>", "Yes!")
    assert [each.token for each in scored.tokens] == ["Yes", "!"]


def test_parts_of_characters_are_found_between_their_neighbours():
    """The tokens are the server's; where a part begins inside the text is not told."""
    scored = by_text(["Hi", " ", "\ufffd", "\ufffd", "!"], "Hi", " 東!")
    assert [each.token for each in scored.tokens] == [" ", "\ufffd", "\ufffd", "!"]


def test_offsets_help_where_pieces_lost_their_blanks():
    """As when each token is decoded alone; a beginning of the server's shifts them."""
    tokens, said = ["<s>", "Who", "?", "I", "am"], " I am"
    scored = by_text(tokens, "Who?", said, [0, 3, 6, 8, 10])
    assert [each.token for each in scored.tokens] == ["I", "am"]
    assert scored.skipped == 1  # the blank


def test_tokens_of_another_text_are_refused():
    """Nothing is guessed."""
    for offsets in (None, [0, 3, 4, 6]):
        with pytest.raises(CallError, match="do not spell the text") as raised:
            by_text(["You", "!", " We", " do"], "Who?", " I am", offsets)
        assert raised.value.retry == "odd"


def test_with_ids_the_servers_own_beginning_is_told_from_a_drawn_token():
    """Both make the reply one longer than what was sent."""
    asked = ScoreQuestion(b"k", (1, 2), (3, 4), "Who?", " I am")
    for tokens in (["<s>", "Who", "?", " I", " am"], ["Who", "?", " I", " am", " so"]):
        scored = score_echo.read_ids(echo_reply(tokens), asked, 1)
        assert [(each.token, each.id) for each in scored.tokens] == [(" I", 3), (" am", 4)]


def test_a_beginning_that_the_server_doubles_is_left_out_from_then_on():
    """One call is lost, and the next is right."""
    text = question(with_ids=False)
    start = "<|bos|>"
    assert text.prompt_text.startswith(start)

    def answer(_request, body):
        rest = body["prompt"].removeprefix(start)
        doubled = [start] * (1 + body["prompt"].startswith(start))
        return echo_reply([*doubled, *rest])

    async def work(server):
        client = ScoreClient(server, MODEL, "echo", 1)
        with pytest.raises(CallError) as raised:
            await client(text)
        assert (raised.value.retry, client.start) == ("again", start)
        found = await client(text)
        await client.close()
        return found

    found, kept = run(answer, work)
    assert "".join([each.token for each in unpacked(found.body).tokens]) == SAID
    assert [body["prompt"].startswith(start) for _, _, body in kept] == [True, False]
