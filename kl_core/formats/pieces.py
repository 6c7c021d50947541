"""From a vocabulary's way of writing a token (`Ġthe`, `▁the`, `<0xE2>`) to its bytes."""

from __future__ import annotations

import codecs
import re
from enum import Enum


class Style(Enum):
    """How pieces are written: GPT-2's byte alphabet, SentencePiece, or simply the text."""

    BYTE_LEVEL = "byte-level"
    SENTENCE_PIECE = "sentencepiece"
    PLAIN = "plain"


def _byte_alphabet() -> dict[int, str]:
    """GPT-2's bijection byte → printable character (source: openai/gpt-2, encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in printable}
    others = [byte for byte in range(256) if byte not in table]
    table.update({byte: chr(256 + n) for n, byte in enumerate(others)})
    return table


BYTE_TO_CHAR = _byte_alphabet()
_CHAR_TO_BYTE = {ord(char): chr(byte) for byte, char in BYTE_TO_CHAR.items()}
# Characters below 256 that are no letters of the alphabet must not pass as bytes.
_CHAR_TO_BYTE.update({n: "\uffff" for n in range(256) if n not in _CHAR_TO_BYTE})

BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_ESCAPED = re.compile(r"(?:bytes:)?((?:\\x[0-9a-fA-F]{2})+)")
_SPECIAL = re.compile(
    r"<\|[^|<>\s]*\|?>|<[^|<>\s]+\|>|<｜[^<>]*｜>|</?s>|<(?:eos|bos|pad|unk|mask|eop|eod)>"
    r"|<(?:start|end)_of_\w+>|<unused\d+>|\[/?INST\]|\[(?:EOS|BOS|PAD|CLS|SEP|MASK|UNK)\]"
)
_CERTAIN_SPECIAL = re.compile(r"<\|[^|<>\s]*\|?>|<｜[^<>]*｜>|<(?:start|end)_of_\w+>")


def looks_special(piece: str) -> bool:
    """True for the names control tokens go by; "" (an end token without a name) is one."""
    if not piece:
        return True
    return piece[0] in "<[" and _SPECIAL.fullmatch(piece) is not None


def surely_special(piece: str) -> bool:
    """True for names that do not occur as ordinary text (`<|eot_id|>`, not `<s>`)."""
    return _CERTAIN_SPECIAL.fullmatch(piece) is not None


def encode_byte_level(data: bytes) -> str:
    """Write bytes in GPT-2's alphabet; the inverse of `decode_piece` for that style."""
    return "".join([BYTE_TO_CHAR[byte] for byte in data])


def decode_piece(piece: str, style: Style) -> bytes | None:
    """The bytes a piece stands for, None where the piece does not tell.

    A byte-level piece with a character outside the alphabet is an added token: its
    text is meant literally. A plain piece with U+FFFD lost part of a character.
    """
    if style is Style.BYTE_LEVEL:
        try:
            return piece.translate(_CHAR_TO_BYTE).encode("latin-1")
        except UnicodeEncodeError:
            return piece.encode()
    if style is Style.SENTENCE_PIECE:
        match = BYTE_PIECE.fullmatch(piece) if piece[:1] == "<" else None
        return bytes([int(match[1], 16)]) if match else piece.replace("▁", " ").encode()
    return _decode_plain(piece)


def _decode_plain(piece: str) -> bytes | None:
    match = BYTE_PIECE.fullmatch(piece) if piece[:1] == "<" else None
    if match and int(match[1], 16) >= 0x80:
        return bytes([int(match[1], 16)])
    escaped = _ESCAPED.fullmatch(piece) if "\\x" in piece else None
    if escaped:
        data = bytes.fromhex(escaped[1].replace("\\x", ""))
        if max(data) >= 0x80:
            return data
    return None if "\ufffd" in piece else piece.encode()


def _show_as_hex(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    broken = error.object[error.start : error.end]
    return "".join([f"<0x{byte:02X}>" for byte in broken]), error.end


codecs.register_error("kl-hex", _show_as_hex)


def display(data: bytes) -> str:
    """Bytes as text; bytes that are only part of a character show as `<0xE2>`."""
    return data.decode("utf-8", "kl-hex")
