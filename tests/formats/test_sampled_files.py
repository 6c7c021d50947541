"""The files that sampling writes: names, completion, and that the reader reads them."""

import json

import pytest

from kl_core.errors import FormatError, InputError
from kl_core.formats.reader import read_entries
from kl_core.formats.sampled_files import (
    SampledFile,
    difference,
    existing,
    file_name,
    write_file,
)
from kl_core.formats.started import Origin
from kl_core.records import Message, ProblemLog

PROMPT = (Message("user", "How do bees make wax?"),)
BEGUN = (*PROMPT, Message("assistant", " They "))
SAMPLING = {"api": "openai", "temperature": 1.0, "max_tokens": 9}
ORIGIN = Origin(
    source_file="sub/bees_kl.json", response_idx=2, token_position=7, token=" eat",
    score="inf", kl_divergence=None,
)  # fmt: skip


def token(text, logprob=-0.5):
    data = list(text.encode())
    top = [{"token": text, "bytes": data, "logprob": logprob}]
    top.append({"token": "!", "bytes": [33], "logprob": -3.0})
    return {"token": text, "bytes": data, "logprob": logprob, "top_logprobs": top}


def chat(text):
    content = [token(text)]
    message = {"role": "assistant", "content": text}
    choice = {"message": message, "logprobs": {"content": content}, "finish_reason": "stop"}
    return {"id": "x", "provider": "P", "model": "m-1", "choices": [choice]}


def completion(text):
    logprobs = {
        "tokens": [text],
        "token_logprobs": [-0.5],
        "top_logprobs": [{text: -0.5, "!": -3.0}],
        "text_offset": [0],
    }
    choice = {"text": text, "logprobs": logprobs, "finish_reason": "length"}
    return {"id": "x", "model": "m-1", "choices": [choice]}


def gemini(text):
    content = [token(text) | {"token_id": 3}]
    return {
        "text": text, "logprobs": {"content": content}, "finish_reason": "STOP",
        "model_version": "m-1",
    }  # fmt: skip


def entries(path):
    log = ProblemLog()
    return list(read_entries(path, None, log)), log.rows


@pytest.mark.parametrize("shape", [chat, completion, gemini])
def test_a_written_file_is_read_like_any_response_file(tmp_path, shape):
    """Texts, log-probabilities, model and reason of both formats, in the order of the numbers."""
    path = tmp_path / file_name(PROMPT)
    write_file(path, SampledFile(PROMPT, "m", SAMPLING, {1: shape(" two"), 0: shape("one")}))
    (entry,), rows = entries(tmp_path)
    assert rows == []
    assert (entry.prompt, entry.model) == (PROMPT, "m")
    assert [response.text for response in entry.responses] == ["one", " two"]
    for response in entry.responses:
        assert response.error is None
        assert response.model == "m-1"
        position = response.positions[0]
        assert position.logprob == -0.5
        assert position.dist is not None
        assert position.dist.logprobs == (-0.5, -3.0)
        assert position.token.text == response.text


def test_several_turns_and_a_started_answer_come_back_as_turns(tmp_path):
    """The blanks of the answer's beginning included."""
    path = tmp_path / file_name(BEGUN, ORIGIN)
    write_file(path, SampledFile(BEGUN, "m", SAMPLING, {0: chat("x")}, ORIGIN))
    (entry,), rows = entries(tmp_path)
    assert (entry.prompt, rows) == (BEGUN, [])
    found = existing(path)
    assert found is not None
    assert (found.prompt, found.continued_from) == (BEGUN, ORIGIN)
    assert json.loads(path.read_text())["continued_from"]["score"] == "inf"


def test_a_file_can_be_completed(tmp_path):
    """Numbers say which samples are missing, whatever order they came in."""
    path = tmp_path / "new" / "a.json"
    assert existing(path) is None
    write_file(path, SampledFile(PROMPT, "m", SAMPLING, {2: chat("c"), 0: chat("a")}))
    found = existing(path)
    assert found is not None
    assert found.missing(4) == [1, 3]
    assert found.responses[2]["choices"][0]["message"]["content"] == "c"
    found.responses[1] = chat("b")
    write_file(path, found)
    (entry,), _ = entries(path)
    assert [response.text for response in entry.responses] == ["a", "b", "c"]
    assert [item["sample"] for item in json.loads(path.read_text())["responses"]] == [0, 1, 2]


def test_the_file_is_strict_json_and_no_scratch_file_stays(tmp_path):
    """NaN and infinities become null; one line, and nothing beside it."""
    bad = gemini("a") | {"avg": float("nan"), "worst": float("-inf")}
    write_file(tmp_path / "a.json", SampledFile(PROMPT, "m", SAMPLING, {0: bad}))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    item = json.loads(text, parse_constant=pytest.fail)["responses"][0]
    assert (item["avg"], item["worst"]) == (None, None)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert text.count("\n") == 1


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """Whole or not at all, and one sentence."""
    path = tmp_path / "a.json"
    write_file(path, SampledFile(PROMPT, "m", SAMPLING, {0: chat("a")}))
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"a\.json cannot be written \(No space left"):
        write_file(path, SampledFile(PROMPT, "m", SAMPLING, {0: chat("b")}))
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sampling": SAMPLING | {"temperature": 0.5}}, "temperature 1.0, now 0.5 is asked"),
        ({"sampling": SAMPLING | {"reasoning": False}}, "reasoning null, now false is asked"),
        ({"model": "other"}, "responses of m, not of other"),
        ({"prompt": BEGUN}, "another prompt"),
    ],
)
def test_other_settings_are_told_with_both_values(change, words):
    """Such a file is not completed."""
    found = SampledFile(PROMPT, "m", SAMPLING, {0: chat("a")})
    given = {"prompt": PROMPT, "model": "m", "sampling": SAMPLING} | change
    assert words in (difference(found, SampledFile(**given)) or "")
    assert difference(found, SampledFile(PROMPT, "m", dict(SAMPLING))) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"prompt": "a", "model": "m", "responses": [{"choices": []}]}',
        '{"prompt": "a", "model": "m", "sampling": {}, "responses": [{"choices": []}]}',
        '{"prompt": 3, "model": "m", "sampling": {}, "responses": []}',
    ],
)
def test_a_file_of_another_origin_is_not_taken_for_one_of_ours(tmp_path, text):
    """It is left as it is."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError):
        existing(tmp_path / "a.json")
    with pytest.raises(FormatError):
        existing(tmp_path)


@pytest.mark.parametrize("numbers", [[-1], [1.5], [True], [2**62], [10**30], ["1"], [0, 0]])
def test_numbers_that_sample_does_not_write_make_a_file_another_s(tmp_path, numbers):
    """Ids are counted out by them, so none is taken that could not have been written."""
    items = [{"sample": number, "text": "a"} for number in numbers]
    record = {"prompt": "hi", "model": "m", "sampling": {}, "responses": items}
    path = tmp_path / "f.json"
    path.write_text(json.dumps(record))
    with pytest.raises(FormatError, match="not written by sample"):
        existing(path)


def test_names_say_what_was_asked_and_differ_for_other_turns():
    """Readable, short, safe as a file name, the same in every run."""
    assert file_name(PROMPT) == "how-do-bees-make-wax-e0bc0fd31e45.json"
    names = {
        file_name(PROMPT),
        file_name(BEGUN),
        file_name((Message("system", "s"), *PROMPT)),
        file_name(PROMPT, ORIGIN),
        file_name(BEGUN, ORIGIN),
        file_name((Message("user", "how do bees make wax"),)),
    }
    assert len(names) == 6
    assert "-bees-r2-t7-" in file_name(BEGUN, ORIGIN)


@pytest.mark.parametrize(
    "text",
    ["", "../../etc/passwd", "?" * 500, "é" * 500, "漢" * 500, "😀" * 500, "a\0b", "x" * 10_000,
     "CON", ".hidden", "a\ud83d"],
)  # fmt: skip
def test_names_of_hostile_prompts_stay_inside_the_folder(text, tmp_path):
    """Any prompt and any source file: one plain name of fewer than 200 bytes."""
    prompt = (Message("user", text),)
    wild = Origin(
        source_file=f"../{text}/{text}", response_idx=0, token_position=0, token="", score=1.0
    )
    if "\ud83d" in text:
        return  # prompts are cleaned of those before
    for name in (file_name(prompt), file_name(prompt, wild)):
        assert len(name.encode()) < 200
        assert not set('/\\:*?"<>|\0') & set(name)
        assert not name.startswith((".", "-"))
        (tmp_path / name).touch()
