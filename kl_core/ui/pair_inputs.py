"""Pickers of the Compare page: run A, run B, the figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from kl_core.store import pair_difference, queries
from kl_core.store.build import newest_database
from kl_core.store.pair_figures import DEFAULT, FIGURES
from kl_core.store.parts import committed
from kl_core.store.runs import RunInfo
from kl_core.ui import estimates, figures, inputs, pair_cached
from kl_core.ui.pair_cached import PairKey
from kl_core.ui.pair_state import PairPlace


def comparable(infos: list[RunInfo]) -> list[RunInfo]:
    """Runs with something in them, live ones included."""
    return [i for i in infos if newest_database(i.path) or committed(i.path, "responses")]


def partners(run: RunInfo, infos: list[RunInfo]) -> tuple[list[RunInfo], list[RunInfo]]:
    """(runs over prompts that this one has, too, the most first; all others)."""
    own = pair_cached.first_prompts(run.path)
    others = [info for info in infos if info.id != run.id]
    shared = {info.id: len(own & pair_cached.first_prompts(info.path)) for info in others}
    sharing = [info for info in others if shared[info.id]]
    sharing.sort(key=lambda info: -shared[info.id])
    return sharing, [info for info in others if not shared[info.id]]


def _best(run: RunInfo, others: list[RunInfo]) -> RunInfo:
    """Of the others the one that can be compared best: scored, and over the same responses."""
    own = _responses(run.path)

    def worth(info: RunInfo) -> tuple[bool, bool]:
        common = bool(own & _responses(info.path))
        return common and scored(info) == scored(run), common

    return max(others, key=worth)  # of equal ones the first


def scored(info: RunInfo) -> bool:
    """Whether a run has a second model's side."""
    return info.model2 is not None


@st.cache_data(max_entries=500, show_spinner=False)
def _first_responses(run_dir: str, changed_ns: int) -> frozenset[int]:
    return queries.first_responses(Path(run_dir))


def _responses(run_dir: Path) -> frozenset[int]:
    try:
        changed_ns = (run_dir / "parts").stat().st_mtime_ns
    except OSError:
        return frozenset()
    return _first_responses(str(run_dir), changed_ns)


def settle(place: PairPlace, infos: list[RunInfo]) -> str:
    """Let the place name two runs that are there; says what the link named in vain."""
    known = {info.id: info for info in infos}
    gone = [run for run in (place.run, place.other) if run is not None and run not in known]
    if place.run not in known:
        kept = known.get(place.other or "")
        place.choose_runs(_first(infos, kept).id, place.other if kept else None)
    if place.other not in known or place.other == place.run:
        sharing, rest = partners(known[place.run or ""], infos)
        place.choose_runs(place.run, _best(known[place.run or ""], sharing or rest).id)
    if not gone:
        return ""
    return "The link names a run that is not here; showing another pair instead."


def _first(infos: list[RunInfo], other: RunInfo | None) -> RunInfo:
    """Run A when none is asked for: the older of the two newest that can be compared.

    Two scored ones over the same responses are wanted; then over the same prompts; then any.
    """
    if other is not None:
        sharing, rest = partners(other, infos)
        return _best(other, sharing or rest)
    for among in ([info for info in infos if scored(info)], infos):  # newest first
        for common in (_responses, pair_cached.first_prompts):
            for info in among:
                own = common(info.path)
                older = [one for one in among if one.id < info.id and own & common(one.path)]
                if older:
                    return older[0]
    return infos[-1]


def toolbar(place: PairPlace, infos: list[RunInfo]) -> tuple[RunInfo, RunInfo]:
    """Pickers of both runs with a button that swaps them."""
    labels = pair_labels(infos)
    known = {info.id: info for info in infos}
    with st.container(key="toolbar_run_a"):
        _run("Run A", "pair_a", list(known), labels, place.run, _choose_a(place))
    with st.container(width=46):
        st.button(
            "⇄", on_click=place.swap, width="stretch", help="Swap: A becomes B, and B becomes A"
        )
    sharing, rest = partners(known[place.run or ""], infos)
    said = {i.id: labels[i.id] for i in sharing}
    said |= {i.id: f"{labels[i.id]} · other prompts" for i in rest}
    with st.container(key="toolbar_run_b"):
        _run("Run B", "pair_b", list(said), said, place.other, _choose_b(place))
    return known[place.run or ""], known[place.other or ""]


def pair_labels(infos: list[RunInfo]) -> dict[str, str]:
    """Run id → label, what tells the runs apart first: name, share asked, time, then the models.

    A model or kind that all runs share, and the id, come last, where they may be cut off.
    """
    names = Counter(_name(info) for info in infos)
    shared = {what for what in ("model1", "model2", "kind") if _all_alike(infos, what)}
    return {info.id: _label(info, shared, names[_name(info)] > 1) for info in infos}


def _all_alike(infos: list[RunInfo], what: str) -> bool:
    return len({getattr(info, what) for info in infos}) == 1


def _name(info: RunInfo) -> str:
    return figures.shortened(figures.one_line(info.name or "", 200), 30)


def _label(info: RunInfo, shared: set[str], again: bool) -> str:
    when, short = info.created[:16].replace("T", " "), info.id.rsplit("-", 1)[-1]
    named = bool(info.name) and not again
    state = "" if info.state == "done" else info.state
    rest = [*_models(info, shared), (info.kind, "kind" in shared)]
    rest.sort(key=lambda one: one[1])  # what all share goes last
    part = estimates.asked_for(info.request)
    parts = [_name(info), *part, "" if named else when, state, *(text for text, _ in rest)]
    return " · ".join(word for word in (*parts, when if named else short) if word)


def _models(info: RunInfo, shared: set[str]) -> list[tuple[str, bool]]:
    """(words, whether all runs share them): both models in one, apart where one is shared."""
    first, second = (
        figures.shortened(figures.model_name(name)) for name in (info.model1, info.model2)
    )
    if not second or ("model1" in shared) == ("model2" in shared):
        both = " → ".join(name for name in (first, second) if name)
        return [(both, {"model1", "model2"} <= shared)]
    return [(first, "model1" in shared), (f"→ {second}", "model2" in shared)]


def _run(
    label: str,
    name: str,
    options: list[str],
    labels: dict[str, str],
    chosen: str | None,
    choose: Callable[[str], None],
) -> None:
    key = inputs.pick(name, *(labels[run] for run in options))
    st.session_state[key] = chosen
    st.selectbox(
        label,
        options,
        format_func=labels.__getitem__,
        key=key,
        on_change=lambda: choose(st.session_state[key]),
    )


def _choose_a(place: PairPlace) -> Callable[[str], None]:
    def choose(run: str) -> None:
        place.choose_runs(run, place.run if place.other == run else place.other)

    return choose


def _choose_b(place: PairPlace) -> Callable[[str], None]:
    def choose(run: str) -> None:
        place.choose_runs(place.run, run)

    return choose


def figure_picker(place: PairPlace, key: PairKey) -> str:
    """The figure to compare by, of those that both runs have."""
    heads = pair_cached.heads(key)
    options = [name for name in FIGURES if pair_difference.known_figure(name, heads)]
    options = options or [DEFAULT]
    if place.figure not in options:
        place.figure = options[0]
    widget = inputs.pick("pair_figure", *options)
    st.session_state[widget] = place.figure

    def chosen() -> None:
        place.figure = st.session_state[widget]

    st.selectbox(
        "Compare by",
        options,
        format_func=lambda name: FIGURES[name].label,
        key=widget,
        on_change=chosen,
        help="  \n".join(f"{FIGURES[name].label}: {FIGURES[name].help}" for name in options),
    )
    return place.figure
