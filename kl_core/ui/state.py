"""What the Explore page shows: one record, kept in the session and in the address.

The address names run, prompt, response, position and measure, so that a link opens the
same view. The record is read from the address when that was changed from outside (a
link, another page) and written to it whenever the reader moves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Any

import streamlit as st

from kl_core.ui import figures

_STATE, _WRITTEN, _REPLACED = "explore_state", "explore_address", "explore_replaced"
_MISSED_AT = "explore_missed_at"
_LATE_S = 3.0  # a browser may still send an address that was replaced so long ago


@dataclass(slots=True)
class Explore:
    """The reader's place.

    Attributes:
        run: run id, None for the sample run.
        prompt: prompt_id, None for the first of the table.
        response: slot of the response, None for the most divergent one.
        position: selected token, None for the highest.
        measure: what colours the text, None for the first there is.
        start, jump: where the token view has to go, and a count of such requests.
        drawn: what the token view shows; drawn anew, it starts at `position`.
        missing: part of the address → what it asked for in vain.
    """

    run: str | None = None
    prompt: int | None = None
    response: int | None = None
    position: int | None = None
    measure: str | None = None
    start: int | None = None
    jump: int = 0
    drawn: str = ""
    missing: dict[str, str] = field(default_factory=dict)

    def choose_run(self, run: str) -> None:
        """Another run: everything below it starts afresh."""
        if run != self.run:
            self.run, self.measure = run, None
            self.choose_prompt(None)

    def choose_prompt(self, prompt: int | None) -> None:
        """Another prompt: its most divergent response."""
        self.prompt = prompt
        self.choose_response(None)

    def choose_response(self, slot: int | None) -> None:
        """Another response: its highest token."""
        self.response, self.position, self.start = slot, None, None

    def not_here(self, name: str) -> None:
        """Note that what the address asks for as `name` does not exist."""
        asked = getattr(self, name)
        if asked is not None:
            self.missing[name] = str(asked)

    def go(self, position: int) -> None:
        """Move to a position from outside the token view."""
        self.position = self.start = position
        self.jump += 1


def missing(place: Explore) -> str:
    """What the link named in vain, in words; empty once the reader has moved on."""
    if not place.missing:
        return ""
    here = st.session_state.get(_WRITTEN)
    if st.session_state.setdefault(_MISSED_AT, here) != here:
        place.missing.clear()
        del st.session_state[_MISSED_AT]
        return ""
    named = " and ".join(f"{name} {figures.plain(text)}" for name, text in place.missing.items())
    return f"The link names {named}, which is not here; showing another place instead."


_ADDRESS = ("run", "prompt", "response", "position", "measure")


def current() -> Explore:
    """The session's place, taken from the address where that has changed."""
    address = {name: st.query_params[name] for name in _ADDRESS if name in st.query_params}
    known: Explore | None = st.session_state.get(_STATE)
    if known is None or (address and not _ours(address)):
        known = _parse(address, jump=known.jump + 1 if known else 0)
        st.session_state[_STATE], st.session_state[_WRITTEN] = known, address
        st.session_state.pop(_MISSED_AT, None)
        for key in [key for key in st.session_state if str(key).startswith("pick_")]:
            del st.session_state[key]
    return known


def remember(place: Explore) -> None:
    """Put the place into the address."""
    address = {name: str(value) for name in _ADDRESS if (value := getattr(place, name)) is not None}
    before = st.session_state.get(_WRITTEN, {})
    if before != address:
        replaced = st.session_state.get(_REPLACED, [])
        st.session_state[_REPLACED] = [*replaced[-8:], (time.monotonic(), before)]
    st.session_state[_WRITTEN] = address
    if address != {name: st.query_params[name] for name in _ADDRESS if name in st.query_params}:
        st.query_params.from_dict(address)


def _ours(address: dict[str, str]) -> bool:
    """Whether the app itself wrote this address, now or a moment ago.

    A click that follows another at once still carries the address from before it.
    """
    if address == st.session_state.get(_WRITTEN):
        return True
    recent = time.monotonic() - _LATE_S
    replaced = st.session_state.get(_REPLACED, [])
    return any(when >= recent and address == old for when, old in replaced)


def _parse(address: dict[str, str], jump: int) -> Explore:
    """A place from an address; parts that are not numbers are noted as missing."""
    missing: dict[str, str] = {}
    values: dict[str, Any] = {"jump": jump, "missing": missing}
    kinds = {one.name: str(one.type) for one in fields(Explore)}
    for name, text in address.items():
        if "int" not in kinds[name]:
            values[name] = text
        elif text.isascii() and text.isdigit() and len(text) < 10:
            values[name] = int(text)
        else:
            missing[name] = text
    values["start"] = values.get("position")
    return Explore(**values)
