"""By which figure two runs are compared: a stored column of prompts, and its value at a token."""

from __future__ import annotations

from dataclasses import dataclass

from kl_core.errors import InputError
from kl_core.store.query import Query


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: column of `prompts`.
        label: as pickers and heads name it.
        token: SQL of its value at a token in nats; `{0}` stands for the alias of `tokens`.
        mean: whether the prompt's figure is the mean of the tokens' values; others are
            averaged over prompts, each prompt once.
        more, less: what it means when B's is higher, or lower.
        help: one line on what it is.
    """

    name: str
    label: str
    token: str
    mean: bool
    more: str
    less: str
    help: str


_DIVERGES = ("B diverges more", "B diverges less")
FIGURES: dict[str, Figure] = {
    one.name: one
    for one in (
        Figure(
            "mean_kl", "mean KL", "{0}.kl", True, *_DIVERGES, "Mean KL(1‖2) over scored tokens."
        ),
        Figure(
            "mean_lower",
            "certified ≥",
            "CASE WHEN {0}.kl IS NOT NULL THEN {0}.kl_lower END",
            True,
            "B's certified bound is higher",
            "B's certified bound is lower",
            "Mean certified lower bound of KL(1‖2). Bounds depend on how long the lists are.",
        ),
        Figure(
            "median_kl", "median KL", "{0}.kl", False, *_DIVERGES, "Half of the tokens lie below."
        ),
        Figure("p90_kl", "p90 KL", "{0}.kl", False, *_DIVERGES, "Nine in ten tokens lie below."),
        Figure("max_kl", "max KL", "{0}.kl", False, *_DIVERGES, "The largest KL at one token."),
        Figure(
            "mean_log_ratio",
            "log-ratio",
            "{0}.log_ratio",
            True,
            "B's log-ratio is higher",
            "B's log-ratio is lower",
            "Mean ln P − ln Q of the sampled tokens.",
        ),
        Figure(
            "mean_surprisal2",
            "surprisal, model 2",
            "-{0}.logprob2",
            True,
            "B's model 2 finds the text less likely",
            "B's model 2 finds the text likelier",
            "Mean −ln Q of the sampled tokens, where Q is known.",
        ),
        Figure(
            "mean_reverse",
            "KL(2‖1)",
            "{0}.kl_reverse",
            True,
            "B diverges more the other way round",
            "B diverges less the other way round",
            "Mean KL(2‖1), known where both models are local.",
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

    The figures are each run's own, stored ones. Prompts without a difference come last.

    Raises:
        InputError: no such figure or order.
    """
    column = figure(name).name
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
      SELECT m.prompt_a, m.prompt_b, p.{column} AS figure_a, q.{column} AS figure_b,
             nullif(q.{column} - p.{column}, 'nan'::DOUBLE) AS difference,
             p.tokens, m.paired_responses, m.all_responses, m.prompt, p.prompt_json,
             m.file, m.entry
      FROM prompt_pairs m JOIN run_a.prompts p ON p.prompt_id = m.prompt_a
        JOIN run_b.prompts q ON q.prompt_id = m.prompt_b)
    ORDER BY {orders[order]} NULLS LAST, prompt_a{page}"""
    return Query(sql)
