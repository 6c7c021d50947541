"""The rows of a run of `sample` about files that did not come out as they were asked."""

from __future__ import annotations

from collections.abc import Mapping

from kl_core.records import Problem

_AGAIN = "The others are kept. The same command asks for the missing ones alone."
_ELSEWHERE = "Choose another output folder, or pass --overwrite to ask for it again."


def missing(file: str, number: int, asked: int, failures: Mapping[bytes, str]) -> Problem:
    """Samples that were asked and did not come."""
    reason = next(iter(failures.values()), "the call was not answered")
    return Problem(file, "$", f"{number} of {asked} samples did not come: {reason}", _AGAIN)


def left(file: str, refusal: str) -> Problem:
    """A file that is not this run's to complete."""
    reason = f"it is left as it is, and nothing was asked for it: {refusal}"
    return Problem(file, "$", reason, _ELSEWHERE)


def replaced(file: str, refusal: str, own: int) -> Problem:
    """A file that another run wrote anew with other settings."""
    said = "1 response" if own == 1 else f"{own} responses"
    reason = f"it is left as it is, and {said} of this run could not be put there: {refusal}"
    return Problem(file, "$", reason, _ELSEWHERE)


def gone(file: str, number: int) -> Problem:
    """Responses of earlier runs that this run found, and that are there no more."""
    said = "1 response" if number == 1 else f"{number} responses"
    return Problem(file, "$", f"{said} that stood here before the run began are gone", _AGAIN)


def besides(file: str, number: int) -> Problem:
    """Responses that another run added while this one was under way."""
    said = "1 response" if number == 1 else f"{number} responses"
    reason = f"{said} that another run has added meanwhile are not shown in this run"
    return Problem(file, "$", reason, "They are in the file: import its folder to see them.")
