"""Which prompts of a stream are taken: filters, first or random, each prompt once."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from kl_core.errors import FormatError, InputError
from kl_core.formats.notes import Notes
from kl_core.formats.prompt_fields import Path, parse_path, prompt_of, value_at
from kl_core.formats.sampling_config import PromptSource
from kl_core.records import Message, Prompt


class PromptChoice:
    """Takes records one by one and keeps no more prompts than are asked for.

    A random choice is a reservoir: every prompt that passes has the same chance, and the
    prompts come in the order of the stream.

    Args:
        source: field, filters, count and seed.
        notes: takes what cannot be used, one row a reason.

    Raises:
        InputError: a path of the source is none.
    """

    def __init__(self, source: PromptSource, notes: Notes) -> None:
        self._source, self._notes = source, notes
        self._field: Path | None = parse_path(source.field) if source.field else None
        self._language_field = parse_path(source.language_field)
        self._random = random.Random(source.seed)  # noqa: S311 - a choice, no secret
        self._kept: list[tuple[int, Prompt]] = []
        self._seen: set[bytes] = set()
        self._left_out: Counter[str] = Counter()
        self._records = self._passed = 0
        self._first_reason = ""

    def take(self, records: Iterable[tuple[str, Any]]) -> list[Prompt]:
        """The prompts of records, each given with its place; a FormatError stands for a record
        that could not be read.

        Raises:
            InputError: none is left, with how many each filter left out.
        """
        for where, record in records:
            self._records += 1
            prompt = self._passing(where, record)
            if prompt is not None:
                self._keep(prompt)
            if self._source.select == "first" and len(self._kept) == self._source.count:
                break
        self._say_what_is_missing()
        system = self._source.system
        before = (Message("system", system),) if system else ()
        return [_with_system(before, prompt) for _, prompt in sorted(self._kept)]

    def _passing(self, where: str, record: Any) -> Prompt | None:
        source = self._source
        try:
            if isinstance(record, FormatError):
                raise record
            if source.language is not None and not self._speaks(record):
                self._left_out["language"] += 1
                return None
            prompt = prompt_of(record, self._field)
        except FormatError as error:
            self._left_out["unusable"] += 1
            self._first_reason = self._first_reason or error.reason
            self._notes.add("prompts", where, error.reason, error.reason, error.hint)
            return None
        length = sum(len(turn.content) for turn in prompt)
        if source.min_chars is not None and length < source.min_chars:
            self._left_out["min_chars"] += 1
        elif source.max_chars is not None and length > source.max_chars:
            self._left_out["max_chars"] += 1
        elif self._again(prompt):
            self._left_out["again"] += 1
            reason = "the prompt was there before; it is sampled once"
            self._notes.add("prompts", where, "again", reason, "Ask for more samples instead.")
        else:
            return prompt
        return None

    def _speaks(self, record: Any) -> bool:
        value = value_at(record, self._language_field)
        wanted = self._source.language or ""
        return isinstance(value, str) and value.strip().casefold() == wanted.strip().casefold()

    def _again(self, prompt: Prompt) -> bool:
        turns = [(turn.role, turn.content) for turn in prompt]
        digest = hashlib.sha256(msgspec.json.encode(turns)).digest()[:16]
        known = digest in self._seen
        self._seen.add(digest)
        return known

    def _keep(self, prompt: Prompt) -> None:
        number, count = self._passed, self._source.count
        self._passed += 1
        if count is None or len(self._kept) < count:
            self._kept.append((number, prompt))
            return
        place = self._random.randrange(number + 1)
        if place < count:
            self._kept[place] = (number, prompt)

    def _of_all(self) -> str:
        shown = [words.format(n) for name, words in _WORDS.items() if (n := self._left_out[name])]
        counted = "1 record" if self._records == 1 else f"{self._records} records"
        if not shown:
            return counted
        why = f"; the first: {self._first_reason}" if self._first_reason else ""
        return f"{counted} ({', '.join(shown)}{why}); change the filters or the field"

    def _say_what_is_missing(self) -> None:
        if not self._kept:
            raise InputError(f"no prompt is left of {self._of_all()}")
        asked = self._source.count
        if asked is not None and len(self._kept) < asked:
            reason = (
                f"{asked} prompts were asked for and {len(self._kept)} are left of {self._of_all()}"
            )
            self._notes.add("count", "", "count", reason, "All that are left are sampled.")


def _with_system(before: tuple[Message, ...], prompt: Prompt) -> Prompt:
    """The system message in front, in place of one that the record had."""
    rest = prompt[1:] if before and prompt[0].role == "system" else prompt
    return before + rest


_WORDS = {
    "language": "{} in another language",
    "min_chars": "{} shorter than min_chars",
    "max_chars": "{} longer than max_chars",
    "again": "{} there twice",
    "unusable": "{} without a usable prompt",
}
