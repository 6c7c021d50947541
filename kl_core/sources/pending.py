"""What a pool holds of work under way: open tickets, and contexts being asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from kl_core.sources.calls import Asked, Ticket
from kl_core.sources.retries import Tries

T = TypeVar("T", bound=Ticket[Any])


@dataclass(slots=True)
class Open(Generic[T]):
    """A ticket that is not finished; `left` counts its open contexts and its feeding."""

    ticket: T
    left: int = 1
    failed: dict[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class Pending(Generic[Asked]):
    """A context being asked, and the tickets that want it."""

    context: Asked
    tickets: list[Open[Any]]
    tries: Tries | None = None
