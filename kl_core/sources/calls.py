"""What one call to a remote model is asked, what it answers, and how it can fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import msgspec

from kl_core.errors import KLExplorerError
from kl_core.records import Prompt

Retry = Literal["again", "odd", "stop", "refused", "denied"]


class Question(Protocol):
    """What one call asks; equal keys are equal questions, asked once."""

    @property
    def key(self) -> bytes:
        """16 bytes."""


Asked = TypeVar("Asked", bound=Question)
AskedIn_contra = TypeVar("AskedIn_contra", bound=Question, contravariant=True)
AskedOut_co = TypeVar("AskedOut_co", bound=Question, covariant=True)


@dataclass(frozen=True, slots=True)
class Context:
    """A prompt and what model 1 had said when it drew its next token.

    Attributes:
        key: 16 bytes; equal keys are equal contexts, whatever file they come from.
        said: the bytes of the whole response, shared by its contexts.
        end: how many of them stand before the position; whole characters.
        tokens: of how many of model 1's tokens they are made.
    """

    key: bytes
    prompt: Prompt
    said: bytes
    end: int
    tokens: int = 0

    @property
    def prefix(self) -> str:
        """The text before the position, "" at the first one."""
        return self.said[: self.end].decode()


class Candidate(msgspec.Struct, frozen=True, array_like=True):
    """One token of a list as the server wrote it; natural log."""

    token: str
    id: int | None
    logprob: float


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What the journal keeps of a finished call.

    Attributes:
        top: the list, most likely first; empty where `error` is set.
        chosen: the token the model drew, which may be missing from `top`.
        model: the version that answered, "" where the server does not say.
        input_tokens, output_tokens: as billed; 0 where the server does not say.
        finish: the reason the server gave for stopping.
        attempts: calls it took, failed ones included.
        error: why this context has no distribution, for good; None when it has one.
        body: what a call for more than one list gave (a whole scored or sampled response), in
            the form of whoever asked; b"" for a single list.
    """

    top: tuple[Candidate, ...] = ()
    chosen: Candidate | None = None
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    finish: str = ""
    attempts: int = 1
    error: str | None = None
    body: bytes = b""


class CallError(KLExplorerError):
    """One call that gave no usable answer.

    Attributes:
        kind: a short name to count by: "429", "503", "timeout", "connection", "empty",
            "blocked", "no logprobs", "other model", "400" …
        retry: what to do about it. `again`: it may pass (429, 5xx, time-outs, lost
            connections), up to --max-retries. `odd`: an answer without content or list,
            a blocked prompt; tried a few times, then the position has no value. `stop`: the
            server contradicts the probe (another model answers, log-probabilities or prefill
            not supported); confirmed a few times, then the run stops. `refused`: this
            context will never be answered; the position has no value. `denied`: no call
            can succeed (401, 403, 404); the run stops at once.
        retry_after_s: how long the server asks to wait, None where it does not.
        input_tokens, output_tokens: what the call cost all the same.
    """

    def __init__(
        self,
        kind: str,
        reason: str,
        retry: Retry,
        retry_after_s: float | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.retry: Retry = retry
        self.retry_after_s = retry_after_s
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class Ask(Protocol[AskedIn_contra]):
    """One call, never retried in here; retries have one owner, the pool."""

    async def __call__(self, context: AskedIn_contra, /) -> Answer:
        """Ask once.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """


class AnswerStore(Protocol):
    """Where finished calls are kept; see journal.py."""

    @property
    def given_up(self) -> set[bytes]:
        """Contexts without an answer that some start of the run gave up."""

    def get(self, key: bytes) -> Answer | None:
        """The answer of a finished call, None where there is none."""

    async def put(self, key: bytes, answer: Answer, reused: bool = False) -> None:
        """Returns when the answer is on disk; one that another run paid for is `reused`."""

    def give_up(self, key: bytes) -> None:
        """Note soon that a context got no answer; it may be asked again by a later start."""


class Ticket(Protocol[AskedOut_co]):
    """A unit of work that is finished when all its contexts are answered (one entry)."""

    @property
    def contexts(self) -> Sequence[AskedOut_co]:
        """What it needs asked; a key may stand in several tickets."""
