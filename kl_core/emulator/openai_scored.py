"""The two shapes in which completions tell the log-probabilities of a prompt."""

from __future__ import annotations

from typing import Any

from kl_core.emulator.following import Whole
from kl_core.emulator.openai_tokens import Writer
from kl_core.emulator.reply import Said
from kl_core.emulator.spelling import Spelling

Json = dict[str, Any]


class Lists:
    """OpenAI's four parallel lists: tokens, token_logprobs, top_logprobs, text_offset.

    A list of candidates is an object by their strings: of two that are written alike, one
    is lost, as with the real servers.

    Args:
        top: candidates besides the token's own, which stands first.
    """

    def __init__(self, writer: Writer, top: int) -> None:
        self._writer = writer
        self._top = top
        self._tokens: list[str] = []
        self._logprobs: list[float | None] = []
        self._tops: list[dict[str, float] | None] = []
        self._offsets: list[int] = []
        self._offset = 0

    def add(self, number: int, logprob: float | None, top: list[tuple[int, float]] | None) -> None:
        """One token; None where nothing comes before it."""
        token = self._writer.token(number)
        self._tokens.append(token)
        self._logprobs.append(logprob)
        self._offsets.append(self._offset)
        self._offset += len(token)
        if logprob is None or top is None:
            self._tops.append(None)
            return
        listed = [(number, logprob), *(pair for pair in top if pair[0] != number)]
        write = self._writer.token
        self._tops.append({write(each): value for each, value in listed})

    def add_said(self, said: Said) -> None:
        """The tokens of an answer."""
        for step in said.steps:
            following = step.following
            ids, values = following.ids[: self._top], following.logprobs[: self._top]
            top = [(int(n), float(value)) for n, value in zip(ids, values, strict=True)]
            self.add(step.token, float(following.logprobs[step.at]), top)

    def json(self) -> Json:
        """The lists by their names."""
        return {
            "text_offset": self._offsets,
            "token_logprobs": self._logprobs,
            "tokens": self._tokens,
            "top_logprobs": self._tops,
        }

    @property
    def top(self) -> int:
        """Candidates besides the token's own."""
        return self._top


def echoed(lists: Lists, whole: Whole) -> None:
    """Add a prompt; its first token has no log-probability."""
    lists.add(whole.ids[0], None, None)
    ids = whole.top_ids[:, : lists.top].tolist()
    values = whole.top_logprobs[:, : lists.top].tolist()
    own = whole.logprobs.tolist()
    for number, logprob, row, row_values in zip(whole.ids[1:], own, ids, values, strict=True):
        lists.add(number, logprob, list(zip(row, row_values, strict=True)))


def prompt_logprobs(whole: Whole, top: int, spelling: Spelling) -> list[Json | None]:
    """In vLLM's shape: null first, then by id the token itself and the `top` likeliest."""
    writer = Writer(spelling, "replaced")
    found: list[Json | None] = [None]
    ids, values = whole.top_ids[:, :top].tolist(), whole.top_logprobs[:, :top].tolist()
    own, ranks = whole.logprobs.tolist(), whole.ranks.tolist()
    for at, number in enumerate(whole.ids[1:]):
        row = {number: (own[at], ranks[at])}
        listed = zip(ids[at], values[at], strict=True)
        row.update({n: (value, rank) for rank, (n, value) in enumerate(listed, 1)})
        found.append(
            {
                str(n): {"logprob": value, "rank": rank, "decoded_token": writer.token(n)}
                for n, (value, rank) in row.items()
            }
        )
    return found
