"""How tokens are written in log-probabilities: the ways of OpenAI, of vLLM and of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kl_core.emulator.spelling import Spelling

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Writer:
    r"""Writes tokens in one way.

    Attributes:
        spelling: the vocabulary.
        way: "text": part of a character as OpenAI's `bytes:\xe3`, with exact bytes;
            "replaced": as vLLM's U+FFFD, with the bytes of that;
            "pieces": the vocabulary's own string, with the bytes of that;
            "no-bytes": text without bytes; "ids": vLLM's `token_id:7`.
    """

    spelling: Spelling
    way: str

    def token(self, number: int) -> str:
        """The string of an id."""
        spelling = self.spelling
        if self.way == "ids":
            return f"token_id:{number}"
        if self.way == "pieces":
            return spelling.pieces[number]
        data = spelling.data[number]
        if not data:
            return spelling.shown[number]
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            if self.way == "replaced":
                return data.decode("utf-8", "replace")
            return "bytes:" + "".join([f"\\x{byte:02x}" for byte in data])

    def text(self, ids: tuple[int, ...]) -> str:
        """The text of ids, special tokens by their names."""
        spelling = self.spelling
        parts = [spelling.data[n] or spelling.shown[n].encode() for n in ids]
        return b"".join(parts).decode("utf-8", "replace")

    def entry(self, number: int, logprob: float) -> Json:
        """`{token, logprob, bytes}`."""
        token = self.token(number)
        data: list[int] | None = None
        if self.way == "text":
            data = list(self.spelling.data[number] or token.encode())
        elif self.way != "no-bytes":
            data = list(token.encode("utf-8", "replace"))
        return {"token": token, "logprob": logprob, "bytes": data}
