"""Whether what a person typed into the Sample page can be meant, field by field; never a key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from kl_core.errors import KLExplorerError
from kl_core.ui import (
    endpoint_keys,
    folders,
    gemini_credentials,
    gemini_settings,
    sample_values,
)
from kl_core.ui.sample_values import Values, field

_HUB = re.compile(r"[\w.\-]+(/[\w.\-]+)?", re.ASCII)
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,99}")


def problems(way: str, values: Values) -> dict[str, str]:
    """Field → one sentence on why it cannot be used; empty where all is well."""
    found = _prompts(way, values)
    found["output_dir"] = folders.output_problem(values.get("output_dir"))
    rows = values.get("rows") or ()
    if not rows:
        found["rows"] = "add a model"
    for row in rows:
        own = sample_values.of_row(values, row)
        found |= {field(row, name): text for name, text in model(own).items()}
    found |= _same_folder(values)
    return {name: text for name, text in found.items() if text}


def listed(found: Mapping[str, str], values: Values) -> list[str]:
    """The sentences as a list, each once, with the models it speaks of where there are several."""
    rows = values.get("rows") or ()
    places: dict[str, list[int]] = {}
    for name, text in found.items():
        of = [n for n, row in enumerate(rows, 1) if name.startswith(field(row, ""))]
        places.setdefault(text, []).extend(of)
    return [_whose(of, len(rows)) + text for text, of in places.items()]


def _whose(places: list[int], of: int) -> str:
    """`models 1–3 and 6: `; empty where there is one model, or none is meant."""
    if of < 2 or not places:
        return ""
    spans: list[list[int]] = []
    for place in sorted(set(places)):
        if spans and place == spans[-1][-1] + 1:
            spans[-1].append(place)
        else:
            spans.append([place])
    said = [f"{span[0]}–{span[-1]}" if len(span) > 1 else f"{span[0]}" for span in spans]
    several = "s" if len(set(places)) > 1 else ""
    return f"model{several} {' and '.join(filter(None, [', '.join(said[:-1]), said[-1]]))}: "


def said_before(row: int, name: str, found: Mapping[str, str], values: Values) -> bool:
    """Whether a model above has the same to say at the same field."""
    rows = list(values.get("rows") or ())
    above = rows[: rows.index(row)] if row in rows else []
    return any(found.get(field(each, name)) == found.get(field(row, name)) for each in above)


def _prompts(way: str, values: Values) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    if way == "write" and not sample_values.texts_of(values):
        found["texts"] = "write the prompts"
    elif way == "file":
        found["file"] = _file(values.get("file"))
    elif way == "dataset":
        found["dataset"] = _dataset(values.get("dataset"))
    least, most = values.get("min_chars"), values.get("max_chars")
    if least is not None and most is not None and least > most:
        found["max_chars"] = f"no prompt has at least {least:,} and at most {most:,} characters"
    return found


def _file(text: str | None) -> str | None:
    if not text:
        return "choose a file of prompts"
    try:
        path = folders.allowed_folder(text)
    except KLExplorerError as error:
        return str(error)
    return None if path.is_file() else f"{folders.shown(path)} is a folder; name a file of prompts"


def _dataset(text: str | None) -> str | None:
    if not text:
        return "type the name of the data set"
    if text.startswith(("/", ".", "~")):
        try:
            folders.allowed_folder(text)
        except KLExplorerError as error:
            return str(error)
        return None
    if not _HUB.fullmatch(text):
        return "a data set's name reads like owner/name, as the hub spells it"
    return None


def model(own: Values) -> dict[str, str | None]:
    """The same for one model's fields, under their own names."""
    api = own.get("api") or "openai"
    found: dict[str, str | None] = {"name": _name(api, own.get("name"))}
    label = own.get("label")
    if label and not _LABEL.fullmatch(label):
        found["label"] = "a folder's name has letters, digits and . _ - alone"
    if (own.get("input_price") is None) != (own.get("output_price") is None):
        found["output_price"] = "give both prices, or neither and the known ones are taken"
    if api == "openai":
        found |= _server(own)
    elif api == "gemini":
        found |= _gemini(own)
    if not own.get("name"):  # whose key is missing is said when it is known who is asked
        found = {each: text for each, text in found.items() if each != "key"}
        if not endpoint_keys.name_problem(own.get("key_env")):
            found.pop("key_env", None)
    return found


def _name(api: str, name: str | None) -> str | None:
    if not name:
        what = "the folder or hub id of the model" if api == "local" else "the model's name"
        return f"type {what}"
    if "\0" in name or (api != "local" and re.search(r"\s", name)):
        return "a model's name has no spaces"
    return None


def _server(own: Values) -> dict[str, str | None]:
    address = sample_values.base_url(own)
    if not address:
        return {"base_url": "type the address of the server, which mostly ends in /v1"}
    wrong = gemini_settings.url_problem(address)
    key = None if wrong else endpoint_keys.problem(address, own.get("key_env"))
    return {"base_url": wrong and _of_address(wrong), "key_env": key}


def _of_address(problem: str) -> str:
    """The same with the field's name, for the list below the form."""
    return problem.replace("this is no address", "the base URL is no address", 1)


def _gemini(own: Values) -> dict[str, str | None]:
    asked = {"base_url": own.get("base_url"), "project_id": own.get("project_id")}
    needed = gemini_credentials.needed("prefill", asked, gemini_credentials.found())
    names = ("project_id", "location", "base_url")
    checked = gemini_settings.problems("prefill", {name: own.get(name) for name in names})
    return {"key": needed} | {name: checked.get(name) for name in names}


def _same_folder(values: Values) -> dict[str, str]:
    """Models that would write into one folder; the later one is told."""
    rows = [row for row in values.get("rows") or () if values.get(field(row, "name"))]
    names = {row: sample_values.model_of(values, row).folder for row in rows}
    seen = Counter(name.lower() for name in names.values())
    twins = [row for row, name in names.items() if seen[name.lower()] > 1]
    return {
        field(row, "label"): f"another model writes to the folder {names[row]!r} too; "
        "give this one another folder under More for this model"
        for row in twins[1:]
    }


def local(own: Values) -> bool:
    """Whether a row's model is asked on this machine, which charges nothing."""
    api = own.get("api") or "openai"
    address = own.get("base_url") if api == "gemini" else sample_values.base_url(own)
    return api == "local" or gemini_settings.is_loopback(address or "")
