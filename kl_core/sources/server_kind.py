"""How a server scores a whole text, found out by asking it to."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from kl_core.sources.calls import Answer, CallError
from kl_core.sources.json_values import mapping
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.score_client import ScoreClient
from kl_core.sources.score_echo import DoubledStartError
from kl_core.sources.scored_text import ScoreQuestion, ServerKind
from kl_core.sources.servers import Server

NEEDS_IDS = "not tried, because it takes token ids and there is no tokenizer"
VERSIONS = {"vllm": ("/version", "version"), "sglang": ("/get_model_info", "model_path")}
_NOT_HERE = frozenset({"no route", "not JSON"})
_AT_ONCE = frozenset({"429", "connection", "other model", "moderation", "too long", "413"})
"""Failures that meet every kind alike: of the server as a whole, or of this text."""
_SHAPE = re.compile(
    r"input should be|type expected|valid (?:string|list|dictionary|integer)|be a string"
    r"|extra inputs|extra fields|invalid type"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a server offers.

    Attributes:
        kind: None where nothing fits.
        answer: to the question that was asked; None without a kind.
        by_text: echo: text has to be sent, although the question has ids.
        start: echo by text: what the server puts before texts by itself.
        version: what the server says of itself, "" where it says nothing.
        tried: what each attempt gave, one clause each, in the order of the attempts.
        calls: how many calls it took.
        input_tokens: what all of these calls cost, as far as the server told.
    """

    kind: ServerKind | None
    answer: Answer | None
    by_text: bool
    start: str
    version: str
    tried: tuple[str, ...]
    calls: int
    input_tokens: int = 0

    @property
    def sentence(self) -> str:
        """The result for people."""
        if self.kind is None:
            return "the server scores no text in one call: " + "; ".join(self.tried)
        how = " by text" if self.by_text else ""
        version = f" ({self.version})" if self.version else ""
        return f"the server scores texts by {self.kind}{how}{version}"


async def detect(
    server: Server,
    model: str,
    question: ScoreQuestion,
    top: int,
    timeout_s: float = 60.0,
    kinds: Collection[str] | None = None,
) -> Found:
    """Ask the question in every way until one gives a whole, right answer.

    A kind counts as offered when its reply holds finite values and lists for the very tokens
    that were sent; many servers leave out in silence the fields that they do not know. A kind
    that fails by itself (5xx, a time-out) does not keep the others from being tried. Where no
    kind fits, all are tried a second time, because one odd reply must not end a run.

    Args:
        kinds: which ones to try; None tries all.

    Raises:
        CallError: a failure that says nothing about the kind, with the cost of all calls: 429
            and lost connections; 5xx and time-outs of a kind where no other fits (again); a key
            that is not accepted (denied); this text is not taken, where no kind fits (refused:
            another text may be); another model answers (stop).
        InputError: the key's variable is not set.
    """
    spent = _Spent()
    found = await _round(server, model, question, top, timeout_s, kinds, spent)
    if found.kind is not None:
        return found
    return await _round(server, model, question, top, timeout_s, kinds, spent)


@dataclass(slots=True)
class _Spent:
    """Calls made so far, and what they cost."""

    calls: int = 0
    input_tokens: int = 0


@dataclass(slots=True)
class _Left:
    """What one round leaves open: failures that do not speak against a kind."""

    passing: list[tuple[str, CallError]] = field(default_factory=list)
    refused: list[CallError] = field(default_factory=list)


async def _round(
    server: Server,
    model: str,
    question: ScoreQuestion,
    top: int,
    timeout_s: float,
    kinds: Collection[str] | None,
    spent: _Spent,
) -> Found:
    tried: list[str] = []
    left = _Left()
    for name, kind, by_text in _attempts():
        if kinds is not None and kind not in kinds:
            continue
        if not by_text and question.response_ids is None:
            tried.append(f"{name}: {NEEDS_IDS}")
            continue
        client = ScoreClient(server, model, kind, top, by_text=by_text, timeout_s=timeout_s)
        try:
            answer = await _asked(client, question, spent)
        except CallError as error:
            if _ends(error, kind):
                error.input_tokens = spent.input_tokens
                raise
            _note(left, name, error)
            tried.append(f"{name}: {_clause(error)}")
            continue
        finally:
            await client.close()
        tried.append(f"{name}: offered")
        version = await _version(server, kind, timeout_s)
        found = Found(kind, answer, by_text, client.start, version, tuple(tried), spent.calls)
        return replace(found, input_tokens=spent.input_tokens)
    _raise_open(left, spent, chosen=kinds is not None)
    return Found(None, None, False, "", "", tuple(tried), spent.calls, spent.input_tokens)


def _attempts() -> tuple[tuple[str, ServerKind, bool], ...]:
    return (
        ("vllm (prompt_logprobs)", "vllm", False),
        ("sglang (/generate)", "sglang", False),
        ("echo of token ids", "echo", False),
        ("echo of text", "echo", True),
    )


async def _asked(client: ScoreClient, question: ScoreQuestion, spent: _Spent) -> Answer:
    for _ in range(2):
        spent.calls += 1
        try:
            answer = await client(question)
        except CallError as error:
            spent.input_tokens += error.input_tokens
            if isinstance(error, DoubledStartError):  # known from now on
                doubled = error
                continue
            raise
        spent.input_tokens += answer.input_tokens
        return answer
    raise doubled


def _clause(error: CallError) -> str:
    return "there is no such route" if error.kind == "no route" else error.reason


def _ends(error: CallError, kind: ServerKind) -> bool:
    """Whether a failure would meet every other kind as well.

    Ids that the server's vocabulary does not have are the tokenizer's fault, whatever else the
    server offers. A gateway may guard the routes above its base URL by other rules: being denied
    there says no more than that they are not offered.
    """
    if error.kind in _NOT_HERE:
        return False
    if error.kind == "other tokens" and error.retry == "stop":  # the server knows no such ids
        return True
    return error.kind in _AT_ONCE or (error.retry == "denied" and kind != "sglang")


def _note(left: _Left, name: str, error: CallError) -> None:
    """Keep what may pass, and what may be about this text and not about the kind."""
    if error.retry == "again" and error.kind not in _NOT_HERE:
        left.passing.append((name, error))
    elif error.retry == "refused" and error.kind != "422" and not _SHAPE.search(_low(error)):
        left.refused.append(error)


def _low(error: CallError) -> str:
    return error.reason.lower()


def _raise_open(left: _Left, spent: _Spent, chosen: bool) -> None:
    """Raise what keeps the question open, where no kind fits."""
    if left.passing:
        name, error = left.passing[0]
        hint = "" if chosen else "; if it stays so, name the server's kind with --server"
        reason = f"{name}: {error.reason}{hint}"
        raise CallError(error.kind, reason, "again", error.retry_after_s, spent.input_tokens)
    if left.refused:
        error = left.refused[0]
        error.input_tokens = spent.input_tokens
        raise error


async def _version(server: Server, kind: ServerKind, timeout_s: float) -> str:
    """What the server says of itself where it is asked; no failure of this counts."""
    path, name = VERSIONS.get(kind, ("", ""))
    if not path:
        return ""
    client = OpenAiClient(server, timeout_s, 1)
    try:
        said = mapping(await client.get(path, root=True)).get(name)
    except CallError:
        return ""
    finally:
        await client.close()
    return said[:200] if isinstance(said, str) else ""
