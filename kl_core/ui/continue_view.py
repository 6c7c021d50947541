"""Continue from here: both models go on from a token, and what they say stands side by side."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import InputError, KLExplorerError
from kl_core.formats.sampling_config import problem_of
from kl_core.jobs import launch
from kl_core.store import runs, spending
from kl_core.ui import (
    cached,
    continue_draw,
    continue_files,
    continue_form,
    continue_results,
    continue_sides,
    figures,
    gemini_demo,
    progress,
)
from kl_core.ui.continue_files import Try
from kl_core.ui.continue_spot import Spot, spot
from kl_core.ui.gemini_money import label, money
from kl_core.ui.markup import inert

_AGAIN, _SAID, _LAST = "continue_again", "continue_said", "continue_last"
ONE_SIDE = (
    "This run knows one model, so that one alone goes on. Score the responses with a second model "
    "to see both."
)


def section(run_dir: Path, row: dict[str, Any], token: dict[str, Any]) -> None:
    """A folded section below the token panel; drawn inside only while it is open.

    Args:
        row, token: of `responses` and `tokens`, as the queries give them.
    """
    both = bool(row["model2"])
    name = "both models" if both else "this model"
    box = st.expander(f"Continue from here with {name}", key="continue_box", on_change="rerun")
    if not box.open:
        return
    with box:
        here = spot(run_dir, cached.cursor(run_dir), row, token)
        _inside(run_dir, here, models(row))


def models(row: dict[str, Any]) -> list[str]:
    """The run's models, one or two."""
    first = str(row["model1"] or row["model"] or "model 1")
    return [first, str(row["model2"])] if row["model2"] else [first]


def _inside(run_dir: Path, here: Spot, names: list[str]) -> None:
    if here.problem:
        st.text(here.problem)
        return
    found = continue_files.latest(here)
    again = st.session_state.get(_AGAIN) == here.digest
    if found is not None and not again:
        _try(found, here)
        return
    if len(names) == 1:
        st.caption(ONE_SIDE)
    if here.specials:
        many = figures.counted(here.specials, "special token")
        st.caption(f"{many} before this place cannot be sent as text and will be left out.")
    params = _params(run_dir)
    missing = continue_form.form(names, params)
    if missing:
        said_first = inert(f"First: {'; '.join(missing)}.")
        st.markdown(f":orange[:material/warning:] {said_first}")
    with st.container(horizontal=True):
        st.button(
            "Start",
            type="primary",
            key="continue_start",
            disabled=bool(missing),
            on_click=_begin,
            args=(here, names, params),
        )
        if found is not None:
            st.button("Back to the last ones", key="continue_back", on_click=_leave)
    if said := st.session_state.pop(_SAID, None):
        st.text(said)


def _params(run_dir: Path) -> dict[str, Any]:
    try:
        return runs.read_params(run_dir)
    except KLExplorerError:
        return {}


def _leave() -> None:
    st.session_state.pop(_AGAIN, None)


def _begin(here: Spot, names: list[str], params: dict[str, Any]) -> None:
    """Write what `sample` reads and start it; a second click finds the first one's run."""
    last: tuple[str, Path] | None = st.session_state.get(_LAST)
    if last and last[0] == here.digest and last[1].is_dir() and launch.status(last[1]).active:
        return
    try:
        folder = continue_files.new_folder(here)
        config = continue_form.config(names, params, str(continue_files.output_of(folder)))
        if problem := problem_of(config, from_tokens=True):
            raise InputError(problem)
        asked = [*config.models, *([config.judge.model] if config.judge else [])]
        for model in asked:
            gemini_demo.revive(model.base_url or "")
        continue_files.write(folder, here, config)
        options = continue_files.options(folder)
        if all(continue_sides.free(model) for model in asked):
            options |= {"yes": True}
        run_dir = launch.start("sample", options, uuid.uuid4().hex + json.dumps(options))
        continue_files.remember(folder, run_dir, config)
    except (KLExplorerError, OSError) as error:
        st.session_state[_SAID] = f"It did not start: {error}."
        return
    st.session_state[_LAST] = (here.digest, run_dir)
    _leave()


def _try(found: Try, here: Spot) -> None:
    """The state of a try, what there is of it, and what can be done next."""
    status = launch.status(found.run_dir)
    plan = spending.read_plan(found.run_dir)
    if status.state == "waiting":
        _ask(found, plan)
    if status.active:
        st.fragment(_results, run_every=progress.POLL_S)(found, here)
    else:
        _results(found, here)
    if status.state not in ("waiting", "done"):
        progress.card(found.run_dir, "continue", compact=True)
    if status.active:  # the progress unfolds the command
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Continue again", key="continue_more", on_click=_again, args=(here.digest,))
        with st.popover("Command and files"):
            st.caption("The same from a terminal:")
            st.code(progress.command_of(found.run_dir), language=None, wrap_lines=True)
            st.text(f"Responses: {found.output}")


def _again(digest: str) -> None:
    st.session_state[_AGAIN] = digest


def _ask(found: Try, plan: spending.CallPlan | None) -> None:
    """What it costs, and the yes."""
    cost = None if plan is None else plan.cost
    calls = "Some requests" if plan is None else figures.counted(plan.calls, "request")
    said = "at a price that is not known" if cost is None else f"≈ {money(cost)}"
    st.text(f"{calls} to continue, {said}.")
    st.button(
        label("Start" if cost is None else f"Spend {money(cost)}: start"),
        type="primary",
        key="continue_yes",
        on_click=_confirm,
        args=(found.run_dir,),
    )


def _confirm(run_dir: Path) -> None:
    if launch.status(run_dir).state != "waiting":
        return
    try:
        launch.confirm(run_dir)
    except (KLExplorerError, OSError) as error:
        st.session_state[_SAID] = f"It did not start: {error}."


def _results(found: Try, here: Spot) -> None:
    said = {
        folder: continue_results.continuations(found.output / folder, here.rest)
        for folder in found.names
    }
    have = sum(len(side) for side in said.values())
    if not have:
        if not launch.status(found.run_dir).active:
            st.text("No continuation came.")
        return
    wanted = found.samples * len(found.names)
    of = f"{have} of {wanted}" if have < wanted else f"{have}"
    judged = continue_results.verdicts(found.output)
    drawn = continue_draw.data(here.prefix, here.rest, found.names, said, judged)
    once = ", equal ones once" if continue_draw.grouped(drawn) else ""
    st.caption(
        f"{of} continuations at temperature {found.temperature:g}{once}. The first token that "
        "differs from the saved response is marked; ln p is the natural log-probability under the "
        "model that said it."
    )
    continue_draw.show(drawn)
