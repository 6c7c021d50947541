"""What the text of a response can be coloured by, and what a run offers of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kl_core.store.schema import NORMALIZED_MIN_KL

MeasureName = Literal[
    "kl",
    "kl_lower",
    "normalized",
    "kl_reverse",
    "js",
    "log_ratio",
    "surprisal1",
    "surprisal2",
    "entropy1",
    "entropy2",
    "rank1",
    "rank2",
]


@dataclass(frozen=True, slots=True)
class Measure:
    """One way to colour the text.

    Attributes:
        label: as the picker and the legend name it.
        help: one line on what it means.
        sign: what stands before its figures where two lists are all that is known
            ("≥" certified, "≈" estimated); nothing does over whole vocabularies.
        signed: values of both signs; blue for model 1, red for model 2.
        unit: what its figures are counted in, empty for a ratio.
        threshold: share of the scale from which tokens are underlined.
        ranks: whole numbers from 1, coloured by their logarithm.
    """

    name: MeasureName
    label: str
    help: str
    sign: str = ""
    signed: bool = False
    unit: str = "nats"
    threshold: float = 0.25
    ranks: bool = False

    def sign_in(self, measure: str | None) -> str:
        """The sign of its figures in a run of this measure."""
        return "" if measure == "full" else self.sign


_ALL = (
    Measure("kl", "KL(1‖2)", "Divergence of model 2 from model 1 at each token, in nats.", "≈ "),
    Measure("kl_lower", "KL, certified ≥", "No pair of full distributions has less.", "≥ "),
    Measure(
        "normalized",
        "KL/(H1+H2)",
        "KL over the sum of both entropies: large where two sure models disagree. Only where "
        f"KL is at least {NORMALIZED_MIN_KL:g} nats.",
        "≈ ",
        unit="",
    ),
    Measure("kl_reverse", "KL(2‖1)", "Divergence of model 1 from model 2, in nats.", "≈ "),
    Measure(
        "js",
        "Jensen–Shannon",
        "The symmetric divergence from the models' mean, in nats; at most ln 2 = 0.693.",
        "≈ ",
    ),
    Measure(
        "log_ratio",
        "log-ratio",
        "ln P − ln Q of the sampled token, in nats. Its mean estimates KL(1‖2) only for text "
        "sampled from model 1 at temperature 1 without truncation.",
        signed=True,
    ),
    Measure(
        "surprisal1",
        "surprisal, model 1",
        "−ln P of the sampled token under model 1, in nats.",
        threshold=0.5,
    ),
    Measure(
        "surprisal2",
        "surprisal, model 2",
        "−ln Q of the sampled token under model 2, in nats; none where it is outside the list.",
        threshold=0.5,
    ),
    Measure(
        "entropy1",
        "entropy, model 1",
        "How undecided model 1 is, in nats; from top-k lists, over the renormalised list.",
        "≈ ",
        threshold=0.5,
    ),
    Measure(
        "entropy2",
        "entropy, model 2",
        "How undecided model 2 is, in nats; from top-k lists, over the renormalised list.",
        "≈ ",
        threshold=0.5,
    ),
    Measure(
        "rank1",
        "rank, model 1",
        "Rank of the sampled token under model 1; the likeliest token is 1 and colourless.",
        unit="",
        threshold=0.5,
        ranks=True,
    ),
    Measure(
        "rank2",
        "rank, model 2",
        "Rank of the sampled token under model 2; none where it is outside the list.",
        unit="",
        threshold=0.5,
        ranks=True,
    ),
)
MEASURES: dict[MeasureName, Measure] = {measure.name: measure for measure in _ALL}
_RAW: tuple[MeasureName, ...] = ("surprisal1", "entropy1", "rank1")
_MEANS = {"kl_reverse": "mean_reverse", "js": "mean_js"}


def measures_for(summary: Mapping[str, Any] | str | None) -> list[MeasureName]:
    """What a run can be coloured by, from its summary.

    Raw responses (measure None) know model 1 alone; whole vocabularies ("full") need no
    bound; KL(2‖1) and Jensen–Shannon are there where some token of the run has them.
    """
    if not isinstance(summary, Mapping):
        summary = {"measure": summary}
    measure = summary.get("measure")
    if measure is None:
        return list(_RAW)
    return [name for name in MEASURES if _known(name, measure, summary)]


def _known(name: MeasureName, measure: str, summary: Mapping[str, Any]) -> bool:
    if name == "kl_lower":
        return measure != "full"
    return name not in _MEANS or summary.get(_MEANS[name]) is not None
