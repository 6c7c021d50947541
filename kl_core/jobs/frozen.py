"""Options of a job as the JSON that defines a run, and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kl_core.jobs.reading import Input

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


def freeze(options: DataclassInstance, source: Input) -> dict[str, Any]:
    """Options that have `input_dir` and `output_dir`, as JSON with the input's fingerprint.

    Equal paths are equal however they were typed.
    """
    values = asdict(options)
    output = values["output_dir"]
    return values | {
        "input_dir": str(values["input_dir"].resolve()),
        "output_dir": str(output.resolve()) if output else None,
        "fingerprint": source.fingerprint,
    }


def thaw(kind: type[Options], request: dict[str, Any]) -> Options:
    """The options of a frozen request."""
    values = {field.name: request[field.name] for field in fields(kind)}
    output = values["output_dir"]
    paths = {
        "input_dir": Path(values["input_dir"]),
        "output_dir": Path(output) if output else None,
    }
    return kind(**values | paths)
