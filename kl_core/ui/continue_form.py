"""The form that continues an answer: how often and how far, where each model is asked, a judge."""

from __future__ import annotations

import hashlib
from typing import Any

import streamlit as st

from kl_core.formats.sampling_config import JUDGE_TEMPLATE, JudgeConfig, SamplingConfig
from kl_core.ui import continue_sides, endpoint_form, endpoint_keys, visible
from kl_core.ui.continue_files import LABELS
from kl_core.ui.continue_sides import WHERE
from kl_core.ui.form_fields import Fields, wrong

FIELDS = Fields("continue")
JUDGE = Fields("continue_judge")
SAMPLES, MAX_TOKENS, TEMPERATURE = 3, 40, 1.0
MOST = 20
"""Continuations of each model that one try may ask for."""
_BLANKS = ("{prompt}", "{prefix}", "{a}", "{b}")


def form(names: list[str], params: dict[str, Any]) -> list[str]:
    """Draw the form.

    Args:
        names: the run's models, one or two.
        params: the run's params.json.

    Returns:
        Sentences on what has to be done before it can start.
    """
    missing = _how_much()
    sides = st.columns(2, gap="medium") if len(names) > 1 else [st.container()]
    for number, (column, name) in enumerate(zip(sides, names, strict=True)):
        with column:
            st.text(f"Model {number + 1}: {visible.plain(name, 60)}")
            fields = side(name, number, params)
            wrongs = _place(fields, name).values()
            missing += [f"for model {number + 1}, {said}" for said in wrongs]
    if len(names) > 1:
        missing += [f"for the judge, {said}" for said in _judge()]
    return missing


def side(name: str, number: int, params: dict[str, Any]) -> Fields:
    """The fields of a model: kept in the session by its name, begun with what the run tells."""
    digest = hashlib.sha256(f"{number}:{name}".encode("utf-8", "replace")).hexdigest()[:10]
    fields = Fields(f"continue_{digest}")
    if not fields.values():
        fields.fill(continue_sides.guess(name, params, second=number == 1))
    return fields


def config(names: list[str], params: dict[str, Any], output: str) -> SamplingConfig:
    """What is set, as `sample` takes it; to be called when nothing is missing."""
    values = FIELDS.values()
    sides = [side(name, number, params).values() for number, name in enumerate(names)]
    models = tuple(
        continue_sides.config(each, label) for each, label in zip(sides, LABELS, strict=False)
    )
    judge = None
    if len(names) > 1 and JUDGE.values().get("on"):
        own = continue_sides.config(JUDGE.values(), "judge")
        judge = JudgeConfig(model=own, template=JUDGE.values().get("template") or JUDGE_TEMPLATE)
    return SamplingConfig(
        output_dir=output,
        models=models,
        samples=int(values.get("samples") or SAMPLES),
        max_tokens=int(values.get("max_tokens") or MAX_TOKENS),
        temperature=_temperature(values.get("temperature")),
        judge=judge,
    )


def _temperature(value: float | None) -> float:
    return TEMPERATURE if value is None else float(value)


def _how_much() -> list[str]:
    """The numbers; returns what is wrong with them."""
    left, middle, right = st.columns(3)
    with left:
        help_ = f"Of each model, {MOST} at most."
        FIELDS.number("samples", "Continuations", 1, placeholder=str(SAMPLES), step=1, help=help_)
    with middle:
        FIELDS.number("max_tokens", "Tokens at most", 1, 4096, placeholder=str(MAX_TOKENS), step=1)
    with right:
        FIELDS.number(
            "temperature", "Temperature", 0.0, 2.0, placeholder=f"{TEMPERATURE:g}", step=0.1
        )
    if (FIELDS.values().get("samples") or 0) <= MOST:
        return []
    problem = f"ask for {MOST} continuations of each model at most"
    wrong(problem)
    return [problem]


def _place(fields: Fields, name: str = "") -> dict[str, str]:
    """Where one model is asked; returns what is wrong there.

    Args:
        name: of the model, as the run names it.
    """

    def check() -> dict[str, str]:
        return continue_sides.problems(fields.values())

    where = _where(fields)
    _rename(fields, where, name)
    label = {"local": "Folder, or hub id", "openai": "Its name there", "gemini": "Its name there"}
    fields.text("name", label[where], check)
    if where == "openai":
        fields.text("base_url", "Base URL", check, placeholder="https://host/v1")
        usual = endpoint_keys.usual(fields.values().get("base_url"))
        fields.text("key_env", "Variable with the key", check, placeholder=usual or "none is sent")
        if not fields.values().get("key_env") and fields.values().get("base_url"):
            fields.fault("key_env", check)
        endpoint_form.key_line(fields)
    elif where == "gemini":
        fields.text("project_id", "Google Cloud project", check, placeholder="none: Developer API")
    return check()


def _rename(fields: Fields, where: str, name: str) -> None:
    """Each place keeps its own name of the model: what was typed there, else the run's."""
    values = fields.values()
    before, names = values.get("named_at"), values.setdefault("names", {})
    values["named_at"] = where
    if before is None or before == where:
        return
    names[before] = values.get("name")
    new = names.get(where) or continue_sides.name_at(where, name)
    values["name"] = new or None
    st.session_state[fields.key("name")] = new


def _where(fields: Fields) -> str:
    kept = fields.values().get("where")
    st.session_state.setdefault(fields.key("where"), kept if kept in WHERE else "local")
    said = st.segmented_control(
        "Where it is asked",
        list(WHERE),
        format_func=WHERE.__getitem__,
        key=fields.key("where"),
        required=True,
        wrap=True,
        label_visibility="collapsed",
    )
    where = str(said or "local")
    fields.values()["where"] = where
    return where


def _judge() -> list[str]:
    """The judge, if one is wanted; returns what is wrong with it."""
    JUDGE.tick(
        "on",
        "Judge the pairs with a model",
        help="It sees each pair of continuations, in an order drawn anew, and says which is better "
        "and why.",
    )
    if not JUDGE.values().get("on"):
        return []
    with st.container(border=True):
        found = _place(JUDGE)
        key = JUDGE.key("template")
        st.session_state.setdefault(key, JUDGE.values().get("template") or JUDGE_TEMPLATE)
        said = st.text_area("What the judge is asked", key=key, height=220)
        JUDGE.values()["template"] = said
        if problem := template_problem(said):
            wrong(problem)
            found["template"] = problem
    return list(found.values())


def template_problem(text: str) -> str | None:
    """Why a judge's template cannot be used, None where it can."""
    lost = [blank for blank in _BLANKS if blank not in text]
    if lost:
        return f"the template needs {', '.join(lost)}, where the text is put in"
    try:
        text.format(prompt="", prefix="", a="", b="")
    except (KeyError, IndexError, ValueError, AttributeError):
        return "write other braces twice, {{ and }}: single ones are places for text"
    return None
