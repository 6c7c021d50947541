"""Responses of both tiny models to the same prompts, as files: a known answer for free."""

from __future__ import annotations

import json
from pathlib import Path

from kl_core.models.load import encode_prompt, vocabulary_pieces
from kl_core.models.sample import sample
from kl_core.records import Message
from tests.sources.conftest import scorer

PROMPTS = (
    "What is the capital of Merrow?",
    "How do bees make wax?",
    "Who built the long bridge?",
)


def write(folder: Path, model: str, prompts: tuple[str, ...] = PROMPTS, n: int = 3) -> Path:
    """One file a prompt with n responses at low temperature, six decimals as files have them."""
    loaded = scorer(model)._loaded
    pieces = vocabulary_pieces(loaded)[0]
    folder.mkdir(parents=True, exist_ok=True)
    for number, prompt in enumerate(prompts):
        ids = tuple(encode_prompt(loaded, (Message("user", prompt),)))
        drawn = sample(loaded, ids, n, 40, 0.7, 10, seed=number)
        responses = [_response(each, pieces, loaded.tokenizer) for each in drawn]
        entry = {"prompt": prompt, "model": Path(model).name, "responses": responses}
        (folder / f"p{number}.json").write_text(json.dumps(entry))
    return folder


def _response(drawn, pieces, tokenizer) -> dict:
    scores = drawn.scores
    content = [
        {
            "token": pieces[number],
            "logprob": round(float(scores.chosen[row]), 6),
            "top_logprobs": [
                {"token": pieces[top], "logprob": round(float(value), 6)}
                for top, value in zip(scores.top_ids[row], scores.top_logprobs[row], strict=True)
            ],
        }
        for row, number in enumerate(drawn.ids)
    ]
    text = tokenizer.decode(drawn.ids, skip_special_tokens=True)
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "logprobs": {"content": content}}]}
