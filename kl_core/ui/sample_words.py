"""What a run of `sample` says about what went wrong, in the words of its page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kl_core.ui import visible
from kl_core.ui.option_words import with_labels
from kl_core.ui.sample_asked import named

LABELS = {
    "base_url": "Base URL",
    "key_env": "“Variable with the key”",
    "project_id": "“Google Cloud project”",
    "location": "Location",
    "providers": "Providers",
    "reasoning": "Reasoning",
    "label": "“Its folder”",
    "input_price": "“US dollars per million input tokens”",
    "output_price": "“US dollars per million output tokens”",
    "prompts.file": "“File of prompts”",
    "prompts.dataset": "“Data set”",
    "prompts.texts": "Prompts",
    "prompts.field": "“Field of the prompt”",
    "prompts.language": "Language",
    "prompts.language_field": "“Field of the language”",
    "prompts.count": "“How many”",
    "prompts.min_chars": "“Characters at least”",
    "prompts.max_chars": "“Characters at most”",
    "prompts.subset": "Subset",
    "prompts.split": "Split",
    "prompts.revision": "Revision",
    "min_chars": "“Characters at least”",
    "max_chars": "“Characters at most”",
    "samples": "“Samples a prompt”",
    "max_tokens": "“Tokens at most”",
    "top_logprobs": "“Top log-probabilities”",
    "temperature": "Temperature",
    "top_p": "“Top p”",
    "seed": "Seed",
    "output_dir": "“Write the responses to”",
    "overwrite": "“Ask again for responses that are there already”",
    "max_concurrent": "“Calls at a time”",
    "rate_limit": "“Calls a second”",
    "max_retries": "“Retries of a call”",
    "timeout": "“Seconds a call”",
}
"""Name in a configuration or of an option → label on the page."""
LEFT_OUT, ENDED = "cannot be asked and is left out", "could not be asked"
_REST = "; what came of the others"


@dataclass(frozen=True, slots=True)
class Failure:
    """A model that could not be asked.

    Attributes:
        name: as the worker says it.
        verb: LEFT_OUT or ENDED.
        reason: why, with the server's own words in brackets at its end.
    """

    name: str
    verb: str
    reason: str


def labelled(text: str) -> str:
    """A sentence with the labels of this page."""
    return with_labels(text, LABELS)


def failures(text: str, names: Iterable[str]) -> tuple[list[Failure], str]:
    """(models that could not be asked, what else the sentence says).

    Args:
        names: of the run's models, each as the worker may say it.
    """
    known = "|".join(re.escape(name) for name in sorted(set(names), key=len, reverse=True) if name)
    if not known:
        return [], text
    heads = list(re.finditer(rf"(?:^|; )({known}) ({LEFT_OUT}|{ENDED}): ", text))
    if not heads:
        return [], text
    ends = [head.start() for head in heads[1:]] + [len(text)]
    parts = [text[head.end() : end] for head, end in zip(heads, ends, strict=True)]
    parts[-1], _, rest = parts[-1].partition(_REST)
    found = [Failure(head[1], head[2], part) for head, part in zip(heads, parts, strict=True)]
    said = f"{_REST.removeprefix('; ').capitalize()}{rest}" if rest else ""
    return found, " ".join(filter(None, [text[: heads[0].start()], said]))


def lines(found: Sequence[Failure]) -> list[str]:
    """A line a model; what was said of another one before, and a server's words, once."""
    said: dict[str, str] = {}
    words: dict[str, str] = {}
    out = []
    for each in found:
        reason, own = _parted(each.reason)
        short = named(each.name)
        alike = _with_name(reason, each, "\0")
        first = said.setdefault(alike, short)
        why = "the same" if first != short else labelled(_with_name(reason, each, short))
        out.append(f"{short} {each.verb}: {why.rstrip('.')}.")
        if own:
            words.setdefault(_with_name(own, each, "\0"), _with_name(own, each, short))
    out += [f"The server says: {own.rstrip('.')}." for own in words.values()]
    return [visible.plain(line, 700) for line in out]


def _with_name(text: str, failed: Failure, name: str) -> str:
    """The text with another name in place of the model's."""
    return re.sub(rf"(?<![\w-]){re.escape(failed.name)}(?![\w-])", lambda _: name, text)


def error_text(error: str, names: Iterable[str]) -> str:
    """Why a run ended, for the card that shows it."""
    found, rest = failures(error, names)
    more = [visible.lines(labelled(rest))] if rest else []
    return "\n".join(lines(found) + more)


def careful(warnings: Iterable[str], names: Sequence[str]) -> list[str]:
    """What has to be read before a yes: models that are left out first, then the rest."""
    found: list[Failure] = []
    others: list[str] = []
    for warning in warnings:
        own, rest = failures(warning, names)
        found += own
        if not own:
            others.append(visible.plain(f"Careful: {labelled(rest).rstrip('.')}.", 700))
    return [f"{'Careful: ' * (not n)}{line}" for n, line in enumerate(lines(found))] + others


def _parted(reason: str) -> tuple[str, str]:
    """(what is said, the server's own words in the brackets at the end, "" for none)."""
    if not reason.endswith(")"):
        return reason, ""
    depth = 0
    for place in range(len(reason) - 1, 0, -1):
        depth += {")": 1, "(": -1}.get(reason[place], 0)
        if depth == 0:
            words = reason[place + 1 : -1]
            return (reason[:place].rstrip(), words) if " " in words else (reason, "")
    return reason, ""
