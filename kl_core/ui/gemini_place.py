"""What the Gemini page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui.address import Address, ledger

_STATE, _LEDGER = "gemini_state", "gemini_ledger"
MODES = {"online": "prefill", "batch": "batch"}


@dataclass(slots=True)
class Place:
    """The reader's place.

    Attributes:
        mode: a key of MODES.
        input: the folder of responses that is chosen.
        run: id of the run that takes the form's place.
        missing: why the run of the address is not shown.
    """

    mode: str = "online"
    input: str | None = None
    run: str | None = None
    missing: str = ""

    @property
    def kind(self) -> str:
        """The job that does it."""
        return MODES[self.mode]


def current() -> Place:
    """The session's place, taken from the address where that was changed from outside."""
    here = _address()
    known: Place | None = st.session_state.get(_STATE)
    if known is None or ledger(_LEDGER).changed_outside(here, _as_address(known)):
        known = Place(
            mode=said if (said := str(here.get("mode", ""))) in MODES else "online",
            input=str(here["input"]) if "input" in here else None,
            run=str(here["run"]) if "run" in here else None,
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
        mode = next((mode for mode, job in MODES.items() if job == kind), None)
        if mode is not None:
            place.mode, place.run, place.missing = mode, run_dir.name, ""
            return run_dir
        place.missing = "The run of this address did not ask Gemini; the page Runs shows it."
    place.run = None
    return None


def _address() -> Address:
    names = ("mode", "input", "run")
    return {name: st.query_params[name] for name in names if name in st.query_params}


def _as_address(place: Place) -> Address:
    if place.run is not None:
        return {"run": place.run}
    folder = {"input": place.input} if place.input else {}
    return {"mode": place.mode, **folder}
