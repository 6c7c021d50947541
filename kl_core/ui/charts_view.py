"""The view "charts" of the Explore page, and the two small charts under the prompt table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import streamlit as st

from kl_core.plots import histogram as histograms
from kl_core.plots import positions, style, words
from kl_core.plots.registry import CHARTS
from kl_core.store import chart_queries, queries
from kl_core.store.runs import RunInfo
from kl_core.ui import (
    cached,
    charts_captions,
    charts_card,
    charts_clicks,
    estimates,
    figures,
    response_view,
)
from kl_core.ui.state import Explore

_FOLLOW: dict[str, charts_clicks.Follow] = {
    "relative": charts_clicks.highest_token,
    "histogram": charts_clicks.tokens_of_bin,
    "cumulative": charts_clicks.tokens_from,
    "probability": charts_clicks.highest_token,
    "entropy": charts_clicks.response,
    "length": charts_clicks.response,
    "provider": charts_clicks.group("provider"),
    "model": charts_clicks.group("model"),
    "finish_reason": charts_clicks.group("finish"),
}
# of these, only where there is more than one to compare
_COMPARED = ("model", "finish_reason")
_CSS = """<style>
.st-key-charts_grid { display: grid !important; gap: .8rem !important;
  grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); align-items: stretch }
.st-key-charts_grid > * { min-width: 0 }
.st-key-charts_grid > [data-testid="stLayoutWrapper"] > [data-testid="stVerticalBlock"] {
  height: 100%; gap: .25rem }
@media (max-width: 1150px) { .st-key-charts_grid { grid-template-columns: minmax(0, 1fr) } }
</style>"""


def show(info: RunInfo, summary: dict[str, Any], place: Explore) -> None:
    """All charts of the run, those without anything to draw with what to do instead."""
    facts = chart_queries.facts(cached.cursor(info.path))
    if not facts or not facts["n"] + facts["infinite"]:
        st.caption(_nothing(summary))
        return
    _settle(info, summary, place)
    st.html(_CSS)
    st.caption(_over(facts, summary))
    with st.container(key="charts_grid"):
        _open_response(info, summary, place)
        for name in CHARTS:
            _card(info, name, facts, summary, place)


def _settle(info: RunInfo, summary: dict[str, Any], place: Explore) -> None:
    """Open what Prompts would open, where nothing is open yet: both show the same response."""
    if place.prompt is None:
        lead = "mean_kl" if summary.get("measure") else "mean_surprisal1"
        sort = place.sort if place.sort in queries.SORTS else lead
        first = cached.prompts(info.path, sort, place.order != "asc", 1, 0, queries.EVERY)
        place.choose_prompt(first["prompt_id"][0].as_py() if first.num_rows else None)
    if place.prompt is not None and place.response is None:
        rows = queries.responses(cached.cursor(info.path), place.prompt).to_pylist()
        place.choose_response(response_view.most_divergent(rows) if rows else None)


def by_position(
    info: RunInfo,
    row: dict[str, Any],
    measure: str,
    label: str,
    values: Sequence[float | str | None],
    threshold: float,
    signed: bool,
    place: Explore,
    unit: str = "nats",
) -> None:
    """The open response's values by position; a click goes to that token.

    Args:
        row: the response, with `response_id` and `slot`.
        measure: name of what is shown; part of the chart's identity.
        label: what is shown, in our own words: a caption obeys markdown.
        values, threshold, signed, unit: as the token view has them.
    """
    title = f"{label} along response {row['slot'] + 1}"
    shown = (str(info.path), cached.version(info.path), row["response_id"], measure)
    charts_card.figure(
        _positions(shown, values, threshold, signed, unit),
        info.id,
        f"position_{row['response_id']}_{measure}",
        place.jump,
        lambda position: place.go(int(_first(position))),
        title,
    )
    left_out = _left_out(values, row.get("not_asked") or 0)
    st.caption(
        f"{title}{f', in {unit}' if unit else ''}; click a position to go to that token.{left_out}"
    )


def small_histogram(
    info: RunInfo, summary: dict[str, Any], place: Explore, certified: bool = False
) -> None:
    """The run's tokens by value; a click opens the tokens of a bar.

    Args:
        certified: count the lower bounds instead; there is no list to open for these.
    """
    table, drawn = _small(str(info.path), cached.version(info.path), certified)
    rows = table.to_pylist()
    missing = summary["tokens"] - sum(row["tokens"] or 0 for row in rows)
    if not rows:
        st.caption(_nothing(summary))
    elif certified:
        missing -= summary.get("not_asked") or 0
        chart = f"histogram_lower_{info.id}"
        st.plotly_chart(drawn, key=chart, config=charts_card.config(info.id, "histogram_lower"))
        without = f" {missing:,} without a bound left out." if missing else ""
        which = "asked " if estimates.partial(summary) else ""
        st.caption(f"Certified KL of every {which}token; both axes are logarithmic.{without}")
    else:
        _figure(info, "histogram", table, drawn, summary, place, "small_histogram")
        facts = chart_queries.facts(cached.cursor(info.path))
        st.caption(charts_captions.caption("histogram", rows, facts, summary))


# making a figure takes ten times as long as asking for its rows: each is made once
@st.cache_resource(max_entries=128, show_spinner=False)
def _positions(
    shown: tuple[str, str, int, str],
    _values: Sequence[float | str | None],
    threshold: float,
    signed: bool,
    unit: str,
) -> go.Figure:
    return positions.by_position(_values, threshold, signed, unit=unit)


@st.cache_resource(max_entries=32, show_spinner=False)
def _small(run_dir: str, version: str, certified: bool) -> tuple[pa.Table, go.Figure]:
    here = Path(run_dir)
    column = "kl_lower" if certified else None
    table = chart_queries.histogram_query(column).table(cached.cursor(here))
    name = "KL, at least" if certified else ""
    return table, histograms.histogram(table, cached.summary(here), style.COMPACT, name)


def _card(
    info: RunInfo, name: str, facts: dict[str, Any], summary: dict[str, Any], place: Explore
) -> None:
    table, drawn = _drawn(info.path, name)
    if name in _COMPARED and table.num_rows < 2:
        return
    with st.container(border=True):
        st.markdown(f"**{CHARTS[name].title}**")
        said = charts_captions.caption(name, table.to_pylist(), facts, summary)
        if name == "cumulative":
            held = charts_captions.held(table, summary)
            if not held:
                st.caption(f"Every {words.value(summary)} is 0: there is nothing to share out.")
                return
            said = f"{held} {said}"
        # tokens without a list of model 1 are a row, but no bar
        bars = table.num_rows - (table["low"].null_count if name == "probability" else 0)
        if not bars:
            st.caption("No response of this run has what this chart compares.")
            return
        _figure(info, name, table, drawn, summary, place, name)
        st.caption(said)


def _figure(
    info: RunInfo,
    name: str,
    table: pa.Table,
    drawn: go.Figure,
    summary: dict[str, Any],
    place: Explore,
    key: str,
) -> None:
    def follow(data: Any) -> None:
        number = int(_first(data))
        if number >= 0:
            row = table.slice(number, 1).to_pylist()[0]
            _FOLLOW[name](place, row | {"score": "kl" if summary.get("measure") else "surprisal1"})

    about = f"{CHARTS[name].title}: {CHARTS[name].help}"
    charts_card.figure(drawn, info.id, key, place.jump, follow, about)


def _open_response(info: RunInfo, summary: dict[str, Any], place: Explore) -> None:
    """KL by position of the response that is open, or would be."""
    cursor = cached.cursor(info.path)
    row = chart_queries.open_response_query(place.prompt, place.response).row(cursor)
    with st.container(border=True):
        st.markdown("**The open response**")
        if row is None:
            st.caption(
                "The open response has no log-probabilities, so there is nothing to draw; "
                "choose another one under Prompts."
            )
            return
        table = chart_queries.position_query(row["response_id"]).table(cursor)
        values: list[float | str | None] = table["value"].to_pylist()
        top = summary["kl_scale_max" if summary.get("measure") else "surprisal_scale_max"]
        name = words.value(summary)
        drawn = positions.by_position(values, top / 4, False, style.HEIGHT, f"{name}, nats")
        charts_card.figure(
            drawn,
            info.id,
            f"position_{row['response_id']}",
            place.jump,
            lambda at: charts_clicks.position(place, row, int(_first(at))),
            f"{name} by position of the open response",
        )
        said = (
            f"{name[0].upper()}{name[1:]} by position in response {row['slot'] + 1} of the prompt"
        )
        left_out = _left_out(values, row["not_asked"])
        st.caption(f"{said} open under Prompts.{left_out} Click a position for its token.")


@st.cache_resource(max_entries=64, show_spinner=False)
def _made(run_dir: str, version: str, name: str) -> tuple[pa.Table, go.Figure]:
    chart = CHARTS[name]
    table = chart.query().table(cached.cursor(Path(run_dir)))
    return table, chart.figure(table, cached.summary(Path(run_dir)))


def _drawn(run_dir: Path, name: str) -> tuple[pa.Table, go.Figure]:
    """Rows and figure of a chart, made once a version of the run."""
    return _made(str(run_dir), cached.version(run_dir), name)


def _over(facts: dict[str, Any], summary: dict[str, Any]) -> str:
    value = "KL of model 2 from model 1" if summary.get("measure") else "Surprisal of model 1"
    estimated = "; ≈ is estimated from the models' top-k lists" if words.sign(summary) else ""
    return (
        f"{value} of {_tokens(facts, summary)}, in nats{estimated}. "
        "Intervals are 95 %, with the prompts as clusters: tokens of a prompt are not independent; "
        "they are drawn no further down than 0."
    )


def _tokens(facts: dict[str, Any], summary: dict[str, Any]) -> str:
    if not estimates.partial(summary):
        return f"{figures.count(facts['tokens'])} tokens"
    asked = f"{figures.count(facts['tokens'] - facts['missing'])} asked tokens"
    if summary.get("est_missing"):
        number = figures.count(summary.get("responses_with_mean"))
        return f"{asked}; what is by response, provider, model or finish reason: {number} responses"
    return f"{asked}; responses, providers, models and finish reasons by their estimates"


def _nothing(summary: dict[str, Any]) -> str:
    if summary.get("measure"):
        return "No token of this run has a value yet, so there is nothing to draw."
    return (
        "These responses came without log-probabilities, so there is nothing to draw; ask the "
        "provider for logprobs, or score the responses against two local models."
    )


def _left_out(values: Sequence[float | str | None], not_asked: int = 0) -> str:
    """What a chart by position does not show; surprisal is known where nobody was asked."""
    infinite, missing = positions.counts(values)
    not_asked = not_asked if missing >= not_asked else 0
    missing -= not_asked
    parts = [f"hatched: {infinite:,} infinite"] if infinite else []
    parts += [f"{not_asked:,} not asked"] if not_asked else []
    parts += [f"{missing:,} without a value left out"] if missing else []
    return f" {'; '.join(parts).capitalize()}." if parts else ""


def _first(data: Any) -> Any:
    """`customdata` comes as a number or a list of which the first counts."""
    return data[0] if isinstance(data, list) else data
