"""What the Sample page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui.address import Address, ledger

_STATE, _LEDGER = "sample_state", "sample_ledger"
WAYS = {"write": "Write them", "file": "A file", "dataset": "A data set of the hub"}


@dataclass(slots=True)
class Place:
    """The reader's place.

    Attributes:
        way: where the prompts come from, a key of WAYS.
        run: id of the run that takes the form's place.
        missing: why the run of the address is not shown.
        led_to: other runs that the reader was led to from here; Back may bring their address.
    """

    way: str = "write"
    run: str | None = None
    missing: str = ""
    led_to: set[str] = field(default_factory=set)


def current() -> Place:
    """The session's place, taken from the address where that was changed from outside."""
    here = _address()
    known: Place | None = st.session_state.get(_STATE)
    if known is not None and here.get("run") in known.led_to:
        here = _as_address(known)
    if known is None or ledger(_LEDGER).changed_outside(here, _as_address(known)):
        known = Place(
            way=said if (said := str(here.get("prompts", ""))) in WAYS else "write",
            run=str(here["run"]) if "run" in here else None,
            led_to=known.led_to if known else set(),
        )
        st.session_state[_STATE] = known
    return known


def finish(place: Place) -> None:
    """Put the place into the address; the page's run is over."""
    ledger(_LEDGER).tell(_as_address(place), _address())
    ledger(_LEDGER).finish()


def run_folder(place: Place) -> Path | None:
    """The run to show; None, with the reason in `place.missing`, where there is none to show."""
    if place.run is None:
        return None
    try:
        run_dir = runs.find_run(runs.default_root(), place.run)
        kind = runs.read_params(run_dir)["kind"]
    except KLExplorerError:
        place.missing = "The run of this address is not here any more; begin another one below."
    else:
        if kind == "sample":
            place.run, place.missing = run_dir.name, ""
            return run_dir
        place.missing = "The run of this address did not sample; the page Runs shows it."
    place.run = None
    return None


def _address() -> Address:
    return {name: st.query_params[name] for name in ("prompts", "run") if name in st.query_params}


def _as_address(place: Place) -> Address:
    return {"prompts": place.way} if place.run is None else {"run": place.run}
