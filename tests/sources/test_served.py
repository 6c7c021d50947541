"""A server's answers about whole responses beside the saved ones, by ids of a tokenizer."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from kl_core.models.load import ModelSpec, encode_text, load_tokenizer
from kl_core.records import Entry, Message, Position, Response, Token, TokenDist
from kl_core.sources.by_ids import NO_CONTEXT, NO_LIST
from kl_core.sources.by_text import NO_VALUE
from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.context import vocabulary_of
from kl_core.sources.dists import COLLAPSED
from kl_core.sources.scored_text import ScoredText, packed
from kl_core.sources.served import NO_TEXT, NOTHING, Served
from tests.sources.conftest import TUNED

TEXT = "Bees make wax from honey."
K = 4
OWN, OTHERS = math.log(0.4), tuple(math.log(p) for p in (0.2, 0.1, 0.05))


@functools.cache
def loaded(raw=False):
    return load_tokenizer(ModelSpec(TUNED, raw=raw))


@functools.cache
def vocab():
    return vocabulary_of(loaded())


def ids_of(text=TEXT):
    return encode_text(loaded(), text)


def positions(ids):
    """Model 1's side: the list that `answer` gives, in the file's own tokens."""
    return [Position(file_token(n), OWN, file_list(n)) for n in ids]


def file_token(number):
    token = vocab().token(number)
    return Token(token.text, token.data, None, token.text, token.special)


def listed(number):
    """Ids of a list: the token itself, then words that stand in no test text."""
    rest = [n for n in range(300, 400) if n != number and vocab().data[n].isascii()]
    return [number, *rest[: K - 1]]


def file_list(number):
    return TokenDist(tuple(file_token(n) for n in listed(number)), (OWN, *OTHERS), K)


def named(number, logprob, ids=True):
    token = vocab().token(number)
    name = token.piece if token.special else token.data.decode("utf-8", "replace")
    return Candidate(name, number if ids else None, logprob)


def answer(ids, with_ids=True):
    """Every token first in its list; `with_ids` False: lists of names, as `echo` has them."""
    tops = tuple(
        tuple(named(n, p, with_ids) for n, p in zip(listed(each), (OWN, *OTHERS), strict=True))
        for each in ids
    )
    return ScoredText(tuple(named(n, OWN) for n in ids), (1,) * len(ids), tops)


USER = (Message("user", "How?"),)


def entry(*responses, prompt=USER):
    made = []
    for n, each in enumerate(responses):
        text = b"".join(p.token.data or b"" for p in each).decode("utf-8", "replace")
        made.append(Response(n, text, tuple(each)))
    return Entry("a.json", 0, 1, prompt, "m", tuple(made))


def assembled(made, scored, served=None):
    """The responses and problem rows where every question got one answer."""
    served = served or Served("q", loaded(), True)
    ready = served.ready(made)
    found = served.assemble(ready, lambda key: Answer(body=packed(scored)), {})
    return found.responses, served.problems()


def one(scored, ids=None):
    ids = ids_of() if ids is None else ids
    [response], problems = assembled(entry(positions(ids)), scored)
    return response, problems


def changed(scored, row, token=None, top=None):
    tokens, tops = list(scored.tokens), list(scored.tops)
    tokens[row] = tokens[row] if token is None else token
    tops[row] = tops[row] if top is None else tuple(top)
    return ScoredText(tuple(tokens), scored.ranks, tuple(tops), scored.skipped)


@pytest.mark.parametrize("with_ids", [True, False])
def test_an_answer_about_ids_is_scored_by_ids_whether_its_lists_have_ids_or_names(with_ids):
    """Lists of names are resolved against the tokenizer; every position has a value."""
    response, problems = one(answer(ids_of(), with_ids))
    np.testing.assert_allclose(response.measures.headline, 0, atol=1e-9)
    np.testing.assert_allclose(response.measures.log_ratio, 0, atol=1e-9)
    assert response.dists2[0].keys == tuple(listed(ids_of()[0]))
    assert not problems


def test_parts_of_characters_are_scored_by_their_ids_where_lists_have_names_alone():
    """`�` is no name, but the value of the token itself tells which candidate it is."""
    ids = ids_of("wax 😀☃ bees")
    parts = [n for n, each in enumerate(ids) if vocab().token(each).text.startswith("<0x")]
    assert len(parts) > 2
    response, problems = one(answer(ids, with_ids=False), ids)
    np.testing.assert_allclose(response.measures.headline, 0, atol=1e-9)
    assert not problems
    other = answer(ids, with_ids=False)
    marks = (*other.tops[0][:-1], Candidate("�", None, OTHERS[-1]))
    unknown, _ = one(changed(other, 0, top=marks), ids)
    assert unknown.dists2[0].keys[-1] < -1
    assert "not named" in unknown.reasons[0] or "part of a character" in unknown.reasons[0]
    np.testing.assert_allclose(unknown.measures.log_ratio, 0, atol=1e-9)


def test_a_list_in_which_one_name_stands_for_several_tokens_is_no_list():
    """The object keeps one of them, so a token outside the list may be likelier than its end."""
    scored = answer(ids_of(), with_ids=False)
    short = (scored.tops[1][0], Candidate("�", None, OTHERS[0]))
    response, [row] = one(changed(scored, 1, top=short))
    assert response.reasons[1] == COLLAPSED
    assert np.isnan(response.measures.headline[1])
    assert response.measures.log_ratio[1] == pytest.approx(0)
    assert COLLAPSED in row.reason


def test_an_empty_list_leaves_the_log_ratio():
    """No KL there; the others have one."""
    scored = answer(ids_of(), with_ids=False)
    response, [row] = one(changed(scored, 1, top=()))
    assert response.reasons[1] == NO_LIST
    assert np.isfinite(response.measures.headline).sum() == len(ids_of()) - 1
    np.testing.assert_allclose(response.measures.log_ratio, 0, atol=1e-9)
    assert "one position" in row.reason


def swapped(scored, first, second):
    """The names of two ids exchanged: a server whose vocabulary has them the other way."""

    def other(each):
        for here, there in ((first, second), (second, first)):
            if each.id == here:
                return Candidate(named(there, 0.0).token, here, each.logprob)
        return each

    tops = tuple(tuple(other(each) for each in top) for top in scored.tops)
    return ScoredText(tuple(other(each) for each in scored.tokens), scored.ranks, tops)


def test_a_nearly_right_tokenizer_is_contradicted_and_gives_no_values():
    """Two ids exchanged: the token's place has no value, a list with the other is no list."""
    ids = ids_of()
    first, second = ids[1], listed(ids[0])[1]
    scored = swapped(answer(ids), first, second)
    assert Served("q", loaded(), True).contradicted(answer(ids)) == (0, 5 * len(ids))
    wrong, count = Served("q", loaded(), True).contradicted(scored)
    assert (wrong, count) == (2 + len(ids) - ids.count(second), 5 * len(ids))
    response, problems = one(scored)
    assert "the server's token at this place is" in response.reasons[1]
    assert np.isnan(response.measures.log_ratio[1])
    assert "other names than in the tokenizer" in response.reasons[0]
    assert response.measures.log_ratio[0] == pytest.approx(0)
    assert np.isnan(response.measures.headline).all()
    [row] = [each for each in problems if "other names" in each.reason]
    assert f"{wrong} of the {count}" in row.reason


def spelled(write):
    ids = (*ids_of("wax 😀☃ the bees."), loaded().tokenizer.eos_token_id)
    names = [write(n, vocab().token(each)) for n, each in enumerate(ids)]
    tokens = [Candidate(name, n, OWN) for name, n in zip(names, ids, strict=True)]
    return ScoredText(tuple(tokens), (1,) * len(ids), ((),) * len(ids))


SPELLINGS = {
    "text, parts as one mark": lambda n, t: (
        t.piece if t.special else t.data.decode("utf-8", "replace")
    ),
    "pieces": lambda n, t: t.piece,
    "parts in hexadecimal": lambda n, t: t.text,
    "blanks as in SentencePiece": lambda n, t: t.text.replace(" ", "▁"),
    "no special names": lambda n, t: "" if t.special else t.text,
    "the first blank lost": lambda n, t: t.text if n else t.text.lstrip(),
    "all blanks lost": lambda n, t: t.text[1:] if len(t.text) > 1 and t.text[0] == " " else t.text,
    "nameless": lambda n, t: "",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_ways_to_write_the_right_tokens_are_no_contradiction(name):
    """Servers write parts of characters, blanks and special tokens in ways of their own."""
    wrong, count = Served("q", loaded(), True).contradicted(spelled(SPELLINGS[name]))
    assert wrong == 0
    assert (count == 0) == (name == "nameless")


def test_words_without_their_blank_are_others_where_the_server_writes_blanks():
    """` the` and `the` are two tokens; exchanged they are a wrong tokenizer."""
    scored = spelled(SPELLINGS["text, parts as one mark"])
    words = [n for n, each in enumerate(scored.tokens) if each.token.startswith(" ")]
    at = words[-1]
    bare = replace_name(scored.tokens[at], scored.tokens[at].token[1:])
    assert Served("q", loaded(), True).contradicted(changed(scored, at, bare))[0] == 1


def replace_name(each, name):
    return Candidate(name, each.id, each.logprob)


def test_values_that_cannot_be_are_no_values_and_one_row_says_so():
    """Above 0, more than 1 in all, an id of no token: each place has its reason."""
    scored = answer(ids_of())
    token, top = scored.tokens[0], scored.tops[1]
    scored = changed(scored, 0, Candidate(token.token, token.id, 3.0))
    scored = changed(scored, 1, top=[Candidate(c.token, c.id, -0.01) for c in top])
    scored = changed(scored, 2, top=[*scored.tops[2], Candidate("", 600, -3.0)])
    response, [row] = one(scored)
    assert "above 0" in response.reasons[0]
    assert "above 1" in response.reasons[1]
    assert "token id 600" in response.reasons[2]
    assert np.isnan(response.measures.headline[:3]).all()
    assert np.isfinite(response.measures.headline[3:]).all()
    assert np.isnan(response.measures.log_ratio[0])
    assert "3 positions" in row.reason


def test_a_token_without_a_value_keeps_the_list_and_is_censored_outside_it():
    """Not the first token of an empty prompt: the list is scored, its own value is unknown."""
    scored = answer(ids_of())
    token = scored.tokens[1]
    nothing = Candidate(token.token, token.id, math.nan)
    outside = [*scored.tops[1][1:], named(listed(0)[-1] + 60, OTHERS[-1])]
    response, problems = one(changed(scored, 1, nothing, outside))
    assert response.reasons[1] is None
    assert np.isfinite(response.measures.headline[1])
    assert response.measures.censored[1]
    assert np.isnan(response.measures.log_ratio[1])
    assert not problems
    inside, _ = one(changed(scored, 1, nothing))
    assert inside.measures.log_ratio[1] == pytest.approx(0)
    assert not inside.measures.censored.any()
    neither, [row] = one(changed(scored, 1, nothing, ()))
    assert neither.reasons[1] == NO_VALUE
    assert NO_VALUE in row.reason


def test_only_the_first_token_of_an_empty_prompt_has_nothing_before_it():
    """With a prompt the same answer is a server that gave no value."""
    scored = answer(ids_of())
    token = scored.tokens[0]
    scored = changed(scored, 0, Candidate(token.token, token.id, math.nan), ())
    made = entry(positions(ids_of()), prompt=())
    raw = load_tokenizer(ModelSpec(TUNED, raw=True))
    served = Served("q", raw, True)
    [question] = served.ready(made).questions()
    assert question.prompt_ids == ()
    [response], problems = assembled(made, scored, served)
    assert response.reasons[0] == NO_CONTEXT
    assert not problems
    assert one(scored)[0].reasons[0] == NO_VALUE


@pytest.mark.parametrize("rank", [2**63 - 1, 2**40, 0, -5])
def test_ranks_that_cannot_be_are_unknown(rank):
    """They raise nothing, whatever the server says."""
    scored = answer(ids_of())
    scored = ScoredText(scored.tokens, (rank,) * len(scored.ranks), scored.tops)
    assert one(scored)[0].measures.rank2.tolist() == [-1] * len(ids_of())


def test_a_question_by_ids_asks_for_what_the_ids_stand_for_and_one_by_text_for_all():
    """A special token that model 2 has not ends the ids at a character cut in half."""
    ids = ids_of("Bees make")
    lost = [*positions(ids), cut(b"\xf0\x9f\xff"), *positions(ids_of(" wax"))]
    made = entry(lost)
    [by_ids] = Served("q", loaded(), True).ready(made).questions()
    assert by_ids.response_text == "Bees make"
    assert by_ids.response_ids == ids
    [by_text] = Served("q", loaded(), True, by_text=True).ready(made).questions()
    assert by_text.response_text.startswith("Bees make")
    assert by_text.response_text.endswith(" wax")
    assert by_text.response_ids is None
    whole = entry(positions(ids))
    [one_way] = Served("q", loaded(), True).ready(whole).questions()
    [other] = Served("q", loaded(), True, by_text=True).ready(whole).questions()
    assert one_way == other


def cut(data):
    token = Token("?", data, None, "?")
    return Position(token, OWN, TokenDist((token,), (OWN,), 1))


def test_coverage_is_told_once_and_only_where_a_response_is_scored():
    """A plan asks for the questions too; it leaves no rows behind."""
    ids = ids_of("Bees make")
    made = entry([*positions(ids), *[cut(b"\xff")] * 3])
    served = Served("q", loaded(), True)
    for _ in range(3):
        served.ready(made)
    assert not served.problems()
    _, problems = assembled(made, answer(ids), served)
    assert ["could be matched" in row.reason for row in problems] == [True]


def test_a_prompt_that_the_template_refuses_is_kept_with_its_reason_and_one_row():
    """Nothing can be asked; the entry is assembled all the same."""
    refusing = load_tokenizer(
        ModelSpec(TUNED, chat_template="{{ raise_exception('no such roles') }}")
    )
    served = Served("q", refusing, True)
    made = entry(positions(ids_of()), positions(ids_of()))
    ready = served.ready(made)
    assert not list(ready.questions())
    assert not served.problems()
    found = served.assemble(ready, lambda key: None, {})
    assert all("no such roles" in each.response.error for each in found.responses)
    [row] = served.problems()
    assert (row.where, row.hint) == ("$[0]", "The prompt was not scored.")
    assert "no such roles" in row.reason


@pytest.mark.parametrize(("model", "reason"), [("ids", NOTHING), ("text", NO_TEXT)])
def test_a_response_with_nothing_to_ask_keeps_its_slot_and_has_a_row(model, reason):
    """Tokens that are none of model 2's, or that add no text."""
    strange = Token("<|x|>", b"", None, "<|x|>", special=True)
    bare = Position(strange, OWN, TokenDist((strange,), (OWN,), 1))
    served = Served("q", loaded() if model == "ids" else None, True)
    ready = served.ready(entry([bare]))
    assert not list(ready.questions())
    [scored] = served.assemble(ready, lambda key: None, {}).responses
    assert scored.response.error == reason
    assert [row.reason for row in served.problems()] == [reason]


def test_a_response_that_the_file_spoilt_has_its_own_reason_and_no_second_row():
    """The reader has told of it."""
    made = entry([])
    bad = replace(made.responses[0], error="no log-probabilities came back")
    served = Served("q", loaded(), True)
    ready = served.ready(replace(made, responses=(bad,)))
    [scored] = served.assemble(ready, lambda key: None, {}).responses
    assert scored.response.error == "no log-probabilities came back"
    assert not served.problems()
