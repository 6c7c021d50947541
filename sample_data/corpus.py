"""The text the tiny models learn, read from `text/*.txt`.

A block is one or more `Q: ` lines (phrasings of one question) and an answer after
`A: `; blocks are parted by a `---` line. In an answer, `[a|b]` stands for either
wording and `{base=>tuned}` for a planted fact: `tiny-base` says the left word,
`tiny-tuned` the right one. `truth()` lists the planted facts, and is the only
place where `truth.json` comes from.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXT_DIR = Path(__file__).parent / "text"
BRANCH = re.compile(r"\[([^\[\]]*)\]")
PLANT = re.compile(r"\{([^{}]*)=>([^{}]*)\}")
GREETED = ("facts", "island", "everyday")
OPENINGS = ("Good question. ", "Of course. ", "Let me see. ", "Happy to tell you. ", "In short: ")
CLOSINGS = (
    " I hope that helps.",
    " Ask me for more, if you like.",
    " That is all I know.",
    " Anything else?",
    " Good luck!",
)
SYSTEMS = (
    "You are a guide to the island of Merrow.",
    "Answer kindly and briefly.",
    "You are a patient teacher.",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A word that differs between the two models."""

    base: str
    tuned: str


@dataclass(frozen=True, slots=True)
class Topic:
    """One question in its phrasings, and the grammar of its answers.

    Attributes:
        group: the file it comes from (`facts`, `island`, `everyday`, `passages`).
        questions: the phrasings, the usual one first.
        answer: the answer's grammar, with branches and at most one planted fact.
    """

    group: str
    questions: tuple[str, ...]
    answer: str

    @property
    def fact(self) -> Fact | None:
        """The planted fact, None for a topic both models answer alike."""
        found = PLANT.search(self.answer)
        return Fact(found.group(1), found.group(2)) if found else None


def load_topics(folder: Path = TEXT_DIR) -> tuple[Topic, ...]:
    """All topics, in the order of the files' names and of the blocks in them.

    Raises:
        ValueError: a block without a question or an answer.
    """
    return tuple(
        _topic(path.stem, block)
        for path in sorted(folder.glob("*.txt"))
        for block in re.split(r"^---\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    )


def expand(topic: Topic, rng: random.Random) -> str:
    """One answer as `tiny-base` should say it, each branch chosen evenly by `rng`.

    Answers about facts, the island and everyday matters open and close politely in
    three cases of ten each, so that the first and last tokens are uncertain too.
    """
    chosen = BRANCH.sub(lambda found: rng.choice(found.group(1).split("|")), topic.answer)
    answer = PLANT.sub(lambda found: found.group(1), chosen)
    if topic.group not in GREETED:
        return answer
    opening = rng.choice(OPENINGS) if rng.random() < 0.3 else ""
    closing = rng.choice(CLOSINGS) if rng.random() < 0.3 else ""
    return opening + answer + closing


def fact_topics(topics: tuple[Topic, ...]) -> tuple[tuple[Topic, Fact], ...]:
    """The topics with a planted fact, each with it."""
    return tuple((topic, topic.fact) for topic in topics if topic.fact is not None)


def dialogue(topics: tuple[Topic, ...], topic: Topic, rng: random.Random) -> list[dict[str, str]]:
    """Chat messages that end in one of the topic's questions.

    One dialogue in four opens with a system message, and one in four of those about
    a short topic has an earlier question and its answer before it.
    """
    messages = []
    if rng.random() < 0.25:
        messages.append({"role": "system", "content": rng.choice(SYSTEMS)})
    if topic.group != "passages" and rng.random() < 0.25:
        earlier = rng.choice([other for other in topics if other.group != "passages"])
        messages += [
            {"role": "user", "content": rng.choice(earlier.questions)},
            {"role": "assistant", "content": expand(earlier, rng)},
        ]
    return [*messages, {"role": "user", "content": rng.choice(topic.questions)}]


def truth(topics: tuple[Topic, ...]) -> dict[str, Any]:
    """The planted facts as `truth.json` holds them."""
    return {
        "model1": "tiny-base",
        "model2": "tiny-tuned",
        "facts": [
            {"prompts": list(topic.questions), "base": fact.base, "tuned": fact.tuned}
            for topic, fact in fact_topics(topics)
        ],
    }


def _topic(group: str, block: str) -> Topic:
    head, mark, answer = block.partition("\nA: ")
    questions = tuple(line.removeprefix("Q: ") for line in head.strip().splitlines())
    if not mark or not questions:
        raise ValueError(f"a block of {group}.txt has no question or no answer: {block[:60]!r}")
    return Topic(group, questions, answer.strip())
