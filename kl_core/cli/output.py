"""Printing: progress and messages to standard error, results to standard output."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kl_core.cli.lines import say
from kl_core.jobs.worker import counted
from kl_core.store.runs import Status

LINE_EVERY_S = 5.0
PROBLEMS = 10  # printed in full; the others are in the run
LONGEST = 1000  # characters of a sentence from a file or server
_SAMPLED = {"kept": "there before", "failed": "did not come"}


class ProgressPrinter:
    """One updating line in a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = -math.inf
        self._width = 0
        self._stage = ""

    def __call__(self, status: Status) -> None:
        """Show a status."""
        if not status.active:
            return
        now = time.monotonic()
        changed = status.stage != self._stage
        if not self._terminal and not changed and now - self._last < LINE_EVERY_S:
            return
        self._last, self._stage = now, status.stage
        text = progress_line(status)
        if self._terminal:  # a wrapped line could not be drawn over
            text = text[: shutil.get_terminal_size().columns - 1]
        if self._terminal:
            sys.stderr.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def close(self) -> None:
        """End the updating line."""
        if self._terminal and self._width:
            sys.stderr.write("\n")
            self._width = 0


def progress_line(status: Status) -> str:
    """`scoring 42 % · 12 prompts, 3,400 tokens · 1 min 20 s left`."""
    parts = [status.stage or status.state]
    if status.total:
        parts[0] += f" {100 * min(status.done / status.total, 1):.0f} %"
    if status.message:
        parts.append(status.message)
    if status.eta_s is not None and status.eta_s >= 1:
        parts.append(f"{duration(status.eta_s)} left")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def figure(value: Any) -> str:
    """Three significant digits, `–` where there is no value."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if math.isfinite(value) else ("inf" if value > 0 else "–")
    return f"{value:,}" if isinstance(value, int) else str(value)


def at_least(value: Any) -> str:
    """The same rounded down: what stands after ≥ promises no more than is known."""
    if not isinstance(value, float) or not math.isfinite(value) or value <= 0:
        return figure(value)
    digits = 2 - math.floor(math.log10(value))
    if digits > 300:
        return figure(value)
    return figure(math.floor(value * 10.0**digits + 1e-6) / 10.0**digits)


def print_json(value: Any) -> None:
    """One strict JSON object on standard output, safe for any terminal encoding."""
    print(json.dumps(value, ensure_ascii=True, allow_nan=False))


def one_line(text: str, width: int) -> str:
    """Model text for a terminal: control characters escaped, cut to width."""
    clean = "".join(
        c if c.isprintable() else f"\\x{ord(c):02x}" if c != "\n" else "⏎" for c in text
    )
    return clean if len(clean) <= width else clean[: width - 1] + "…"


def print_summary(summary: dict[str, Any]) -> None:
    """A run's summary for a person."""
    print(f"{summary['run_id']}: {summary['state']}")
    if summary["error"]:
        say(one_line(summary["error"], LONGEST))
    say(
        f"{counted(summary['prompts'], 'prompt')}, {counted(summary['responses'], 'response')} "
        f"({summary['without_logprobs']:,} without log-probabilities), "
        f"{counted(summary['tokens'], 'token')}, {summary['scored_tokens']:,} scored"
    )
    if summary.get("against"):
        _print_shared(summary)
    if calls := summary.get("calls"):
        _print_calls(calls, summary.get("cost"))
    if summary.get("server"):
        print(_asked_by(summary))
    for model in summary.get("models") or ():
        say(_sampled(model), hang=2)
    if summary.get("models"):
        print(f"in {summary['output_dir']}")
    if summary.get("mean_kl") is not None:
        _print_figures(summary)
    elif summary.get("top_prompts"):
        print(_directions(summary))
    searched, top = summary.get("searched_for"), summary.get("top_prompts")
    if top:
        _print_top(top, any("low" in row for row in top), searched)
    if left := summary.get("prompts_left"):
        print(_left(left, searched))
    if summary["problems"]:
        _print_problems(summary["problems"], summary["run_id"])
    if summary["prompts"]:
        print("\nOpen it: streamlit run app.py, then")
        print(f"  http://127.0.0.1:8501/?run={summary['run_id']}")


def _print_problems(problems: list[dict[str, Any]], run_id: str) -> None:
    print(f"\n{counted(len(problems), 'problem')}:")
    for row in problems[:PROBLEMS]:
        place = one_line(" ".join(part for part in (row["file"], row["where"]) if part), LONGEST)
        say(f"{place}: {one_line(row['reason'], LONGEST)}", 2, 2)
        if row["hint"]:
            say(one_line(row["hint"], LONGEST), 4)
    if len(problems) > PROBLEMS:
        print(f"  … and {len(problems) - PROBLEMS:,} more: runs show {run_id} --json")


def _print_shared(summary: dict[str, Any]) -> None:
    """What two folders had in common, and what its means are means of."""
    contexts = summary["shared_contexts"]
    distinct = "" if contexts is None else f"{counted(contexts, 'distinct context')}, "
    say(
        f"free comparison: {summary['scored_tokens']:,} of {counted(summary['tokens'], 'position')}"
        f", {distinct}no call"
    )
    if summary["scored_tokens"]:
        print("Means are over the shared positions alone, mostly the beginnings of answers.")


def _left(left: int, searched: int | None) -> str:
    """The prompts without a mean, and that the run has none for that."""
    prompts, have = counted(left, "prompt"), "has" if left == 1 else "have"
    if searched:
        return f"{prompts} fell behind and {have} no mean, nor has the run"
    return f"{prompts} {have} no estimate and so no mean, nor has the run"


def _print_calls(calls: dict[str, int], cost: float | None) -> None:
    """`9,464 calls made, 12 retried; $0.31`; nothing for runs that make none."""
    said = [f"{counted(calls['made'], 'call')} made"]
    said += [f"{calls[name]:,} {name}" for name in ("reused", "retried", "failed") if calls[name]]
    if any(calls.values()):
        print(", ".join(said) + (f"; about ${cost:.2f}" if cost else ""))


def _sampled(model: dict[str, Any]) -> str:
    """`tiny-base: 6 of 6 responses; 2 without log-probabilities: Stillwater 2`."""
    said = [
        f"{one_line(model['name'], 60)}: {model['responses']:,} of {model['wanted']:,} responses"
    ]
    said += [f"{model[name]:,} {word}" for name, word in _SAMPLED.items() if model[name]]
    without = model["without_logprobs"]
    if without:
        named = ", ".join(f"{one_line(who, 40) or 'unnamed'} {n:,}" for who, n in without.items())
        said.append(f"{sum(without.values()):,} without log-probabilities: {named}")
    return "; ".join(said)


def _asked_by(summary: dict[str, Any]) -> str:
    """`asked by echo, as text: one request a response`."""
    text = ", as text" if summary.get("by_text") else ""
    return f"asked by {summary['server']}{text}: one request a {summary['asked_by']}"


def _directions(summary: dict[str, Any]) -> str:
    return (
        f"P = {summary['model1']}, Q = {summary['model2']}, KL(P‖Q) in nats ({summary['measure']})"
    )


def _print_figures(summary: dict[str, Any]) -> None:
    print(_directions(summary))
    bound = f", certified ≥ {at_least(summary['mean_kl_lower'])}"
    exact, estimate = summary["measure"] == "full", summary.get("estimate")
    if estimate:
        say(
            f"mean ≈ {figure(summary['mean_kl'])}{interval(estimate)}"
            f"{'' if exact else bound}; estimated from {estimate['asked']:,} of "
            f"{counted(estimate['of'], 'token')}"
        )
        say(
            "of the asked tokens: "
            f"median {figure(summary['median_kl'])}, max {figure(summary['max_kl'])}, "
            f"censored {summary['censored_tokens']:,}"
        )
    else:
        say(
            f"mean {'' if exact else '≈ '}{figure(summary['mean_kl'])}{'' if exact else bound}, "
            f"median {figure(summary['median_kl'])}, "
            f"max {figure(summary['max_kl'])}, coverage {100 * (summary['coverage'] or 0):.1f} %, "
            f"censored {summary['censored_tokens']:,}"
        )
    least = summary["mean_kl_lower"]
    if not exact and isinstance(least, float) and least > 1.01 * summary["mean_kl"]:
        say("The estimate runs low here; the certified bound holds whatever was not listed.")


def interval(estimate: dict[str, Any]) -> str:
    """` (0.0500 – 1.30)`, the 95 % interval rounded outwards; ` ± ?` where none is known."""
    low, high = estimate.get("low"), estimate.get("high")
    if low is None or high is None:
        return " ± ?"
    ends = same_notation([_floored(low), _ceiled(high)])
    return f" ({ends[0]} – {ends[1]})"


def same_notation(values: Sequence[Any], show: Callable[[Any], str] | None = None) -> list[str]:
    """Figures of one column: three digits each, all plain or, where one is below 1e-5, all not."""
    finite = [v for v in values if isinstance(v, float) and math.isfinite(v) and v != 0]
    small = any(abs(v) < 1e-5 for v in finite)
    return [_digits(v, small) if v in finite else (show or figure)(v) for v in values]


def _digits(value: float, small: bool) -> str:
    if small:
        return f"{value:.2e}"
    shown = float(f"{value:.3g}")
    return f"{shown:.{max(0, 2 - math.floor(math.log10(abs(shown))))}f}"


def _floored(value: Any) -> Any:
    """The value with three digits, rounded down: for what stands after ≥."""
    return float(at_least(value)) if isinstance(value, float) and math.isfinite(value) else value


def _ceiled(value: Any) -> Any:
    """The value with three digits, rounded up."""
    if not isinstance(value, float) or not math.isfinite(value) or value <= 0:
        return value
    shown = float(f"{value:.3g}")
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return shown if shown >= value * (1 - 1e-9) else float(f"{shown + step:.3g}")


def _print_top(rows: list[dict[str, Any]], estimated: bool, searched: int | None) -> None:
    middle = f" {'95 %':>17}" if estimated else ""
    means = same_notation([row["mean_kl"] for row in rows])
    bounds = same_notation([_floored(row["lower"]) for row in rows])
    found = min(searched, len(rows)) if searched else len(rows)
    named = "1 most divergent prompt" if found == 1 else f"{found:,} most divergent prompts"
    print(f"\nThe {named}:" if searched else "")
    print(f"  {'mean KL':>8}{middle} {'bound':>8} {'tokens':>8}  prompt")
    for place, (row, mean, bound) in enumerate(zip(rows, means, bounds, strict=True)):
        if searched and place == found:
            print("Also asked in full, to settle the ranking:")
        within = f" {interval(row).strip() if 'low' in row else '':>17}" if estimated else ""
        taken = f"  {mean:>8}{within} {bound:>8} {row['tokens']:>8,}  "
        print(taken + one_line(row["title"], room(len(taken), 70)))


def room(taken: int, usual: int) -> int:
    """Characters left on a line of the terminal, `usual` where nothing is a terminal."""
    if not sys.stdout.isatty():
        return usual
    return max(8, min(usual, shutil.get_terminal_size().columns - taken))


def show_path(path: Path) -> str:
    """A path relative to here where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
