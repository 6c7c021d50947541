"""The head of a response: its prompt, and the row of figures."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui import estimates, shared, visible
from kl_core.ui.browser_js import ELEMENTS
from kl_core.ui.explain import runs_low
from kl_core.ui.figures import at_least, count, nats, percent

Stat = tuple[str, str, str]  # value, label, help

_CSS = """
.title, .stats { color: var(--st-text-color); font-family: var(--st-font) }
.title { font-size: 16.5px; font-weight: 650; line-height: 1.35; margin: 0; white-space: pre-wrap;
  overflow-wrap: anywhere; unicode-bidi: isolate; max-height: 2.7em; overflow: hidden;
    cursor: default }
.title:focus-visible { outline: 2px solid color-mix(in srgb, var(--st-text-color) 55%, transparent);
  outline-offset: 2px; border-radius: 3px }
.title.long { cursor: pointer } .title.open { max-height: 40vh; overflow: auto }
.title.cut:not(.open) { -webkit-mask-image: linear-gradient(#000 60%, transparent);
  mask-image: linear-gradient(#000 60%, transparent) }
.stats { display: flex; flex-wrap: wrap; gap: 4px 9px; justify-content: space-between;
  font-variant-numeric: tabular-nums }
.value { font-size: 17.5px; font-weight: 620; line-height: 1.3; white-space: nowrap }
.label { font-size: 11.5px; opacity: .72; white-space: nowrap }
.stat { cursor: help }
"""

_TITLE_JS = r"""
export default function ({ parentElement, data }) {
  let title = parentElement.querySelector('.title');
  if (!title) {
    title = document.createElement('div');
    title.onclick = () => {
      if (!title.classList.contains('long')) return;
      const open = title.classList.toggle('open');
      title.setAttribute('aria-expanded', String(open));
      title.textContent = open && title.whole ? title.whole : title.short;
    };
    title.onkeydown = (e) => {
      if (e.key !== 'Enter' && e.key !== ' ') return;
      e.preventDefault();
      title.onclick();
    };
    title.dir = 'auto';
    title.setAttribute('role', 'heading');
    title.setAttribute('aria-level', '2');
    parentElement.append(title);
  }
  title.className = 'title';
  title.short = title.textContent = data.title;
  title.whole = data.whole;
  const measure = () => {
    if (title.classList.contains('open')) return;
    const cut = title.scrollHeight > title.clientHeight + 3, long = cut || Boolean(data.whole);
    title.classList.toggle('cut', cut);
    if (title.classList.contains('long') === long) return;
    title.classList.toggle('long', long);
    title.title = !long ? '' : (data.whole ? data.whole.slice(0, 600) + '\n\n' : '')
      + 'Click for the whole prompt';
    if (long) { title.tabIndex = 0; title.setAttribute('aria-expanded', 'false'); }
    else { title.removeAttribute('tabindex'); title.removeAttribute('aria-expanded'); }
  };
  title.removeAttribute('tabindex');
  measure();
  const resized = new ResizeObserver(measure);  // the column takes its width a moment later
  resized.observe(title);
  return () => resized.disconnect();
}
"""

_STATS_JS = r"""
export default function ({ parentElement, data }) {
  let stats = parentElement.querySelector('.stats');
  if (!stats) { stats = make('div', 'stats'); parentElement.append(stats); }
  const beyond = data.reduce((sum, [value]) => sum + Math.max(0, value.length - 8), 0);
  stats.style.maxWidth = data.length * 105 + beyond * 9 + 'px';
  stats.replaceChildren(...data.map(([value, label, help]) => {
    const stat = make('div', 'stat');
    stat.title = help;
    stat.append(make('div', 'value', value), make('div', 'label', label));
    return stat;
  }));
}
"""


@cache
def _title() -> ComponentRenderer:
    return st.components.v2.component("kl_prompt_title", css=_CSS, js=_TITLE_JS)


@cache
def _stats() -> ComponentRenderer:
    return st.components.v2.component("kl_response_stats", css=_CSS, js=ELEMENTS + _STATS_JS)


def show_prompt(text: str, whole: str = "") -> None:
    """Draw the prompt, cut to two lines until it is clicked.

    Args:
        text: what stands there; of several turns the last that the user said.
        whole: all turns, where that is more; shown by a click and when the pointer rests.
    """
    data = {"title": visible.lines(text), "whole": visible.lines(whole) if whole else ""}
    _title()(key="prompt_title", data=data)


def show_stats(response: dict[str, Any], measure: str | None, free: bool = False) -> None:
    """Draw the figures of one row of `responses`."""
    _stats()(key="response_stats", data=[list(stat) for stat in stats(response, measure, free)])


def stats(response: dict[str, Any], measure: str | None, free: bool = False) -> list[Stat]:
    """(value, label, one line of help) for the row of figures.

    Args:
        free: two folders were compared where both came to the same text.
    """
    tokens = count(response["tokens"])
    if measure is None:
        return [
            (
                nats(response["mean_surprisal1"]),
                "mean surprisal, nats",
                "Mean of −ln P of the sampled tokens under model 1.",
            ),
            (
                nats(response["mean_entropy1"]),
                "mean entropy, nats",
                "Mean entropy of model 1's renormalised top-k lists.",
            ),
            (tokens, "tokens", "Positions with log-probabilities in the file."),
        ]
    if estimates.partial(response):
        return _of_a_part(response, tokens, measure == "full")
    exact = measure == "full"
    sign = "" if exact else "≈ "
    scored = f"tokens, {percent(response['coverage'])} scored"
    censored = (
        count(response["censored"]),
        "censored",
        "Tokens outside model 2's list: their ln Q is only bounded from above.",
    )
    return [
        *(_exact_means(response) if exact else _bounded_means(response)),
        (sign + nats(response["max_kl"]), "max", "The largest KL at one token."),
        (sign + nats(response["median_kl"]), "median", "Half of the scored tokens lie below."),
        shared.stat(response)
        if free
        else (tokens, scored, "All log-probability entries, and the share that has a KL."),
        *([] if exact else [censored]),
    ]


def _of_a_part(response: dict[str, Any], tokens: str, exact: bool) -> list[Stat]:
    """The estimate with its interval, then what the asked tokens say."""
    sign, one = "" if exact else "≈ ", estimates.is_one(response)
    asked = estimates.asked(response) if one else count(response["scored_tokens"])
    return [
        *(_estimated_means(response, exact) if one else []),
        (sign + nats(response["max_kl"]), "max asked", "The largest KL at an asked token."),
        (sign + nats(response["median_kl"]), "median asked", "Half of the asked tokens lie below."),
        (
            asked,
            "tokens asked",
            f"Positions at which model 2 was asked, of those where it could be; {tokens} in all.",
        ),
    ]


def _estimated_means(response: dict[str, Any], exact: bool) -> list[Stat]:
    estimate = (
        "Mean KL(model 1‖model 2) over all tokens that could be asked, estimated from those that "
        "were, without bias; in brackets its 95 % interval."
    )
    if runs_low(response["mean_kl"], response["mean_lower"]):
        estimate += " It lies below the certified bound here: trust the bound."
    certified = (
        "No pair of full distributions that agrees with the lists has a smaller mean; a token "
        "that was not asked counts as 0."
    )
    bound = ("≥ " + at_least(response["mean_lower"]), "mean KL, certified, nats", certified)
    mean = f"≈ {nats(response['mean_kl'])}{estimates.within(response)}"
    return [(mean, "mean KL, estimate, nats", estimate), *([] if exact else [bound])]


def _exact_means(response: dict[str, Any]) -> list[Stat]:
    whole = "Mean KL(model 1‖model 2) over the scored tokens, exact, over the whole vocabulary."
    return [
        (nats(response["mean_kl"]), "mean KL, nats", whole),
        (nats(response["mean_reverse"]), "mean KL(2‖1)", "The same the other way round."),
    ]


def _bounded_means(response: dict[str, Any]) -> list[Stat]:
    """The certified mean, then the estimate, which says so where it lies below the bound."""
    estimate = "Mean KL(model 1‖model 2) over the scored tokens, estimated from two lists."
    label = "mean KL, estimate"
    if runs_low(response["mean_kl"], response["mean_lower"]):
        label = "estimate, runs low here"
        estimate += " It lies below the certified bound here: trust the bound."
    certified = "No pair of full distributions that agrees with the lists has a smaller mean."
    return [
        ("≥ " + at_least(response["mean_lower"]), "mean KL, certified, nats", certified),
        ("≈ " + nats(response["mean_kl"]), label, estimate),
    ]
