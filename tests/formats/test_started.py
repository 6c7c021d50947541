"""Started answers: from the tokens of a file or run to prompts that end in the middle."""

import json

import pytest

from kl_core.errors import InputError
from kl_core.formats.high_tokens import prompt_keys
from kl_core.formats.kl_write import ResultWriter
from kl_core.formats.started import read_started, started
from kl_core.jobs.tokens import TokensRequest, extract
from kl_core.records import Entry, Message, ProblemLog, ScoredEntry
from tests.factories import response

TURNS = (Message("user", "q1"), Message("assistant", "a1"), Message("user", "q2"))


def row(**fields):
    return {
        "prompt": "q",
        "prefix_response": "The capital is",
        "token": " Lyon",
        "score": 3.5,
        "kl_divergence": 3.5,
        "entropy1": 0.1,
        "entropy2": 0.1,
        "source_file": "a_kl.json",
        "response_idx": 1,
        "token_position": 3,
    } | fields


@pytest.fixture
def read(tmp_path):
    def read_(*rows):
        path = tmp_path / "tokens.json"
        path.write_text(json.dumps({"score_type": "kl", "entries": list(rows)}, indent=1))
        log = ProblemLog()
        return read_started(path, log), log.rows

    return read_


def test_an_entry_is_its_prompt_and_the_beginning_of_the_answer(read):
    """Blanks at its end included; the origin is the token's."""
    (one,), rows = read(row(prefix_response="The capital is "))
    assert one.prompt == (Message("user", "q"), Message("assistant", "The capital is "))
    assert one.turns == (Message("user", "q"),)
    assert one.prefix == "The capital is "
    assert (one.origin.source_file, one.origin.response_idx, one.origin.token_position) == (
        "a_kl.json", 1, 3,
    )  # fmt: skip
    assert (one.origin.token, one.origin.score) == (" Lyon", 3.5)
    assert rows == []


def test_at_the_first_token_the_answer_has_not_begun(read):
    """No empty turn, which servers refuse."""
    (one,), _ = read(row(prefix_response="", token_position=0, score="inf", kl_divergence=None))
    assert one.prompt == one.turns == (Message("user", "q"),)
    assert (one.origin.score, one.origin.kl_divergence) == ("inf", None)


def test_several_turns_come_back_as_turns(read):
    """From `messages`, not from the labelled text."""
    (one,), _ = read(row(**prompt_keys(TURNS)))
    assert one.turns == TURNS
    assert one.prompt == (*TURNS, Message("assistant", "The capital is"))


def test_a_continuation_that_is_continued_stays_one_answer(read):
    """A prompt that ends with the assistant's words gets no second turn of the assistant."""
    begun = started((Message("user", "q"),), "One", row_origin()).prompt
    (one,), _ = read(row(**prompt_keys(begun), prefix_response=" two"))
    assert one.prompt == (Message("user", "q"), Message("assistant", "One two"))
    assert one.prefix == "One two"


def row_origin():
    from kl_core.formats.started import Origin

    return Origin(source_file="a", response_idx=0, token_position=0, token="")


def test_equal_beginnings_are_continued_once_and_bad_entries_lose_themselves_alone(read):
    """Each with a row."""
    found, rows = read(
        row(),
        row(response_idx=2),
        {"x": 1},
        row(prefix_response="a\ufffd"),
        row(prompt=None),
        row(token_position="x"),
        7,
        row(prompt="other"),
    )
    assert [(one.turns[0].content, one.origin.response_idx) for one in found] == [
        ("q", 1), ("other", 1),
    ]  # fmt: skip
    assert len(rows) == 6
    assert any("ends inside a character" in each.reason for each in rows)
    assert all(each.hint for each in rows)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"entries": 3}', "[{}, {}]", '{"entries": []}'])
def test_another_file_is_refused_in_one_sentence(tmp_path, text):
    """With the command that writes the right one."""
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"t\.json"):
        read_started(path, ProblemLog())
    with pytest.raises(InputError, match="does not exist"):
        read_started(tmp_path / "none.json", ProblemLog())


@pytest.mark.parametrize("prompt", [(Message("user", "q"),), TURNS])
def test_result_files_lead_to_started_answers_with_the_same_turns(tmp_path, prompt):
    """The whole way: results, tokens, started answers; a single turn needs no `messages`."""
    import numpy as np

    scored = response(0, 6, np.random.default_rng(0))
    entry = Entry("a.json", 0, 1, prompt, "m", (scored.response,))
    ResultWriter(tmp_path / "results").write(ScoredEntry(entry, "m", "n", (scored,)))
    found = extract(TokensRequest(tmp_path / "results", None, None, "kl"), ProblemLog())
    assert ("messages" in found["entries"][0]) == (len(prompt) > 1)
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps(found))
    begun = {one.origin.token_position: one for one in read_started(path, ProblemLog())}
    assert sorted(begun) == list(range(6))
    tokens = [position.token.text for position in scored.response.positions]
    for position, one in begun.items():
        assert one.turns == prompt
        assert one.prefix == "".join(tokens[:position])
        assert one.origin.token == tokens[position]
