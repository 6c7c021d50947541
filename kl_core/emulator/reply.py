"""From a distribution to the reply's JSON."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from kl_core.emulator.asked import Asked
from kl_core.emulator.following import Following, Source, draw
from kl_core.emulator.spelling import Spelling

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One token: its place in the distribution it was drawn from."""

    following: Following
    at: int

    @property
    def token(self) -> int:
        """The id drawn."""
        return int(self.following.ids[self.at])


@dataclass(frozen=True, slots=True)
class Said:
    """A whole answer.

    Attributes:
        steps: the tokens drawn; the last one is the end token if `ended`.
    """

    steps: tuple[Step, ...]
    ended: bool
    prompt_tokens: int


def say(source: Source, asked: Asked, key: bytes) -> Said:
    """Draw the answer, one token at a time.

    The same seed, model and body give the same answer; without a seed each call differs.

    Raises:
        ApiError: as the source.
    """
    ids = source.start(asked.prompt, asked.said)
    prompt_tokens = len(ids)
    generator = _generator(asked, key)
    steps: list[Step] = []
    while len(steps) < asked.max_tokens:
        following = source.following(ids)
        at = 0 if generator is None else draw(following, asked.temperature, generator)
        steps.append(Step(following, at))
        if steps[-1].token in source.ends:
            return Said(tuple(steps), ended=True, prompt_tokens=prompt_tokens)
        ids = (*ids, steps[-1].token)
    return Said(tuple(steps), ended=False, prompt_tokens=prompt_tokens)


def _generator(asked: Asked, key: bytes) -> np.random.Generator | None:
    if asked.temperature == 0:
        return None
    if asked.seed is None:
        return np.random.default_rng()
    return np.random.default_rng([asked.seed % 2**32, int.from_bytes(key, "little")])


def reply_json(said: Said, asked: Asked, spelling: Spelling, version: str, key: bytes) -> Json:
    """The reply as generateContent writes it.

    An answer that ended at once has no parts, and its log-probabilities all the same; the
    end token stands in the lists and not in the text.
    """
    words = said.steps[:-1] if said.ended else said.steps
    text = b"".join([spelling.data[step.token] for step in words]).decode("utf-8", "replace")
    content: Json = {"role": "model"}
    if text:
        content["parts"] = [{"text": text}]
    candidate: Json = {
        "content": content,
        "finishReason": "STOP" if said.ended else "MAX_TOKENS",
        "index": 0,
    }
    if asked.top is not None:
        values = [float(step.following.logprobs[step.at]) for step in said.steps]
        candidate["avgLogprobs"] = sum(values) / len(values)
        candidate["logprobsResult"] = _logprobs(said, asked.top, spelling)
    return {
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": said.prompt_tokens,
            "candidatesTokenCount": len(said.steps),
            "totalTokenCount": said.prompt_tokens + len(said.steps),
        },
        "modelVersion": version,
        "responseId": blake2b(key, digest_size=9).hexdigest(),
    }


def _logprobs(said: Said, top: int, spelling: Spelling) -> Json:
    chosen = [_candidate(step.following, step.at, spelling) for step in said.steps]
    if not top:
        return {"chosenCandidates": chosen}
    listed = [
        {
            "candidates": [
                _candidate(step.following, at, spelling)
                for at in range(min(top, len(step.following.ids)))
            ]
        }
        for step in said.steps
    ]
    return {"topCandidates": listed, "chosenCandidates": chosen}


def _candidate(following: Following, at: int, spelling: Spelling) -> Json:
    number = int(following.ids[at])
    return {
        "token": spelling.shown[number],
        "tokenId": number,
        "logProbability": float(following.logprobs[at]),
    }
