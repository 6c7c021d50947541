"""Pairs of continuations put to a judge: the question, and how its answer is read."""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from kl_core.errors import FormatError
from kl_core.formats.fields import text_of
from kl_core.formats.sampled_files import SampledFile, existing
from kl_core.formats.sampling_config import JudgeConfig
from kl_core.formats.started import Origin
from kl_core.records import Message, Problem, ProblemLog, Prompt, prompt_text
from kl_core.sources.calls import Answer
from kl_core.sources.sample_settings import Settings

Choice = Literal["A", "B", "tie"]


@dataclass(frozen=True, slots=True)
class Pair:
    """The k-th continuations of two models after the same text.

    Attributes:
        file: name of the file that holds them, in both folders.
        turns: the prompt without the started answer `prefix`.
        number: k.
        texts: of the first and of the second model.
    """

    file: str
    turns: Prompt
    prefix: str
    origin: Origin | None
    number: int
    texts: tuple[str, str]

    @property
    def same(self) -> bool:
        """Whether there is nothing to judge."""
        return self.texts[0] == self.texts[1]

    def swapped(self, seed: int) -> bool:
        """Whether the second model's is shown first, as A; drawn per pair, always the same."""
        return random.Random(f"{seed}:{self.file}:{self.number}").random() < 0.5  # noqa: S311


def item_text(item: Mapping[str, Any]) -> str | None:
    """The text of an item of a file's `responses`, of either shape; None without one."""
    choices = item.get("choices")
    if not isinstance(choices, list):
        return text_of(item.get("text"))
    first = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = first.get("message")
    if isinstance(message, dict):
        content = text_of(message.get("content"))
        return "" if content is None and first.get("finish_reason") == "stop" else content
    return text_of(first.get("text"))


def answer_text(answer: Answer) -> str:
    """What a judge said, "" where it said nothing."""
    try:
        item = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return ""
    return (item_text(item) or "") if isinstance(item, dict) else ""


def pairs_in(
    output_dir: Path, folders: tuple[str, str], files: Sequence[str], log: ProblemLog
) -> Iterator[Pair]:
    """Pairs of the files that both folders have; a row for each file with samples left alone.

    Args:
        folders: of the two models, inside `output_dir`.
        files: names of files, each the same in both folders.
    """
    for name in files:
        found = [_file(output_dir / folder / name, log) for folder in folders]
        texts = [_texts(each) for each in found]
        both = sorted(texts[0].keys() & texts[1].keys())
        alone = len(texts[0].keys() ^ texts[1].keys())
        if alone:
            reason = f"{alone} continuations have no counterpart by the other model"
            log.rows.append(Problem(name, "", reason, "They are kept and not judged."))
        if found[0] is None:
            continue
        prompt, origin = found[0].prompt, found[0].continued_from
        begun = bool(prompt) and prompt[-1].role == "assistant"
        turns, prefix = (prompt[:-1], prompt[-1].content) if begun else (prompt, "")
        for number in both:
            yield Pair(name, turns, prefix, origin, number, (texts[0][number], texts[1][number]))


def judge_prompt(judge: JudgeConfig, pair: Pair, seed: int) -> Prompt:
    """The question as one user turn; what it quotes is not read as part of the template."""
    first, second = pair.texts[::-1] if pair.swapped(seed) else pair.texts
    text = judge.template.format(
        prompt=prompt_text(pair.turns), prefix=pair.prefix, a=first, b=second
    )
    return (Message("user", text),)


def judge_settings(judge: JudgeConfig) -> Settings:
    """How a verdict is drawn: one, at temperature 0 unless the model has its own."""
    model = judge.model
    return Settings(
        samples=1,
        max_tokens=model.max_tokens or judge.max_tokens,
        temperature=model.temperature or 0.0,
        top_p=1.0 if model.top_p is None else model.top_p,
        top_logprobs=0,
    )


def read_verdict(said: str) -> tuple[Choice | None, str]:
    """The verdict and its reason; (None, "") where none can be read.

    The answer may stand in a code fence or among other words, in single quotes, in small
    letters. Several that contradict each other are none: one may be quoted from what was judged.
    """
    found = [verdict for each in _objects(said) if (verdict := _verdict(each)) is not None]
    if not found or len({choice for choice, _ in found}) > 1:
        return None, ""
    return found[-1]


def _file(path: Path, log: ProblemLog) -> SampledFile | None:
    try:
        return existing(path)
    except FormatError as error:
        log.rows.append(Problem(path.name, error.where, error.reason, error.hint))
        return None


def _texts(found: SampledFile | None) -> dict[int, str]:
    if found is None:
        return {}
    texts = {number: item_text(item) for number, item in found.responses.items()}
    return {number: text for number, text in texts.items() if text is not None}


def _objects(said: str) -> Iterator[dict[str, Any]]:
    """Objects of a text, as JSON or as Python writes them, outermost first."""
    decoder = json.JSONDecoder(strict=False)
    place = said.find("{")
    while place >= 0:
        value, end = None, place + 1
        try:
            value, end = decoder.raw_decode(said, place)
        except (ValueError, RecursionError):
            close = said.find("}", place) + 1
            value = _literal(said[place:close]) if close else None
            end = close if value is not None else end
        if isinstance(value, dict):
            yield value
        place = said.find("{", end)


def _literal(text: str) -> Any:
    if len(text) > 10_000:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _verdict(record: dict[str, Any]) -> tuple[Choice, str] | None:
    named = {str(name).strip().lower(): value for name, value in record.items()}
    words: dict[str, Choice] = {"a": "A", "b": "B", "tie": "tie"}
    value = named.get("verdict")
    choice = words.get(value.strip(" .\"'").lower()) if isinstance(value, str) else None
    reason = named.get("reason")
    return None if choice is None else (choice, reason if isinstance(reason, str) else "")
