"""Sample `responses/` from `models/tiny-base`: python sample_data/make_responses.py"""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from corpus import SYSTEMS, Topic, load_topics
from provider_formats import (
    MODEL,
    Answer,
    Quirk,
    Speller,
    gemini_response,
    openrouter_response,
)
from sampling import answer_logprobs, sample
from train_base import prompt_ids
from transformers import AutoModelForCausalLM, AutoTokenizer

HERE = Path(__file__).parent
SEED = 11
LONGEST_ANSWER = 220
Prompt = str | list[dict[str, str]]
# The quirks of the three responses to each prompt of `list/`, prompt after prompt.
LIST_QUIRKS: tuple[tuple[Quirk, ...], ...] = (
    ("clean", "silent", "clean"),
    ("clean", "first", "plain"),
    ("clean", "clean", "clean"),
    ("short", "short", "silent"),
    ("clean", "capped", "first"),
)


class Sampler:
    """Draws answers from `tiny-base`; a prompt's answers depend on its own seed only."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.speller = Speller(self.tokenizer)

    def answers(self, prompt: Prompt, count: int) -> list[Answer]:
        """`count` answers to one prompt, with their exact log-probabilities."""
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        ids = prompt_ids(self.tokenizer, messages)
        generator = torch.Generator().manual_seed(SEED + zlib.crc32(repr(ids).encode()))
        drawn = sample(self.model, [ids] * count, LONGEST_ANSWER, generator)
        return [
            Answer(answer, answer_logprobs(self.model, ids, answer), len(ids)) for answer in drawn
        ]


def chat_prompt(topics: Sequence[Topic], topic: Topic) -> list[dict[str, str]]:
    """A chat of several turns that ends in the topic's question."""
    earlier = next(
        other for other in topics if other.questions[0] == "Who lives in the lighthouse?"
    )
    return [
        {"role": "system", "content": SYSTEMS[0]},
        {"role": "user", "content": earlier.questions[0]},
        {
            "role": "assistant",
            "content": "The keeper is a man called Oskar, with two cats and a piano. He planned "
            "to stay one summer thirty years ago. He answers every letter he gets.",
        },
        {"role": "user", "content": topic.questions[0]},
    ]


def write_openrouter(sampler: Sampler, topics: Sequence[Topic]) -> None:
    """One file a prompt: all planted facts, one of them as a chat, and much else."""
    facts, others, passages = split(topics)
    jobs: list[tuple[str, Prompt, int]] = [
        (slug(topic.questions[0]), topic.questions[0], count)
        for chosen, count in ((facts, 4), (others[0::5], 3), (passages[1:3], 2))
        for topic in chosen
    ]
    jobs.append(("chat-about-the-lighthouse", chat_prompt(topics, facts[2]), 4))
    for name, prompt, count in jobs:
        responses = [
            openrouter_response(sampler.speller, answer, f"{name}-{place}", "clean")
            for place, answer in enumerate(sampler.answers(prompt, count))
        ]
        write(HERE / "responses" / "openrouter" / f"{name}.json", entry(prompt, responses))


def write_list(sampler: Sampler, topics: Sequence[Topic]) -> None:
    """Several prompts a file, from providers with different habits."""
    facts, others, passages = split(topics)
    asked = [topic.questions[1] for topic in facts[3:5]]
    asked += [topic.questions[0] for topic in [*others[1::5][:10], passages[4]]]
    entries = []
    for number, prompt in enumerate(asked):
        quirks = LIST_QUIRKS[number % len(LIST_QUIRKS)]
        answers = sampler.answers(prompt, len(quirks))
        responses = [
            openrouter_response(sampler.speller, answer, f"list-{number}-{place}", quirk)
            for place, (answer, quirk) in enumerate(zip(answers, quirks, strict=True))
        ]
        entries.append(entry(prompt, responses))
    for part in range(3):
        write(HERE / "responses" / "list" / f"batch_{part + 1}.json", entries[part::3])


def write_gemini(sampler: Sampler, topics: Sequence[Topic]) -> None:
    """The Gemini sampling format, one prompt a file."""
    facts, others, passages = split(topics)
    asked = [facts[0].questions[1], facts[5].questions[1]]
    asked += [topic.questions[0] for topic in [*others[3::10], passages[3], passages[5]]]
    for prompt in asked:
        responses = [gemini_response(sampler.speller, a) for a in sampler.answers(prompt, 3)]
        write(HERE / "responses" / "gemini" / f"{slug(prompt)}.json", entry(prompt, responses))


def split(topics: Sequence[Topic]) -> tuple[list[Topic], list[Topic], list[Topic]]:
    """(planted, short, passages)."""
    passages = [topic for topic in topics if topic.group == "passages"]
    short = [topic for topic in topics if topic.group != "passages"]
    return [t for t in short if t.fact], [t for t in short if not t.fact], passages


def entry(prompt: Prompt, responses: list[dict[str, Any]]) -> dict[str, Any]:
    """One prompt with its responses."""
    return {"prompt": prompt, "model": MODEL, "responses": responses}


def slug(question: str) -> str:
    """A file name for a question."""
    return re.sub(r"[^a-z0-9]+", "-", question.lower().replace("é", "e")).strip("-")


def write(path: Path, data: object) -> None:
    """Write JSON on one line, as the providers send it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Replace the three directories."""
    torch.set_num_threads(1)
    shutil.rmtree(HERE / "responses", ignore_errors=True)
    topics = load_topics()
    sampler = Sampler(HERE / "models" / "tiny-base")
    for step in (write_openrouter, write_list, write_gemini):
        step(sampler, topics)


if __name__ == "__main__":
    main()
