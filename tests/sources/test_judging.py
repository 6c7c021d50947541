"""Pairs of continuations, the question about them, and reading what a judge says."""

from dataclasses import replace

import msgspec
import pytest

from kl_core.formats.sampled_files import SampledFile, file_name, write_file
from kl_core.formats.sampling_config import JudgeConfig, ModelConfig
from kl_core.records import Message, ProblemLog
from kl_core.sources.calls import Answer
from kl_core.sources.judging import (
    Continuing,
    Pair,
    answer_text,
    item_text,
    judge_prompt,
    judge_settings,
    pairs_in,
    read_verdict,
)

TURNS = (Message("user", "Why?"),)
JUDGE = JudgeConfig(model=ModelConfig(name="j", base_url="http://127.0.0.1:1/v1"))


def pair(number=0, texts=("first", "second"), prefix="Because"):
    return Pair("a.json", TURNS, prefix, None, number, texts)


@pytest.mark.parametrize(
    ("said", "verdict", "reason"),
    [
        ('{"verdict": "A", "reason": "clear"}', "A", "clear"),
        ('{"verdict": "b", "reason": "x"}', "B", "x"),
        ('{"verdict": "TIE"}', "tie", ""),
        ('```json\n{"verdict": "A",\n "reason": "r"}\n```', "A", "r"),
        ('I think {so}. {"verdict": "B", "reason": "it {is}"} That is all.', "B", "it {is}"),
        ("{'verdict': 'A', 'reason': \"it's good\"}", "A", "it's good"),
        ('{"Verdict": "tie", "Reason": "same"}', "tie", "same"),
        ('{"verdict": "A", "reason": "two\nlines"}', "A", "two\nlines"),
        ('{"reason": "r", "verdict": "A",}', "A", "r"),
        ('{"answer": {"x": 1}} {"verdict": "A"}', "A", ""),
        ('{"verdict": "A"} or again {"verdict": "A", "reason": "z"}', "A", "z"),
        ('{"verdict": "A", "reason": 3}', "A", ""),
        ('{"verdict": "Continuation A", "reason": "r"}', "A", "r"),
        ('{"verdict": "continuation b."}', "B", ""),
        ("{'verdict': 'B', 'reason': 'has {braces} and } too'}", "B", "has {braces} and } too"),
        ("{'verdict': 'Continuation B', 'reason': 'it's good'}", "B", ""),
        ('{"verdict": "A", "reason": "he said "no" twice"}', "A", ""),
    ],
)  # fmt: skip
def test_a_verdict_is_read_from_json_among_other_words(said, verdict, reason):
    """Code fences, prose, single quotes, small letters."""
    assert read_verdict(said) == (verdict, reason)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "A",
        "The better one is A.",
        '{"verdict": "C"}',
        '{"verdict": "A or B"}',
        '{"verdict": null}',
        '{"verdict": ["A"]}',
        '{"verdict": "A"',
        '{"verdict": "A"} no, {"verdict": "B"}',
        "{'verdict': 'A', 'reason': 'it's'} or {'verdict': 'B', 'reason': 'it's'}",
        '{"verdict": "A", "reason": "cut o',
        '{"verdict": "Continuation"}',
        "{" * 100_000,
        "[{'verdict'}]",
        '{"verdict": "A" or "B" or "tie", "reason": "one sentence"}',
        "{__import__('os').system('true')}",
    ],
)
def test_anything_else_is_no_verdict(said):
    """Neither a guess nor an error; two that contradict each other are none."""
    assert read_verdict(said) == (None, "")


def test_the_question_holds_all_four_texts_and_what_they_say_is_not_read():
    """Braces of a continuation stay what they are."""
    asked = pair(texts=("{prefix} {0} {{", "other"), prefix="{a}")
    (turn,) = judge_prompt(JUDGE, asked, 0)
    assert turn.role == "user"
    for text in ("Why?", "{a}", "{prefix} {0} {{", "other", '{"verdict": "A" or'):
        assert text in turn.content


def test_the_order_is_drawn_per_pair_and_stays():
    """About half of all pairs show the second model first; another seed draws anew."""
    swapped = [pair(number).swapped(0) for number in range(400)]
    assert swapped == [pair(number).swapped(0) for number in range(400)]
    assert swapped != [pair(number).swapped(1) for number in range(400)]
    assert abs(sum(swapped) - 200) < 4 * 10
    for number in range(20):
        text = judge_prompt(JUDGE, pair(number), 0)[0].content
        assert (text.index("second") < text.index("first")) == pair(number).swapped(0)


def item(text):
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


def continuing(tmp_path, name):
    return Continuing(tmp_path / name, name, {"temperature": 1.0})


def test_pairs_are_the_samples_of_one_number_that_both_models_have(tmp_path):
    """What stands alone is kept and told; a missing or foreign file too."""
    begun = (*TURNS, Message("assistant", "Because "))
    names = [file_name(begun), "missing.json", "foreign.json"]
    both = (continuing(tmp_path, "one"), continuing(tmp_path, "two"))
    for model, numbers in zip(both, ((0, 1, 2), (1, 2, 3)), strict=True):
        items = {n: item(f"{model.model} {n}") for n in numbers}
        made = SampledFile(begun, model.model, model.sampling, items)
        write_file(model.folder / names[0], made)
    (tmp_path / "one" / "foreign.json").write_text("{}")
    log = ProblemLog()
    found = list(pairs_in(both, names, 4, log))
    assert [(each.number, each.texts) for each in found] == [
        (1, ("one 1", "two 1")),
        (2, ("one 2", "two 2")),
    ]
    assert {(each.turns, each.prefix) for each in found} == {(TURNS, "Because ")}
    assert "2 continuations have no counterpart" in log.rows[0].reason
    assert [row.file for row in log.rows] == [names[0], "one/foreign.json"]


def test_numbers_that_this_run_does_not_ask_are_no_pairs(tmp_path):
    """An earlier run may have drawn more samples into the same files."""
    name = file_name(TURNS)
    both = (continuing(tmp_path, "one"), continuing(tmp_path, "two"))
    for model in both:
        items = {n: item(f"{model.model} {n}") for n in range(5)}
        write_file(model.folder / name, SampledFile(TURNS, model.model, model.sampling, items))
    log = ProblemLog()
    assert [each.number for each in pairs_in(both, [name], 2, log)] == [0, 1]
    assert log.rows == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampling": {"temperature": 0.5}}, "sampled with temperature 0.5, now 1.0"),
        ({"model": "other"}, "responses of other"),
        ({"prompt": (Message("user", "Another?"),)}, "another prompt"),
    ],
)
def test_files_of_another_run_are_not_judged(tmp_path, change, words):
    """Other settings, another model or prompt under the same name: a row, no pair."""
    name = file_name(TURNS)
    both = (continuing(tmp_path, "one"), continuing(tmp_path, "two"))
    for model in both:
        made = SampledFile(TURNS, model.model, model.sampling, {0: item(model.model)})
        write_file(model.folder / name, made)
    assert len(list(pairs_in(both, [name], 1, ProblemLog()))) == 1
    old = replace(SampledFile(TURNS, "two", both[1].sampling, {0: item("x")}), **change)
    write_file(both[1].folder / name, old)
    log = ProblemLog()
    assert list(pairs_in(both, [name], 1, log)) == []
    assert words in log.rows[0].reason
    assert log.rows[0].file == f"two/{name}"


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        (item("a"), "a"),
        ({"choices": [{"text": "b"}]}, "b"),
        ({"text": "c", "logprobs": None}, "c"),
        (item([{"type": "text", "text": "d"}]), "d"),
        (item(None), ""),
        ({"choices": []}, None),
        ({"error": "x"}, None),
    ],
)
def test_the_text_of_every_shape_of_answer_is_found(kept, text):
    """Chat, completion, Gemini's; an end at once is an empty text."""
    assert item_text(kept) == text
    assert answer_text(Answer(body=msgspec.json.encode(kept))) == (text or "")
    assert answer_text(Answer(body=b"no json")) == ""


def test_a_judge_is_asked_once_without_logprobs_at_temperature_zero():
    """Unless its model says otherwise."""
    found = judge_settings(JUDGE)
    assert (found.samples, found.temperature, found.top_logprobs, found.max_tokens) == (
        1,
        0,
        0,
        200,
    )
    warm = JudgeConfig(model=msgspec.structs.replace(JUDGE.model, temperature=0.7, max_tokens=9))
    assert (judge_settings(warm).temperature, judge_settings(warm).max_tokens) == (0.7, 9)
