"""How the pages speak of a free comparison: two folders, compared where both came to one text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kl_core.records import NO_RESPONSES, NOT_REACHED
from kl_core.ui.figures import count, counted, percent

Row = Mapping[str, Any]
_SCORE = "Scoring these responses with model 2 would fill it in."
_NOTHING_LIKE_IT = (
    "none of its responses to this prompt begins like this one up to here, so what it would say "
    f"is not known. {_SCORE}"
)
_WHY = {
    NOT_REACHED: ("Model 2 never came to this text: ", _NOTHING_LIKE_IT),
    NO_RESPONSES: (
        "Model 2 has no responses to this prompt: ",
        f"there is nothing to compare with. {_SCORE}",
    ),
}


def is_one(request: Row) -> bool:
    """Whether a run with this request is a free comparison."""
    return bool(request.get("against"))


def kind(kind_of_run: str, request: Row) -> str:
    """What a list calls the kind of a run."""
    return "free comparison" if is_one(request) else kind_of_run


def caption(summary: Row, request: Row, contexts: int | None) -> str:
    """What a reader of the whole page has to know; empty for other runs.

    Args:
        summary: of the run.
        request: what the run was asked.
        contexts: how many different contexts were compared, None where that is not known yet.
    """
    if not is_one(request):
        return ""
    known, every = summary.get("scored_tokens") or 0, summary.get("tokens") or 0
    if not known:
        return (
            "Free comparison: the two folders share no position. Answers to equal prompts share "
            "their first one at least, so look at the problems for what did not match."
        )
    distinct = "" if contexts is None else f" ({counted(contexts, 'distinct context')})"
    return (
        f"Free comparison: {count(known)} of {counted(every, 'position')} are shared{distinct}, no "
        "call made; model 2 never came to the rest. Means are over the shared positions alone, "
        "mostly the beginnings of answers."
    )


def stat(response: Row) -> tuple[str, str, str]:
    """The figure of a response's head: value, label, one line of help."""
    known, every = count(response["scored_tokens"]), count(response["tokens"])
    said = (
        f"Of {every} tokens, model 2 came to the text before {known} in its own responses; the "
        "others it never reached, and the means leave them out."
    )
    return f"{known} of {every}", f"tokens shared, {percent(response['coverage'])}", said


def left_out(request: Row) -> str:
    """What to say of a position that has no value for no fault of its own."""
    return "not reached by model 2" if is_one(request) else "not asked"


def words(reasons: Iterable[str | None]) -> tuple[str, str]:
    """The same in short for a legend, and with its cause, from a response's reasons."""
    found = set(reasons)
    for reason in (NOT_REACHED, NO_RESPONSES):
        if reason in found:
            return "not reached by model 2", reason
    return "not asked", "not asked: outside the budget"


def why(reason: str | None) -> list[tuple[str, bool]]:
    """The sentence of such a position, as (text, strong) pieces; empty for other reasons."""
    said = _WHY.get(reason or "")
    return [(said[0], True), (said[1], False)] if said else []
