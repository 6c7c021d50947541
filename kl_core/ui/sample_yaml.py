"""The configuration as YAML: shown, saved, and read into the form."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.formats import sampling_config
from kl_core.formats.sampling_config import SamplingConfig
from kl_core.jobs import launch
from kl_core.ui import markup, sample_values, visible
from kl_core.ui.sample_fields import FIELDS
from kl_core.ui.sample_place import Place

FILE = "sample.yaml"
LIMIT_BYTES = 5_000_000
Fill = Callable[[Place, str, dict[str, Any]], None]


def preview(config: SamplingConfig, options: dict[str, Any]) -> None:
    """The file that will be used, to be saved, and the command that does the same with it."""
    text = sampling_config.config_text(config)
    with st.expander("The configuration (YAML) and the command"):
        st.code(
            text,
            language="yaml",
            wrap_lines=True,
            height=320 if text.count("\n") > 14 else "content",
        )
        st.download_button(
            "Download it",
            text.encode("utf-8", "replace"),
            FILE,
            "application/yaml",
            key="sample_download",
            icon=":material/download:",
        )
        st.caption(f"The same from a terminal, with the file saved as {FILE}:")
        command = launch.command_line("sample", {"config": FILE} | options)
        st.code(command, language=None, wrap_lines=True)


def loader(place: Place, fill: Fill) -> None:
    """A file from the browser into the form."""
    st.caption("Fills the form with a configuration of the command `sample`.")
    file: Any = st.file_uploader(
        "Configuration", type=["yaml", "yml"], key="sample_yaml", label_visibility="collapsed"
    )
    if file is None or st.session_state.get("sample_yaml_read") == file.file_id:
        if file is not None and (said := st.session_state.get("sample_yaml_said")):
            _refused(said)
        return
    st.session_state["sample_yaml_read"] = file.file_id
    st.session_state["sample_yaml_said"] = said = _read(place, file, fill)
    if not said:
        st.rerun()
    _refused(said)


def _refused(said: str) -> None:
    end = "" if said.endswith("?") else "."
    st.text(visible.plain(f"This cannot be used: {said}{end}", 600))


def _read(place: Place, file: Any, fill: Fill) -> str:
    """Fill the form; why that could not be done, or nothing."""
    if file.size > LIMIT_BYTES:
        return f"{file.name} is larger than {LIMIT_BYTES // 1_000_000} MB, too long for a form"
    data = file.getvalue()
    if not _is_text(data):
        return f"{file.name} is not a text file"
    try:
        config = sampling_config.parse_config(data, file.name)
        fill(place, *sample_values.values_of(config))
    except KLExplorerError as error:
        return str(error)
    return ""


def _is_text(data: bytes) -> bool:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def kept() -> None:
    """What of a loaded file has no field here, and stays."""
    names = sample_values.beyond(FIELDS.values())
    if names:
        st.caption(markup.inert(f"Kept as the loaded file has it: {', '.join(names)}."))
