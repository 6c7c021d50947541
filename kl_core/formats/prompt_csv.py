"""Records of a CSV file with a header; no cell is cut off and no line swallowed in silence."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from kl_core.errors import FormatError, InputError

Record = dict[str, str]
csv.field_size_limit(2**30)
_QUOTES = "Put the text in quotes, and double the quotes inside it."
_SHOWN = 20  # columns that a sentence lists
_UNCLOSED = "unexpected end of data"


def csv_records(
    text: str, delimiter: str | None, columns: Sequence[str | int]
) -> Iterator[tuple[str, Record | FormatError]]:
    """Rows by their first line; a row that cannot be told apart into columns is an error.

    Where there is one column alone, commas are part of the text: each line is a cell, unless
    quotes make one of several.

    Args:
        delimiter: None for the likeliest of comma, semicolon and tab in the header.
        columns: one of these must be there.

    Raises:
        InputError: none of the columns, or one of them twice, or a quote that is never closed.
    """
    lines = io.StringIO(text, newline="")
    header = text.lstrip("\r\n").split("\n", 1)[0]
    rows = _Rows(lines, delimiter or max(",;\t", key=header.count), 0)
    cells = next((row for _, row in rows if row), [])
    if isinstance(cells, FormatError):
        raise InputError(f"its header cannot be read: {cells.reason}")
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not set(columns) & set(names):
        raise InputError(
            f"it has no column {columns[0]!r}; its columns are {_listed(names)}: name one of them "
            "with prompts.field"
        )
    twice = [name for name in names if name in columns and names.count(name) > 1]
    if twice:
        raise InputError(f"its column {twice[0]!r} stands twice; give the two different names")
    if len(cells) == 1:
        rows = _Rows(lines, _unused(text), rows.line)
    for line, row in rows:
        if isinstance(row, FormatError) or any(cell.strip() for cell in row):
            yield f"line {line}", row if isinstance(row, FormatError) else _record(names, row)


class _Rows:
    """Rows of cells, each with the number of its first line.

    Attributes:
        line: number of the last line that was read.
    """

    def __init__(self, lines: io.StringIO, delimiter: str, line: int) -> None:
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._before = self.line = line

    def __iter__(self) -> Iterator[tuple[int, list[str] | FormatError]]:
        while True:
            first, row = self.line + 1, self._next(self.line + 1)
            if row is None:
                return
            self.line = self._before + self._reader.line_num
            yield first, row

    def _next(self, first: int) -> list[str] | FormatError | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            if str(error) == _UNCLOSED:
                raise InputError(
                    f"a quote that opens in line {first} is never closed, so the lines after it "
                    "cannot be told apart; close it, or double the quotes inside the text"
                ) from error
            last = self._before + self._reader.line_num
            reason = "words follow the end of a quoted text"
            if last > first:  # the quote may be one that was never closed
                reason += f", so lines {first} to {last} are left out"
            return FormatError(reason, hint=_QUOTES)


def _record(names: Sequence[str], row: Sequence[str]) -> Record | FormatError:
    filled = max(n for n, cell in enumerate(row, 1) if cell.strip())
    if filled > len(names):
        columns = "1 column" if len(names) == 1 else f"{len(names)} columns"
        there = "is" if len(names) == 1 else "are"
        reason = f"the line has {filled} cells and there {there} {columns}"
        return FormatError(reason, hint=_QUOTES)
    return dict(zip(names, row, strict=False))


def _listed(names: Sequence[str]) -> str:
    """The first columns, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more


def _unused(text: str) -> str:
    """A character that does not occur: nothing is parted by it."""
    return next(sign for code in range(0xE000, 0x110000) if (sign := chr(code)) not in text)
