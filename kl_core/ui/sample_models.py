"""The models to sample from: one box each, added and removed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.ui import (
    endpoint_keys,
    gemini_credentials,
    markup,
    sample_fields,
    sample_problems,
    sample_values,
)
from kl_core.ui.form_fields import Check, wrong
from kl_core.ui.sample_fields import FIELDS
from kl_core.ui.sample_values import SERVERS, field

_APIS = {
    "openai": "OpenAI-shaped server",
    "gemini": "Gemini",
    "local": "A model of this machine",
}
_REASONING = {"open": "As it comes", "off": "Off", "on": "On"}
_NAMES = {
    "openai": "the model's name, as the server spells it",
    "gemini": "the model's name, as the API spells it",
    "local": "a folder of this machine, or a hub id",
}
_LOCATION = "us-central1"


def rows() -> list[int]:
    """Numbers of the rows; one empty row where nothing was set yet."""
    found: list[int] = FIELDS.values().setdefault("rows", [0])
    return found


def section(check: Check) -> None:
    """All rows, and the button that adds one."""
    st.subheader("Models")
    for place, row in enumerate(rows(), 1):
        with st.container(border=True, key=f"sample_model_{row}"):
            _row(place, row, check)
    st.button("Add a model", key="sample_add", icon=":material/add:", on_click=_add)


def _add() -> None:
    row = max(rows(), default=-1) + 1
    last = rows()[-1:]
    FIELDS.values()["rows"] = [*rows(), row]
    for name in ("api", "server", "base_url", "key_env", "project_id", "location"):
        if last:  # a second model is mostly asked where the first one is
            sample_fields.put(field(row, name), FIELDS.values().get(field(last[0], name)))


def _remove(row: int) -> None:
    kept = FIELDS.values()
    kept["rows"] = [each for each in rows() if each != row]
    for name in [name for name in kept if name.startswith(field(row, ""))]:
        sample_fields.put(name, None)
        del kept[name]


def _row(place: int, row: int, check: Check) -> None:
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.markdown(f"**Model {place}**", width="content")
        if len(rows()) > 1:
            st.button(
                "Remove",
                key=f"sample_remove_{row}",
                type="tertiary",
                icon=":material/close:",
                on_click=_remove,
                args=(row,),
                help=f"Remove model {place}",
            )
    left, right = st.columns([2, 3])
    with left:
        api = sample_fields.select(field(row, "api"), "Asked through", _APIS)
    with right:
        FIELDS.text(field(row, "name"), "Model", check, placeholder=_NAMES[api])
    if api == "openai":
        _server(row, check)
    elif api == "gemini":
        _gemini(row, check)
    with st.expander("More for this model"):
        _more(row, api, check)
    FIELDS.fault(field(row, "label"), check)


def _server(row: int, check: Check) -> None:
    left, right = st.columns([2, 3])
    with left:
        labels = {name: said for name, (said, _) in SERVERS.items()}
        server = sample_fields.select(field(row, "server"), "Server", labels)
    with right:
        if server in ("here", "other"):
            FIELDS.text(
                field(row, "base_url"),
                "Base URL",
                check,
                placeholder=SERVERS[server][1] or "https://host/v1",
                help="Where the OpenAI-shaped API begins; it mostly ends in /v1.",
            )
        else:
            st.text_input("Base URL", SERVERS[server][1], key=f"sample_url_{server}_{row}",
                          disabled=True)  # fmt: skip
    own = sample_values.of_row(FIELDS.values(), row)
    address = sample_values.base_url(own)
    left, right = st.columns([2, 3])
    with left:
        FIELDS.text(
            field(row, "key_env"),
            "Variable with the key",
            check,
            placeholder=endpoint_keys.usual(address) or "none",
            help="Name of the environment variable that holds the key of this server. The key "
            "itself is never typed here, written down or shown.",
        )
        _key(row, check)
    with right:
        if sample_values.has_providers(own):
            _reasoning_and_providers(row, check)
        else:
            sample_fields.select(field(row, "reasoning"), "Reasoning", _REASONING)


def _reasoning_and_providers(row: int, check: Check) -> None:
    left, right = st.columns([2, 3])
    with left:
        sample_fields.select(field(row, "reasoning"), "Reasoning", _REASONING)
    with right:
        FIELDS.text(
            field(row, "providers"),
            "Providers",
            check,
            placeholder="any that gives what is asked",
            help="OpenRouter only: ask these and no others, with commas between them. Providers "
            "differ in whether they give log-probabilities, and a little in what they say.",
        )


def _key(row: int, check: Check) -> None:
    """Whether a key is there; a field left empty may still need one."""
    own = sample_values.of_row(FIELDS.values(), row)
    address, name = sample_values.base_url(own), own.get("key_env")
    found, key = check(), field(row, "key_env")
    said = endpoint_keys.sentence(address, name)
    if (
        not name
        and key in found
        and not sample_problems.said_before(row, "key_env", found, FIELDS.values())
    ):
        wrong(found[key])
    elif not said and not name and (usual := endpoint_keys.usual(address)):
        said = f"{usual} is not set yet; it holds the key of this server."
    if said:
        st.caption(markup.inert(said))


def _gemini(row: int, check: Check) -> None:
    left, middle, right = st.columns(3)
    with left:
        FIELDS.text(
            field(row, "project_id"),
            "Google Cloud project",
            check,
            placeholder="none: Developer API",
            help="With a project id the model is asked through Vertex AI, without one through the "
            "Developer API.",
        )
    with middle:
        FIELDS.text(field(row, "location"), "Location", check, placeholder=_LOCATION)
    with right:
        sample_fields.select(field(row, "reasoning"), "Reasoning", _REASONING)
    FIELDS.text(
        field(row, "base_url"),
        "Base URL of the API",
        check,
        placeholder="Google's own",
        help="Another server that speaks the same protocol.",
    )
    own = sample_values.of_row(FIELDS.values(), row)
    if problem := sample_problems.model(own).get("key"):
        wrong(problem)
        return
    if not own.get("name"):
        return
    asked = {"base_url": own.get("base_url"), "project_id": own.get("project_id")}
    have = gemini_credentials.found()
    st.caption(markup.inert(gemini_credentials.sentence("prefill", asked, have)))


def _more(row: int, api: str, check: Check) -> None:
    left, middle, right = st.columns(3)
    own = sample_values.of_row(FIELDS.values(), row)
    folder = sample_values.model_of(FIELDS.values() | {field(row, "label"): None}, row).folder
    with left:
        shown = folder if own["name"] else "named after the model"
        FIELDS.text(field(row, "label"), "Its folder", _nothing, placeholder=shown)
    with middle:
        FIELDS.number(field(row, "samples"), "Samples a prompt", 1, placeholder="as for all")
    with right:
        FIELDS.number(field(row, "max_tokens"), "Tokens at most", 1, placeholder="as for all")
    if api == "local":
        return
    left, right = st.columns(2)
    looks: dict[str, Any] = {"step": 0.01, "format": "%g", "placeholder": "what is known"}
    with left:
        FIELDS.number(
            field(row, "input_price"), "US dollars per million input tokens", 0.0, **looks
        )
    with right:
        FIELDS.number(
            field(row, "output_price"), "US dollars per million output tokens", 0.0, **looks
        )
    FIELDS.fault(field(row, "output_price"), check)


def _nothing() -> dict[str, str]:
    """What is wrong with the folder's name is said below the fold."""
    return {}
