"""One response of the Gemini sampling format: `{text, logprobs: {content: [...]}}`."""

from __future__ import annotations

from typing import Any

from kl_core.formats.fields import keys_of, name, text_of
from kl_core.formats.notes import Notes
from kl_core.formats.openai_responses import joined_text, no_logprobs, read_content
from kl_core.formats.tokens import TokenTables
from kl_core.records import Response


def read_gemini_response(
    raw: Any, index: int, place: str, notes: Notes, tables: TokenTables
) -> Response:
    """One response with its text at the top; a bare string is a response without logprobs.

    What is no response at all keeps its slot, with an error.
    """
    if isinstance(raw, str):
        notes.count_response(False, None)
        return Response(index, raw, error=no_logprobs(None))
    if not isinstance(raw, dict) or not ({"text", "content", "logprobs"} & raw.keys()):
        reason = f"the response is {keys_of(raw)}: neither text nor choices"
        notes.add(
            place,
            place,
            "response",
            reason,
            "A response is {choices: [...]} or {text, logprobs: {content: [...]}}.",
        )
        return Response(index, "", error=reason)
    text = text_of(raw["text"] if "text" in raw else raw.get("content"))
    provider = name(raw, "provider")
    positions, _ = read_content(raw.get("logprobs"), text, place, notes, tables)
    notes.count_response(bool(positions), provider)
    return Response(
        index,
        joined_text(positions) if text is None else text,
        positions,
        provider,
        name(raw, "model_version", "model"),
        name(raw, "finish_reason"),
        name(raw, "reasoning"),
        None if positions else no_logprobs(provider),
    )
