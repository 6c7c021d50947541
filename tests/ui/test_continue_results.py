"""What is read of the files that `sample` writes, and what is drawn of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from kl_core.records import Position, Response, Token
from kl_core.ui import continue_draw, continue_results
from kl_core.ui.continue_results import Continuation, Verdict

REST = b" Lyon. It is old."


def response(words: list[str], logprobs: list[float | None]) -> Response:
    """A response of these tokens."""
    positions = tuple(
        Position(Token(word, word.encode(), None, word), logprob, None)
        for word, logprob in zip(words, logprobs, strict=True)
    )
    return Response(0, "".join(words), positions, finish_reason="length")


def test_the_first_token_that_differs_is_set_apart() -> None:
    """What both share, the first other token, the rest; figures under the model that said it."""
    one = continue_results.continuation(response([" Lyon", ".", " No", "."], [-1.0] * 4), REST)
    assert (one.same, one.differs, one.after) == (" Lyon.", " No", ".")
    assert one.logprob == -4.0 and one.per_token == -1.0 and one.tokens == 4
    under = continue_draw.under(one)
    assert "ln p = −4.00, −1.00 a token" in under and "cut at the limit" in under


def test_a_token_is_compared_by_bytes_and_whole() -> None:
    """Other cuts of the same text differ nowhere; a longer token than the rest does."""
    same = continue_results.continuation(response([" Ly", "on."], [-0.5, -0.5]), REST)
    assert (same.same, same.differs, same.after) == (" Lyon.", "", "")
    assert "as in the saved response" in continue_draw.under(same)
    longer = continue_results.continuation(response([" Lyons"], [-0.5]), REST)
    assert (longer.same, longer.differs) == ("", " Lyons")


def test_an_answer_that_ends_where_the_saved_one_goes_on_differs_there() -> None:
    """The end's token adds no text and is named; where both end nothing differs."""
    end = Position(Token("<|eot|>", b"", None, "<|eot|>", special=True), -0.1, None)
    stopped = response([" Lyon", "."], [-1.0, -1.0])
    both = replace(stopped, positions=(*stopped.positions, end))
    early = continue_results.continuation(both, REST)
    assert (early.same, early.differs, early.after) == (" Lyon.", "<|eot|>", "")
    assert early.tokens == 3 and early.logprob == -2.1
    assert continue_results.continuation(both, b" Lyon.").differs == ""


def test_a_sum_is_never_made_up() -> None:
    """One unknown log-probability, or none at all, leaves no sum, and the page says why."""
    part = continue_results.continuation(response([" A", " b"], [-0.5, None]), REST)
    assert part.logprob is None and "no sum" in continue_draw.under(part)
    bare = Response(0, " Lyon, yes", (), error="no log-probabilities came back (provider X)")
    none = continue_results.continuation(bare, REST)
    assert (none.same, none.after, none.logprob) == (" Lyon", ", yes", None)
    assert "provider X" in continue_draw.under(none)


def test_files_of_both_shapes_are_read_by_the_number_of_their_sample(tmp_path: Path) -> None:
    """A sample that failed leaves a gap, not a shift; a file half written is passed over."""
    content = [{"token": " Rome", "logprob": -0.25, "top_logprobs": []}]
    gemini = {"sample": 2, "text": " Rome", "logprobs": {"content": content}}
    chat = {
        "sample": 0,
        "choices": [{"message": {"content": " Rome"}, "logprobs": {"content": content}}],
    }
    record = {"prompt": "x", "model": "m", "responses": [chat, gemini]}
    (tmp_path / "one.json").write_text(json.dumps(record))
    (tmp_path / "two.json").write_text('{"prompt": "x", "resp')
    found = continue_results.continuations(tmp_path, REST)
    assert sorted(found) == [0, 2]
    assert all(math.isclose(one.logprob or 0, -0.25) for one in found.values())


def test_every_pair_keeps_its_verdict_and_reason(tmp_path: Path) -> None:
    """A folder's name, a tie, or nothing readable: each in words of its own."""
    names = {"model1": "one", "model2": "two"}
    found = {"model1": {0: _said()}, "model2": {0: _said(), 1: _said()}}
    said = {0: Verdict("model2", "it is <b>true</b>"), 1: Verdict(None, "no JSON came")}
    rows = continue_draw.data("So ", REST, names, found, said)["rows"]
    assert rows[0]["verdict"] == ["Judged better: two.", "it is <b>true</b>"]
    assert rows[1]["verdict"] == ["No verdict.", "no JSON came"]
    assert rows[1]["cells"][0] is None
    assert continue_results.verdicts(tmp_path) == {}
    kept = [
        {"sample": 0, "verdict": "model2", "reason": "because", "error": None},
        {"sample": 1, "verdict": None, "reason": "", "error": "the judge was not asked yet"},
        "not a row",
    ]
    (tmp_path / "judgements.json").write_text(json.dumps({"judgements": kept}))
    assert continue_results.verdicts(tmp_path) == {
        0: Verdict("model2", "because"),
        1: Verdict(None, "the judge was not asked yet"),
    }


def test_text_that_hides_or_turns_is_made_visible_and_long_text_is_cut() -> None:
    """The component gets plain strings; what a browser would obey is spelt out."""
    one = continue_results.continuation(response([" a\u202eb", "\x00"], [-1.0, -1.0]), REST)
    cell = continue_draw.data("p", REST, {"model1": "m"}, {"model1": {0: one}}, {})["rows"][0]
    assert "⟨U+202E⟩" in cell["cells"][0]["differs"] and "⟨U+0000⟩" in cell["cells"][0]["after"]
    tail = continue_draw.tail("word " * 200)
    assert tail.startswith("…") and len(tail) <= continue_draw.TAIL + 1


def test_equal_continuations_are_one_until_a_judge_speaks_of_pairs() -> None:
    """The most frequent comes first with its number; a verdict keeps every pair."""
    other = Continuation("", " y", "", -2.0, 1)
    found = {"model1": {0: other, 1: _said(), 2: _said()}, "model2": {0: _said()}}
    names = {"model1": "one", "model2": "two"}
    drawn = continue_draw.data("p", REST, names, found, {})
    first, second = (row["cells"] for row in drawn["rows"])
    assert first[0]["under"].startswith("2 × · ") and first[0]["differs"] == " x"
    assert second[0]["differs"] == " y" and second[1] is None and continue_draw.grouped(drawn)
    judged = continue_draw.data("p", REST, names, found, {0: Verdict("tie", "")})
    assert len(judged["rows"]) == 3 and not continue_draw.grouped(judged)


def test_a_token_that_is_only_a_space_or_a_line_break_has_a_mark() -> None:
    """Nothing would be seen of it at a line's end."""
    cells = [
        continue_draw.data("p", REST, {"m": "m"}, {"m": {0: replace(_said(), differs=text)}}, {})
        for text in (" ", "\n")
    ]
    space, line = (each["rows"][0]["cells"][0] for each in cells)
    assert space["differs"] == "·" and line["differs"] == "⏎" and line["after"] == "\n"


def _said() -> Continuation:
    return Continuation("", " x", "", -1.0, 1)
