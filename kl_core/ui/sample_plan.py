"""The plan of a run of `sample`: what the check found, what the calls take, and the yes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import sampled
from kl_core.store.spending import CallPlan
from kl_core.ui import figures, gemini_demo, gemini_plan, sample_asked, sample_demo, sample_words
from kl_core.ui.gemini_money import about, label, money
from kl_core.ui.sample_asked import Asked, all_local, named

_SAID = "sample_plan_said"
_FREE = "Models of this machine and servers on it: nothing is charged."
_PRICED = (
    "At the known prices, if every response is as long as it may be; what the provider bills is "
    "what counts."
)
_TIMED = "From how long the check's answers took; a rate limit or a slow server makes it longer."
_ANY_PROVIDER = (
    "OpenRouter chooses a provider for each call, and log-probabilities depend on the provider: "
    "those that give them can be pinned in the settings, in the model's field Providers."
)
_CSS = """<style>
.st-key-sample_figures [data-testid="stMetricValue"] { font-size: 1.35rem;
  font-variant-numeric: tabular-nums }
.st-key-sample_figures [data-testid="stMetricLabel"] p { font-size: .78rem; opacity: .8 }
.st-key-sample_figures { column-gap: 1.8rem; row-gap: .4rem; flex-wrap: wrap }
</style>"""


def card(run_dir: Path, plan: CallPlan, asked: Asked, instead: Callable[[], None]) -> None:
    """The plan of a waiting run, and the button that says yes.

    Args:
        instead: draws what else can be done, beside the button.
    """
    local = all_local(asked.config)
    dollars = 0.0 if local else plan.cost
    with st.container(border=True, key="sample_plan"):
        st.text(head(plan))
        models = sampled.read_sampled(run_dir)
        show_figures(plan, local, sample_asked.prompts_each(asked, models))
        for said in sample_words.careful(plan.warnings, sample_asked.names(asked, models)):
            st.text(said)
        if plan.calls and sample_asked.any_provider(asked.config):
            st.caption(_ANY_PROVIDER)
        unknown = dollars is None and plan.calls > 0
        agreed = not unknown or st.checkbox(
            "Start although it is not known what this costs",
            key=f"sample_unknown_{run_dir.name}",
            help="Or change the settings, and type the prices under More for this model.",
        )
        with st.container(horizontal=True):
            st.button(
                label(start_label(plan, dollars)),
                type="primary",
                key="sample_confirm",
                disabled=not agreed,
                on_click=_confirm,
                args=(run_dir, asked),
            )
            instead()
        if said := st.session_state.pop(_SAID, None):
            st.text(said)


def head(plan: CallPlan) -> str:
    """What the check found, in a line."""
    if not plan.calls:
        return "Everything that is asked for is there already."
    name = named(plan.model, 100)
    return f"Ready to sample from {name}."


def show_figures(plan: CallPlan, local: bool, prompts: int | None = None) -> None:
    """Responses, tokens, money and time in one line, and what they are counted over."""
    st.html(_CSS)
    with st.container(horizontal=True, key="sample_figures"):
        for name, value, said in facts(plan, local):
            st.metric(name, label(value), help=label(said), width="content")
    st.caption(scope_line(plan, prompts))


def facts(plan: CallPlan, local: bool) -> list[tuple[str, str, str]]:
    """Name, value and explanation of each figure."""
    approx = "≈ " if plan.calls else ""
    dollars = 0.0 if local else plan.cost
    spent = money(dollars) if dollars in (None, 0) else "up to " + money(dollars)
    return [
        ("Calls", figures.count(plan.calls), "One for each response."),
        (
            "Input tokens",
            approx + gemini_plan.short(gemini_plan.rounded(plan.input_tokens)),
            "The prompts, reckoned from their number of characters.",
        ),
        (
            "Output tokens",
            ("up to " if plan.calls else "") + gemini_plan.short(plan.output_tokens),
            "As many as the settings allow; responses that end earlier take fewer.",
        ),
        ("Cost", spent, _FREE if local else _PRICED),
        ("Time", _time(plan), _TIMED),
    ]


def _time(plan: CallPlan) -> str:
    if plan.calls and plan.seconds and round(plan.seconds) < 1:
        return "less than a second"
    return f"{figures.duration(plan.seconds)} or more" if plan.seconds else figures.MISSING


def scope_line(plan: CallPlan, prompts: int | None = None) -> str:
    """What the calls are made for.

    Args:
        prompts: of each model; None where that is not known, or a part of them is done.
    """
    models = plan.model.count(", ") + 1
    whole = prompts is not None and prompts * models == plan.prompts
    parts = [figures.counted(plan.responses, "response")]
    if whole:
        said = f"{figures.counted(prompts, 'prompt')} × {figures.counted(models, 'model')}"
        parts.insert(0, said)
    if plan.kept:
        parts.append(f"{figures.count(plan.kept)} answered already")
    return " · ".join(parts)


def start_label(plan: CallPlan, dollars: float | None) -> str:
    """What the primary button says."""
    if not plan.calls:
        return "No call is needed: go on"
    if dollars is None:
        return "Start"
    return "Start: it costs nothing" if dollars == 0 else f"Spend up to {about(dollars)}: start"


def _confirm(run_dir: Path, asked: Asked) -> None:
    """Say yes once; a second click finds the run at work."""
    if launch.status(run_dir).state != "waiting":
        return
    try:
        if asked.config is not None:
            for address in sample_demo.addresses(asked.config):
                gemini_demo.revive(address)
        launch.confirm(run_dir)
    except (KLExplorerError, OSError) as error:
        st.session_state[_SAID] = f"The run did not start: {error}."
