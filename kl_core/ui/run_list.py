"""The Runs page: the list, which refreshes itself while a run works, and one run's card."""

from __future__ import annotations

import hashlib
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from kl_core.jobs import launch
from kl_core.store import run_sizes, runs, so_far
from kl_core.store.run_sizes import Counts
from kl_core.store.runs import RunInfo
from kl_core.ui import (
    estimates,
    figures,
    inputs,
    progress,
    run_actions,
    run_choice,
    shared,
    visible,
)
from kl_core.ui.prompt_table import TINT
from kl_core.ui.run_choice import ListRequest

_ROW_PX, _MAX_ROWS = 35, 12
_NAME_PX, _RUN_PX, _MODELS_PX = 204, 240, 172
_NAME_CHARS = 28  # that fit: what is longer ends in …
_CHOSEN, _CHECKED, _HEADS = "runs_chosen", "runs_checked", "runs_heads"


def show(infos: list[RunInfo]) -> None:
    """The whole page body; a part of the page of its own while a run works."""
    live = any(info.status.active for info in infos)
    st.fragment(_body, run_every=progress.POLL_S if live else None)(live)


def _body(was_live: bool) -> None:
    infos = runs.list_runs(runs.default_root())
    if was_live and not any(info.status.active for info in infos):
        st.rerun()  # once, at the end: nothing is left to refresh for
    request = run_choice.request(infos)
    shown = run_choice.arranged(infos, request)
    _disk(infos, shown)
    if not shown:
        st.text("No run fits the filter; clear it to see all." if infos else "No runs are left.")
        return
    chosen = _table(shown, request)
    _checked(infos)
    _detail(chosen)


def _disk(infos: list[RunInfo], shown: list[RunInfo]) -> None:
    use = run_sizes.disk_use((info.path for info in infos), runs.default_root())
    held = len(infos) if len(shown) == len(infos) else f"{len(shown):,} of {len(infos):,}"
    noun = "run" if len(infos) == 1 else "runs"
    st.caption(
        f"{held} {noun} · {run_sizes.said(use.used_bytes)} on disk · "
        f"{run_sizes.said(use.free_bytes)} free"
    )


def _table(infos: list[RunInfo], request: ListRequest) -> RunInfo:
    """One row a run; a click in a row chooses it, on a head sorts, a box checks it."""
    ids = [info.id for info in infos]
    heads = st.session_state.get(_HEADS, 0)
    # another list is another table: rows are known by their place, so that what is
    # checked in one order must never be read in another
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]
    key = f"runs_table_{digest}_{heads}"
    checked = st.session_state.setdefault(_CHECKED, [])
    if st.session_state.get(_CHOSEN) not in ids:
        st.session_state[_CHOSEN] = ids[0]
    at = ids.index(st.session_state[_CHOSEN])

    def clicked() -> None:
        found = st.session_state[key]["selection"]
        if found["columns"]:
            st.session_state[_HEADS] = heads + 1
            run_choice.sort_by(found["columns"][0])
            return
        hidden = [run for run in checked if run not in ids]
        st.session_state[_CHECKED] = hidden + [ids[row] for row in found["rows"]]
        if found["cells"]:
            st.session_state[_CHOSEN] = ids[found["cells"][0][0]]

    held = run_sizes.counts(info.path for info in infos)
    frame = pd.DataFrame([_row(info, held.get(info.path)) for info in infos])

    def tint(row: Any) -> list[str]:
        return [f"background-color: {TINT}" if row.name == at else ""] * len(row)

    rows = [ids.index(run) for run in checked if run in ids]
    st.dataframe(
        frame.style.apply(tint, axis=1),
        key=key,
        on_select=clicked,
        # columns can be chosen so that heads do not sort by themselves: see prompt_table
        selection_mode=["single-cell", "single-column", "multi-row"],
        selection_default={"selection": {"rows": rows}},
        hide_index=True,
        height=_ROW_PX * (min(_MAX_ROWS, len(infos)) + 1) + 3,
        column_config=_config(request, any(", " in inputs.models1(info) for info in infos)),
    )
    return infos[at]


def _config(request: ListRequest, several: bool) -> dict[str, Any]:
    """The columns; `several`: a run has responses of several models, named in one cell."""
    config = st.column_config
    columns: dict[str, Any] = {
        name: config.TextColumn(name, width=width, alignment="right")
        for name, width in (("prompts", 66), ("responses", 76), ("tokens", 84), ("size", 72))
    }
    columns["name"] = config.TextColumn("name", width=_NAME_PX)
    columns["run"] = config.TextColumn("run", width=_RUN_PX)
    if several:
        columns["model 1"] = config.TextColumn("model 1", width=_MODELS_PX)
    columns["progress"] = config.ProgressColumn(
        "progress", format="%d %%", min_value=0, max_value=100, width=82
    )
    head = run_choice.HEADS_OF.get(request.sort)
    if head is not None:
        arrow = "↓" if request.descending else "↑"
        columns[head] = columns.get(head, {}) | {"label": f"{head} {arrow}"}
    return columns


def _row(info: RunInfo, counts: Counts | None) -> dict[str, Any]:
    done = 1.0 if info.state == "done" else progress.fraction(info.status)
    model2, title = _asked(info)
    if info.name is None:  # what tells it from others first: the rest may be cut
        title = " · ".join([*estimates.asked_for(info.request), title])
    return {
        "state": info.state,
        # the middle is left out: what tells runs apart is often at the end
        "name": visible.plain(figures.shortened(figures.one_line(title, 400), _NAME_CHARS)),
        "kind": shared.kind(info.kind, info.request),
        "model 1": visible.plain(figures.shortened(inputs.models1(info))),
        "model 2": visible.plain(figures.shortened(figures.model_name(model2))),
        "progress": int(100 * done),
        "prompts": figures.count(counts.prompts if counts else _finished(info)),
        "responses": figures.count(counts.responses if counts else None),
        "tokens": figures.count(counts.tokens if counts else None),
        "size": run_sizes.said(run_sizes.size_bytes(info.path)),
        "started": info.created[:16].replace("T", " "),
        "run": info.id,
    }


def _finished(info: RunInfo) -> int | None:
    """Prompts that a run without a database has on disk; None where there are none."""
    return so_far.finished(info.path) or None


def _asked(info: RunInfo) -> tuple[str | None, str]:
    """(model 2, title): of a run that ended before it knew them, as its command has them."""
    model2, title = info.model2 or info.request.get("model2"), info.title
    if title != info.kind and model2:
        return model2, title
    words = shlex.split(progress.command_of(info.path))
    given = dict(pairwise(words))
    model2 = model2 or given.get("--model2")
    folder = given.get("--input-dir") or (given.get("import") if info.kind == "import" else None)
    if title == info.kind and folder:
        title = f"{model2} on {Path(folder).name}" if model2 else f"{title} of {Path(folder).name}"
    return model2, title


def _checked(infos: list[RunInfo]) -> None:
    """What can be done with the checked runs: delete those that do not work."""
    by_id = {info.id: info for info in infos}
    checked = [by_id[run] for run in st.session_state[_CHECKED] if run in by_id]
    if not checked:
        return
    idle = [info for info in checked if not info.status.active]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{figures.counted(len(checked), 'run')} checked", width="content")
        with st.popover("Delete checked runs", disabled=not idle, key=run_actions.popover("many")):
            run_actions.delete(idle, "checked")
        st.button("Uncheck all", on_click=_uncheck)
    if len(idle) < len(checked):
        working = figures.counted(len(checked) - len(idle), "checked run")
        st.caption(f"{working} still at work; cancel before deleting.")


def _uncheck() -> None:
    st.session_state[_CHECKED] = []
    st.session_state[_HEADS] = st.session_state.get(_HEADS, 0) + 1  # a table without ticks


def _detail(info: RunInfo) -> None:
    """State, command and buttons of one run."""
    st.subheader("Selected run")
    st.text(f"{visible.plain(_asked(info)[1], 130)}\n{info.id}")
    status = launch.status(info.path)
    progress.draw(info.path, status, info.id)
    usable = status.state == "done" or progress.kept(info.path)
    with st.container(horizontal=True):
        if (usable or status.active) and st.button(
            "Open in Explore", key=f"open_{info.id}", type="primary" if usable else "secondary"
        ):
            st.switch_page("pages/explore.py", query_params={"run": info.id})
        with st.popover("Rename", key=run_actions.popover(f"rename_{info.id}")):
            run_actions.rename(info)
        with st.popover(
            "Delete", disabled=status.active, key=run_actions.popover(f"delete_{info.id}")
        ):
            run_actions.delete([info], info.id)
