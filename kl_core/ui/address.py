"""The browser's address as a record of where the reader is.

A page writes its place into the address whenever the reader moves, and takes the place from the
address when that was changed from outside: a link, Back, Forward. Two things have to be told apart
from that: a click that follows another at once still carries the address from before it, and going
back must not be written down as another step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import streamlit as st

Address = dict[str, str | list[str]]
LATE_S = 0.7  # a browser may still send an address that was replaced so long ago
_REMEMBERED = 100


@dataclass(slots=True)
class Ledger:
    """What a page wrote into the address in this session.

    Attributes:
        written: the address as it should be in the browser now; None before the first time.
        place: the place as it was told last, as an address.
        replaced: addresses written before, with the time they were replaced.
        quiet: the reader went back or forward in this run of the page: nothing is written.
        held: the place reached that way; nothing is written until the reader leaves it.
    """

    written: Address | None = None
    place: Address | None = None
    replaced: list[tuple[float, Address]] = field(default_factory=list)
    quiet: bool = False
    held: Address | None = None

    def changed_outside(self, here: Address, place: Address) -> bool:
        """Whether the address is news; to be asked once, at the start of a page's run.

        Args:
            here: what the browser says.
            place: the session's place, as an address; moved already where a click has moved it.
        """
        self.quiet = False
        if here == self.written or not here or place != self.place:
            return False
        before = [when for when, old in self.replaced if old == here]
        if before and before[-1] >= time.monotonic() - LATE_S:
            return False
        self.quiet = bool(before)
        return True

    def tell(self, place: Address, here: Address) -> None:
        """Write the place into the address, unless the reader came to it by Back or Forward."""
        self.place = place
        if self.quiet:
            self.held, self.written = place, here
            return
        if self.held == place:
            return
        self.held = None
        if self.written is not None and self.written != place:
            self.replaced = [
                *self.replaced[-_REMEMBERED:],
                (time.monotonic(), self.written),
            ]
        self.written = place
        if here != place:
            st.query_params.from_dict(place)

    def finish(self) -> None:
        """The page's run is over; from now on its fragments move on their own."""
        self.quiet = False


def ledger(key: str) -> Ledger:
    """The session's ledger of a page."""
    found: Ledger = st.session_state.setdefault(key, Ledger())
    return found
