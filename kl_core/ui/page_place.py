"""Where the reader is on a page: one record, kept in the session and in the address."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui.address import Address, ledger

GONE = "The run of this address is not here any more; begin another one below."
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class PagePlace(Generic[P]):
    """A page's record and its address.

    Attributes:
        page: name of the page, for the session.
        names: of the address, those that belong to the page.
        parse: the record of an address, given the one before it, None at first.
        written: the address of a record.
        seen: what an address counts for where a record is known; None for itself.
    """

    page: str
    names: Collection[str]
    parse: Callable[[Address, P | None], P]
    written: Callable[[P], Address]
    seen: Callable[[Address, P], Address] | None = None

    @property
    def _ledger(self) -> str:
        return f"{self.page}_ledger"

    def current(self) -> P:
        """The session's place, taken from the address where that was changed from outside."""
        here, key = self._address(), f"{self.page}_state"
        known: P | None = st.session_state.get(key)
        if known is not None and self.seen is not None:
            here = self.seen(here, known)
        if known is None or ledger(self._ledger).changed_outside(here, self.written(known)):
            known = self.parse(here, known)
            st.session_state[key] = known
        return known

    def finish(self, place: P) -> None:
        """Put the place into the address; the page's run is over."""
        ledger(self._ledger).tell(self.written(place), self._address())
        ledger(self._ledger).finish()

    def _address(self) -> Address:
        return {name: st.query_params[name] for name in self.names if name in st.query_params}


def kind_of_run(run: str) -> tuple[Path, str] | None:
    """The folder and the kind of a run, None where it is not here any more."""
    try:
        run_dir = runs.find_run(runs.default_root(), run)
        return run_dir, str(runs.read_params(run_dir)["kind"])
    except KLExplorerError:
        return None


def text_in(address: Address, name: str) -> str | None:
    """A text of the address, None where it is missing or empty."""
    return str(address[name]) if address.get(name) else None
