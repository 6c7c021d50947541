"""What the models said after a place: read from the files that `sample` writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kl_core.errors import KLExplorerError
from kl_core.formats.reader import read_entries
from kl_core.records import ProblemLog, Response, Token
from kl_core.ui.continue_spot import joined

JUDGEMENTS = "judgements.json"


@dataclass(frozen=True, slots=True)
class Continuation:
    """One model's words after the place.

    Attributes:
        same: how they begin as the saved response goes on.
        differs: the first token that is another one; empty where there is none.
        after: the rest.
        logprob: natural log-probability of all its tokens under the model that said it, None
            where one of them is not known.
        tokens: how many tokens have one listed.
        finish: why it ended; error: why there is nothing to measure.
    """

    same: str
    differs: str
    after: str
    logprob: float | None
    tokens: int
    finish: str | None = None
    error: str | None = None

    @property
    def per_token(self) -> float | None:
        """Its mean log-probability, nats a token."""
        return None if self.logprob is None or not self.tokens else self.logprob / self.tokens


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge said of one pair.

    Attributes:
        winner: the folder of the better model, "tie", or None where there is no verdict.
        reason: the judge's, or why there is no verdict.
    """

    winner: str | None
    reason: str


def continuations(folder: Path, rest: bytes) -> dict[int, Continuation]:
    """Number of the sample → what was said, as far as it is on disk.

    Args:
        folder: a model's folder of responses.
        rest: the saved response from the place on.
    """
    found: dict[int, Continuation] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            entries = list(read_entries(path, None, ProblemLog()))
            numbers = _numbers(path)
        except (KLExplorerError, OSError):  # being replaced, or no response came yet
            continue
        for entry in entries:
            for response in getattr(entry, "responses", ()):
                if isinstance(response, Response):
                    number = numbers.get(response.index, response.index)
                    found[number] = continuation(response, rest)
    return found


def _numbers(path: Path) -> dict[int, int]:
    """Place in the file → number of the sample."""
    try:
        record: Any = msgspec.json.decode(path.read_bytes())
        items = record["responses"]
        return {place: int(item.get("sample", place)) for place, item in enumerate(items)}
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def continuation(response: Response, rest: bytes) -> Continuation:
    """One response beside what the saved one says at the same place."""
    if not response.positions:
        whole = response.text.encode("utf-8", "replace")
        at = _common(whole, rest)
        same, after = _text(whole[:at]), _text(whole[at:])
        return Continuation(
            same, "", after, None, 0, response.finish_reason, response.error or "no tokens came"
        )
    tokens = [position.token for position in response.positions]
    data = [b"" if token.special else token.data for token in tokens]
    parts = [joined([token.text], [known]) for token, known in zip(tokens, data, strict=True)]
    at = _first_other(parts, rest, [token.special for token in tokens])
    known = [position.logprob for position in response.positions]
    sums = [value for value in known if value is not None]
    return Continuation(
        same=_text(b"".join(parts[:at])),
        differs=_shown(tokens[at], parts[at]) if at < len(parts) else "",
        after=_text(b"".join(parts[at + 1 :])),
        logprob=sum(sums) if len(sums) == len(known) else None,
        tokens=len(known),
        finish=response.finish_reason,
    )


def _shown(token: Token, part: bytes) -> str:
    """A token alone; one that adds nothing to the text, such as the end's, by its name."""
    return _text(part) or token.text


def _first_other(parts: list[bytes], rest: bytes, special: list[bool]) -> int:
    """Index of the first token that `rest` does not go on with; their number without one.

    A special token, which adds no bytes, differs where the saved response goes on.
    """
    at = 0
    for index, part in enumerate(parts):
        if rest[at : at + len(part)] != part or (special[index] and at < len(rest)):
            return index
        at += len(part)
    return len(parts)


def _common(one: bytes, other: bytes) -> int:
    """Bytes of the longest common beginning that ends at a character."""
    length = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    while 0 < length < len(one) and one[length] & 0xC0 == 0x80:
        length -= 1
    return length


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")


def verdicts(output: Path) -> dict[int, Verdict]:
    """Number of the sample → what the judge said of the pair; empty without a judge."""
    try:
        record: Any = msgspec.json.decode((output / JUDGEMENTS).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return {}
    rows = record.get("judgements") if isinstance(record, dict) else None
    found: dict[int, Verdict] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("sample"), int):
            winner = row.get("verdict")
            said = str(row.get("reason") or row.get("error") or "")
            found[row["sample"]] = Verdict(winner if isinstance(winner, str) else None, said)
    return found
