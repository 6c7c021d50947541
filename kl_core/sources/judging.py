"""Pairs of continuations put to a judge: the question, and how its answer is read."""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from kl_core.errors import FormatError
from kl_core.formats.fields import text_of
from kl_core.formats.sampled_files import SampledFile, difference, existing, file_name
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


@dataclass(frozen=True, slots=True)
class Continuing:
    """One model's continuations as a run asks for them; a file of others is left alone.

    Attributes:
        folder: of its files.
        model: what its files call it.
        sampling: its settings, `sampling_config.sampling_of`.
    """

    folder: Path
    model: str
    sampling: dict[str, Any]

    def read(self, name: str) -> SampledFile | None:
        """A file's responses; None where there is no file.

        Args:
            name: `file_name` of the prompt, which tells it by a hash.

        Raises:
            FormatError: the file holds something else: another prompt or other settings.
        """
        found = existing(self.folder / name)
        if found is None:
            return None
        wanted = replace(found, model=self.model, sampling=self.sampling)
        other = difference(found, wanted)
        if file_name(found.prompt, found.continued_from) != name:
            other = "it holds another prompt"
        if other is not None:
            raise FormatError(other, hint="It is kept and not judged.")
        return found


def pairs_in(
    models: tuple[Continuing, Continuing], files: Sequence[str], samples: int, log: ProblemLog
) -> Iterator[Pair]:
    """Pairs of the files that both models have; a row for each file with samples left alone.

    Args:
        files: names of the files of the run's prompts, each the same in both folders.
        samples: numbers from here on are not the run's, and are left alone.
    """
    for name in files:
        found = [_file(model, name, log) for model in models]
        texts = [_texts(each, samples) for each in found]
        both = sorted(texts[0].keys() & texts[1].keys())
        alone = len(texts[0].keys() ^ texts[1].keys())
        if alone:
            continuations = "1 continuation has" if alone == 1 else f"{alone} continuations have"
            reason = f"{continuations} no counterpart by the other model"
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
    letters, with loose quotes in its reason. Several that contradict each other are none: one
    may be quoted from what was judged.
    """
    found = [verdict for each in _objects(said) if (verdict := _verdict(each)) is not None]
    if not found:
        found = [(_LETTERS[word.lower()], "") for word in _LOOSE.findall(said)]
    if not found or len({choice for choice, _ in found}) > 1:
        return None, ""
    return found[-1]


def _file(model: Continuing, name: str, log: ProblemLog) -> SampledFile | None:
    try:
        return model.read(name)
    except FormatError as error:
        shown = f"{model.folder.name}/{name}"
        log.rows.append(Problem(shown, error.where, error.reason, error.hint))
        return None


def _texts(found: SampledFile | None, samples: int) -> dict[int, str]:
    if found is None:
        return {}
    kept = {number: item for number, item in found.responses.items() if number < samples}
    texts = {number: item_text(item) for number, item in kept.items()}
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
            value, end = _literal_at(said, place)
        if isinstance(value, dict):
            yield value
        place = said.find("{", end)


def _literal_at(said: str, place: int) -> tuple[Any, int]:
    """What Python writes from `place` on, up to one of the next braces, and where it ends."""
    close = place
    for _ in range(8):  # braces of the reason close it too early
        close = said.find("}", close) + 1
        if not close or close - place > 10_000:
            break
        value = _literal(said[place:close])
        if value is not None:
            return value, close
    return None, place + 1


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


_LETTERS: dict[str, Choice] = {"a": "A", "b": "B", "tie": "tie"}
_LOOSE = re.compile(
    r"""["']verdict["']\s*:\s*["'](?:continuation\s+)?(a|b|tie)\.?["']\s*(?:\}|,(?=.*\}))""",
    re.IGNORECASE | re.DOTALL,
)
"""A verdict in an object that nothing reads whole, such as one with loose quotes in its reason."""


def _verdict(record: dict[str, Any]) -> tuple[Choice, str] | None:
    named = {str(name).strip().lower(): value for name, value in record.items()}
    value = named.get("verdict")
    said = value.strip(" .\"'").lower() if isinstance(value, str) else ""
    choice = _LETTERS.get(said.removeprefix("continuation").strip(" \"'"))
    reason = named.get("reason")
    return None if choice is None else (choice, reason if isinstance(reason, str) else "")
