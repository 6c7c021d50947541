"""How the responses are drawn, where they go, and what most people leave alone."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.ui import folders, sample_fields
from kl_core.ui.form_fields import Check
from kl_core.ui.sample_fields import FIELDS
from kl_core.ui.sample_values import Values

RUN_OPTIONS = ("max_concurrent", "rate_limit", "max_retries", "timeout", "overwrite")
_COUNTS: tuple[tuple[str, str, int, int | None, str, str], ...] = (
    ("samples", "Samples a prompt", 1, None, "1", "Responses of each model to each prompt."),
    ("max_tokens", "Tokens at most", 1, None, "256", "A response that is longer is cut there."),
    (
        "top_logprobs",
        "Top log-probabilities",
        0,
        100,
        "20",
        "Candidates at each position, on servers 20 at most. With 0 nothing can be measured.",
    ),
)


def settings(check: Check) -> None:
    """What holds for all models."""
    st.subheader("Sampling")
    for column, (name, label, least, most, empty, said) in zip(st.columns(3), _COUNTS, strict=True):
        with column:
            sample_fields.checked_number(
                name, label, check, least, most, placeholder=empty, help=said
            )
    left, middle, right = st.columns(3)
    looks: dict[str, Any] = {"placeholder": "1", "format": "%g"}
    with left:
        FIELDS.number("temperature", "Temperature", 0.0, 2.0, step=0.1, **looks)
    with middle:
        FIELDS.number("top_p", "Top p", 0.01, 1.0, step=0.05, **looks)
    with right:
        FIELDS.number(
            "seed",
            "Seed",
            0,
            placeholder="another draw each time",
            help="Servers may ignore it.",
        )


def output(check: Check, new_folder: str) -> None:
    """Where the responses go, and the options of the run itself."""
    FIELDS.text(
        "output_dir",
        "Write the responses to",
        check,
        placeholder=f"a new folder: {folders.shown(new_folder)}",
        help="Gets one folder a model, with one file a prompt. Responses that are there already "
        "are kept and not asked again.",
    )
    with st.expander("More options"):
        _pool()
        FIELDS.tick(
            "overwrite",
            "Ask again for responses that are there already",
            help="Their files are replaced. Without it they are kept.",
        )


def _pool() -> None:
    left, middle, right, last = st.columns(4)
    with left:
        FIELDS.number(
            "max_concurrent",
            "Calls at a time",
            1,
            2000,
            placeholder="20",
            help="At most so many of a model are under way. The limiter begins below it and finds "
            "out how much the server takes.",
        )
    with middle:
        FIELDS.number("rate_limit", "Calls a second", 0.1, format="%g", placeholder="no limit")
    with right:
        FIELDS.number(
            "max_retries",
            "Retries of a call",
            0,
            100,
            placeholder="8",
            help="Of calls that failed in a way that may pass: overload, time-outs, lost "
            "connections.",
        )
    with last:
        FIELDS.number("timeout", "Seconds a call", 1.0, format="%g", placeholder="120")


def run_options(values: Values) -> dict[str, Any]:
    """Options of the command beside its configuration; what is empty keeps its default."""
    given = {name: values.get(name) for name in RUN_OPTIONS}
    return {name: v for name, v in given.items() if v is not None and v is not False}
