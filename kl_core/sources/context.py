"""What a model needs around a response: its prompt, the reasoning on request, its ids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kl_core.formats.align import Vocabulary
from kl_core.models.load import (
    LoadedModel,
    added_text_ids,
    encode_prompt,
    encode_text,
    vocabulary_pieces,
)
from kl_core.records import Entry, Response


@dataclass(frozen=True, slots=True)
class Grouped:
    """Responses of one entry that follow the same ids.

    Attributes:
        slots: places of the responses in the entry.
    """

    prompt_ids: tuple[int, ...]
    slots: tuple[int, ...]


def display_name(loaded: LoadedModel) -> str:
    """What tables call a model: the hub id, or a local folder's own name.

    The whole path and the hash of the weights are in the run's parameters.
    """
    name = str(loaded.identity["name"])
    folder = Path(name).expanduser()
    return folder.resolve().name if folder.is_dir() else name


def require_template(loaded: LoadedModel) -> None:
    """Refuse, before anything is scored, a model that no prompt can be written for.

    Raises:
        ModelError: no chat template and not raw.
    """
    if not loaded.spec.raw and not loaded.tokenizer.chat_template:
        encode_prompt(loaded, ())  # says what to do about it


def vocabulary_of(loaded: LoadedModel) -> Vocabulary:
    """A model's vocabulary as its output layer has it."""
    rows = int(loaded.identity.get("vocab_size") or 0) or None
    return Vocabulary(*vocabulary_pieces(loaded), added_text_ids(loaded), rows)


def reasoning_prefix(loaded: LoadedModel, response: Response) -> tuple[int, ...]:
    """Ids of the saved reasoning as the model would have written it before its answer.

    In `<think>` tags where the model's vocabulary or template knows them, plain with an
    empty line after it otherwise; () where the tokens of the response contain it already.
    """
    if not response.reasoning:
        return ()
    said = b"".join(position.token.data or b"" for position in response.positions)
    if response.reasoning.strip().encode("utf-8", "replace")[:64] in said:
        return ()
    tokenizer = loaded.tokenizer
    tags = "<think>" in tokenizer.get_vocab() or "<think>" in str(tokenizer.chat_template or "")
    text = f"<think>\n{response.reasoning}\n</think>\n\n" if tags else f"{response.reasoning}\n\n"
    return encode_text(loaded, text)


def grouped(
    loaded: LoadedModel, entry: Entry, slots: list[int], include_reasoning: bool
) -> list[Grouped]:
    """The given responses of an entry, grouped by what stands before them.

    Raises:
        ModelError: as prompt_ids.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    base = encode_prompt(loaded, entry.prompt)
    for slot in slots:
        extra = reasoning_prefix(loaded, entry.responses[slot]) if include_reasoning else ()
        groups.setdefault(base + extra, []).append(slot)
    return [Grouped(ids, tuple(members)) for ids, members in groups.items()]
