"""Sampled answers written as the providers of hosted models write them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

TOP_K = 10
DIGITS = 5  # decimals of a log-probability, enough for every measure and kind to the repository
MODEL = "tiny-base"
OUTSIDE = -9999.0
BYTE_OF = {sign: byte for byte, sign in bytes_to_unicode().items()}
Quirk = Literal["clean", "plain", "first", "short", "capped", "silent"]
# What each quirk of a provider does to the log-probabilities of a response.
PROVIDERS: dict[Quirk, str] = {
    "clean": "Lanternhost",  # vocabulary pieces with the bytes of the piece
    "plain": "Plainwater",  # token text without bytes
    "first": "Firstlight",  # the sampled token heads its list, out of order
    "short": "Shortwave",  # two candidates, the sampled token at times not among them
    "capped": "Capstone",  # -9999.0 for whatever ranks below the fifth
    "silent": "Stillwater",  # no log-probabilities at all
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One sampled answer.

    Attributes:
        ids: its tokens, with `<|eot|>` unless it was cut off.
        logprobs: [T, V] log-probabilities of the model that sampled it, natural logs.
        prompt_tokens: length of the prompt.
    """

    ids: list[int]
    logprobs: torch.Tensor
    prompt_tokens: int


class Speller:
    """What a vocabulary entry looks like in a file."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.specials = set(tokenizer.all_special_ids)

    def piece(self, token: int) -> str:
        """The vocabulary's own string, such as `Ġthe`."""
        return str(self.tokenizer.convert_ids_to_tokens(token))

    def text(self, token: int, part_of_character: str | None) -> str:
        """What a reader sees, such as ` the`.

        Args:
            part_of_character: stands for a token that is no whole character;
                None writes its bytes as `<0xE2>`.
        """
        piece = self.piece(token)
        if token in self.specials:
            return piece
        data = bytes(BYTE_OF[sign] for sign in piece)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return part_of_character or "".join(f"<0x{byte:02X}>" for byte in data)

    def answer(self, ids: list[int]) -> str:
        """The text of an answer, without `<|eot|>`."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


def openrouter_response(speller: Speller, answer: Answer, key: str, quirk: Quirk) -> dict[str, Any]:
    """One response as OpenRouter returns it, from the provider with this quirk."""
    ended = answer.ids[-1] == speller.tokenizer.eos_token_id
    reason = "stop" if ended else "length"
    logprobs = None
    if quirk != "silent":
        logprobs = {"content": _content(speller, answer, quirk), "refusal": []}
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {
        "id": f"gen-{digest[:20]}",
        "provider": PROVIDERS[quirk],
        "model": MODEL,
        "object": "chat.completion",
        "created": 1760000000 + int(digest[:5], 16),
        "choices": [
            {
                "logprobs": logprobs,
                "finish_reason": reason,
                "native_finish_reason": reason,
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": speller.answer(answer.ids),
                    "refusal": None,
                    "reasoning": None,
                },
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": len(answer.ids),
            "total_tokens": answer.prompt_tokens + len(answer.ids),
        },
    }


def gemini_response(speller: Speller, answer: Answer) -> dict[str, Any]:
    """One response in the Gemini sampling format: text, ids, no end token of its own."""
    content = []
    for token, row in zip(answer.ids, answer.logprobs, strict=True):
        if token == speller.tokenizer.eos_token_id:
            break
        top = [_gemini_token(speller, int(other), row) for other in row.topk(TOP_K).indices]
        content.append({**_gemini_token(speller, token, row), "top_logprobs": top})
    return {"text": speller.answer(answer.ids), "logprobs": {"content": content}}


def _gemini_token(speller: Speller, token: int, row: torch.Tensor) -> dict[str, Any]:
    return {
        "token": speller.text(token, part_of_character=None),
        "logprob": round(float(row[token]), DIGITS),
        "token_id": token,
    }


def _content(speller: Speller, answer: Answer, quirk: Quirk) -> list[dict[str, Any]]:
    content = []
    for token, row in zip(answer.ids, answer.logprobs, strict=True):
        top = [int(other) for other in row.topk(2 if quirk == "short" else TOP_K).indices]
        if quirk == "first":
            top = [token, *[other for other in top if other != token]][:TOP_K]
        hidden = set(top[5:]) | ({token} - set(top)) if quirk == "capped" else set()
        chosen, *listed = [
            _named(speller, other, OUTSIDE if other in hidden else float(row[other]), quirk)
            for other in (token, *top)
        ]
        content.append({**chosen, "top_logprobs": listed})
    return content


def _named(speller: Speller, token: int, logprob: float, quirk: Quirk) -> dict[str, Any]:
    value = round(logprob, DIGITS)
    if quirk == "plain":
        return {"token": speller.text(token, part_of_character="\ufffd"), "logprob": value}
    piece = speller.piece(token)
    return {"token": piece, "bytes": list(piece.encode("utf-8")), "logprob": value}
