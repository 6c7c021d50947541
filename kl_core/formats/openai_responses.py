"""One response as OpenRouter, OpenAI and like servers send it: `{choices: [...]}`."""

from __future__ import annotations

from typing import Any

from kl_core.formats.fields import keys_of, name, text_of
from kl_core.formats.notes import Notes
from kl_core.formats.positions import read_positions
from kl_core.formats.tokens import TokenTables
from kl_core.records import Position, Response

_SHAPE_HINT = "A response is {choices: [{message, logprobs: {content: [...]}}]}."


def no_logprobs(provider: str | None) -> str:
    """The error of a response that came without log-probabilities."""
    return "no log-probabilities came back" + (f" (provider {provider})" if provider else "")


def is_openai_response(raw: Any) -> bool:
    """True for an object with `choices`, or an error in place of them."""
    return isinstance(raw, dict) and ("choices" in raw or ("error" in raw and "text" not in raw))


def read_openai_response(
    raw: dict[str, Any], first: int, place: str, notes: Notes, tables: TokenTables
) -> list[Response]:
    """All choices of one reply, each in a slot of its own from `first` on; never empty."""
    choices = raw.get("choices")
    provider, model = name(raw, "provider"), name(raw, "model")
    if not isinstance(choices, list) or not choices:
        said = name(raw.get("error"), "message") or name(raw, "error")
        reason = f"the server answered: {said}" if said else "the response has no choices"
        notes.add(place, place, "choices", reason, _SHAPE_HINT)
        return [Response(first, "", provider=provider, model=model, error=reason)]
    responses = []
    for n, choice in enumerate(choices):
        where = f"{place}.choices[{n}]"
        index = first + n
        if not isinstance(choice, dict):
            reason = f"the choice is {keys_of(choice)}, not an object"
            notes.add(where, where, "choice", reason, _SHAPE_HINT)
            responses.append(Response(index, "", provider=provider, model=model, error=reason))
            continue
        responses.append(
            _read_choice(
                choice,
                index,
                where,
                provider=provider,
                model=model,
                notes=notes,
                tables=tables,
            )
        )
    return responses


def _read_choice(
    choice: dict[str, Any],
    index: int,
    where: str,
    *,
    provider: str | None,
    model: str | None,
    notes: Notes,
    tables: TokenTables,
) -> Response:
    message = choice.get("message")
    text = text_of(message.get("content")) if isinstance(message, dict) else name(choice, "text")
    positions, place = read_content(choice.get("logprobs"), text, where, notes, tables)
    notes.count_response(bool(positions), provider)
    error = None if positions else no_logprobs(provider)
    said = name(choice.get("error"), "message")
    if said is not None:
        error = f"the server answered: {said}"
        notes.add(place, where, "error", error, "Sample this response again.")
    return Response(
        index,
        joined_text(positions) if text is None else text,
        positions,
        provider,
        model,
        name(choice, "finish_reason"),
        name(message, "reasoning", "reasoning_content"),
        error,
    )


def joined_text(positions: tuple[Position, ...]) -> str:
    """The text the tokens' bytes give."""
    return b"".join([p.token.data or b"" for p in positions]).decode("utf-8", "replace")


def read_content(
    logprobs: Any, text: str | None, where: str, notes: Notes, tables: TokenTables
) -> tuple[tuple[Position, ...], str]:
    """The positions of `{content: [...]}`, a bare list or legacy lists, and their place.

    Returns no positions where there are no log-probabilities.
    """
    place = f"{where}.logprobs"
    content = logprobs
    if isinstance(logprobs, dict):
        if isinstance(logprobs.get("tokens"), list) and "content" not in logprobs:
            content = _from_legacy(logprobs)
        else:
            place, content = f"{place}.content", logprobs.get("content")
    if content is not None and not isinstance(content, list):
        notes.add(
            place, place, "content", f"the log-probabilities are {keys_of(content)}", _SHAPE_HINT
        )
        content = None
    if not content:
        return (), place
    return read_positions(content, text or "", place, notes, tables), place


def _from_legacy(logprobs: dict[str, Any]) -> list[Any]:
    """`{tokens, token_logprobs, top_logprobs}` of the completions API as content items."""
    tokens = logprobs["tokens"]
    chosen = logprobs.get("token_logprobs")
    tops = logprobs.get("top_logprobs")
    items: list[Any] = []
    for n, token in enumerate(tokens):
        top = tops[n] if isinstance(tops, list) and n < len(tops) else None
        pairs = top.items() if isinstance(top, dict) else ()
        items.append(
            {
                "token": token,
                "logprob": chosen[n] if isinstance(chosen, list) and n < len(chosen) else None,
                "top_logprobs": [{"token": key, "logprob": value} for key, value in pairs],
            }
        )
    return items
