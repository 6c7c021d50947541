"""Prompts of any source: a file, texts, or a data set of the Hugging Face hub."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kl_core.errors import InputError
from kl_core.formats.notes import Notes
from kl_core.formats.prompt_fields import DEFAULTS, parse_path
from kl_core.formats.prompt_files import chosen, load_prompts
from kl_core.formats.sampling_config import PromptSource
from kl_core.records import ProblemLog, Prompt

_SPLITS = re.compile(
    r"(?:Unknown|Bad) split:? \"?(.+?)\"?\. (?:Should be one of|Available splits:) (\[.*?\])"
)


def prompts_of(source: PromptSource, log: ProblemLog) -> list[Prompt]:
    """The prompts of any source; `datasets` is imported for a data set alone.

    A data set is read as a stream: `first` ends it early, `random` reads all of it.

    Args:
        log: takes what cannot be used and what stood there twice, one row a reason.

    Raises:
        InputError: it cannot be read, or no prompt is left; one sentence.
    """
    if source.dataset is None:
        return load_prompts(source, log)
    shown = f"the data set {source.dataset}"
    notes = Notes(source.dataset)
    return chosen(_rows(source, shown), source, notes, log, shown)


def _rows(source: PromptSource, shown: str) -> Iterator[tuple[str, Any]]:
    try:
        stream = _only_needed(_stream(source), source)
        for number, row in enumerate(stream):
            yield f"row {number}", row
    except InputError:
        raise
    except Exception as error:  # whatever the library, a script of it or the network raises
        raise InputError(_sentence(error, source)) from error


def _stream(source: PromptSource) -> Any:
    try:
        datasets: Any = importlib.import_module("datasets")
        for name in ("huggingface_hub", "datasets", "fsspec"):  # what failed is said in a sentence
            logging.getLogger(name).setLevel(logging.ERROR)
    except ImportError as error:
        raise InputError("it needs the package datasets; pip install datasets") from error
    where = str(source.dataset)
    folder = Path(where).expanduser()
    if not folder.is_dir() and re.match(r"[./~]|[A-Za-z]:", where):
        raise InputError(f"there is no such folder below {Path.cwd()}; check prompts.dataset")
    return datasets.load_dataset(
        str(folder) if folder.is_dir() else where,
        name=source.subset,
        split=source.split,
        revision=None if folder.is_dir() else source.revision,
        streaming=True,
    )


def _only_needed(stream: Any, source: PromptSource) -> Any:
    """Without columns nobody asked for: pictures and sounds would be decoded."""
    names = stream.column_names
    if not names:
        return stream
    fields = [parse_path(source.field)[0]] if source.field else [path[0] for path in DEFAULTS]
    known = [name for name in fields if name in names]
    if not known:
        raise InputError(
            f"it has no column {fields[0]!r}; its columns are {', '.join(map(str, names))}, name "
            "one with prompts.field"
        )
    if source.language is not None:
        language = parse_path(source.language_field)[0]
        if language not in names:
            raise InputError(
                f"it has no column {language!r} for prompts.language; its columns are "
                f"{', '.join(map(str, names))}, name one with prompts.language_field"
            )
        known.append(language)
    return stream.select_columns(list(dict.fromkeys(known)))


def _sentence(error: Exception, source: PromptSource) -> str:
    """What went wrong and what to do, by what the library says."""
    said = " ".join(str(error).split())
    kind = type(error).__name__
    low = said.lower()
    pattern = (
        r"(?:Unknown|Bad) split:? \"?(.+?)\"?\. (?:Should be one of|Available splits:) (\[.*?\])"
    )
    if found := re.search(pattern, said):
        names = ", ".join(re.findall(r"'([^']*)'", found[2]))
        return f"it has no split {found[1]}; its splits are {names}, name one with prompts.split"
    if "config name is missing" in low or (
        "buil" in low and "config" in low and "not found" in low
    ):
        names = ", ".join(re.findall(r"'([^']*)'", said.partition("[")[2].partition("]")[0]))
        which = f"it has no subset {source.subset}" if source.subset else "it has several subsets"
        return f"{which}; name one of {names or 'them'} with prompts.subset"
    if "gated" in low or "401" in low or "403" in low:
        return "it asks for a login; accept its terms at huggingface.co and set HF_TOKEN"
    if "offline" in low or kind in {"ConnectionError", "OfflineModeIsEnabled", "ConnectTimeout"}:
        return "the hub cannot be reached; check the network, or give a local folder or file"
    if "script" in low and "no longer supported" in low:
        return "it is loaded by a script, which is not run; choose a data set of plain files"
    if kind == "DatasetNotFoundError":
        return "there is none of this name on the hub, or it is private (then set HF_TOKEN)"
    if kind in {"DataFilesNotFoundError", "EmptyDatasetError"}:
        return "it holds no files that can be read; JSON lines, CSV and Parquet can"
    return f"it cannot be read ({kind}: {said[:300]}); try another subset, split or file"
