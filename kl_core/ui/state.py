"""What the Explore page shows: one record, kept in the session and in the address.

The address names the run, what is open in it, and how it is looked at (order, filters,
colours, layout), so that a link opens the same view. The record is read from the address
when that was changed from outside (a link, another page) and written to it whenever the
reader moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import streamlit as st

from kl_core.ui import figures
from kl_core.ui.address import Address, ledger

_STATE, _LEDGER, _MISSED_AT = "explore_state", "explore_ledger", "explore_missed_at"


@dataclass(slots=True)
class Explore:
    """The reader's place.

    Attributes:
        run: run id, None for the sample run.
        prompt: prompt_id, None for the first of the table.
        response: slot of the response, None for the most divergent one.
        position: selected token, None for the highest.
        measure: what colours the text, None for the first there is.
        view: "tokens" or "charts", None for the prompts.
        sort, order: column of the prompt table; "asc" for the lowest first.
        q: text to search for.
        provider, model, finish, tag: what prompts are filtered by.
        range: bounds of figures, each `column:low:high` with either end empty.
        layout, second, scale: how a response is read (response_view); `second` is the
            slot of the response beside it.
        score, least, most, floor, grouped, find: the list of tokens (tokens_view).
        start, jump: where the token view has to go, and a count of such requests.
        drawn: what the token view shows; drawn anew, it starts at `position`.
        missing: part of the address → what it asked for in vain.
    """

    run: str | None = None
    prompt: int | None = None
    response: int | None = None
    position: int | None = None
    measure: str | None = None
    view: str | None = None
    sort: str | None = None
    order: str | None = None
    q: str | None = None
    provider: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    finish: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    range: tuple[str, ...] = ()
    layout: str | None = None
    second: int | None = None
    scale: str | None = None
    score: str | None = None
    least: str | None = None
    most: str | None = None
    floor: str | None = None
    grouped: str | None = None
    find: str | None = None
    start: int | None = None
    jump: int = 0
    drawn: str = ""
    missing: dict[str, str] = field(default_factory=dict)

    def choose_run(self, run: str) -> None:
        """Another run: everything below it starts afresh."""
        if run != self.run:
            self.run, self.measure, self.scale, self.sort, self.order = run, None, None, None, None
            self.clear_filters()
            self.choose_prompt(None)

    def clear_filters(self) -> None:
        """Show every prompt again."""
        self.q = None
        self.provider = self.model = self.finish = self.tag = self.range = ()
        forget_pickers()

    def choose_prompt(self, prompt: int | None) -> None:
        """Another prompt: its most divergent response."""
        self.prompt = prompt
        self.choose_response(None)

    def choose_response(self, slot: int | None) -> None:
        """Another response: its highest token."""
        self.response, self.position, self.start, self.second = slot, None, None, None

    def not_here(self, name: str) -> None:
        """Note that what the address asks for as `name` does not exist."""
        asked = getattr(self, name)
        if asked is not None:
            self.missing[name] = str(asked)

    def go(self, position: int) -> None:
        """Move to a position from outside the token view."""
        self.position = self.start = position
        self.jump += 1

    def open(self, prompt: int, response: int, position: int | None = None) -> None:
        """Show a response from elsewhere (a list, a chart), at a position."""
        self.view = None
        self.choose_prompt(prompt)
        self.choose_response(response)
        if position is None:
            self.jump += 1
        else:
            self.go(position)


def missing(place: Explore) -> str:
    """What the link named in vain, in words; empty once the reader has moved on."""
    if not place.missing:
        return ""
    here = ledger(_LEDGER).place
    if st.session_state.setdefault(_MISSED_AT, here) != here:
        place.missing.clear()
        del st.session_state[_MISSED_AT]
        return ""
    named = " and ".join(f"{name} {figures.plain(text)}" for name, text in place.missing.items())
    return f"The link names {named}, which is not here; showing another place instead."


_NOT_IN_ADDRESS = ("start", "jump", "drawn", "missing")
_ADDRESS = {one.name: str(one.type) for one in fields(Explore) if one.name not in _NOT_IN_ADDRESS}


def _address() -> Address:
    """What the browser's address says, as far as this page knows the names."""
    found: Address = {}
    for name, kind in _ADDRESS.items():
        if name in st.query_params:
            many = st.query_params.get_all(name)
            found[name] = many if "tuple" in kind else many[-1]
    return found


def forget_pickers() -> None:
    """Let every picker that shows a part of the place take it up anew."""
    for key in [key for key in st.session_state if str(key).startswith("pick_")]:
        del st.session_state[key]


def current() -> Explore:
    """The session's place, taken from the address where that has changed."""
    here, written = _address(), ledger(_LEDGER)
    known: Explore | None = st.session_state.get(_STATE)
    if known is None or written.changed_outside(here, _as_address(known)):
        known = _parse(here, jump=known.jump + 1 if known else 0)
        st.session_state[_STATE] = known
        st.session_state.pop(_MISSED_AT, None)
        forget_pickers()
    return known


def remember(place: Explore) -> None:
    """Put the place into the address."""
    ledger(_LEDGER).tell(_as_address(place), _address())


def finish(place: Explore) -> None:
    """The same at the end of the page's run."""
    remember(place)
    ledger(_LEDGER).finish()


def _as_address(place: Explore) -> Address:
    address: Address = {}
    for name, kind in _ADDRESS.items():
        value = getattr(place, name)
        if "tuple" in kind and value:
            address[name] = list(value)
        elif "tuple" not in kind and value is not None:
            address[name] = str(value)
    return address


def _parse(address: Address, jump: int) -> Explore:
    """A place from an address; parts that are not numbers are noted as missing."""
    missing: dict[str, str] = {}
    values: dict[str, Any] = {"jump": jump, "missing": missing}
    for name, text in address.items():
        if isinstance(text, list):
            values[name] = tuple(text)
        elif "int" not in _ADDRESS[name]:
            values[name] = text
        elif text.isascii() and text.isdigit() and len(text) < 10:
            values[name] = int(text)
        else:
            missing[name] = text
    values["start"] = values.get("position")
    return Explore(**values)
