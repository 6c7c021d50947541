"""What a run of `sample` has brought, model by model, and what came without log-probabilities."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import streamlit as st

from kl_core.store.sampled import SampledModel
from kl_core.ui import figures
from kl_core.ui.sample_asked import named

_MOST = 12  # rows that show without scrolling
_ROW_PX = 35
_LOST = (
    "Responses without log-probabilities cannot be scored by lists; two local models can still be "
    "compared on their text."
)


def show(models: Sequence[SampledModel], unasked: Collection[str] = ()) -> None:
    """The table, and a sentence for each provider that gave no log-probabilities.

    Args:
        unasked: names of those that could not be asked; of twins with their folder in brackets.
    """
    rows = [row(model, not_asked(model, unasked)) for model in models]
    failed = 58 if all(each["failed"][:1].isdigit() for each in rows) else 136
    widths = {"prompts": 68, "responses": 100, "kept from before": 116, "failed": failed}
    columns = widths | {"without log-probabilities": 164}
    config: dict[str, Any] = {
        name: st.column_config.TextColumn(alignment="right", width=width)
        for name, width in columns.items()
    }
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=_ROW_PX * (min(_MOST, len(models)) + 1) + 3,
        column_config=config | {"model": st.column_config.TextColumn(width=240)},
        key="sample_models",
    )
    if said := sentences(models):
        st.text("\n".join(said))


def not_asked(model: SampledModel, unasked: Collection[str]) -> bool:
    """Whether it is one of these."""
    return model.name in unasked or f"{model.name} ({model.folder})" in unasked


def row(model: SampledModel, unasked: bool = False) -> dict[str, Any]:
    """One model's figures."""
    ended = "ended early" if model.responses > model.kept else "could not be asked"
    return {
        "model": named(model.name, 34),  # as many as its column shows
        "prompts": figures.count(model.prompts),
        "responses": f"{figures.count(model.responses)} of {figures.count(model.wanted)}",
        "kept from before": figures.count(model.kept),
        "failed": ended if unasked else figures.count(model.failed),
        "without log-probabilities": figures.count(sum(model.without_logprobs.values())),
    }


def sentences(models: Sequence[SampledModel]) -> list[str]:
    """`8 of 50 responses of provider X came without log-probabilities …`, most first."""
    found = [
        (count, provider, model)
        for model in models
        for provider, count in model.without_logprobs.items()
        if count
    ]
    found.sort(key=lambda each: (-each[0], each[2].name, each[1]))
    said = [_sentence(*each, several=len(models) > 1) for each in found]
    return [*said, _LOST] if said else []


def _sentence(count: int, provider: str, model: SampledModel, several: bool) -> str:
    whole = max(count, model.by_provider.get(provider, model.responses))
    every = count == whole and whole > 1
    counts = f"all {whole:,}" if every else f"{count:,} of {whole:,}"
    noun = "response" if whole == 1 else "responses"
    whose = f" of provider {named(provider)}" if provider else ""
    name = f"{named(model.name)}: " if several else ""
    kept = "it is kept" if count == 1 else "they are kept"
    return f"{name}{counts} {noun}{whose} came without log-probabilities; {kept}."
