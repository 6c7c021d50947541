"""Started answers: what the `tokens` command wrote, as prompts to be continued."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kl_core.errors import FormatError, InputError
from kl_core.formats.decode import documents
from kl_core.formats.discover import single_file
from kl_core.formats.fields import keys_of, name, read_prompt
from kl_core.formats.limits import read_all
from kl_core.formats.notes import Notes
from kl_core.records import Message, ProblemLog, Prompt

_HINT = "Write the file with the tokens command, or from the Tokens tab of a run."


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The token at which an answer is started again.

    Attributes:
        source_file, response_idx, token_position: where it stands.
        token: what model 1 had said there.
        score, kl_divergence: nats, or KL/(H1+H2) for `score`; "inf" as in the file, None where
            not known.
    """

    source_file: str
    response_idx: int
    token_position: int
    token: str
    score: float | str | None = None
    kl_divergence: float | str | None = None

    @property
    def place(self) -> str:
        """Where the token stands, in words."""
        return f"{self.source_file}, response {self.response_idx}, token {self.token_position}"


@dataclass(frozen=True, slots=True)
class Started:
    """A prompt whose answer has begun.

    Attributes:
        prompt: the turns, then the assistant's turn with `prefix`; without that turn where
            the prefix is empty.
        prefix: the text before the token.
    """

    prompt: Prompt
    prefix: str
    origin: Origin

    @property
    def turns(self) -> Prompt:
        """The prompt without the started answer."""
        return self.prompt[:-1] if self.prefix else self.prompt


def started(turns: Prompt, prefix: str, origin: Origin) -> Started:
    """An answer to `turns` that begins with `prefix`."""
    begun = (Message("assistant", prefix),) if prefix else ()
    return Started(turns + begun, prefix, origin)


def read_started(path: Path, log: ProblemLog) -> list[Started]:
    """The started answers of a `tokens` file, in its order, each prefix of a prompt once.

    Several tokens of one file may follow the same text (the same first words in several
    responses); the first of them stands for all, and a row says so.

    Args:
        log: takes entries that cannot be used.

    Raises:
        InputError: no such file, not what `tokens` writes, or no entry in it can be used.
    """
    notes = Notes(path.name)
    rows = _rows(path, notes)
    found: dict[Prompt, Started] = {}
    for number, row in enumerate(rows):
        where = f"$.entries[{number}]"
        try:
            one = _started(row, where)
        except FormatError as error:
            notes.add("entries", error.where, error.reason, error.reason, error.hint)
            continue
        if one.prompt in found:
            notes.add(
                "entries",
                where,
                "again",
                "the same text stands before another token of the file",
                "It is continued once, from its first place.",
            )
        found.setdefault(one.prompt, one)
    notes.flush(log)
    if not found:
        raise InputError(
            f"{path} has no token to continue from (of {len(rows)} entries none can be used); "
            "lower --min-threshold of the tokens command"
        )
    return list(found.values())


def _rows(path: Path, notes: Notes) -> list[Any]:
    if not path.exists():
        raise InputError(f"{path} does not exist; write it with the tokens command")
    file = single_file(path)
    try:
        with file.opener() as stream:
            data = read_all(stream, file.packed_bytes)
        count, values = documents(data, False, notes)
    except FormatError as error:
        raise InputError(f"{path} cannot be read: {error.reason}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    whole = next(values)[1] if count else None
    rows = whole.get("entries") if isinstance(whole, dict) else None
    if count != 1 or not isinstance(rows, list):
        raise InputError(f"{path} is not what the tokens command writes: it has no `entries`")
    return rows


def _started(row: Any, where: str) -> Started:
    if not isinstance(row, dict):
        raise FormatError(f"the entry is {keys_of(row)}, not an object", where, _HINT)
    prefix = name(row, "prefix_response")
    if prefix is None:
        raise FormatError("the entry has no prefix_response", where, _HINT)
    if "\ufffd" in prefix[-1:]:
        raise FormatError(
            "the text before the token ends inside a character",
            where,
            "It cannot be continued as text; choose another token.",
        )
    key = "messages" if row.get("messages") is not None else "prompt"
    turns = read_prompt(row.get(key), f"{where}.{key}")
    if not turns:
        raise FormatError("the entry has no prompt", where, _HINT)
    if prefix and turns[-1].role == "assistant":  # itself a continuation
        turns, prefix = turns[:-1], turns[-1].content + prefix
    try:
        origin = msgspec.convert(row, Origin)
    except msgspec.ValidationError as error:
        raise FormatError(
            f"the entry does not say where its token stands ({error})", where, _HINT
        ) from error
    return started(turns, prefix, origin)
