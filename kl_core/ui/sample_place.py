"""What the Sample page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as made
from pathlib import Path

from kl_core.ui.address import Address
from kl_core.ui.page_place import GONE, PagePlace, kind_of_run, text_in

WAYS = {"write": "Write them", "file": "A file", "dataset": "A data set of the hub"}


@dataclass(slots=True)
class Place:
    """The reader's place.

    Attributes:
        way: where the prompts come from, a key of WAYS.
        run: id of the run that takes the form's place.
        file, field: the file of prompts and the field in it, of the way "file".
        fresh: file and field come from the address and are not in the form yet.
        missing: why the run of the address is not shown.
        led_to: other runs that the reader was led to from here; Back may bring their address.
    """

    way: str = "write"
    run: str | None = None
    file: str | None = None
    field: str | None = None
    fresh: bool = False
    missing: str = ""
    led_to: set[str] = made(default_factory=set)


def run_folder(place: Place) -> Path | None:
    """The run to show; None, with the reason in `place.missing`, where there is none to show."""
    if place.run is None:
        return None
    found = kind_of_run(place.run)
    if found is not None and found[1] == "sample":
        place.run, place.missing = found[0].name, ""
        return found[0]
    other = "The run of this address did not sample; the page Runs shows it."
    place.run, place.missing = None, other if found else GONE
    return None


def _parse(address: Address, before: Place | None) -> Place:
    way = text_in(address, "prompts")
    return Place(
        way=way if way in WAYS else "write",
        run=text_in(address, "run"),
        file=text_in(address, "input"),
        field=text_in(address, "field"),
        fresh=True,
        led_to=before.led_to if before else set(),
    )


def _seen(address: Address, place: Place) -> Address:
    """Back from a run that the reader was led to is no other place."""
    return _as_address(place) if address.get("run") in place.led_to else address


def _as_address(place: Place) -> Address:
    if place.run is not None:
        return {"run": place.run}
    named = {"input": place.file, "field": place.field} if place.way == "file" else {}
    return {"prompts": place.way, **{name: text for name, text in named.items() if text}}


_PAGE = PagePlace("sample", ("prompts", "input", "field", "run"), _parse, _as_address, _seen)
current, finish = _PAGE.current, _PAGE.finish
