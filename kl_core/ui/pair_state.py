"""What the Compare page shows: one record, kept in the session and in the address."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

import streamlit as st

from kl_core.store.pair_figures import DEFAULT

_STATE, _WRITTEN = "pair_state", "pair_addresses"
_LATE_S = 3.0  # a browser may still send an address that was replaced so long ago
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
    address = {name: st.query_params[name] for name in _ADDRESS if name in st.query_params}
    known: PairPlace | None = st.session_state.get(_STATE)
    if known is None or (address and not _ours(address)):
        known = _parse(address, known.jump + 1 if known else 0)
        st.session_state[_STATE] = known
    return known


def remember(place: PairPlace) -> None:
    """Put the place into the address."""
    values = {name: getattr(place, field) for name, field in _ADDRESS.items()}
    plain = {f.name: f.default for f in fields(PairPlace)}
    address = {
        name: str(value)
        for name, value in values.items()
        if value is not None and value != plain[_ADDRESS[name]]
    }
    now = time.monotonic()
    written = st.session_state.get(_WRITTEN, [])
    last = [(now, written[-1][1])] if written else []  # replaced now: late for a moment more
    kept = [(when, old) for when, old in written[:-1] if when >= now - _LATE_S]
    if not written or written[-1][1] != address:
        st.session_state[_WRITTEN] = [*kept, *last, (now, address)]
    if address != {name: st.query_params[name] for name in _ADDRESS if name in st.query_params}:
        st.query_params.from_dict(address)


def _ours(address: dict[str, str]) -> bool:
    """Whether the app itself wrote this address, now or a moment ago."""
    written = st.session_state.get(_WRITTEN, [])
    recent = time.monotonic() - _LATE_S
    return any(
        address == old and (when >= recent or place == len(written) - 1)
        for place, (when, old) in enumerate(written)
    )


def _parse(address: dict[str, str], jump: int) -> PairPlace:
    """A place from an address; what is not a number where one is needed is left out."""
    place = PairPlace(jump=jump)
    for name, text in address.items():
        if name not in _NUMBERS:
            setattr(place, _ADDRESS[name], text)
        elif text.isascii() and text.isdigit() and len(text) < 10:
            setattr(place, name, int(text))
    place.start = place.position
    return place
