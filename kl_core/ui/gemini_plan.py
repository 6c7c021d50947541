"""The plan of a run: what the probe found, what the calls take, and the yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import runs, spending
from kl_core.store.spending import CallPlan
from kl_core.ui import endpoint_plan, figures, gemini_advice, gemini_demo, visible
from kl_core.ui.gemini_money import about, cost, label, money

PROBE_CALLS = 2
_SAID = "gemini_plan_said"
_TOKENS_HELP = (
    "Each call sends the prompt and the text so far. Reckoned from the number of characters and "
    "what the server counted for the probe."
)
_CSS = """<style>
.st-key-gemini_figures [data-testid="stMetricValue"] { font-size: 1.35rem;
  font-variant-numeric: tabular-nums }
.st-key-gemini_figures [data-testid="stMetricLabel"] p { font-size: .78rem; opacity: .8 }
.st-key-gemini_figures { column-gap: 1.8rem; row-gap: .4rem; flex-wrap: wrap }
</style>"""


def card(
    run_dir: Path, plan: CallPlan, options: dict[str, Any], instead: Callable[[], None]
) -> None:
    """The plan of a waiting run, its editable prices, and the button that says yes.

    Args:
        instead: draws what else can be done, beside the button.
    """
    local = gemini_demo.is_local(run_dir)
    with st.container(border=True, key="gemini_plan"):
        st.text(f"The probe succeeded: {_probe_line(plan)}")
        dollars = 0.0 if local else cost(plan, *_prices_set(run_dir, plan))
        show_figures(plan, dollars, options, local)
        if not local:
            _prices(run_dir, plan)
        elif plan.cost:
            st.caption(label(typed_line(plan.cost)))
        _warnings(plan)
        search = options.get("top_prompts") is not None
        if not local and plan.mode != endpoint_plan.MODE:
            vertex = bool(options.get("project_id"))
            st.caption(label(gemini_advice.advise(plan, dollars, vertex, search)))
        with st.container(horizontal=True):
            st.button(
                label(start_label(plan, dollars)),
                type="primary",
                key="gemini_confirm",
                disabled=dollars is None and plan.calls > 0,
                on_click=_confirm,
                args=(run_dir, plan),
            )
            instead()
        if said := st.session_state.pop(_SAID, None):
            st.text(said)


def typed_line(dollars: float) -> str:
    """What prices mean that were typed for a server that charges nothing."""
    return (
        "A server on this machine: nothing is charged. At the prices you typed it would be "
        f"{about(dollars)}."
    )


def show_figures(
    plan: CallPlan, dollars: float | None, options: dict[str, Any], local: bool = False
) -> None:
    """Calls, tokens, money and time in one line, and what they are counted over."""
    st.html(_CSS)
    search = options.get("top_prompts") is not None
    with st.container(horizontal=True, key="gemini_figures"):
        for name, value, said in facts(plan, dollars, search, local):
            st.metric(name, label(value), help=label(said), width="content")
    st.caption(scope_line(plan, search or options.get("budget") is not None))


def facts(
    plan: CallPlan, dollars: float | None, search: bool, local: bool
) -> list[tuple[str, str, str]]:
    """Name, value and explanation of each figure.

    Args:
        search: for the top prompts, whose rounds mostly end before the planned calls are made.
        local: a server on this machine, which charges nothing and has no queue of days.
    """
    by_server = plan.mode == endpoint_plan.MODE
    most = "up to " if search else ""
    approx = "≈ " if plan.calls else ""
    calls = "One for each position asked; equal ones once."
    if by_server:
        calls = endpoint_plan.requests_help(plan)
    if search:
        calls += " Reckoned for twice as many whole prompts as are wanted; mostly fewer are needed."
    free = "A server on this machine: nothing is charged."
    spent = money(dollars) if dollars in (None, 0) else money(dollars).replace("$", "≈ $", 1)
    tokens = endpoint_plan.TOKENS_HELP if by_server else _TOKENS_HELP
    name = "Requests" if by_server else "Calls"
    found = [
        (name, most + figures.count(plan.calls), calls),
        ("Input tokens", most + approx + short(rounded(plan.input_tokens)), tokens),
        ("Output tokens", most + short(plan.output_tokens), "One a call."),
        (
            "Cost",
            spent if not dollars else most + spent,
            free if local else "At the prices below; what the provider bills is what counts.",
        ),
    ]
    return found if local and plan.mode == "batch" else [*found, _time(plan)]


def _time(plan: CallPlan) -> tuple[str, str, str]:
    if plan.mode == "batch":
        said = "Up to 72 hours in the queue, then up to 24 hours of work; often much less."
        return "Time", "72 h queue + 24 h run at most", said
    if not plan.seconds:
        return "Time", figures.duration(plan.seconds), "Nothing was measured, or nothing is asked."
    latency = "" if plan.latency_s is None else f" at {_latency(plan.latency_s)} each"
    said = (
        f"At best: {plan.max_concurrent} calls under way{latency}; a busy machine, a rate limit or "
        "a slow server makes it longer."
    )
    short_one = plan.seconds < 1
    return (
        "Time",
        "less than a second" if short_one else f"{figures.duration(plan.seconds)} or more",
        said,
    )


def short(number: int) -> str:
    """A large count in few characters: 999, 12,400, 1.24 million."""
    if number < 1_000_000:
        return figures.count(number)
    if number < 1_000_000_000:
        return f"{number / 1e6:.3g} million" if number < 999_500_000 else "1 billion"
    return f"{number / 1e9:.3g} billion"


def rounded(number: int) -> int:
    """An estimate with three digits."""
    return int(float(f"{number:.3g}"))


def scope_line(plan: CallPlan, partial: bool = False) -> str:
    """What the calls are made for, so that the counts add up.

    Args:
        partial: only a share of the positions is asked, or the top prompts are searched for.
    """
    if plan.mode == endpoint_plan.MODE:
        return endpoint_plan.scope_line(plan)
    parts = [
        figures.counted(plan.prompts, "prompt"),
        figures.counted(plan.responses, "response"),
        figures.counted(plan.positions, "position"),
    ]
    if plan.unscorable:
        cannot = f"{figures.count(plan.unscorable)} cannot be asked"
        parts.append(f"{cannot} (inside a character, or after a special token)")
    shared = plan.positions - plan.unscorable - plan.calls - plan.kept
    if shared > 0 and not partial:
        one = "shares" if shared == 1 else "share"
        parts.append(f"{figures.count(shared)} {one} an answer with another position")
    if plan.kept:
        by = "by the probe" if plan.kept <= PROBE_CALLS else "already"
        parts.append(f"{figures.count(plan.kept)} answered {by}")
    return " · ".join(parts)


def start_label(plan: CallPlan, dollars: float | None) -> str:
    """What the primary button says."""
    if not plan.calls:
        return "No call is needed: make the results"
    if dollars is None:
        return "Enter the prices to start"
    return "Start: it costs nothing" if dollars == 0 else f"Spend {about(dollars)}: start"


def price_line(plan: CallPlan, edited: bool) -> str:
    """Where the prices come from."""
    if edited:
        return "Prices as you typed them."
    if plan.price_input is None or plan.price_output is None:
        return "The price of this model is not known: enter it (0 where calls are free)."
    half = ", halved as batches are" if plan.mode == "batch" else ""
    if plan.price_date:
        return f"From the price table of {plan.price_date}{half}; prices change, so check them."
    free = plan.price_input == 0 and plan.price_output == 0
    return "Calls to this server are free." if free else "Prices as given in the settings."


def _probe_line(plan: CallPlan) -> str:
    took = "" if plan.latency_s is None else f", in {_latency(plan.latency_s)}"
    if plan.mode == endpoint_plan.MODE:
        return f"{visible.plain(plan.model, 80)} answered{took}. {endpoint_plan.gives(plan)}"
    return (
        f"{visible.plain(plan.model, 80)} answered{took}. It gives log-probabilities and continues "
        "a started answer."
    )


def _latency(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _key(run_dir: Path, side: str) -> str:
    return f"gemini_price_{side}_{run_dir.name}"


def _prices_set(run_dir: Path, plan: CallPlan) -> tuple[float | None, float | None]:
    given = (("input", plan.price_input), ("output", plan.price_output))
    for side, value in given:
        st.session_state.setdefault(_key(run_dir, side), None if value is None else float(value))
    one, other = (st.session_state[_key(run_dir, side)] for side, _ in given)
    return one, other


def _prices(run_dir: Path, plan: CallPlan) -> None:
    left, right = st.columns(2)
    for column, side in ((left, "input"), (right, "output")):
        with column:
            st.number_input(
                f"US dollars per million {side} tokens",
                0.0,
                None,
                None,
                step=0.01,
                format="%g",
                key=_key(run_dir, side),
                placeholder="not known: enter it",
            )
    st.caption(price_line(plan, _edited(run_dir, plan)))


def _edited(run_dir: Path, plan: CallPlan) -> bool:
    return _prices_set(run_dir, plan) != (plan.price_input, plan.price_output)


def _warnings(plan: CallPlan) -> None:
    for said in plan.warnings:
        sentence = f"Careful: {said}".rstrip(".")
        st.text(visible.plain(f"{sentence}.", 700))


def _confirm(run_dir: Path, plan: CallPlan) -> None:
    """Say yes once, at the prices shown; a second click finds the run at work."""
    if launch.status(run_dir).state != "waiting":
        return
    one, other = _prices_set(run_dir, plan)
    try:
        if _edited(run_dir, plan):  # the worker reckons anew, with the settings' prices
            settings = runs.read_params(run_dir).get("settings") or {}
            prices = {"input_price": one, "output_price": other}
            runs.update_params(run_dir, settings=settings | prices)
            agreed = replace(
                plan,
                price_input=one,
                price_output=other,
                price_date="",
                cost=cost(plan, one, other),
            )
            spending.write_plan(run_dir, agreed)
        gemini_demo.revive(gemini_demo.address_of(run_dir))
        launch.confirm(run_dir)
    except (KLExplorerError, OSError) as error:
        st.session_state[_SAID] = f"The run did not start: {error}."
