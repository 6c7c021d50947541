"""What Explore offers for responses that were not scored: a second model, or a free comparison."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import queries, runs
from kl_core.store.runs import RunInfo
from kl_core.store.sampled import read_sampled
from kl_core.ui import cached, figures, inputs, visible
from kl_core.ui.markup import inert
from kl_core.ui.state import Explore

_STARTED, _NONCE, _SAID = "offer_started", "offer_nonce", "offer_said"
_NAMED = 3  # models that a sentence names
Folders = list[tuple[str, str]]


def show(info: RunInfo, summary: dict[str, Any], place: Explore) -> None:
    """Raw responses: whose they are, what is missing, and what adds it."""
    if not summary.get("tokens"):
        _offer_compare(info)
        return
    names = queries.models1(cached.cursor(info.path))
    found = folders_of(info)
    if len(found) > 1:  # the choice and its buttons stay together on a line below
        st.caption(inert(said(names)))
    with st.container(horizontal=True, vertical_alignment="center", key="score_offer"):
        if len(found) < 2:
            st.caption(inert(said(names)), width="content")
        one = _pick(found, list(range(len(found))), "Responses of", "offer_one")
        if st.button("Score these", key="score_these", type="primary"):
            query = {} if one is None else {"input": found[one][1]}
            st.switch_page("pages/score.py", query_params=query)
        if one is not None and len(found) > 1:
            _compare(place, found, one)
    if failed := st.session_state.pop(_SAID, None):
        st.text(failed)


def said(names: Sequence[str]) -> str:
    """Whose responses these are, and what a second model would add."""
    shown = [_named(name) for name in names]
    if len(shown) < 2:
        whose = f"one model, {shown[0]}" if shown else "one model"
        return (
            f"These responses come from {whose}, so the text shows its surprisal; a second model "
            "adds the divergence."
        )
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    listed = (
        ", ".join(shown[:_NAMED]) + more
        if more
        else " and ".join([", ".join(shown[:-1]), shown[-1]])
    )
    return (
        f"These responses come from {len(shown)} models, {listed}; the text shows the surprisal "
        "of the one that wrote it. A second model adds the divergence."
    )


def folders_of(info: RunInfo) -> Folders:
    """(model, folder of its responses) of those that are still there."""
    one = inputs.folder_for_scoring(info)
    if one is not None:
        return [(info.model1 or "", one)]
    output = info.request.get("output_dir")
    if info.kind != "sample" or not isinstance(output, str):
        return []
    home = runs.REPOSITORY / Path(output).expanduser()
    folders = [
        (model.name, home / Path(model.folder).expanduser())
        for model in read_sampled(info.path)
        if model.responses
    ]
    return [(name, str(folder)) for name, folder in folders if folder.is_dir()]


def _pick(found: Folders, numbers: list[int], label: str, key: str) -> int | None:
    """One of the folders, chosen where there are several."""
    if len(numbers) < 2:
        return numbers[0] if numbers else None
    names = [found[number][0] for number in numbers]
    labels = {
        number: _named(name)
        if names.count(name) == 1
        else f"{_named(name)} ({figures.shortened(Path(found[number][1]).name, 30)})"
        for number, name in zip(numbers, names, strict=True)
    }
    picked: int = st.selectbox(
        label,
        numbers,
        format_func=labels.__getitem__,
        key=inputs.pick(key, *labels.values()),
        label_visibility="collapsed",
        width=190,
        help=label,
    )
    return picked


def _compare(place: Explore, found: Folders, one: int) -> None:
    others = [number for number in range(len(found)) if number != one]
    other = _pick(found, others, "Against the responses of", f"offer_other_{one}")
    assert other is not None
    st.button(
        "Compare for free",
        key="offer_compare",
        on_click=_begin,
        args=(place, found[one][1], found[other][1]),
        help="Wherever a response of one model begins like a response of the other, both have "
        "already said what would come next: no call is made.",
    )


def _begin(place: Explore, folder: str, against: str) -> None:
    """Start the comparison, which the page then shows; a double click starts one."""
    last: Path | None = st.session_state.get(_STARTED)
    if last is None or not last.is_dir() or not launch.status(last).active:
        st.session_state[_NONCE] = uuid.uuid4().hex
    nonce = f"{st.session_state[_NONCE]} {folder} {against}"
    try:
        run_dir = launch.start("import", {"input_dir": folder, "against": against}, nonce)
    except (KLExplorerError, OSError) as error:
        st.session_state[_SAID] = f"The comparison did not start: {error}."
        return
    st.session_state[_STARTED] = run_dir
    place.choose_run(run_dir.name)


def _named(name: str) -> str:
    return visible.plain(figures.shortened(figures.model_name(name), 40), 60)


def _offer_compare(info: RunInfo) -> None:
    """No response has log-probabilities: only what works from the text can help."""
    st.caption(
        "No response of this run came with log-probabilities, so there is nothing to measure "
        "yet. Two local models can still be compared on the text, from a terminal:"
    )
    folder = inputs.folder_for_scoring(info) or "FOLDER"
    options = {"input_dir": folder, "model1": "MODEL_1", "model2": "MODEL_2"}
    st.code(launch.command_line("compare", options), language=None, wrap_lines=True)
