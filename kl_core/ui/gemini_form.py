"""The form of a run that asks Gemini: model, how much to ask, and what most people leave alone."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.ui import gemini_credentials, gemini_settings, markup
from kl_core.ui.gemini_fields import Check, number, share, text, tick, values, wrong

CONCURRENT, RETRIES, LIST, LOCATION = "50", "8", "20", "us-central1"


def form(kind: str) -> dict[str, str]:
    """Draw the form of `prefill` or `batch`; what is set is in gemini_fields.values().

    Returns:
        Option → why its value cannot be used, an empty model or project included.
    """

    def check() -> dict[str, str]:
        return gemini_settings.problems(kind, values())

    _model(kind, check)
    _how_much(kind)
    if kind == "batch":
        _bucket(check)
    with st.expander("More options"):
        if kind == "prefill":
            _pool()
        _reading(kind, check)
        _servers(kind, check)
        _prices(check)
    _credentials(kind)
    return check()


def _credentials(kind: str) -> None:
    have = gemini_credentials.found()
    said = gemini_credentials.sentence(kind, values(), have)
    if gemini_credentials.needed(kind, values(), have):
        return  # said beside the button, which waits for it
    if gemini_credentials.doubtful(kind, values(), have):
        st.markdown(f":orange[:material/warning:] {markup.inert(said)}")
    else:
        st.caption(markup.inert(said))


def _model(kind: str, check: Check) -> None:
    text(
        "model2",
        "Model 2",
        check,
        placeholder="the model's name, as the API spells it",
        help="The model to compare with the one that wrote the responses. It has to give "
        "log-probabilities and to continue a started answer; the probe finds out.",
    )
    left, right = st.columns(2)
    with left:
        text(
            "project_id",
            "Google Cloud project",
            check,
            placeholder="its id" if kind == "batch" else "none: the Developer API is asked",
            help="With a project id the model is asked through Vertex AI, without one through the "
            "Developer API.",
        )
    with right:
        text("location", "Location", check, placeholder=LOCATION, help="Of Vertex AI.")


def _how_much(kind: str) -> None:
    left, right = st.columns(2)
    with left:
        share(
            "budget",
            "Share of the calls to make",
            5,
            5,
            help="Every position of every response is one call. A share of them gives estimates "
            "at a share of the price.",
        )
    top = None
    if kind == "prefill":
        with right:
            number(
                "top_prompts",
                "Find only the most divergent prompts",
                1,
                placeholder="all prompts",
                help="How many of them. Calls are spent in rounds on the prompts that may still "
                "be among them.",
            )
        top = values().get("top_prompts")
    st.caption(share_line(values().get("budget"), top))


def share_line(budget: float | None, top_prompts: int | None) -> str:
    """What comes out of this share of the calls."""
    if top_prompts is not None:
        noun = "one" if top_prompts == 1 else f"{top_prompts:,}"
        rest = "Prompts that drop out early keep what was asked, without a mean."
        if budget is None:
            return f"Calls go to the prompts that may be the {noun} most divergent. {rest}"
        return (
            f"At most {100 * budget:g} % of the calls are made, on the prompts that may be the "
            f"{noun} most divergent. {rest}"
        )
    if budget is None:
        return (
            "Every position that can be asked is asked; the only gaps are those of the top-20 "
            "lists."
        )
    return (
        f"{100 * budget:g} % of the positions are asked, drawn at random and more often where "
        "model 1 was unsure. The means of responses and prompts become estimates (≈) with a 95 % "
        "interval; positions that were not asked have no figure of their own."
    )


def _bucket(check: Check) -> None:
    project = values().get("project_id") or "PROJECT"
    text(
        "bucket_name",
        "Bucket",
        check,
        placeholder=f"{project}-kl-batch",
        help="Of Cloud Storage, for the jobs' inputs and outputs; created where it is missing.",
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        number(
            "lifecycle_days",
            "Delete files after (days)",
            1,
            placeholder="never",
            help="Sets a lifecycle rule on the bucket for this app's files, for what a cleanup "
            "that never ran leaves behind.",
        )
    with right:
        tick(
            "cleanup",
            "Clean the bucket up at the end",
            help="Deletes the run's inputs and outputs once the results are here.",
        )


def _pool() -> None:
    left, middle, right = st.columns(3)
    with left:
        number(
            "max_concurrent",
            "Calls under way at most",
            1,
            2000,
            placeholder=CONCURRENT,
            help="The limiter begins below it and finds out how much the server takes.",
        )
    with middle:
        number("rate_limit", "Calls a second at most", 0.1, placeholder="no limit")
    with right:
        number(
            "max_retries",
            "Retries of a call",
            0,
            100,
            placeholder=RETRIES,
            help="Of calls that failed in a way that may pass: overload, time-outs, lost "
            "connections.",
        )


def _reading(kind: str, check: Check) -> None:
    left, middle, right = st.columns(3)
    with left:
        number(
            "top_logprobs",
            "Top log-probabilities",
            1,
            20,
            placeholder=LIST,
            help="Length of model 2's lists. Left empty, 20 are asked and as many are compared "
            "as the file lists at each position.",
        )
    with middle:
        number("max_files", "Files at most", 1, placeholder="all")
    with right:
        text("pattern", "File pattern", check, placeholder="all that can be read")
    text(
        "output_dir",
        "Write *_kl.json results to",
        check,
        placeholder="nowhere; the run itself is always kept",
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        number("seed", "Seed of the draws", 0, placeholder="0")
    with right:
        _reuse()


def _reuse() -> None:
    tick(
        "reuse",
        "Take answers of finished runs",
        help="Only of the same model and settings. A reused answer cannot show that the model has "
        "changed since.",
    )


def _servers(kind: str, check: Check) -> None:
    text(
        "base_url",
        "Base URL of the API",
        check,
        placeholder="Google's own",
        help="Another server that speaks the same protocol. It is sent your credentials, "
        "unless it is on this machine.",
    )
    if kind == "batch":
        text("storage_url", "Base URL of Cloud Storage", check, placeholder="Google's own")


def _prices(check: Check) -> None:
    left, right = st.columns(2)
    looks: dict[str, Any] = {"step": 0.01, "format": "%g", "placeholder": "from the price table"}
    with left:
        number("input_price", "US dollars per million input tokens", 0.0, **looks)
    with right:
        number("output_price", "US dollars per million output tokens", 0.0, **looks)
    if problem := check().get("output_price"):
        wrong(problem)
