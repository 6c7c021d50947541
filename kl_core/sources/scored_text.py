"""A whole saved response scored by one request: what is asked, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from kl_core.sources.calls import Candidate

ServerKind = Literal["vllm", "sglang", "echo"]
"""vllm: `prompt_logprobs`, token ids in. sglang: `/generate`, token ids in. echo: completions
with `echo`, text in, or token ids where they are known."""


@dataclass(frozen=True, slots=True)
class ScoreQuestion:
    """One response after its prompt; a Question of the pool.

    Attributes:
        key: hash of everything below.
        prompt_ids, response_ids: the local tokenizer's; None without one.
        prompt_text, response_text: the prompt as the model's template writes it, and what was
            said after it; for servers that take text.
    """

    key: bytes
    prompt_ids: tuple[int, ...] | None
    response_ids: tuple[int, ...] | None
    prompt_text: str
    response_text: str


class ScoredText(msgspec.Struct, frozen=True, array_like=True):
    """A server's view of a response, one item a token of the server; natural logs.

    Kept as MessagePack in `Answer.body`.

    Attributes:
        tokens: its own tokens of the response, in order, with the log-probability of each
            (NaN where the server gave none, as for the very first token of a text). With token
            ids asked, these are the ids asked for, checked.
        ranks: of each from 1, -1 where the server does not say.
        tops: its lists, most likely first; may lack the token itself.
        skipped: bytes at the beginning of the response that share a token with the prompt.
    """

    tokens: tuple[Candidate, ...]
    ranks: tuple[int, ...]
    tops: tuple[tuple[Candidate, ...], ...]
    skipped: int = 0


def packed(scored: ScoredText) -> bytes:
    """For `Answer.body`."""
    return msgspec.msgpack.encode(scored)


def unpacked(body: bytes) -> ScoredText:
    """Back from `Answer.body`."""
    return msgspec.msgpack.decode(body, type=ScoredText)
