"""The response files are in the real formats, and say what tiny-base thinks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from .reading import SAMPLE, Judge, Scored, entries, tokens

pytestmark = pytest.mark.xdist_group("sample")
LARGEST_FILE = 1_500_000
LARGEST_SAMPLE = 16_000_000


def responses(folder: str) -> list[dict[str, Any]]:
    """All responses of a directory."""
    return [response for _, entry in entries(folder) for response in entry["responses"]]


@pytest.mark.parametrize("folder", ["openrouter", "list", "gemini"])
def test_saved_logprobs_are_those_of_tiny_base(folder: str, scored: list[Scored]) -> None:
    """What the files call a log-probability is the model's, at temperature 1."""
    for item in (item for item in scored if item.folder == folder):
        exact = item.base[range(len(item.ids)), item.ids].tolist()
        known = [(a, b) for a, b in zip(item.saved, exact, strict=True) if a != -9999.0]
        assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in known)


def test_openrouter_tokens_join_to_the_message(judge: Judge) -> None:
    """Vocabulary pieces with the bytes of the piece, one prompt a file, ten candidates."""
    files = [name for name, _ in entries("openrouter")]
    assert len(files) == len(set(files))
    for response in responses("openrouter"):
        content = tokens(response)
        assert content is not None
        assert all(bytes(token["bytes"]).decode() == token["token"] for token in content)
        assert all(len(token["top_logprobs"]) == 10 for token in content)
        ids = judge.tokenizer.convert_tokens_to_ids([token["token"] for token in content])
        text = judge.tokenizer.decode(ids, skip_special_tokens=True)
        assert text == response["choices"][0]["message"]["content"]
        assert response["usage"]["completion_tokens"] == len(content)


def test_gemini_tokens_carry_text_and_ids(judge: Judge) -> None:
    """Token text such as " the" beside the real id, and no end token of its own."""
    for response in responses("gemini"):
        content = tokens(response)
        assert content is not None
        ids = [token["token_id"] for token in content]
        assert judge.tokenizer.decode(ids) == response["text"]
        assert all("Ġ" not in token["token"] for token in content)


def test_one_prompt_is_a_chat_of_several_turns() -> None:
    """A prompt may be a list of messages."""
    chats = [entry["prompt"] for _, entry in entries("openrouter") if type(entry["prompt"]) is list]
    assert [[m["role"] for m in chat] for chat in chats] == [
        ["system", "user", "assistant", "user"]
    ]


def test_the_list_directory_has_the_quirks_of_real_providers() -> None:
    """Each quirk occurs, and most responses are free of all of them."""
    found = responses("list")
    spoken = [content for response in found if (content := tokens(response))]
    every = [token for content in spoken for token in content]
    assert all(isinstance(entry, dict) for _, entry in entries("list"))
    assert 0 < len(found) - len(spoken) < len(found) / 4
    assert any("bytes" not in token for token in every)
    assert any(other["logprob"] == -9999.0 for token in every for other in token["top_logprobs"])
    assert any(names(token)[0] == token["token"] and not falling(token) for token in every)
    assert any(token["token"] not in names(token) for token in every)
    assert sum(r["provider"] == "Lanternhost" for r in found) > len(found) / 2


def test_the_sample_stays_small() -> None:
    """It ships in the repository: no large file, a modest whole."""
    sizes = [path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()]
    assert max(sizes) <= LARGEST_FILE
    assert sum(sizes) <= LARGEST_SAMPLE


def names(token: dict[str, Any]) -> list[str]:
    """The candidates of a position, as listed."""
    return [other["token"] for other in token["top_logprobs"]]


def falling(token: dict[str, Any]) -> bool:
    """Whether a position's list is in order of probability."""
    values = [other["logprob"] for other in token["top_logprobs"]]
    return values == sorted(values, reverse=True)
