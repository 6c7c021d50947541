"""The shapes in which responses come: OpenRouter, bare completions, legacy, Gemini."""

from kl_core.records import Message

from .make import GOOD, entry, item, load_one, openai_response, sure


def test_a_response_is_read_with_its_tokens(tmp_path):
    """Text, provider, model, tokens and lists of an ordinary file."""
    found, rows = load_one(tmp_path, GOOD)
    response = found.responses[0]
    assert (found.file, found.index, found.entries_in_file) == ("a.json", 0, 1)
    assert (found.prompt, found.model) == ((Message("user", "Say hi"),), "m/one")
    assert (response.text, response.provider, response.error) == ("Hi there", "Nebius", None)
    assert [p.token.data for p in response.positions] == [b"Hi", b" there"]
    assert rows == []


def test_a_response_without_logprobs_keeps_its_slot(tmp_path):
    """The text stays with an error naming the provider; one row counts them all."""
    without = openai_response(None, "No", provider="DeepInfra")
    good = GOOD["responses"][0]
    found, rows = load_one(tmp_path, entry(without, good, without))
    assert [r.index for r in found.responses] == [0, 1, 2]
    assert found.responses[0].text == "No"
    assert found.responses[0].error == "no log-probabilities came back (provider DeepInfra)"
    assert len(rows) == 1
    assert rows[0].reason.startswith("2 of 3 responses")
    assert "DeepInfra 2" in rows[0].reason


def test_several_choices_are_several_slots(tmp_path):
    """n = 2 gives two responses; the ones after them move on."""
    two = openai_response([sure("Hi")], "Hi")
    two["choices"] *= 2
    found, _ = load_one(tmp_path, entry(two, openai_response([sure("Yo")], "Yo")))
    assert [(r.index, r.text) for r in found.responses] == [(0, "Hi"), (1, "Hi"), (2, "Yo")]


def test_a_bare_completion_is_an_entry(tmp_path):
    """{id, choices, …} without a wrapper is read; its missing prompt is a row."""
    found, rows = load_one(tmp_path, openai_response([sure("Hi")], "Hi", model="m"))
    assert (found.prompt, found.model, len(found.responses)) == ((), "m", 1)
    assert "no prompt" in rows[0].reason


def test_messages_are_a_prompt(tmp_path):
    """Roles are kept, text parts of a content list are joined."""
    turns = [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ]
    found, rows = load_one(tmp_path, {**GOOD, "prompt": turns})
    assert found.prompt == (Message("system", "Be kind"), Message("user", "Hi"))
    assert rows == []


def test_a_bad_prompt_does_not_lose_the_responses(tmp_path):
    """A prompt that is no text is a row; the responses stay."""
    for bad in (7, [{"role": "user"}], [3]):
        found, rows = load_one(tmp_path, {**GOOD, "prompt": bad})
        assert found.prompt == ()
        assert len(found.responses) == 1
        assert len(rows) == 1


def test_legacy_completions_are_read(tmp_path):
    """{tokens, token_logprobs, top_logprobs} gives the same positions."""
    choice = {
        "text": " the cat",
        "logprobs": {
            "tokens": [" the", " cat"],
            "token_logprobs": [-0.5, -1.0],
            "top_logprobs": [{" the": -0.5, " a": -1.5}, {" cat": -1.0}],
        },
    }
    found, rows = load_one(tmp_path, entry({"choices": [choice]}))
    positions = found.responses[0].positions
    assert [p.token.data for p in positions] == [b" the", b" cat"]
    assert positions[0].dist.logprobs == (-0.5, -1.5)
    assert rows == []


def test_the_gemini_format_is_read(tmp_path):
    """Text and ids at the top level of each response; ids are the identity."""
    content = [
        {
            "token": " hi",
            "logprob": -0.1,
            "token_id": 7,
            "top_logprobs": [
                {"token": " hi", "logprob": -0.1, "token_id": 7},
                {"token": " yo", "logprob": -2.5, "token_id": 9},
            ],
        }
    ]
    found, rows = load_one(tmp_path, entry({"text": "hi", "logprobs": {"content": content}}))
    position = found.responses[0].positions[0]
    assert [token.id for token in position.dist.tokens] == [7, 9]
    assert (position.token.data, rows) == (b" hi", [])


def test_special_tokens_add_no_text(tmp_path):
    """Gemma's `<end_of_turn>`, newline, `<eos>`: two specials around b"\\n"."""
    content = [
        item(t, {t: 0.9, "▁x": 0.05}) for t in ("▁Hi", "▁you", "<end_of_turn>", "\n", "<eos>")
    ]
    found, rows = load_one(tmp_path, entry(openai_response(content, "Hi you")))
    tokens = [p.token for p in found.responses[0].positions]
    assert [t.special for t in tokens] == [False, False, True, False, True]
    assert b"".join([t.data for t in tokens]) == b" Hi you\n"
    assert rows == []


def test_one_bad_response_does_not_lose_the_others(tmp_path):
    """Null, numbers, server errors and broken choices keep their slots with errors."""
    bad = [None, 7, {}, {"choices": []}, {"choices": [5]}, {"error": {"message": "overloaded"}}]
    bad.append({"choices": [{"message": 3, "logprobs": "x"}]})
    good = GOOD["responses"][0]
    found, rows = load_one(tmp_path, entry(*bad, good))
    assert [r.index for r in found.responses] == list(range(8))
    assert all(r.error for r in found.responses[:-1])
    assert found.responses[-1].error is None
    assert any("overloaded" in row.reason for row in rows)
    assert not any("report this" in row.hint for row in rows)


def test_a_missing_text_is_joined_from_the_tokens(tmp_path):
    """A tool call has no content: the tokens' bytes stand in."""
    response = openai_response([sure("Hi"), sure("Ġthere")])
    response["choices"][0]["message"]["content"] = None
    found, _ = load_one(tmp_path, entry(response))
    assert found.responses[0].text == "Hi there"


def test_reasoning_and_finish_reason_are_kept(tmp_path):
    """What a reasoning model said besides its answer stays with the response."""
    response = openai_response([sure("Hi")], "Hi")
    response["choices"][0]["message"]["reasoning"] = "think"
    response["choices"][0]["finish_reason"] = "stop"
    found, _ = load_one(tmp_path, entry(response))
    assert (found.responses[0].reasoning, found.responses[0].finish_reason) == ("think", "stop")
