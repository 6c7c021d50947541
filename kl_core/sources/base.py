"""What every source of a second model's distributions looks like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kl_core.records import Entry, Problem, ScoredEntry

DEFAULT_TOP_K = 20
"""Candidates kept of a local model where nobody asks for another number."""


class Source(Protocol):
    """Entries in, the same entries with a second model's view out.

    A response or position that cannot be scored stays in its slot with its reason;
    only what makes all further work pointless raises.
    """

    @property
    def identity(self) -> dict[str, Any]:
        """The model as it will be written into the run: name, revision, weights."""

    def score(self, entries: Sequence[Entry]) -> list[ScoredEntry]:
        """Score entries, in the order given."""

    def problems(self) -> list[Problem]:
        """What went wrong since the last call, one row each."""
