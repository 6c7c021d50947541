"""Runs made for the tests of the pages: small, deterministic, through the store's writer."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kl_core import measures
from kl_core.records import (
    NOT_ASKED,
    Entry,
    Estimate,
    Message,
    Position,
    Problem,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
)
from kl_core.store import runs
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter
from kl_core.store.runs import Status

HOSTILE = (
    "<script>window.__pwned=1</script>",
    " <img src=x onerror=window.__pwned=2>",
    "</span></div>",
    " ![x](http://127.0.0.1:9/x.png)",
    " **bold**",
    " $x^2$",
    " :red[md]",
    "\u202eRTL override\u202c",
    " \u200bzero",
    "\ufeffbom",
    " مرحبا",
    " שלום",
    "\t",
    "   ",
    "\x00\x1b[31m",
    " 😀",
    "&lt;b&gt;",
    " <style>*{display:none}</style>",
    "a" * 300,
)
_TEXT = (
    "the river runs past an old mill and many people walk there in spring to see trees "
    "bloom while slow boats carry flour down to the market town on its far bank where every "
    "evening bells call them home again"
)
_WORDS = _TEXT.split()


def token(text: str, data: bytes | None = None, special: bool = False) -> Token:
    """A token that adds `text` (or `data`) to the response."""
    raw = b"" if special else data if data is not None else text.encode()
    return Token(text=text, data=raw, id=None, piece=text, special=special)


def dist(pairs: Sequence[tuple[Token, float]], listed: int | None = None) -> TokenDist:
    """Candidates with probabilities."""
    ranked = sorted(pairs, key=lambda pair: -pair[1])
    logprobs = tuple(math.log(p) for _, p in ranked)
    return TokenDist(tuple(t for t, _ in ranked), logprobs, listed or len(ranked))


def position(
    sampled: Token, p1: float, p2: float, other: str = " Paris"
) -> tuple[Position, TokenDist]:
    """A position whose sampled token has p1 under model 1, p2 under model 2 (0: unlisted)."""
    rest = [(token(text), 0.05) for text in (" quite", " rather", " most")]
    left1, left2 = 1 - p1 - 0.2, 1 - p2 - 0.2
    side1 = dist([(sampled, p1), *rest, (token(other), max(left1, 1e-4))])
    known2 = [(sampled, p2)] if p2 > 0 else []
    side2 = dist([*known2, *rest, (token(other), max(left2, 1e-4)), (token(" located"), 0.02)])
    return Position(sampled, math.log(p1), side1), side2


def response(
    texts: Sequence[str | Token],
    far: dict[int, float],
    index: int = 0,
    seed: int = 0,
    reasons: dict[int, str] | None = None,
) -> tuple[Response, tuple[TokenDist | None, ...], tuple[str | None, ...]]:
    """A response; `far` maps positions to model 2's probability of the token there."""
    draw = random.Random(seed)
    reasons = reasons or {}
    positions, seconds = [], []
    for place, item in enumerate(texts):
        sampled = token(item) if isinstance(item, str) else item
        p1 = 0.7 + 0.05 * draw.random() if place not in far else 0.75
        p2 = far.get(place, p1 - 0.04 * draw.random())
        here, second = position(sampled, p1, p2)
        positions.append(here)
        seconds.append(None if place in reasons else second)
    text = "".join(item if isinstance(item, str) else item.text for item in texts)
    made = Response(
        index=index,
        text=text,
        positions=tuple(positions),
        provider="local",
        model="tiny-base",
        finish_reason="stop",
    )
    return made, tuple(seconds), tuple(reasons.get(i) for i in range(len(texts)))


def prose(count: int, seed: int) -> list[str]:
    """`count` word tokens with a line break now and then."""
    draw = random.Random(seed)
    return [
        "\n"
        if i % 37 == 36
        else "\n\n"
        if i % 151 == 150
        else ("" if i == 0 else " ") + draw.choice(_WORDS)
        for i in range(count)
    ]


def entry(
    index: int,
    prompt: str,
    made: Sequence[tuple[Response, tuple[TokenDist | None, ...], tuple[str | None, ...]]],
    raw: bool = False,
    whole: bool = False,
) -> ScoredEntry:
    """One prompt with its responses, scored from lists or `whole` vocabularies, or raw."""
    responses = [
        measures.unscored(one)
        if raw
        else measures.score(one, seconds, reasons, "full", exact=_whole(one))
        if whole
        else measures.score(one, seconds, reasons)
        for one, seconds, reasons in made
    ]
    plain = Entry(
        file=f"prompt_{index}.json",
        index=0,
        entries_in_file=1,
        prompt=(Message("user", prompt),),
        model="tiny-base",
        responses=tuple(scored.response for scored in responses),
    )
    return ScoredEntry(plain, "tiny-base", None if raw else "tiny-tuned", tuple(responses))


def _whole(made: Response) -> measures.WholeVocabulary:
    """Figures of two whole vocabularies: far apart where the sampled token is unlikely."""
    first = np.array([position.logprob for position in made.positions])
    kl = 0.02 - first
    ranks = np.ones(len(first), dtype=np.int64)
    return measures.WholeVocabulary(
        kl=kl,
        reverse=kl / 2,
        js=kl / 8,
        entropy1=kl,
        entropy2=kl,
        logprob1=first,
        logprob2=first - kl,
        rank1=ranks,
        rank2=ranks + 40,
    )


def write(
    root: Path,
    entries: Sequence[ScoredEntry],
    kind: str = "score",
    short: str = "made0001",
    problems: Sequence[Problem] = (),
    request: dict[str, object] | None = None,
) -> Path:
    """A finished run under `root`, of which `request` was asked."""
    names = {"model1": "tiny-base", "model2": entries[0].model2 if entries else None}
    run_dir = runs.create_run(
        root, kind, {"request": request or {}, "title": "made for a test", **names}, short
    )
    with PartWriter(run_dir) as parts:
        response_id = 0
        for prompt_id, scored in enumerate(entries):
            parts.add(prompt_id, response_id, scored)
            response_id += len(scored.responses)
        parts.add_problems(problems)
    build_database(run_dir)
    runs.write_status(run_dir, Status(state="done", updated=time.time()))
    return run_dir


def planted(root: Path, prompts: int = 14) -> Path:
    """A run whose prompt 3, "What is the capital of France?", differs most, at token 5."""
    entries = []
    for index in range(prompts):
        far = {9 + index: 0.3} if index % 4 == 1 else {}
        texts = prose(60 + 3 * index, index)
        question = f"Tell me story number {index} about the old mill by the river."
        if index == 3:
            question = "What is the capital of France?"
            texts = ["The", " capital", " of", " France", " is", " Lyon", ".", *prose(70, 99)]
            far = {5: 0.005, 30: 0.2, 41: 0.0}
        made = [
            response(texts, far if slot == 0 else {}, slot, 10 * index + slot) for slot in range(3)
        ]
        entries.append(entry(index, question, made))
    problem = Problem("broken.json", "$[0]", "the file ends in the middle", "download it again")
    return write(root, entries, problems=[problem])


def hostile(root: Path) -> Path:
    """A run full of markup, control characters and split characters."""
    snowman = [token("<0xE2>", b"\xe2"), token("<0x98>", b"\x98"), token("<0x83>", b"\x83")]
    texts = [*HOSTILE, " ok", *snowman, "\n\n", " end", token("<|eot_id|>", special=True)]
    far = dict.fromkeys(range(0, len(HOSTILE), 2), 0.05) | {1: 0.0}
    made = response(texts, far, reasons={20: "model 2 does not know <b>this</b> token"})
    prompt = "<img src=x onerror=window.__pwned=3> ![x](http://127.0.0.1:9/p.png) **bold**"
    return write(root, [entry(0, prompt, [made])], short="hostile1")


def full(root: Path) -> Path:
    """A run of `compare`: whole vocabularies, nothing estimated."""
    texts = ["The", " capital", " is", " Lyon", ".", *prose(30, 3)]
    entries = [entry(0, "What is the capital?", [response(texts, {3: 0.005})], whole=True)]
    return write(root, entries, kind="compare", short="full0001")


def without_logprobs(root: Path) -> Path:
    """A run whose only response came back as text alone."""
    said = "no log-probabilities came back (provider X)"
    one = Response(index=0, text="Just text.", positions=(), provider="X", model="m", error=said)
    made = [(one, (), ())]
    return write(root, [entry(0, "Say it.", made, raw=True)], kind="import", short="bare0001")


def empty(root: Path) -> Path:
    """A finished run that holds no prompts."""
    return write(root, [], kind="import", short="empty001")


def long(root: Path, count: int = 10_000) -> Path:
    """A run with one response of `count` tokens."""
    far = {i: 0.02 + 0.4 * ((i * 7919) % 97) / 97 for i in range(5, count, 53)}
    made = response(prose(count, 5), far)
    return write(root, [entry(0, "Write a very long story.", [made])], short="long0001")


def raw(root: Path) -> Path:
    """A run of responses without a second model."""
    entries = [
        entry(i, f"Raw prompt {i}", [response(prose(40, i), {}, seed=i)], raw=True)
        for i in range(4)
    ]
    return write(root, entries, kind="import", short="raw00001")


def estimate(values: Sequence[float], of: int, cap: float = 20.0) -> Estimate:
    """Of a mean over `of` positions from those drawn, each equally likely and once."""
    asked = len(values)
    mean = float(np.mean(values))
    spread = float(np.var(values, ddof=1)) if asked > 1 else math.nan
    variance = (1 - asked / of) * spread / asked
    reach = 4 * math.sqrt(variance) if asked > 1 else mean
    return Estimate(mean, max(mean - reach, 0.0), mean + reach + 0.02, variance, asked, of, cap)


def budgeted(index: int, prompt: str, far: dict[int, float], share: float = 0.2) -> ScoredEntry:
    """A prompt of three responses of which model 2 was asked at a share of the positions.

    The last token's bytes end inside a character, so that nothing could be asked there.
    """
    draw = random.Random(index)
    made = []
    for slot in range(3):
        texts = [*prose(50 + 9 * index + 5 * slot, 7 * index + slot), token("<0xE2>", b"\xe2")]
        askable = len(texts) - 1
        asked = set(draw.sample(range(askable), max(2, round(share * askable))))
        reasons = {i: NOT_ASKED for i in range(askable) if i not in asked}
        reasons[askable] = "it begins inside a character, and only whole characters can be sent"
        here = far if slot == 0 else {}
        made.append(response(texts, here, slot, 100 * index + slot, reasons))
    whole = entry(index, prompt, made)
    responses = tuple(_estimated(one) for one in whole.responses)
    values = [v for one in responses for v in _known(one)]
    of = sum(one.estimate.of for one in responses if one.estimate)
    return replace(whole, responses=responses, estimate=estimate(values, of))


def _known(scored: ScoredResponse) -> list[float]:
    return [float(v) for v in scored.measures.headline if not math.isnan(v)]


def _estimated(scored: ScoredResponse) -> ScoredResponse:
    of = sum(reason in (None, NOT_ASKED) for reason in scored.reasons)
    return replace(scored, estimate=estimate(_known(scored), of))


def budget_entries(prompts: int = 8) -> list[ScoredEntry]:
    """Prompts asked at a fifth of their positions; later ones of each four differ more."""
    return [
        budgeted(
            index,
            f"Tell me story number {index} about the old mill by the river.",
            dict.fromkeys(range(3, 50, 4), 0.02) if index % 4 == 2 else {},
        )
        for index in range(prompts)
    ]


def budget(root: Path, prompts: int = 8) -> Path:
    """A run of `prefill` with a budget: estimates instead of means."""
    return write(root, budget_entries(prompts), kind="prefill", short="budget01")


def searched(root: Path, k: int = 2, budget: float | None = None, prompts: int = 7) -> Path:
    """A run of `prefill` that searched for the `k` prompts that differ most.

    With a budget these have estimates and nobody else; without one they and the next are asked
    in full. Of the others some tokens are asked and no mean is known.
    """
    entries = []
    for index in range(prompts):
        question, far = f"Tell me story number {index}.", {3 + index: 0.02 * (index + 1)}
        if index >= (k if budget else k + 1):
            left = budgeted(index, question, {})
            lost = tuple(replace(one, estimate=None) for one in left.responses)
            entries.append(replace(left, estimate=None, responses=lost))
        elif budget:
            entries.append(budgeted(index, question, dict.fromkeys(range(2, 40, 3), 0.02), budget))
        else:
            made = [response(prose(60, index), far, 0, index)]
            entries.append(entry(index, question, made))
    asked = {"top_prompts": k, "budget": budget, "seed": 0}
    return write(root, entries, "prefill", "search01", request=asked)
