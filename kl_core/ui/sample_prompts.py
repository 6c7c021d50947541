"""Which prompts are sampled: written, from a file, or of a data set, and which of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.formats.sampling_config import PromptSource
from kl_core.ui import (
    folders,
    sample_fields,
    sample_files,
    sample_preview,
    sample_values,
    sample_words,
)
from kl_core.ui.form_fields import Check
from kl_core.ui.sample_fields import FIELDS
from kl_core.ui.sample_place import WAYS, Place

_WAY, _SAID = "sample_way", "sample_upload_said"
_SELECT = {"first": "The first ones", "random": "Drawn at random"}
_TYPES = ["txt", "json", "jsonl", "csv", "tsv", "gz"]


def section(place: Place, check: Check) -> None:
    """Everything about prompts, and a look at the first of them."""
    st.subheader("Prompts")
    _way(place)
    if place.way == "write":
        _write(check)
    elif place.way == "file":
        _file(check)
    else:
        _dataset(check)
    with st.expander("Which of them, and a system message"):
        _which(place.way, check)
        sample_fields.area("system", "System message", height=68, placeholder="none")
    place.file, place.field = (FIELDS.values().get(name) for name in ("file", "field"))
    wrong = check()
    if not any(name in wrong for name in ("texts", "file", "field", "dataset", "max_chars")):
        sample_preview.show(_source(place.way))


def _source(way: str) -> PromptSource:
    return sample_files.prompts(sample_values.prompts_of(way, FIELDS.values()))


def problems(way: str) -> dict[str, str]:
    """Field → why the prompts cannot be read with it, as far as their file tells now."""
    source = _source(way)
    found = sample_preview.found(source)
    if found is None or not found.error:
        return {}
    said = found.error
    for start in (f"{Path(source.file or '')}: ", "prompts.texts: ", "prompts.field: "):
        said = said.removeprefix(start)
    said = said.replace("it has no column", "the file has no column", 1)
    if way == "write":
        return {"texts": sample_words.labelled(said)}
    of_field = "prompts.field" in found.error or "without a usable prompt" in said
    return {"field" if of_field else "file": sample_words.labelled(said)}


def remembered(place: Place) -> None:
    """Put what the address names into the form; to be called before the fields are drawn."""
    if not place.fresh:
        return
    place.fresh = False
    for name, value in (("file", place.file), ("field", place.field)):
        if value and place.way == "file":
            sample_fields.put(name, value)


def _way(place: Place) -> None:
    st.session_state[_WAY] = place.way

    def chosen() -> None:
        place.way = st.session_state[_WAY]

    st.segmented_control(
        "Prompts",
        list(WAYS),
        format_func=WAYS.__getitem__,
        key=_WAY,
        on_change=chosen,
        required=True,
        label_visibility="collapsed",
        width="content",
    )


def _write(check: Check) -> None:
    several = bool(FIELDS.values().get("several"))
    parted = f"parted by lines of {sample_values.SEPARATOR}" if several else "one a line"
    sample_fields.area(
        "texts", f"Prompts, {parted}", height=184, placeholder="What is the capital of Merrow?"
    )
    if FIELDS.values().get("texts"):
        FIELDS.fault("texts", check)
    FIELDS.tick("several", "Prompts of several lines, with a line of three hyphens between two")


def _file(check: Check) -> None:
    left, right = st.columns([3, 2])
    with left:
        FIELDS.text(
            "file",
            "File of prompts",
            check,
            placeholder="a path on this machine, or upload one below",
            help="Text with one prompt a line, JSON, JSON lines or CSV.",
        )
    with right:
        _field(check)
    file: Any = st.file_uploader(
        "Upload a file of prompts", type=_TYPES, key="sample_upload", label_visibility="collapsed"
    )
    if file is not None and st.session_state.get("sample_uploaded") != file.file_id:
        st.session_state["sample_uploaded"] = file.file_id
        _keep(file)
        st.rerun()
    if said := st.session_state.get(_SAID):
        st.text(said)


def _keep(file: Any) -> None:
    """Put an upload where files may be read, and name it in the form."""
    folder = folders.new_upload_folder()
    kept, left_out = folders.keep(folder, [(Path(file.name).name, file)])
    st.session_state[_SAID] = f"Left out: {left_out[0]}." if left_out else ""
    if kept:
        sample_fields.put("file", folders.shown(folder / Path(file.name).name))


def _field(check: Check) -> None:
    FIELDS.text(
        "field",
        "Field of the prompt",
        check,
        placeholder="prompt",
        help="Where the prompt is in each record, such as conversation[0].content; text files "
        "have none.",
    )
    if not FIELDS.values().get("field"):  # the default may not be there
        FIELDS.fault("field", check)


def _dataset(check: Check) -> None:
    left, right = st.columns([3, 2])
    with left:
        FIELDS.text(
            "dataset",
            "Data set",
            check,
            placeholder="owner/name, as the hub spells it",
            help="Read from the Hugging Face hub when the run starts, or a folder that the "
            "datasets library can load.",
        )
    with right:
        _field(check)
    columns = st.columns(3)
    fields = (("subset", "Subset", "none"), ("split", "Split", "train"))
    for column, (name, label, empty) in zip(columns, fields, strict=False):
        with column:
            FIELDS.text(name, label, check, placeholder=empty)
    with columns[2]:
        FIELDS.text("revision", "Revision", check, placeholder="the newest")


def _which(way: str, check: Check) -> None:
    left, middle, right = st.columns(3)
    with left:
        FIELDS.number("count", "How many", 1, placeholder="all")
    with middle:
        select = sample_fields.select("select", "Which", _SELECT)
    with right:
        if select == "random":
            FIELDS.number("draw_seed", "Seed of the draw", 0, placeholder="0")
    left, right = st.columns(2)
    with left:
        FIELDS.number("min_chars", "Characters at least", 1, placeholder="any number")
    with right:
        sample_fields.checked_number(
            "max_chars", "Characters at most", check, 1, placeholder="any number"
        )
    if way == "write":
        return
    with left:
        FIELDS.text("language", "Language", check, placeholder="all",
                    help="Keeps records whose language field has this value.")  # fmt: skip
    with right:
        FIELDS.text("language_field", "Field of the language", check, placeholder="language")
