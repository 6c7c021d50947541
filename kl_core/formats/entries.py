"""One JSON object of a file → an `Entry` or a `ScoredEntry`, recognised by its content."""

from __future__ import annotations

from typing import Any

from kl_core.errors import FormatError
from kl_core.formats.fields import keys_of, name, read_prompt
from kl_core.formats.gemini_responses import read_gemini_response
from kl_core.formats.kl_results import is_result, read_result
from kl_core.formats.notes import Notes
from kl_core.formats.openai_responses import is_openai_response, read_openai_response
from kl_core.formats.other_files import other_file
from kl_core.formats.tokens import TokenTables
from kl_core.records import Entry, Prompt, Response, ScoredEntry

_SHAPE_HINT = "An entry is {prompt, model, responses: [...]} or a result file's object."


def read_entry(
    raw: Any, place: tuple[str, int, int], where: str, notes: Notes, tables: TokenTables
) -> Entry | ScoredEntry:
    """One entry; bad responses keep their slots with an error.

    Args:
        raw: the JSON value.
        place: file, index of the entry in it, number of entries in it.
        where: JSON path of the entry, for the notes.
        notes: takes what is wrong inside it.
        tables: the tokens seen so far.

    Raises:
        FormatError: it is no entry at all.
    """
    if not isinstance(raw, dict):
        raise FormatError(f"the entry is {keys_of(raw)}, not an object", where, _SHAPE_HINT)
    ours = other_file(raw)
    if ours is not None:
        raise FormatError(*ours)
    if is_result(raw):
        return read_result(raw, place, where, notes, tables)
    if isinstance(raw.get("responses"), list):
        items, path = raw["responses"], f"{where}.responses"
    elif "responses" not in raw and "choices" in raw:
        items, path = [raw], ""
    else:
        raise FormatError(
            f"the entry is {keys_of(raw)}: neither responses nor a result", where, _SHAPE_HINT
        )
    responses: list[Response] = []
    for n, item in enumerate(items):
        at = f"{path}[{n}]" if path else where
        if is_openai_response(item):
            responses += read_openai_response(item, len(responses), at, notes, tables)
        else:
            responses.append(read_gemini_response(item, len(responses), at, notes, tables))
    if not responses:
        notes.add(where, path, "none", "the entry has no responses", "Sample some.")
    prompt = _prompt(raw, where, notes)
    file, index, count = place
    model = name(raw, "model") or next((r.model for r in responses if r.model), None)
    return Entry(file, index, count, prompt, model, tuple(responses))


def _prompt(raw: dict[str, Any], where: str, notes: Notes) -> Prompt:
    """The prompt; an entry without a readable one keeps its responses, with a row."""
    key = "prompt" if "prompt" in raw else "messages"
    try:
        if raw.get(key) is None:
            raise FormatError(
                "the entry has no prompt",
                where,
                "Add a `prompt`: without it no second model can score the responses.",
            )
        return read_prompt(raw[key], f"{where}.{key}")
    except FormatError as error:
        notes.add("prompts", error.where, "prompt", error.reason, error.hint)
        return ()
