"""Prompts from files: text, JSON, JSON lines, CSV, and gzip of them; or given as texts."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kl_core.errors import FormatError, InputError
from kl_core.formats.decode import BAD_LINE, documents
from kl_core.formats.discover import single_file
from kl_core.formats.limits import check_size, read_all
from kl_core.formats.notes import Notes
from kl_core.formats.prompt_choice import PromptChoice
from kl_core.formats.prompt_csv import csv_records
from kl_core.formats.prompt_fields import DEFAULTS, parse_path
from kl_core.formats.sampling_config import PromptSource
from kl_core.records import ProblemLog, Prompt

Records = Iterator[tuple[str, Any]]
_OTHER = {".parquet", ".arrow", ".xlsx", ".xls", ".zip", ".tar", ".zst", ".bz2", ".xz", ".pdf"}


def load_prompts(source: PromptSource, log: ProblemLog) -> list[Prompt]:
    """The prompts of `source.file` or `source.texts`, chosen as the source says.

    Args:
        log: takes what cannot be used and what stood there twice, one row a reason.

    Raises:
        InputError: no such file, not readable, or no prompt is left; one sentence with the
            counts of each filter.
    """
    if source.file is None:
        notes = Notes("prompts.texts")
        records: Records = ((f"[{n}]", text) for n, text in enumerate(source.texts or ()))
        return chosen(records, source, notes, log, "prompts.texts")
    path = Path(source.file).expanduser()
    notes = Notes(path.name)
    return chosen(_records(path, source, notes), source, notes, log, str(path))


def chosen(
    records: Records, source: PromptSource, notes: Notes, log: ProblemLog, shown: str
) -> list[Prompt]:
    """What a source chooses of records; the rows go to the log, also when nothing is left.

    Raises:
        InputError: as load_prompts, beginning with `shown`.
    """
    try:
        return PromptChoice(source, notes).take(records)
    except FormatError as error:
        place = "" if error.where in ("", "$") else f" ({error.where})"
        raise InputError(f"{shown}: {error.reason}{place}; {error.hint}".rstrip("; ")) from error
    except InputError as error:
        raise InputError(f"{shown}: {error}") from error
    finally:
        notes.flush(log)


def _records(path: Path, source: PromptSource, notes: Notes) -> Records:
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    if ending in _OTHER:
        raise InputError(
            f"a {ending} file is not read here; write text, JSON or CSV, or name its folder as "
            "prompts.dataset"
        )
    data = _data(path)
    if ending in (".json", ".jsonl", ".ndjson"):
        yield from _of_json(data, ending != ".json", notes)
    elif ending in (".csv", ".tsv"):
        columns = [parse_path(source.field)[0]] if source.field else [path[0] for path in DEFAULTS]
        yield from csv_records(_text(data, notes), "\t" if ending == ".tsv" else None, columns)
    else:
        yield from _of_text(_text(data, notes))


def _data(path: Path) -> bytes:
    if not path.exists():
        raise InputError(f"there is no such file below {Path.cwd()}; check prompts.file")
    if path.is_dir():
        raise InputError("it is a folder; name a file, or give it as prompts.dataset")
    file = single_file(path)
    try:
        check_size(path.stat().st_size)
        with file.opener() as stream:
            return read_all(stream, file.packed_bytes)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})") from error


def _text(data: bytes, notes: Notes) -> str:
    """UTF-8 or marked UTF-16 without its mark; broken characters become U+FFFD, with a row."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    if b"\0" in data[:4096]:
        raise InputError("it is no text; write text, JSON or CSV")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8: replaced by U+FFFD"
        notes.add("file", "", "utf-8", reason, "Save the file as UTF-8.")
        return data.decode("utf-8-sig", "replace")


def _of_text(text: str) -> Records:
    # not splitlines: form feeds and Unicode's separators are parts of a prompt
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip():
            yield f"line {number}", line.strip()


def _of_json(data: bytes, lines: bool, notes: Notes) -> Records:
    count, values = documents(data, lines, notes)
    for where, value in values:
        if value is BAD_LINE:
            continue
        within = value.get("prompts") if count == 1 and isinstance(value, dict) else None
        if isinstance(within, list):
            yield from ((f"{where}.prompts[{n}]", item) for n, item in enumerate(within))
        else:
            yield where, value
