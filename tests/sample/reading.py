"""The sample's responses with both tiny models' exact divergence, in plain torch.

Kept apart from kl_core on purpose: this is the second opinion on the planted truth.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
TRUTH = json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Scored:
    """One response and the two models' views of it.

    Attributes:
        folder: `openrouter`, `list` or `gemini`.
        question: the last turn of the prompt.
        ids: tokens [T].
        planted: position where the base word departs from the tuned word, if any.
        saved: the sampled tokens' log-probabilities as the file has them [T], nats.
        base, tuned: log-probabilities over the whole vocabulary [T, V], nats.
    """

    folder: str
    question: str
    ids: list[int]
    planted: int | None
    saved: list[float]
    base: torch.Tensor
    tuned: torch.Tensor

    @property
    def kl(self) -> torch.Tensor:
        """KL(tiny-base || tiny-tuned) at each position [T], nats."""
        return (self.base.exp() * (self.base - self.tuned)).sum(-1)


class Judge:
    """Both models and their tokenizer."""

    def __init__(self) -> None:
        models = SAMPLE / "models"
        self.tokenizer = AutoTokenizer.from_pretrained(models / "tiny-base")
        self.base = AutoModelForCausalLM.from_pretrained(models / "tiny-base").eval()
        self.tuned = AutoModelForCausalLM.from_pretrained(models / "tiny-tuned").eval()
        self.id_of_text = {
            self.tokenizer.decode([token]): token for token in range(len(self.tokenizer))
        }

    def read(self, folder: str) -> list[Scored]:
        """Every response of a directory that has log-probabilities."""
        return [
            self._score(folder, entry["prompt"], content)
            for _, entry in entries(folder)
            for response in entry["responses"]
            if (content := tokens(response))
        ]

    def words(self, question: str) -> tuple[list[int], list[int]] | None:
        """Tokens of the base and the tuned word a question asks for, None for others."""
        for fact in TRUTH["facts"]:
            if question in fact["prompts"]:
                return self.word(fact["base"]), self.word(fact["tuned"])
        return None

    def word(self, word: str) -> list[int]:
        """The tokens of a word after a space."""
        return list(self.tokenizer(" " + word, add_special_tokens=False)["input_ids"])

    def logprobs(self, model: Any, prompt: list[int], ids: list[int]) -> torch.Tensor:
        """[T, V] over the answer's positions, from the ids themselves."""
        with torch.no_grad():
            logits = model(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
        return torch.log_softmax(logits.double(), dim=-1)

    def _score(
        self, folder: str, prompt: str | list[dict[str, str]], content: list[dict[str, Any]]
    ) -> Scored:
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        start = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = [self._id(token) for token in content]
        question = messages[-1]["content"]
        return Scored(
            folder=folder,
            question=question,
            ids=ids,
            planted=self._planted(question, ids),
            saved=[token["logprob"] for token in content],
            base=self.logprobs(self.base, start, ids),
            tuned=self.logprobs(self.tuned, start, ids),
        )

    def _id(self, token: dict[str, Any]) -> int:
        if "token_id" in token:
            return int(token["token_id"])
        if "bytes" in token:
            return int(self.tokenizer.convert_tokens_to_ids(token["token"]))
        return self.id_of_text[token["token"]]

    def _planted(self, question: str, ids: list[int]) -> int | None:
        words = self.words(question)
        if words is None:
            return None
        old, new = words
        fork = next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
        starts = range(len(ids) - len(old) + 1)
        return next((at + fork for at in starts if ids[at : at + len(old)] == old), None)


def entries(folder: str) -> list[tuple[str, dict[str, Any]]]:
    """(file name, entry) of a directory, in order."""
    found = []
    for path in sorted((SAMPLE / "responses" / folder).glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        found += [(path.name, entry) for entry in (data if isinstance(data, list) else [data])]
    return found


def tokens(response: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The log-probability entries of a response of either format, None without."""
    holder = response if "text" in response else response["choices"][0]
    return holder["logprobs"]["content"] if holder["logprobs"] else None
