"""By which figure two runs are compared: its value at a token, and a prompt's figure of those."""

from __future__ import annotations

from dataclasses import dataclass

from kl_core.errors import InputError
from kl_core.store.query import Query


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: as addresses and `--figure` name it.
        label: as pickers and heads name it.
        token: SQL of its value at a token in nats; `{0}` stands for the alias of `tokens`.
        over: SQL of a prompt's figure; `{0}` stands for the values at its tokens.
        more, less: what it means when B's is higher, or lower.
        help: one line on what it is.
    """

    name: str
    label: str
    token: str
    over: str
    more: str
    less: str
    help: str

    @property
    def mean(self) -> bool:
        """Whether it is a mean over tokens; others are averaged over prompts, each once."""
        return self.over == _MEAN

    @property
    def value(self) -> str:
        """Name of the mean over the same values at tokens."""
        return next(n for n, one in FIGURES.items() if one.mean and one.token == self.token)

    @property
    def estimated(self) -> bool:
        """Whether lists alone (measure floor) give a guess of it that depends on their length."""
        return self.token in (_KL, _REVERSE)


_MEAN, _KL, _REVERSE = "avg({0})", "{0}.kl", "{0}.kl_reverse"
_DIVERGES = ("B diverges more", "B diverges less")
FIGURES: dict[str, Figure] = {
    one.name: one
    for one in (
        Figure("mean_kl", "mean KL", _KL, _MEAN, *_DIVERGES, "Mean KL(1‖2) over scored tokens."),
        Figure(
            "mean_lower",
            "certified ≥",
            "CASE WHEN {0}.kl IS NOT NULL THEN {0}.kl_lower END",
            _MEAN,
            "B's certified bound is higher",
            "B's certified bound is lower",
            "Mean certified lower bound of KL(1‖2). Bounds depend on how long the lists are.",
        ),
        Figure(
            "median_kl",
            "median KL",
            _KL,
            "quantile_cont({0}, 0.5)",
            *_DIVERGES,
            "Half of the tokens lie below.",
        ),
        Figure(
            "p90_kl",
            "p90 KL",
            _KL,
            "quantile_cont({0}, 0.9)",
            *_DIVERGES,
            "Nine in ten tokens lie below.",
        ),
        Figure("max_kl", "max KL", _KL, "max({0})", *_DIVERGES, "The largest KL at one token."),
        Figure(
            "mean_log_ratio",
            "log-ratio",
            "{0}.log_ratio",
            _MEAN,
            "B's log-ratio is higher",
            "B's log-ratio is lower",
            "Mean ln P − ln Q of the sampled tokens.",
        ),
        Figure(
            "mean_surprisal2",
            "surprisal, model 2",
            "-{0}.logprob2",
            _MEAN,
            "B's model 2 finds the text less likely",
            "B's model 2 finds the text likelier",
            "Mean −ln Q of the sampled tokens, where Q is known.",
        ),
        Figure(
            "mean_reverse",
            "KL(2‖1)",
            _REVERSE,
            _MEAN,
            "B diverges more the other way round",
            "B diverges less the other way round",
            "Mean KL(2‖1); from lists an estimate, as KL(1‖2) is.",
        ),
    )
}
DEFAULT = "mean_kl"
ORDERS = ("moved", "up", "down", "a", "b", "tokens", "file")


def figure(name: str) -> Figure:
    """The figure of this name.

    Raises:
        InputError: there is none.
    """
    if name not in FIGURES:
        raise InputError(f"cannot compare by {name!r}; choose one of {', '.join(FIGURES)}")
    return FIGURES[name]


def prompts_query(
    name: str = DEFAULT, order: str = "moved", limit: int | None = None, offset: int = 0
) -> Query:
    """Paired prompts: figure_a, figure_b, difference (B − A), moved (its size), tokens, prompt.

    Both figures are over the same `tokens`: those of paired responses that both runs hold
    and know. An infinite value makes a mean infinite; infinite in both runs alike, there is
    no difference. Prompts without a difference come last.

    Raises:
        InputError: no such figure or order.
    """
    one = figure(name)
    orders = {
        "moved": "moved DESC",
        "up": "difference DESC",
        "down": "difference ASC",
        "a": "figure_a DESC",
        "b": "figure_b DESC",
        "tokens": "tokens DESC",
        "file": "file, entry",
    }
    if order not in orders:
        raise InputError(f"cannot order pairs by {order!r}; choose one of {', '.join(ORDERS)}")
    page = "" if limit is None else f" LIMIT {int(limit)} OFFSET {int(offset)}"
    sql = f"""SELECT *, abs(difference) AS moved FROM (
      SELECT m.prompt_a, m.prompt_b, s.a_{name} AS figure_a, s.b_{name} AS figure_b,
             {_difference(one)} AS difference,
             coalesce(s.known_{one.value}, 0) AS tokens, m.paired_responses, m.all_responses,
             m.prompt, p.prompt_json, m.file, m.entry
      FROM prompt_pairs m JOIN run_a.prompts p ON p.prompt_id = m.prompt_a
        LEFT JOIN pair_sums s ON s.prompt_a = m.prompt_a)
    ORDER BY {orders[order]} NULLS LAST, prompt_a{page}"""
    return Query(sql)


def _difference(one: Figure) -> str:
    """Of a mean from the sum of differences: 0 where every token is equal, whatever the order."""
    plain = f"nullif(s.b_{one.name} - s.a_{one.name}, 'nan'::DOUBLE)"
    if not one.mean:
        return plain
    finite = f"s.known_{one.name} = s.n_{one.name}"
    return f"CASE WHEN {finite} THEN s.sum_{one.name} / nullif(s.n_{one.name}, 0) ELSE {plain} END"
