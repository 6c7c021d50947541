"""Every chart of a run by name: what it is, its rows, its figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from kl_core.plots import cumulative, histogram, means, scatter, words
from kl_core.store import chart_queries
from kl_core.store.query import Query


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a whole run.

    Attributes:
        title: a few words.
        help: one line: what is drawn.
        query: gives its rows.
        figure: draws the rows; the second argument is the run's summary.
    """

    title: str
    help: str
    query: Callable[[], Query]
    figure: Callable[[pa.Table, dict[str, Any]], go.Figure]

    def standalone(self, table: pa.Table, summary: dict[str, Any]) -> go.Figure:
        """The figure as a document of its own: with title and explanation, and larger."""
        drawn = self.figure(table, summary)
        name = next((name for name, chart in CHARTS.items() if chart is self), "")
        about = f"{self.help} {words.asked_only(name, summary)}".strip()
        head = {"text": self.title, "subtitle": {"text": about}, "x": 0.02, "y": 0.97}
        above = (drawn.layout.margin.t or 0) + 70
        drawn.update_layout(
            title=head | {"yanchor": "top"},
            margin_t=above,
            height=drawn.layout.height + above + 140,
            template="plotly_white",
        )
        return drawn


def _of_groups(title: str, kind: chart_queries.Group) -> Chart:
    text = f"Mean over the tokens of the responses with each {title.lower()}, with 95 % intervals."
    return Chart(
        f"By {title.lower()}", text, partial(chart_queries.groups_query, kind), means.groups
    )


CHARTS: dict[str, Chart] = {
    "relative": Chart(
        "Along the responses",
        "Mean by position over length, over all responses, with 95 % intervals.",
        chart_queries.relative_query,
        means.relative,
    ),
    "histogram": Chart(
        "Tokens by value",
        "How many tokens have which value; dotted lines mark percentiles of the finite ones.",
        chart_queries.histogram_query,
        histogram.histogram,
    ),
    "cumulative": Chart(
        "Held by the highest tokens",
        "Share of the run's total that the highest tokens hold; dotted: if all were equal.",
        chart_queries.cumulative_query,
        cumulative.cumulative,
    ),
    "probability": Chart(
        "By model 1's confidence",
        "Mean by the probability of model 1's first choice, with 95 % intervals.",
        chart_queries.probability_query,
        means.probability,
    ),
    "entropy": Chart(
        "Against entropy",
        "Mean of each response against the mean entropy of model 1.",
        partial(chart_queries.scatter_query, "entropy"),
        scatter.entropy,
    ),
    "length": Chart(
        "Against length",
        "Mean of each response against its number of tokens.",
        partial(chart_queries.scatter_query, "length"),
        scatter.length,
    ),
    "provider": _of_groups("Provider", "provider"),
    "model": _of_groups("Model", "model"),
    "finish_reason": _of_groups("Finish reason", "finish_reason"),
}
