"""A command that `launch` wrote, as options again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """The options of a command, by the kind of their values; others are text.

    Attributes:
        flags: without a value.
        whole, fractions: numbers.
        known: what is read at all, flags too; None for every option.
    """

    flags: Collection[str]
    whole: Collection[str]
    fractions: Collection[str]
    known: Collection[str] | None = None

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Option → value; what cannot be read is left out."""
        found: dict[str, Any] = {}
        rest = list(words)
        while rest:
            name, _, value = rest.pop(0).partition("=")
            option = name.removeprefix("--").replace("-", "_")
            if not name.startswith("--") or (self.known is not None and option not in self.known):
                continue
            if option in self.flags:
                found[option] = True
            elif value or rest:
                meant = self._value(option, value or rest.pop(0))
                found |= {} if meant is None else {option: meant}
        return found

    def _value(self, option: str, text: str) -> Any:
        try:
            if option in self.whole:
                return int(text)
            return float(text) if option in self.fractions else text
        except ValueError:
            return None
