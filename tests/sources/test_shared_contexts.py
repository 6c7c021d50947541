"""What two folders of responses already say about each other."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from kl_core.formats.reader import discover, read_entries
from kl_core.records import NO_RESPONSES, NOT_REACHED, Entry, ProblemLog
from kl_core.sources.prefix_keys import prefix_keys, prompt_key
from kl_core.sources.second_input import SecondInput
from kl_core.sources.shared_contexts import NO_LIST2, SharedContexts
from tests.sources import sampled_pair
from tests.sources.conftest import BASE, TUNED, scorer
from tests.sources.test_contexts import entry, position, words

TWO = {"A": 0.7, "B": 0.2}


def item(token: str, lists: dict[str, float] | None = None, **more) -> dict:
    shown = TWO if lists is None else lists
    top = [{"token": t, "logprob": math.log(p)} for t, p in shown.items()]
    return {"token": token, "logprob": math.log(shown.get(token, 0.05)), "top_logprobs": top} | more


def response(*items: dict, reasoning: str | None = None, **more) -> dict:
    text = "".join(each["token"] for each in items if not each["token"].startswith("<|"))
    message = {"role": "assistant", "content": text, "reasoning": reasoning}
    return {"choices": [{"message": message, "logprobs": {"content": list(items)}}], **more}


def record(*responses: dict, prompt="Say it", model="q") -> dict:
    return {"prompt": prompt, "model": model, "responses": list(responses)}


def folder(path: Path, *records: dict | list) -> Path:
    path.mkdir()
    for number, each in enumerate(records):
        (path / f"r{number}.json").write_text(json.dumps(each))
    return path


def opened(path: Path, **more) -> SharedContexts:
    second = SecondInput(discover(path, None, ProblemLog()), "unnamed", **more)
    second.read(lambda *_: None)
    return SharedContexts(second)


def entries(path: Path) -> list[Entry]:
    return [each for each in read_entries(path, None, ProblemLog()) if isinstance(each, Entry)]


def against(tmp_path: Path, ours: dict, *theirs: dict | list):
    shared = opened(folder(tmp_path / "q", *theirs))
    [mine] = entries(folder(tmp_path / "p", ours))
    return shared.scored(mine), shared


def test_positions_that_both_came_to_are_compared_and_the_others_say_why(tmp_path):
    """`A B B` beside `A B A B`: up to the third token the texts are equal."""
    ours = record(response(item("A"), item("B"), item("B"), item("A")), model="p")
    theirs = record(response(item("A"), item("B"), item("A"), item("B")))
    result, shared = against(tmp_path, ours, theirs)
    assert result.responses[0].reasons == (None, None, None, NOT_REACHED)
    np.testing.assert_allclose(result.responses[0].measures.headline, [0, 0, 0, np.nan], atol=1e-12)
    assert (result.model1, result.model2) == ("p", "q")
    assert shared.contexts == 3
    assert not [*shared.problems(), *shared.left_over()]


def test_the_divergence_is_that_of_the_two_lists(tmp_path):
    """By hand, P is the first folder's."""
    ours = record(response(item("A", {"A": 0.75, "B": 0.25})))
    result, _ = against(tmp_path, ours, record(response(item("B", {"A": 0.5, "B": 0.5}))))
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    values = result.responses[0].measures
    np.testing.assert_allclose(values.headline, [expected], atol=1e-9)
    np.testing.assert_allclose(values.log_ratio, [math.log(1.5)], atol=1e-9)


def test_equal_text_is_one_context_however_it_was_cut(tmp_path):
    """`AB|A` beside `A|B|B`: the boundary after AB is shared, the one inside it is not."""
    ours = record(response(item("AB"), item("A")))
    result, shared = against(tmp_path, ours, record(response(item("A"), item("B"), item("B"))))
    assert result.responses[0].reasons == (None, None)
    assert shared.contexts == 2


def test_texts_differ_by_reasoning_and_by_special_tokens(tmp_path):
    """What stands before a token is more than its text: hidden thoughts, control tokens."""
    plain = record(response(item("A"), item("B")))
    thought = record(response(item("A"), item("B"), reasoning="hm"))
    result, _ = against(tmp_path, thought, plain)
    assert result.responses[0].reasons == (NOT_REACHED, NOT_REACHED)
    marked = entry([*words("A"), position(b"", "<|x|>", special=True), *words("B")])
    unmarked = entry(words("A", "B"))
    key = prompt_key(marked.prompt)
    keys, _ = prefix_keys(key, marked.responses[0])
    assert keys[1] == prefix_keys(key, unmarked.responses[0])[0][1]
    assert keys[2] not in prefix_keys(key, unmarked.responses[0])[0]
    assert len(set(keys)) == 3


def test_after_bytes_that_nobody_knows_nothing_is_compared():
    """A token written as U+FFFD that the text does not settle."""
    keys, reasons = prefix_keys(b"", entry([position(None, "�"), *words("B")]).responses[0])
    assert keys[0] is not None
    assert keys[1] is None
    assert "not known" in (reasons[1] or "")


def test_a_context_without_a_list_has_a_reason_of_its_own_unless_another_response_has_one(
    tmp_path,
):
    """Model 2 came there, but its provider sent nothing."""
    bare = item("A") | {"top_logprobs": []}
    ours = record(response(item("A"), item("B")))
    result, _ = against(tmp_path, ours, record(response(bare, item("B"))))
    assert result.responses[0].reasons == (NO_LIST2, None)
    both = record(response(bare), response(item("A")))
    (tmp_path / "two").mkdir()
    result, _ = against(tmp_path / "two", ours, both)
    assert result.responses[0].reasons == (None, NOT_REACHED)


def test_lists_of_one_text_that_differ_are_one_row_and_the_first_counts(tmp_path):
    """A provider that varies; noise of the last digits is none."""
    ours = record(response(item("A")))
    theirs = record(
        response(item("A")),
        response(item("A", {"A": 0.7001, "B": 0.2})),
        response(item("A", {"A": 0.4, "B": 0.5})),
    )
    result, shared = against(tmp_path, ours, theirs)
    np.testing.assert_allclose(result.responses[0].measures.headline, [0], atol=1e-12)
    [row] = shared.problems()
    assert "differ after one text" in row.reason
    assert "up to 0.3 in the probability" in row.reason
    shared.scored(entries(tmp_path / "p")[0])
    assert not shared.problems()


def test_model_2s_longer_list_is_taken_no_longer_than_model_1s(tmp_path):
    """Equal models stay equal; the rest stands beside the list."""
    longer = {**TWO, "C": 0.05}
    result, _ = against(tmp_path, record(response(item("A"))), record(response(item("A", longer))))
    [dist] = result.responses[0].dists2
    assert (dist.listed, len(dist.tokens)) == (2, 3)
    np.testing.assert_allclose(result.responses[0].measures.headline, [0], atol=1e-12)


def test_model_1s_longer_list_is_cut_too_so_that_equal_models_do_not_differ(tmp_path):
    """What is cut off stands beside the list."""
    ours = {"A": 0.7, "B": 0.2, "C": 0.06, "D": 0.04}
    shorter = {token: ours[token] for token in ("A", "B")}
    mine = record(response(item("A", ours)))
    result, _ = against(tmp_path, mine, record(response(item("A", shorter))))
    [scored] = result.responses
    assert scored.measures.headline[0] == pytest.approx(0, abs=1e-12)
    dist = scored.response.positions[0].dist
    assert (dist.listed, len(dist.tokens)) == (2, 4)


def test_unmatched_prompts_are_one_row_a_side_with_the_first(tmp_path):
    """Messages must be equal; a prompt as text and as one user turn are."""
    turns = [{"role": "user", "content": "Say it"}]
    shared = opened(
        folder(
            tmp_path / "q",
            record(response(item("A")), prompt=turns),
            record(response(item("A")), prompt="Only there"),
            record(response(item("A")), prompt="And there"),
        )
    )
    mine = entries(
        folder(
            tmp_path / "p",
            record(response(item("A"))),
            record(response(item("A")), prompt="say it"),
        )
    )
    scored = [shared.scored(each) for each in mine]
    assert [each.responses[0].reasons for each in scored] == [(None,), (NO_RESPONSES,)]
    left, right = shared.left_over()
    assert left.reason == "one prompt has no responses in the second folder: 'say it'"
    assert right.reason.startswith("2 prompts have responses in the second folder only")
    assert "'Only there'" in right.reason
    assert right.file == "second folder: r1.json"


def test_entries_without_a_prompt_never_match_each_other(tmp_path):
    """Two files without prompts are not two answers to one question."""
    bare = {"model": "q", "responses": [response(item("A"))]}
    result, _ = against(tmp_path, bare, bare)
    assert result.responses[0].reasons == (NO_RESPONSES,)


def test_entries_of_a_third_model_are_left_out_with_a_row(tmp_path):
    """A mixture of two models would be compared as if it were one."""
    ours = record(response(item("A"), item("B")))
    theirs = [record(response(item("A"))), record(response(item("A"), item("A")), model="other")]
    result, shared = against(tmp_path, ours, theirs)
    assert result.responses[0].reasons == (None, NOT_REACHED)
    [row] = shared.problems()
    assert "other (1)" in row.reason


@pytest.mark.parametrize("hold", [1, 100_000])
def test_one_prompt_in_several_files_and_list_files_in_another_order(tmp_path, hold):
    """The same result whether everything fits into memory or one file at a time."""
    prompts = [f"prompt {n}" for n in range(6)]
    here = [record(response(item("A"), item("B"), item("A")), prompt=p) for p in prompts]
    theirs = [record(response(item("A"), item("A")), prompt=p) for p in reversed(prompts)]
    more = [record(response(item("A"), item("B"), item("B")), prompt=p) for p in prompts[1::2]]
    shared = opened(folder(tmp_path / "q", theirs[:3], theirs[3:], *more), hold=hold)
    scored = [shared.scored(each) for each in entries(folder(tmp_path / "p", here[:4], here[4:]))]
    reached = [sum(reason is None for reason in each.responses[0].reasons) for each in scored]
    assert reached == [2, 3, 2, 3, 2, 3]
    assert shared.contexts == 15
    assert not shared.left_over()


def test_a_plain_nested_loop_finds_the_same_contexts(tmp_path):
    """Held against the definition on random texts: equal bytes before both positions."""
    rng = np.random.default_rng(5)

    def texts() -> list[list[str]]:
        return [list(rng.choice(["a", "b", "ab", "é"], size=8)) for _ in range(12)]

    ours, theirs = texts(), texts()
    made = [record(*(response(*map(item, each)) for each in side)) for side in (ours, theirs)]
    result, shared = against(tmp_path, *made)
    there = {"".join(each[:n]) for each in theirs for n in range(len(each))}
    expected = [["".join(each[:n]) in there for n in range(len(each))] for each in ours]
    found = [[reason is None for reason in each.reasons] for each in result.responses]
    assert found == expected
    here = {"".join(each[:n]) for each in ours for n in range(len(each))}
    assert shared.contexts == len(here & there)


def test_the_divergence_equals_what_scoring_with_the_weights_gives(tmp_path):
    """Both tiny models sampled at low temperature; model 2's lists are in its own answers."""
    ours = sampled_pair.write(tmp_path / "base", BASE)
    shared = opened(sampled_pair.write(tmp_path / "tuned", TUNED))
    mine = entries(ours)
    truth = scorer(TUNED).score(mine)
    compared = largest = 0.0
    for each, scored in zip(mine, truth, strict=True):
        for free, full in zip(shared.scored(each).responses, scored.responses, strict=True):
            known = ~np.isnan(free.measures.headline)
            compared += known.sum()
            largest = max(largest, full.measures.headline[known].max())
            np.testing.assert_allclose(
                free.measures.headline[known], full.measures.headline[known], atol=1e-4
            )
            ratio = free.measures.log_ratio[known]
            np.testing.assert_allclose(
                ratio[~np.isnan(ratio)],
                full.measures.log_ratio[known][~np.isnan(ratio)],
                atol=1e-4,
            )
    assert compared > 50
    assert largest > 0.1


@pytest.mark.skipif(not os.environ.get("KL_REAL_DATA"), reason="KL_REAL_DATA names no folder")
def test_two_real_models_share_the_beginnings_of_their_answers():
    """Llama and Gemma on one common prompt: the first token of both answers, and little more."""
    root = Path(os.environ.get("KL_REAL_DATA", "."))
    shared = opened(root / "openrouter_gemma-2-9b-it.json")
    mine = entries(root / "openrouter_llama-3.1-8b-instruct.json")
    scored = [shared.scored(each) for each in mine]
    known = sum(int((~np.isnan(r.measures.headline)).sum()) for e in scored for r in e.responses)
    assert (known, shared.contexts) == (5, 3)
    assert len(shared.left_over()) == 1
    assert scored[0].model2 == "google/gemma-2-9b-it"
