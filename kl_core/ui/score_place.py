"""What the Score page shows: one record, kept in the session and in the address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kl_core.ui.address import Address
from kl_core.ui.page_place import GONE, PagePlace, kind_of_run, text_in

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


def run_folder(place: Place) -> Path | None:
    """The run to show; None, with the reason in `place.missing`, where there is none to show."""
    if place.run is None:
        return None
    found = kind_of_run(place.run)
    way = next((way for way, job in WAYS.items() if found and job == found[1]), None)
    if way is None and found is not None and place.begun == found[0].name:
        way = place.by
    if found is not None and way is not None:
        place.by, place.run, place.missing = way, found[0].name, ""
        return found[0]
    other = "The run of this address scored nothing; the page Runs shows it."
    place.run, place.missing = None, other if found else GONE
    return None


def _parse(address: Address, _before: Place | None) -> Place:
    """`dir` is another name of `input`, for links from a page that made the responses."""
    by = text_in(address, "by")
    return Place(
        by=by if by in WAYS else "machine",
        input=text_in(address, "input") or text_in(address, "dir"),
        run=text_in(address, "run"),
    )


def _as_address(place: Place) -> Address:
    if place.run is not None:
        return {"run": place.run}
    by = {"by": place.by} if place.by != "machine" else {}
    return {**by, **({"input": place.input} if place.input else {})}


_PAGE = PagePlace("score", ("by", "input", "dir", "run"), _parse, _as_address)
current, finish = _PAGE.current, _PAGE.finish
