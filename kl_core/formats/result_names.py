"""The names of result files: `<stem>_kl.json`, never two for one name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from kl_core.errors import InputError
from kl_core.formats.discover import SUFFIXES
from kl_core.records import Entry

RESULT_FILE = re.compile(r"_kl\.jsonl?(\.gz)?$")


def result_name(entry: Entry) -> str:
    """Path of an entry's result relative to the output folder, its folders kept.

    The result of an entry that was itself read from a result file (`x_kl.json`, which is
    only ever imported) keeps that name, less its packing.

    Raises:
        InputError: the entry's file name is absolute or leads out of the folder.
    """
    path = PurePosixPath(entry.file.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise InputError(f"{entry.file!r} is no relative file name; rename the input.")
    ending = next((s for s in SUFFIXES[::-1] if path.name.lower().endswith(s)), path.suffix)
    stem = path.name[: len(path.name) - len(ending)] or path.name
    if RESULT_FILE.search(path.name):
        stem = stem.removesuffix("_kl") or stem
    number = f"_{entry.index}" if entry.entries_in_file > 1 else ""
    return str(path.with_name(f"{stem}{number}_kl.json"))


class ResultNames:
    """Hands out result names and refuses to give one to two entries."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def claim(self, entry: Entry) -> str:
        """The entry's result name, relative to the output folder.

        Raises:
            InputError: another entry's result has this name already.
        """
        name = result_name(entry)
        owner = f"{entry.file} (prompt {entry.index})"
        taken = self._owners.setdefault(name, owner)
        if taken != owner:
            raise InputError(
                f"{taken} and {owner} would both be written to {name}; rename one of them."
            )
        return name
