"""The form of a run by a server: which server, how it reads text, and what rarely changes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.ui import endpoint_keys, endpoint_settings, markup
from kl_core.ui.form_fields import Fields

FIELDS = Fields("endpoint")
CONCURRENT, RETRIES, LIST, TIMEOUT = "16", "8", "20", "120"
SERVERS = {
    "auto": ("Find out", "One request tells what the server is; the plan names it."),
    "vllm": ("vLLM", "Completions with prompt_logprobs; takes token ids."),
    "sglang": ("SGLang", "Its own /generate beside /v1; takes token ids."),
    "echo": ("Echo", "Completions that repeat the prompt with its log-probabilities, as text."),
}
FALLBACKS = {
    "stop": ("Stop, and say so", "Nothing else is asked."),
    "completion": (
        "Ask at each position, as a completion",
        "One request a token: the prompt as the template writes it, and the text so far.",
    ),
    "chat": (
        "Ask at each position, as a chat",
        "One request a token: the text so far is the assistant's started answer.",
    ),
}


def form() -> dict[str, str]:
    """Draw the form; what is set is in FIELDS.values().

    Returns:
        Option → why its value cannot be used, an empty model or address included.
    """
    _server()
    _kind()
    _tokenizer()
    with st.expander("More options"):
        _pool()
        _reading()
        _text()
        _prices()
    return _check()


def _check() -> dict[str, str]:
    return endpoint_settings.problems(FIELDS.values())


def _server() -> None:
    left, right = st.columns(2)
    with left:
        FIELDS.text(
            "model2",
            "Model 2",
            _check,
            placeholder="its name, as the server spells it",
            help="The model to compare with the one that wrote the responses. GET /v1/models "
            "lists what a server has.",
        )
    with right:
        FIELDS.text(
            "base_url",
            "Base URL",
            _check,
            placeholder="http://127.0.0.1:8000/v1",
            help="Of a server that speaks OpenAI's protocol. The responses are sent there.",
        )
    set_to = FIELDS.values().get("base_url")
    usual = endpoint_keys.usual(set_to)
    FIELDS.text(
        "key_env",
        "Environment variable that holds the key",
        _check,
        placeholder=usual or "none: no key is sent",
        help="The variable's name. The key itself stays in the environment: it is never typed "
        "here, written down or shown.",
    )
    if not FIELDS.values().get("key_env"):  # one that was typed has had its sentence
        FIELDS.fault("key_env", _check)
    key_line(FIELDS)


def key_line(fields: Fields) -> None:
    """What is sent as a key, and that plain http to another machine hides nothing."""
    base_url, key_env = (fields.values().get(name) for name in ("base_url", "key_env"))
    said = endpoint_keys.sentence(base_url, key_env)
    host = endpoint_settings.unencrypted(base_url)
    if said and host:
        said += f" Responses travel unencrypted to {host}, as the address is http."
    if said:
        st.caption(markup.inert(said))


def _kind() -> None:
    left, right = st.columns(2)
    with left:
        _choice("server", "Server", SERVERS)
    with right:
        _choice("fallback", "When it cannot score a response in one request", FALLBACKS)


def _choice(name: str, label: str, options: dict[str, tuple[str, str]], **looks: Any) -> None:
    labels = {value: short for value, (short, _) in options.items()}
    FIELDS.choice(name, label, labels, [said for _, said in options.values()], **looks)


def _tokenizer() -> None:
    name = FIELDS.values().get("model2")
    FIELDS.text(
        "tokenizer",
        "Tokenizer",
        _check,
        placeholder=f"{name}, on the hub" if name and "/" in name else "none",
        help="A folder of this machine, or a hub id. Left empty, the model's name is tried where "
        "it is one.",
    )
    st.caption(
        "vLLM and SGLang take token ids, so model 2's tokenizer has to be here; its weights do "
        "not. An echo server can do without where prompts are raw text, without a template."
    )


def _pool() -> None:
    left, middle, right, last = st.columns(4)
    with left:
        FIELDS.number(
            "max_concurrent",
            "Requests at a time",
            1,
            2000,
            placeholder=CONCURRENT,
            help="At most. The limiter begins below it and finds out how much the server takes.",
        )
    with middle:
        FIELDS.number("rate_limit", "Requests a second", 0.1, placeholder="no limit")
    with right:
        FIELDS.number(
            "max_retries",
            "Retries",
            0,
            100,
            placeholder=RETRIES,
            help="Of requests that failed in a way that may pass: overload, time-outs, lost "
            "connections.",
        )
    with last:
        FIELDS.number(
            "timeout",
            "Time-out (s)",
            1.0,
            placeholder=TIMEOUT,
            help="Of one request. A long response on a busy server takes a while.",
        )


def _reading() -> None:
    left, middle, right = st.columns(3)
    with left:
        FIELDS.number(
            "top_logprobs",
            "Top log-probabilities",
            1,
            1000,
            placeholder=LIST,
            help="Length of model 2's lists. vLLM gives 20 unless it was started with a larger "
            "--max-logprobs.",
        )
    with middle:
        FIELDS.number("max_files", "Files at most", 1, placeholder="all")
    with right:
        FIELDS.text("pattern", "File pattern", _check, placeholder="all that can be read")
    FIELDS.text(
        "output_dir",
        "Write *_kl.json results to",
        _check,
        placeholder="nowhere; the run itself is always kept",
    )
    FIELDS.tick(
        "reuse",
        "Take answers of finished runs",
        help="Only of the same server, model and settings. A reused answer cannot show that the "
        "model has changed since.",
    )


def _text() -> None:
    left, middle, right = st.columns(3)
    with middle:
        FIELDS.text(
            "revision",
            "Revision of the tokenizer",
            _check,
            placeholder="branch, tag or commit",
            help="On the hub.",
        )
    with left:
        FIELDS.text(
            "chat_template",
            "Chat template",
            _check,
            placeholder="the tokenizer's own",
            help="A file with a template of your own.",
        )
    with right:
        FIELDS.text("system", "System message", _check, placeholder="none")
    FIELDS.tick(
        "raw", "Raw text: no chat template", help="For base models. The prompt is sent as it is."
    )
    FIELDS.fault("raw", _check)
    FIELDS.tick(
        "trust_remote_code",
        "Run code that comes with the tokenizer (trust remote code)",
        help="Only for models whose authors you trust: their code runs as you.",
    )


def _prices() -> None:
    left, middle, right = st.columns(3)
    looks: dict[str, Any] = {"step": 0.01, "format": "%g"}
    with left:
        FIELDS.number(
            "input_price",
            "US dollars per million input tokens",
            0.0,
            placeholder="what is known",
            **looks,
        )
    with middle:
        FIELDS.number(
            "output_price",
            "US dollars per million output tokens",
            0.0,
            placeholder="what is known",
            **looks,
        )
    with right:
        FIELDS.number(
            "max_cost",
            "Cost at most (US dollars)",
            0.0,
            placeholder="see the plan first",
            help="A plan that costs no more starts at once; a dearer one is refused.",
            **looks,
        )
    FIELDS.fault("output_price", _check)
