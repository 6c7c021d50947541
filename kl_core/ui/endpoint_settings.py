"""What `endpoint` can be asked, and whether what a person typed can be meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kl_core import addresses
from kl_core.ui import endpoint_keys, folders

Values = Mapping[str, Any]
OPTIONS = (
    "input_dir",
    "output_dir",
    "model2",
    "base_url",
    "key_env",
    "server",
    "tokenizer",
    "revision",
    "fallback",
    "top_logprobs",
    "pattern",
    "max_files",
    "max_concurrent",
    "rate_limit",
    "max_retries",
    "timeout",
    "chat_template",
    "system",
    "raw",
    "trust_remote_code",
    "reuse",
    "input_price",
    "output_price",
    "max_cost",
)
FLAGS = ("raw", "trust_remote_code", "reuse")
WHOLE = ("top_logprobs", "max_files", "max_concurrent", "max_retries")
FRACTIONS = ("rate_limit", "timeout", "input_price", "output_price", "max_cost")
DEFAULTS = {"server": "auto", "fallback": "stop"}
"""Choices of the form that leave their option out."""
_NO_NAME = re.compile(r"[\s\x00-\x1f]")


def options(values: Values) -> dict[str, Any]:
    """Command-line options by name; what is empty or at its default is left out.

    So is what may be a key typed in the wrong place: it must not reach a command.
    """
    found = {}
    for name in OPTIONS:
        value = values.get(name)
        if value is None or value is False or value == "":
            continue
        if value == DEFAULTS.get(name) or (name == "key_env" and endpoint_keys.name_problem(value)):
            continue
        found[name] = value
    return found


def from_command(words: Sequence[str]) -> dict[str, Any]:
    """The options in a command that `launch` wrote; what cannot be read is left out."""
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        name, _, value = rest.pop(0).partition("=")
        option = name.removeprefix("--").replace("-", "_")
        if not name.startswith("--") or option not in OPTIONS:
            continue
        if option in FLAGS:
            found[option] = True
        elif value or rest:
            number = _number(option, value or rest.pop(0))
            found |= {} if number is None else {option: number}
    return found


def _number(option: str, text: str) -> Any:
    try:
        if option in WHOLE:
            return int(text)
        return float(text) if option in FRACTIONS else text
    except ValueError:
        return None


def problems(values: Values) -> dict[str, str]:
    """Option → one sentence on why its value cannot be used; empty where all is well."""
    checks = {
        "model2": _model(values.get("model2") or ""),
        "base_url": _address(values.get("base_url") or ""),
        "key_env": endpoint_keys.problem(values.get("base_url"), values.get("key_env")),
        "raw": _template(values),
        "output_dir": folders.output_problem(values.get("output_dir")),
        "output_price": _prices(values),
    }
    return {name: said for name, said in checks.items() if said}


def _model(name: str) -> str | None:
    if not name:
        return "type the name of model 2, as the server spells it"
    if _NO_NAME.search(name):
        return "a model's name has no blanks; copy it from the server's /v1/models"
    return None


def _address(url: str) -> str | None:
    if not url:
        return "type the server's base URL, which mostly ends in /v1"
    return url_problem(url)


def url_problem(url: str) -> str | None:
    """Why an address of a server cannot be used, None where it can."""
    parts = addresses.parsed(url)
    if parts is None:
        return (
            "this is no address that can be used; it reads like https://host/v1 or "
            "http://127.0.0.1:8000/v1, without user, ? and #"
        )
    if parts.scheme == "http" and not addresses.is_loopback(parts.hostname or ""):
        return "responses and keys go over http to this machine alone; use https for other hosts"
    return None


def _template(values: Values) -> str | None:
    if values.get("raw") and (values.get("chat_template") or values.get("system")):
        return "raw text has neither a template nor a system message; empty those, or untick this"
    return None


def _prices(values: Values) -> str | None:
    one, other = values.get("input_price"), values.get("output_price")
    if (one is None) != (other is None):
        return "give both prices, or neither and what is known is taken"
    return None
