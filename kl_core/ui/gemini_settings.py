"""What `prefill` and `batch` can be asked, and whether what a person typed can be meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kl_core import addresses
from kl_core.ui import folders
from kl_core.ui.command_options import CommandOptions

Values = Mapping[str, Any]
_BOTH = ("input_dir", "output_dir", "model2", "project_id", "location", "top_logprobs", "pattern")
OPTIONS = {
    "prefill": (
        *_BOTH,
        "max_concurrent",
        "rate_limit",
        "max_retries",
        "base_url",
        "budget",
        "top_prompts",
        "seed",
        "max_files",
        "reuse",
        "input_price",
        "output_price",
    ),
    "batch": (
        *_BOTH,
        "bucket_name",
        "base_url",
        "storage_url",
        "budget",
        "seed",
        "max_files",
        "reuse",
        "cleanup",
        "lifecycle_days",
        "input_price",
        "output_price",
    ),
}
FLAGS = ("reuse", "cleanup")
WHOLE = (
    "top_logprobs",
    "max_concurrent",
    "max_retries",
    "top_prompts",
    "seed",
    "max_files",
    "lifecycle_days",
)
FRACTIONS = ("rate_limit", "budget", "input_price", "output_price")
_COMMAND = CommandOptions(
    FLAGS, WHOLE, FRACTIONS, frozenset((*OPTIONS["prefill"], *OPTIONS["batch"]))
)
_MODEL = re.compile(r"[A-Za-z0-9][\w.\-/@:]*", re.ASCII)
_PROJECT = re.compile(r"[a-z][a-z0-9.:\-]*[a-z0-9]")
_LOCATION = re.compile(r"[a-z]+(-[a-z]+[0-9]+)?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._\-]{1,61}[a-z0-9]")


def options(kind: str, values: Values) -> dict[str, Any]:
    """Command-line options of a job by name; what is empty keeps its default and is left out."""
    given = {name: values.get(name) for name in OPTIONS[kind]}
    return {name: v for name, v in given.items() if v is not None and v != "" and v is not False}


def from_command(words: Sequence[str]) -> dict[str, Any]:
    """The options in a command that `launch` wrote; what cannot be read is left out."""
    return _COMMAND.read(words)


def problems(kind: str, values: Values) -> dict[str, str]:
    """Option → one sentence on why its value cannot be used; empty where all is well."""
    checks = {
        "model2": _model(values.get("model2") or ""),
        "project_id": _project(kind, values.get("project_id") or ""),
        "location": _location(values.get("location") or ""),
        "bucket_name": _bucket(values.get("bucket_name") or ""),
        "base_url": url_problem(values.get("base_url") or ""),
        "storage_url": url_problem(values.get("storage_url") or ""),
        "output_dir": folders.output_problem(values.get("output_dir")),
        "output_price": _prices(values),
    }
    return {name: said for name, said in checks.items() if said and name in OPTIONS[kind]}


def _model(name: str) -> str | None:
    if not name:
        return "type the name of the model, as the API spells it"
    if not _MODEL.fullmatch(name):
        return "a model name has letters, digits and . - _ / @ : alone, without spaces"
    return None


def _project(kind: str, project: str) -> str | None:
    if not project:
        return "a batch runs in a Google Cloud project: type its id" if kind == "batch" else None
    if not _PROJECT.fullmatch(project):
        return "a project id has small letters, digits and hyphens; it is not the project's title"
    return None


def _location(location: str) -> str | None:
    if location and not _LOCATION.fullmatch(location):
        return "a location reads like us-central1, europe-west4 or global"
    return None


def _bucket(name: str) -> str | None:
    if name and not _BUCKET.fullmatch(name):
        return (
            "a bucket name has 3 to 63 small letters, digits, dots, hyphens or underscores, "
            "without gs:// and without folders"
        )
    return None


def _prices(values: Values) -> str | None:
    one, other = values.get("input_price"), values.get("output_price")
    if (one is None) != (other is None):
        return "give both prices, or neither and the table's are taken"
    return None


def url_problem(url: str) -> str | None:
    """Why an address of a server cannot be used, None where it can (or is empty)."""
    if not url:
        return None
    parts = addresses.parsed(url)
    if parts is None:
        return (
            "this is no address that can be used; it reads like https://host or "
            "http://127.0.0.1:8080, without user, ? and #: credentials come from the environment"
        )
    if parts.scheme == "http" and not is_loopback(url):
        return "credentials go over http to this machine alone; use https for other hosts"
    return None


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine."""
    parts = addresses.parsed(url)
    return parts is not None and addresses.is_loopback(parts.hostname or "")
