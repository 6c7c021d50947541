"""What `endpoint` can be asked, and whether what a person typed can be meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kl_core import addresses
from kl_core.ui import endpoint_keys, folders
from kl_core.ui.command_options import CommandOptions
from kl_core.ui.option_words import with_labels

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
_COMMAND = CommandOptions(FLAGS, WHOLE, FRACTIONS, OPTIONS)
DEFAULTS = {"server": "auto", "fallback": "stop"}
"""Choices of the form that leave their option out."""
LABELS = {
    "input_dir": "Responses",
    "output_dir": "Write *_kl.json results to",
    "model2": "Model 2",
    "base_url": "Base URL",
    "key_env": "Environment variable that holds the key",
    "server": "Server",
    "tokenizer": "Tokenizer",
    "revision": "Revision of the tokenizer",
    "fallback": "When it cannot score a response in one request",
    "top_logprobs": "Top log-probabilities",
    "pattern": "File pattern",
    "max_files": "Files at most",
    "max_concurrent": "Requests at a time",
    "rate_limit": "Requests a second",
    "max_retries": "Retries",
    "timeout": "Time-out (s)",
    "chat_template": "Chat template",
    "system": "System message",
    "raw": "Raw text: no chat template",
    "trust_remote_code": "Run code that comes with the tokenizer",
    "reuse": "Take answers of finished runs",
    "input_price": "US dollars per million input tokens",
    "output_price": "US dollars per million output tokens",
    "max_cost": "Cost at most (US dollars)",
}
"""Option → the label of its field, for sentences that a worker wrote."""
CHOICES = {
    "--fallback completion": "Ask at each position, as a completion",
    "--fallback chat": "Ask at each position, as a chat",
    "--server vllm": "Server: vLLM",
    "--server sglang": "Server: SGLang",
    "--server echo": "Server: Echo",
}
"""Option with its value → the label of that choice."""
_NO_NAME = re.compile(r"[\s\x00-\x1f]")


def in_labels(sentence: str) -> str:
    """A worker's sentence with the form's labels in place of the command's options."""
    for words, label in CHOICES.items():
        sentence = sentence.replace(words, f"“{label}”")
    return with_labels(sentence, {name: f"“{label}”" for name, label in LABELS.items()})


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
    return _COMMAND.read(words)


def problems(values: Values) -> dict[str, str]:
    """Option → one sentence on why its value cannot be used; empty where all is well."""
    checks = {
        "model2": _model(values.get("model2") or ""),
        "base_url": _address(values.get("base_url") or "", values.get("key_env")),
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


def _address(url: str, key_env: str | None) -> str | None:
    if not url:
        return "type the server's base URL, which mostly ends in /v1"
    return url_problem(url, key_env)


def url_problem(url: str, key_env: str | None = None) -> str | None:
    """Why an address of a server cannot be used, None where it can.

    Args:
        key_env: the variable whose key goes there, if one is named.
    """
    parts = addresses.parsed(url)
    if parts is None:
        return (
            "this is no address that can be used; it reads like https://host/v1 or "
            "http://127.0.0.1:8000/v1, without user, ? and #"
        )
    if unencrypted(url) and (key_env or endpoint_keys.usual(url)):
        return (
            "a key goes over http to this machine alone; use https for other hosts, or name no "
            "variable where the server wants no key"
        )
    return None


def unencrypted(url: str | None) -> str | None:
    """The other machine to which texts would go over plain http; None where there is none."""
    parts = addresses.parsed(url or "")
    if parts is None or parts.scheme != "http" or addresses.is_loopback(parts.hostname or ""):
        return None
    return parts.hostname


def _template(values: Values) -> str | None:
    if values.get("raw") and (values.get("chat_template") or values.get("system")):
        return "raw text has neither a template nor a system message; empty those, or untick this"
    return None


def _prices(values: Values) -> str | None:
    one, other = values.get("input_price"), values.get("output_price")
    if (one is None) != (other is None):
        return "give both prices, or neither and what is known is taken"
    return None
