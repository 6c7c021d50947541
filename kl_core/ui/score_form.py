"""The form of a local scoring run: widgets in, command-line options out."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.ui import folders

_TEMPLATES = {
    "chat": "The model's chat template",
    "raw": "None: raw text, for base models",
    "file": "A chat template of my own",
}
KEY = "score"
"""Of the choice of responses, which both ways of scoring share."""
_NONCE = "score_nonce"


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What `python -m kl_core score` is asked; None leaves an option at its default."""

    input_dir: str
    output_dir: str | None
    model: str
    top_k: int | None
    dtype: str | None
    device: str | None
    max_prompts: int | None
    chat_template: str | None
    system: str | None
    raw: bool
    include_reasoning: bool
    trust_remote_code: bool
    revision: str | None = None
    adapter: str | None = None
    device_map: str | None = None
    batch_tokens: int | None = None

    def options(self) -> dict[str, Any]:
        """As `launch.start` takes them."""
        return asdict(self)


def form(folder: Path | None) -> ScoreRequest | None:
    """Draw the form; returns the request once it is complete enough to start."""
    model = st.text_input(
        "Model 2",
        key="score_model",
        placeholder="a folder of this machine, or a hub id",
        help="The model to compare with the one that wrote the responses.",
    ).strip()
    left, middle, right = st.columns(3)
    top_k = left.number_input(
        "Top-k",
        5,
        100,
        None,
        key="score_top_k",
        placeholder="as in the files",
        help="Length of model 2's lists. Left empty, as long as the file's at each position; "
        "lists of another length make the floor estimate larger.",
    )
    dtype = middle.selectbox(
        "Number type", ["auto", "float32", "bfloat16", "float16"], key="score_dtype"
    )
    device = right.selectbox("Device", ["auto", "cpu", "cuda", "mps"], key="score_device")
    template, system, raw = _chat()
    more = _more()
    if folder is None or not model:
        return None
    return ScoreRequest(
        input_dir=str(folder),
        model=model,
        top_k=None if top_k is None else int(top_k),
        dtype=None if dtype == "auto" else dtype,
        device=None if device == "auto" else device,
        chat_template=template or None,
        system=system or None,
        raw=raw,
        **more,
    )


def _chat() -> tuple[str, str, bool]:
    way = st.selectbox(
        "Prompt format", list(_TEMPLATES), key="score_template", format_func=_TEMPLATES.__getitem__
    )
    template, system = "", ""
    if way == "file":
        template = st.text_input(
            "Template file", key="score_template_file", placeholder="/path/to/template.jinja"
        ).strip()
    if way != "raw":
        system = st.text_input("System message", key="score_system", placeholder="none").strip()
    return template, system, way == "raw"


def _more() -> dict[str, Any]:
    """Fields of ScoreRequest that most people leave alone."""
    with st.expander("More options"):
        reasoning = st.checkbox(
            "Put the saved reasoning before the response", key="score_reasoning"
        )
        remote = st.checkbox(
            "Run code that comes with the model (trust remote code)",
            key="score_remote",
            help="Only for models whose authors you trust: their code runs as you.",
        )
        left, right = st.columns(2)
        most = left.number_input("Most prompts (0: all)", 0, key="score_max_prompts")
        batch = right.number_input(
            "Tokens in one pass",
            64,
            None,
            None,
            key="score_batch",
            placeholder="8192",
            help="Lower it when memory is short, raise it to fill a large GPU.",
        )
        revision = left.text_input(
            "Revision", key="score_revision", placeholder="branch, tag or commit on the hub"
        )
        adapter = right.text_input(
            "Adapter", key="score_adapter", placeholder="a peft adapter, folder or hub id"
        )
        device_map = left.text_input(
            "Device map", key="score_device_map", placeholder="auto spreads over several GPUs"
        )
        output = right.text_input(
            "Write *_kl.json results to",
            key="score_output",
            placeholder="nowhere; the run itself is always kept",
        )
    return {
        "include_reasoning": reasoning,
        "trust_remote_code": remote,
        "max_prompts": int(most) or None,
        "batch_tokens": None if batch is None else int(batch),
        "revision": revision.strip() or None,
        "adapter": adapter.strip() or None,
        "device_map": device_map.strip() or None,
        "output_dir": output.strip() or None,
    }


def output_problem(request: ScoreRequest) -> str | None:
    """Why the output folder cannot be used, None where it can."""
    return folders.output_problem(request.output_dir)


def nonce() -> str:
    """One per intention to start, so that a double click starts one run."""
    return str(st.session_state.setdefault(_NONCE, uuid.uuid4().hex))


def again() -> None:
    """The next start is another intention."""
    st.session_state.pop(_NONCE, None)
