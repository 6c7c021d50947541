"""What the Score page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui.address import Address, ledger

_STATE, _LEDGER = "score_state", "score_ledger"
_NAMES = ("by", "input", "dir", "run")
WAYS = {"machine": "score", "server": "endpoint"}


@dataclass(slots=True)
class Place:
    """The reader's place.

    Attributes:
        by: a key of WAYS: who works out model 2's side.
        input: the folder of responses that is chosen.
        run: id of the run that takes the form's place.
        begun: the run that was started from this place; it is shown whatever it is.
        missing: why the run of the address is not shown.
    """

    by: str = "machine"
    input: str | None = None
    run: str | None = None
    begun: str | None = None
    missing: str = ""

    def begin(self, run_dir: Path) -> None:
        """Show a run that was started here."""
        self.run = self.begun = run_dir.name


def current() -> Place:
    """The session's place, taken from the address where that was changed from outside."""
    here = _address()
    known: Place | None = st.session_state.get(_STATE)
    if known is None or ledger(_LEDGER).changed_outside(here, _as_address(known)):
        known = _parse(here)
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
        way = next((way for way, job in WAYS.items() if job == kind), None)
        if way is None and place.begun == run_dir.name:
            way = place.by
        if way is not None:
            place.by, place.run, place.missing = way, run_dir.name, ""
            return run_dir
        place.missing = "The run of this address scored nothing; the page Runs shows it."
    place.run = None
    return None


def _parse(address: Address) -> Place:
    """`dir` is another name of `input`, for links from a page that made the responses."""
    by, run = str(address.get("by", "")), address.get("run")
    folder = address.get("input") or address.get("dir")
    return Place(
        by=by if by in WAYS else "machine",
        input=str(folder) if folder else None,
        run=str(run) if run else None,
    )


def _address() -> Address:
    return {name: st.query_params[name] for name in _NAMES if name in st.query_params}


def _as_address(place: Place) -> Address:
    if place.run is not None:
        return {"run": place.run}
    by = {"by": place.by} if place.by != "machine" else {}
    return {**by, **({"input": place.input} if place.input else {})}
