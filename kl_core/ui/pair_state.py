"""What the Compare page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass, fields

import streamlit as st

from kl_core.store.pair_figures import DEFAULT
from kl_core.ui.address import Address, ledger

_STATE, _LEDGER = "pair_state", "pair_ledger"
_ADDRESS = {
    "run": "run",
    "with": "other",
    "figure": "figure",
    "order": "order",
    "prompt": "prompt",
    "response": "response",
    "position": "position",
}
_NUMBERS = ("prompt", "response", "position")


@dataclass(slots=True)
class PairPlace:
    """The reader's place.

    Attributes:
        run, other: ids of run A and run B.
        figure, order: keys of pair_figures.FIGURES, and one of its ORDERS.
        prompt: prompt_id in A, None for the first of the table.
        response: slot, None for the response that moved most.
        position: selected token, None for the one that moved most.
        partner: prompt_id in B of what is shown.
        start, jump: where the token view has to go, and a count of such requests.
        drawn: what the token view shows; drawn anew, it starts at `position`.
    """

    run: str | None = None
    other: str | None = None
    figure: str = DEFAULT
    order: str = "moved"
    prompt: int | None = None
    response: int | None = None
    position: int | None = None
    partner: int | None = None
    start: int | None = None
    jump: int = 0
    drawn: str = ""

    def choose_runs(self, run: str | None, other: str | None) -> None:
        """Another pair: everything below it starts afresh."""
        self.run, self.other = run, other
        self.choose_prompt(None)

    def swap(self) -> None:
        """A becomes B; the prompt that is open stays open."""
        prompt, slot, position = self.partner, self.response, self.position
        self.choose_runs(self.other, self.run)
        self.prompt, self.response = prompt, slot
        if position is not None:
            self.go(position)

    def choose_prompt(self, prompt: int | None) -> None:
        """Another prompt: its response that moved most."""
        self.prompt = prompt
        self.choose_response(None)

    def choose_response(self, slot: int | None) -> None:
        """Another response: its token that moved most."""
        self.response, self.position, self.start = slot, None, None

    def go(self, position: int) -> None:
        """Move to a position from outside the token view."""
        self.position = self.start = position
        self.jump += 1


def current() -> PairPlace:
    """The session's place, taken from the address where that was changed from outside."""
    here = _address()
    known: PairPlace | None = st.session_state.get(_STATE)
    if known is None or ledger(_LEDGER).changed_outside(here, _as_address(known)):
        known = _parse(here, known.jump + 1 if known else 0)
        st.session_state[_STATE] = known
    return known


def remember(place: PairPlace) -> None:
    """Put the place into the address."""
    ledger(_LEDGER).tell(_as_address(place), _address())


def finish(place: PairPlace) -> None:
    """The same at the end of the page's run."""
    remember(place)
    ledger(_LEDGER).finish()


def _address() -> Address:
    return {name: st.query_params[name] for name in _ADDRESS if name in st.query_params}


def _as_address(place: PairPlace) -> Address:
    plain = {f.name: f.default for f in fields(PairPlace)}
    values = {name: getattr(place, field) for name, field in _ADDRESS.items()}
    return {
        name: str(value)
        for name, value in values.items()
        if value is not None and value != plain[_ADDRESS[name]]
    }


def _parse(address: Address, jump: int) -> PairPlace:
    """A place from an address; what is not a number where one is needed is left out."""
    place = PairPlace(jump=jump)
    for name, said in address.items():
        text = str(said)  # this page knows no lists
        if name not in _NUMBERS:
            setattr(place, _ADDRESS[name], text)
        elif text.isascii() and text.isdigit() and len(text) < 10:
            setattr(place, name, int(text))
    place.start = place.position
    return place
