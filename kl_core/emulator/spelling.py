"""How a served model's tokens are written in replies, read from its tokenizer.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.errors import ModelError
from kl_core.formats.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Spelling:
    """Strings and bytes by id.

    Attributes:
        shown: ` the`, `<0xE3>` for a byte of a character, `<|eot|>` for a special token.
        data: the bytes a token adds to the text; b"" for special ones.
        pieces: as the vocabulary writes them, `Ġthe`.
    """

    shown: tuple[str, ...]
    data: tuple[bytes, ...]
    pieces: tuple[str, ...]

    @classmethod
    def of_folder(cls, folder: Path) -> Spelling:
        """Read a saved model's vocabulary; no torch, no transformers.

        Raises:
            ModelError: the folder has no tokenizer.json that can be read.
        """
        try:
            raw = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            vocabulary = _vocabulary(raw, config.get("vocab_size"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The vocabulary of {folder} cannot be read ({error}); serve a folder with "
                "config.json and tokenizer.json."
            ) from error
        numbers = range(len(vocabulary.pieces))
        shown = [_shown(vocabulary, number) for number in numbers]
        pieces = tuple([vocabulary.token(number).piece for number in numbers])
        return cls(tuple(shown), tuple(vocabulary.text_bytes(numbers)), pieces)

    def __len__(self) -> int:
        return len(self.shown)


def _vocabulary(raw: dict[str, Any], size: int | None) -> Vocabulary:
    listed = raw["model"]["vocab"]
    if isinstance(listed, list):  # unigram models list [piece, score]
        listed = {piece: number for number, (piece, _) in enumerate(listed)}
    added = raw.get("added_tokens") or []
    pieces = {int(number): piece for piece, number in listed.items()}
    pieces.update({int(token["id"]): token["content"] for token in added})
    length = size or max(pieces) + 1
    special = frozenset(int(token["id"]) for token in added if token["special"])
    literal = frozenset(int(token["id"]) for token in added if not token["special"])
    return Vocabulary([pieces.get(n) for n in range(length)], special, literal, length)


def _shown(vocabulary: Vocabulary, number: int) -> str:
    token = vocabulary.token(number)
    if token.special or token.data is None:
        return token.text
    try:
        return token.data.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in token.data)
