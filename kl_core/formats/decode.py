"""Bytes of a file → JSON documents: one document, or JSON lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kl_core.errors import FormatError
from kl_core.formats.notes import Notes

_decode = msgspec.json.Decoder().decode
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def documents(
    data: bytes, lines_expected: bool, notes: Notes
) -> tuple[int, Iterator[tuple[str, Any]]]:
    """The entries of a file: how many, and each with its place (`$`, `$[2]`, `line 3: $`).

    A file whose first line is a whole object, and one named `.jsonl` that is no single
    document, is read as JSON lines: one bad line becomes a note and loses no other.

    Raises:
        FormatError: the file is no JSON; the message has line and column.
    """
    data = _as_utf8(data)
    if not data.strip():
        raise FormatError("the file is empty", hint="Save the responses again.")
    several = b"\n" in data.strip()
    if several and _is_object(data.lstrip().split(b"\n", 1)[0]):
        return _lines(data, notes)
    try:
        value = _parse(data, "$", 1, notes)
    except FormatError:
        if several and lines_expected:
            return _lines(data, notes)
        raise
    if isinstance(value, list):
        return len(value), _items(value)
    return 1, iter([("$", value)])


def _items(values: list[Any]) -> Iterator[tuple[str, Any]]:
    for n in range(len(values)):
        value, values[n] = values[n], None
        yield f"$[{n}]", value


def _lines(data: bytes, notes: Notes) -> tuple[int, Iterator[tuple[str, Any]]]:
    lines = [(n, line) for n, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    return len(lines), _parsed_lines(lines, notes)


def _parsed_lines(lines: list[tuple[int, bytes]], notes: Notes) -> Iterator[tuple[str, Any]]:
    for number, line in lines:
        where = f"line {number}: $"
        try:
            yield where, _parse(line, where, number, notes)
        except FormatError as error:
            notes.add("lines", where, "line", error.reason, error.hint)
            yield where, BAD_LINE


BAD_LINE = object()
"""Stands for a line that was noted already, so that the others keep their index."""


def _is_object(line: bytes) -> bool:
    if not line.rstrip().endswith(b"}"):
        return False
    try:
        return isinstance(_parse(line, "$", 1, Notes("")), dict)
    except FormatError:
        return False


def _as_utf8(data: bytes) -> bytes:
    """The same text as UTF-8 without a byte-order mark.

    Raises:
        FormatError: UTF-16 or UTF-32 that cannot be decoded.
    """
    if data.startswith(codecs.BOM_UTF8):
        return data[len(codecs.BOM_UTF8) :]
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:4]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    if encoding is None:
        return data
    try:
        return data.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeError as error:
        raise FormatError(f"broken {encoding}: {error}", hint="Save it as UTF-8.") from error


def _parse(data: bytes, where: str, line: int, notes: Notes) -> Any:
    try:
        return _decode(data)
    except RecursionError:
        pass
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        pass
    return _parse_slowly(data, where, line, notes)


def _parse_slowly(data: bytes, where: str, line: int, notes: Notes) -> Any:
    """What only the standard json module reads: NaN, lone surrogates, broken UTF-8."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", "replace")
        reason = f"byte {error.start} is not UTF-8: replaced by U+FFFD"
        notes.add(where, where, "utf-8", reason, "Save the file as UTF-8.")
    try:
        value = json.loads(text)
        return _Sanitiser(notes).clean(value, where)
    except json.JSONDecodeError as error:
        # Only an end of input where more was due is a file cut short.
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        what = "the JSON ends early" if cut else "the JSON is broken"
        raise FormatError(
            f"{what} at line {line - 1 + error.lineno} column {error.colno}: {error.msg}",
            where,
            "The file was probably cut off while it was written; fetch it again."
            if cut
            else "Fix the file or fetch it again.",
        ) from error
    except RecursionError as error:
        raise FormatError(
            "the JSON is nested too deeply", where, "No response file is; fetch it again."
        ) from error
    except ValueError as error:
        raise FormatError(f"the JSON cannot be read: {error}", where, "Fix the file.") from error


class _Sanitiser:
    """Replaces lone surrogates, which no store or browser takes, by U+FFFD."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._makers: dict[type, Callable[[Any, str], Any]] = {
            str: self._string,
            list: self._list,
            dict: self._dict,
        }

    def clean(self, value: Any, where: str) -> Any:
        """The value with every string clean."""
        maker = self._makers.get(type(value))
        return value if maker is None else maker(value, where)

    def _string(self, value: str, where: str) -> str:
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            scope = re.split(r"\.(?:choices|logprobs|text)", where, maxsplit=1)[0]
            self._notes.add(
                scope,
                where,
                "surrogate",
                "half a surrogate pair stands in the text: replaced by U+FFFD",
                "The program that wrote the file cut an emoji in half.",
            )
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value

    def _list(self, value: list[Any], where: str) -> list[Any]:
        for n, item in enumerate(value):
            if type(item) in self._makers:
                value[n] = self.clean(item, f"{where}[{n}]")
        return value

    def _dict(self, value: dict[str, Any], where: str) -> dict[str, Any]:
        return {
            self._string(key, where): self.clean(item, f"{where}.{key}")
            for key, item in value.items()
        }
