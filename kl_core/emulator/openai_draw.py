"""Answers drawn token by token after given ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kl_core.emulator.following import Ids, Source, draw
from kl_core.emulator.openai_body import Json, share, whole_number
from kl_core.emulator.openai_error import bad, too_long
from kl_core.emulator.reply import Said, Step

DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Drawing:
    """How an answer is drawn.

    Attributes:
        max_tokens: None for as many as there is room for, DEFAULT_MAX_TOKENS at most.
        temperature: 0 takes the likeliest token.
        top_p: see following.draw.
        seed: None draws anew each time.
        n: how many answers.
    """

    max_tokens: int | None
    temperature: float
    top_p: float
    seed: int | None
    n: int


def read_drawing(body: Json, names: tuple[str, ...], default: int | None, least: int) -> Drawing:
    """Read and check what is common to all protocols.

    Args:
        names: fields that limit the length; the first that is there holds.
        default: of the length.
        least: shortest answer that may be asked for.

    Raises:
        OpenAiError: 400.
    """
    name = next((each for each in names if body.get(each) is not None), names[0])
    top_p = share(body, "top_p", 1.0, 1.0)
    if top_p == 0:
        raise bad("top_p must be in (0, 1], got 0.", "top_p")
    seed = whole_number(body, "seed", None, -(2**63))
    n = whole_number(body, "n", 1, 1, 128)
    temperature = share(body, "temperature", 1.0, 2.0)
    return Drawing(whole_number(body, name, default, least), temperature, top_p, seed, n or 1)


def room(source: Source, ids: Ids, drawing: Drawing) -> int:
    """How many tokens may be drawn.

    Raises:
        OpenAiError: 400, prompt and answer do not fit.
    """
    most, wanted = source.positions, drawing.max_tokens
    if most is None:
        return DEFAULT_MAX_TOKENS if wanted is None else wanted
    if wanted is None:
        wanted = max(1, min(DEFAULT_MAX_TOKENS, most - len(ids)))
    if len(ids) + wanted > most:
        raise too_long(most, len(ids), wanted)
    return wanted


def answers(source: Source, ids: Ids, drawing: Drawing, key: bytes) -> list[Said]:
    """Draw n answers: the same ones for the same seed and call, without a seed new ones.

    Raises:
        OpenAiError: as room.
    """
    steps = room(source, ids, drawing)
    return [_answer(source, ids, steps, drawing, _generator(drawing, key, n)) for n in
            range(drawing.n)]  # fmt: skip


def _answer(
    source: Source, ids: Ids, most: int, drawing: Drawing, generator: np.random.Generator
) -> Said:
    prompt_tokens, steps = len(ids), list[Step]()
    while len(steps) < most:
        following = source.following(ids)
        at = draw(following, drawing.temperature, generator, drawing.top_p)
        steps.append(Step(following, at))
        if steps[-1].token in source.ends:
            return Said(tuple(steps), ended=True, prompt_tokens=prompt_tokens)
        ids = (*ids, steps[-1].token)
    return Said(tuple(steps), ended=False, prompt_tokens=prompt_tokens)


def _generator(drawing: Drawing, key: bytes, number: int) -> np.random.Generator:
    if drawing.seed is None:
        return np.random.default_rng()
    return np.random.default_rng([drawing.seed % 2**64, int.from_bytes(key, "little"), number])


def text_of(data: tuple[bytes, ...], said: Said) -> str:
    """What was said, without the end token."""
    words = said.steps[:-1] if said.ended else said.steps
    return b"".join([data[step.token] for step in words]).decode("utf-8", "replace")
