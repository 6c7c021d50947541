"""What the Gemini page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kl_core.ui.address import Address
from kl_core.ui.page_place import GONE, PagePlace, kind_of_run, text_in

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


def run_folder(place: Place) -> Path | None:
    """The run to show; None, with the reason in `place.missing`, where there is none to show."""
    if place.run is None:
        return None
    found = kind_of_run(place.run)
    mode = next((mode for mode, job in MODES.items() if found and job == found[1]), None)
    if found is not None and mode is not None:
        place.mode, place.run, place.missing = mode, found[0].name, ""
        return found[0]
    other = "The run of this address did not ask Gemini; the page Runs shows it."
    place.run, place.missing = None, other if found else GONE
    return None


def _parse(address: Address, _before: Place | None) -> Place:
    mode = text_in(address, "mode")
    return Place(
        mode=mode if mode in MODES else "online",
        input=text_in(address, "input"),
        run=text_in(address, "run"),
    )


def _as_address(place: Place) -> Address:
    if place.run is not None:
        return {"run": place.run}
    folder = {"input": place.input} if place.input else {}
    return {"mode": place.mode, **folder}


_PAGE = PagePlace("gemini", ("mode", "input", "run"), _parse, _as_address)
current, finish = _PAGE.current, _PAGE.finish
