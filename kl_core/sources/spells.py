"""Odd answers in a row: a server that has lost its way, or a prompt it will not answer?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kl_core.errors import RunError
from kl_core.sources.calls import Answer

P = TypeVar("P")


@dataclass(slots=True)
class Spell(Generic[P]):
    """Contexts that ended without a list since the last good answer, not on disk yet.

    What is on disk is never asked again, so nothing of a spell goes there before the server
    has given a good answer after it, or there is nothing more to ask.

    Attributes:
        limit: so many in a row make the server suspect.
        held: those contexts, with what is to be kept of them.
    """

    limit: int
    held: list[tuple[P, Answer]] = field(default_factory=list)

    @property
    def suspect(self) -> bool:
        """Whether it is too long to be taken for single blocked positions."""
        return len(self.held) >= self.limit

    def take(self) -> list[tuple[P, Answer]]:
        """End the spell; returns what was held."""
        held, self.held = self.held, []
        return held

    def error(self) -> RunError:
        """What a run says that stops here."""
        return RunError(
            f"{len(self.held)} questions in a row got no usable answer, the "
            f"last one because {self.held[-1][1].error}: none of these is kept, what was answered "
            "before is, resume the run when the server works again"
        )
