"""What KL Explorer writes beside responses and results and is neither."""

from __future__ import annotations

from typing import Any

_SHAPES = (
    ({"judge", "models", "judgements"}, "judgements", "verdicts of a judge", "Nothing to do."),
    (
        {"entries", "score_type"},
        "entries",
        "tokens that the tokens command chose",
        "To go on from them, give the file to sample with --from-tokens.",
    ),
    (
        {"format_version", "notes"},
        "notes",
        "notes on a run",
        "Nothing to do; notes belong to a run.",
    ),
)


def other_file(raw: dict[str, Any]) -> tuple[str, str, str] | None:
    """(reason, JSON path, hint) of a file that holds no responses; None for any other."""
    if "responses" in raw or "choices" in raw:
        return None
    for names, rows, said, hint in _SHAPES:
        if names <= raw.keys() and isinstance(raw[rows], list):
            return f"it holds {said}, no responses: nothing to read here", "$", hint
    return None
