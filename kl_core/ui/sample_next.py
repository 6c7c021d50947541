"""What can be done with responses that were sampled: look, score, compare for nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store.sampled import SampledModel
from kl_core.ui import sample_asked
from kl_core.ui.sample_asked import Asked
from kl_core.ui.sample_place import Place

Weight = Literal["primary", "secondary"]
EXPLORE = "sample_explore"
_COMPARED, _GO, _SAID = "sample_compared", "sample_go_to", "sample_next_said"
_SCORE = {"machine": "Score with a local model", "server": "Score by a server"}
_SCORE_HELP = {
    "machine": "A transformers model of this machine says what it would have said at each token.",
    "server": "A server says it, where it can with one request a response.",
}


def show(place: Place, asked: Asked, models: Sequence[SampledModel]) -> None:
    """How to go on from the responses of one model, or of two; nothing where there are none."""
    ready = [model for model in models if model.responses]
    if not ready:
        return
    paths = {n: sample_asked.folder_of(asked.config, model) for n, model in enumerate(ready)}
    with st.container(border=True, key="sample_next"):
        st.markdown("**Measure the difference**")
        one = _pick("Responses of", ready, list(paths), "sample_one") if len(ready) > 1 else 0
        st.text(f"In {sample_asked.shown(paths[one])}")
        with st.container(horizontal=True):
            for by, name in _SCORE.items():
                if st.button(name, key=f"sample_score_{by}", help=_SCORE_HELP[by]):
                    query = {"input": str(paths[one])}  # as that page itself writes it
                    query |= {"by": by} if by != "machine" else {}
                    st.switch_page("pages/score.py", query_params=query)
        if len(ready) > 1:
            _compare(place, ready, paths, one)
    if said := st.session_state.pop(_SAID, None):
        st.text(said)


def _pick(label: str, ready: Sequence[SampledModel], numbers: list[int], key: str) -> int:
    """One of the models."""
    labels = {number: _name(ready, number) for number in numbers}
    picked: int = st.selectbox(label, numbers, format_func=labels.__getitem__, key=key)
    return picked


def _name(ready: Sequence[SampledModel], number: int) -> str:
    """A model's name; two of one name are told apart by their folders."""
    model = ready[number]
    twin = sum(each.name == model.name for each in ready) > 1
    folder = f" ({sample_asked.named(model.folder, 40)})" if twin else ""
    return sample_asked.named(model.name, 60) + folder


def _compare(place: Place, ready: Sequence[SampledModel], paths: dict[int, Path], one: int) -> None:
    others = [number for number in paths if number != one]
    other = others[0]
    if len(others) > 1:
        other = _pick("Against the responses of", ready, others, f"sample_other_{one}")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Compare for free",
            key="sample_compare",
            on_click=_begin,
            args=(place, paths[one], paths[other]),
        )
        st.text(f"{_name(ready, one)} with {_name(ready, other)}, without another call")
    st.caption(
        "Wherever a response of one begins like a response of the other, both have already said "
        "what would come next."
    )


def _begin(place: Place, folder: Path, against: Path) -> None:
    """Start the comparison; the page shows it when it is redrawn."""
    options = {"input_dir": str(folder), "against": str(against)}
    last: Path | None = st.session_state.get(_COMPARED)
    if last is None or not last.is_dir() or not launch.status(last).active:
        st.session_state["sample_compare_nonce"] = uuid.uuid4().hex
    nonce = f"{st.session_state['sample_compare_nonce']} {folder} {against}"
    try:
        run_dir = launch.start("import", options, nonce)
    except (KLExplorerError, OSError) as error:
        st.session_state[_SAID] = f"The comparison did not start: {error}."
        return
    st.session_state[_COMPARED] = st.session_state[_GO] = run_dir
    place.led_to.add(run_dir.name)


def compared() -> None:
    """Go to the comparison that was started, which Explore shows at work and at its end."""
    run_dir: Path | None = st.session_state.pop(_GO, None)
    if run_dir is not None and run_dir.is_dir():
        st.switch_page("pages/explore.py", query_params={"run": run_dir.name})
