"""The first prompts as the run will ask them, and what of the file cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.formats import prompt_files
from kl_core.formats.sampling_config import PromptSource
from kl_core.records import Message, Problem, ProblemLog, Prompt, prompt_text
from kl_core.store import runs
from kl_core.ui import figures, folders, visible
from kl_core.ui.sample_words import labelled

SHOWN, PROBLEMS, CHARACTERS = 8, 5, 220
LARGE_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a source gives.

    Attributes:
        count: prompts in all.
        first: the text of the first SHOWN.
        problems: records that cannot be used.
        error: why there is nothing, one sentence.
    """

    count: int = 0
    first: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    error: str = ""


def show(source: PromptSource) -> None:
    """Draw it, for a source whose fields are well; of prompts that are written the number alone."""
    if source.dataset is not None:
        st.caption("A data set is read when the run starts; the plan then says what it gave.")
        return
    seen = found(source)
    if seen is None:
        size = figures.size(_path(source).stat().st_size)
        st.caption(f"A file of {size} is read when the run starts, without a preview.")
    elif source.texts is None:
        _draw(seen)
    else:
        st.caption(head(seen.count, listed=False))
        if seen.problems:
            st.text(problem_lines(seen.problems))


def found(source: PromptSource) -> Preview | None:
    """What a source gives now; None where only the run reads it."""
    if source.file is None:
        return _cached(source, "") if source.texts is not None else None
    path = _path(source)
    if not path.is_file() or path.stat().st_size > LARGE_BYTES:
        return None
    return _cached(source, stamp(path))


def _path(source: PromptSource) -> Path:
    return runs.REPOSITORY / (source.file or "")


def stamp(path: Path) -> str:
    """Another one for other contents."""
    stat = path.stat()
    return f"{stat.st_size}-{stat.st_mtime_ns}"


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs={PromptSource: repr})
def _cached(source: PromptSource, stamp: str) -> Preview:
    return read(source)


def read(source: PromptSource) -> Preview:
    """The prompts of a file, or those that are written."""
    log = ProblemLog()
    try:
        prompts = prompt_files.load_prompts(source, log)
    except (KLExplorerError, OSError) as error:
        return Preview(problems=tuple(log.rows), error=str(error))
    first = tuple(prompt_text(_without(prompt, source.system)) for prompt in prompts[:SHOWN])
    return Preview(len(prompts), first, tuple(log.rows))


def _without(prompt: Prompt, system: str | None) -> Prompt:
    """The prompt without the system message that stands before all of them."""
    added = system is not None and prompt[0] == Message("system", system)
    return prompt[1:] if added else prompt


def _draw(found: Preview) -> None:
    lines = (f"{n}. {visible.plain(text, CHARACTERS)}" for n, text in enumerate(found.first, 1))
    with st.container(border=True, key="sample_preview"):
        st.caption(head(found.count))
        st.text("\n".join(lines))
        if found.problems:
            st.text(problem_lines(found.problems))


def head(count: int, listed: bool = True) -> str:
    """How many there are, and how many of them show."""
    said = f"{figures.counted(count, 'prompt')} will be asked"
    if not listed:
        return f"{said}."
    return f"{said}; the first of them:" if count > SHOWN else f"{said}:"


def problem_lines(problems: tuple[Problem, ...]) -> str:
    """The first problems, a line each, and how many more there are."""
    lines = [_line(each) for each in problems[:PROBLEMS]]
    more = len(problems) - PROBLEMS
    return "\n".join([*lines, *([f"And {more:,} more."] if more > 0 else [])])


def _line(problem: Problem) -> str:
    where = problem.where.removesuffix("$").rstrip(": ")
    place = f"{folders.shown(problem.file)}{f', {where}' if where else ''}"
    said = f"{place}: {problem.reason.rstrip('.')}. {labelled(problem.hint).rstrip('.')}."
    return visible.plain(said, 300)
