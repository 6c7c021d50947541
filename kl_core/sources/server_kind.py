"""How a server scores a whole text, found out by asking it to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kl_core.sources.calls import Answer, CallError
from kl_core.sources.chat_wire import mapping
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.score_client import ScoreClient
from kl_core.sources.score_echo import DoubledStartError
from kl_core.sources.scored_text import ScoreQuestion, ServerKind
from kl_core.sources.servers import Server

NEEDS_IDS = "not tried, because it takes token ids and there is no tokenizer"
_NOT_HERE = frozenset({"no route", "not JSON"})
VERSIONS = {"vllm": ("/version", "version"), "sglang": ("/get_model_info", "model_path")}


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
    """

    kind: ServerKind | None
    answer: Answer | None
    by_text: bool
    start: str
    version: str
    tried: tuple[str, ...]
    calls: int

    @property
    def sentence(self) -> str:
        """The result for people."""
        if self.kind is None:
            return "the server scores no text in one call: " + "; ".join(self.tried)
        how = " by text" if self.by_text else ""
        version = f" ({self.version})" if self.version else ""
        return f"the server scores texts by {self.kind}{how}{version}"


async def detect(
    server: Server, model: str, question: ScoreQuestion, top: int, timeout_s: float = 60.0
) -> Found:
    """Ask the question in every way until one gives a whole, right answer.

    A kind counts as offered when its reply holds finite values and lists for the very tokens
    that were sent; many servers leave out in silence the fields that they do not know. Where no
    kind fits, all are tried a second time, because one odd reply must not end a run.

    Raises:
        CallError: a failure that says nothing about the kind (429, 5xx, time-outs: again; a key
            that is not accepted: denied).
        InputError: the key's variable is not set.
    """
    found = await _round(server, model, question, top, timeout_s)
    if found.kind is not None:
        return found
    second = await _round(server, model, question, top, timeout_s)
    return replace(second, calls=found.calls + second.calls)


async def _round(
    server: Server, model: str, question: ScoreQuestion, top: int, timeout_s: float
) -> Found:
    tried: list[str] = []
    calls = 0
    for name, kind, by_text in _attempts():
        if not by_text and question.response_ids is None:
            tried.append(f"{name}: {NEEDS_IDS}")
            continue
        client = ScoreClient(server, model, kind, top, by_text=by_text, timeout_s=timeout_s)
        try:
            calls += 1
            answer = await _asked(client, question)
        except CallError as error:
            if _says_nothing(error, kind):
                raise
            tried.append(f"{name}: {_clause(error)}")
            continue
        finally:
            await client.close()
        tried.append(f"{name}: offered")
        version = await _version(server, kind, timeout_s)
        return Found(kind, answer, by_text, client.start, version, tuple(tried), calls)
    return Found(None, None, False, "", "", tuple(tried), calls)


def _attempts() -> tuple[tuple[str, ServerKind, bool], ...]:
    return (
        ("vllm (prompt_logprobs)", "vllm", False),
        ("sglang (/generate)", "sglang", False),
        ("echo of token ids", "echo", False),
        ("echo of text", "echo", True),
    )


async def _asked(client: ScoreClient, question: ScoreQuestion) -> Answer:
    try:
        return await client(question)
    except DoubledStartError:  # known from now on
        return await client(question)


def _clause(error: CallError) -> str:
    return "there is no such route" if error.kind == "no route" else error.reason


def _says_nothing(error: CallError, kind: ServerKind) -> bool:
    """Whether a failure may pass, or would meet every other call as well.

    A gateway may guard the routes above its base URL by other rules: being denied there says
    no more than that they are not offered.
    """
    if error.kind in _NOT_HERE:
        return False
    return error.retry == "again" or (error.retry == "denied" and kind != "sglang")


async def _version(server: Server, kind: ServerKind, timeout_s: float) -> str:
    """What the server says of itself where it is asked; no failure of this counts."""
    path, field = VERSIONS.get(kind, ("", ""))
    if not path:
        return ""
    client = OpenAiClient(server, timeout_s, 1)
    try:
        said = mapping(await client.get(path, root=True)).get(field)
    except CallError:
        return ""
    finally:
        await client.close()
    return said[:200] if isinstance(said, str) else ""
