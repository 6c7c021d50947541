"""One bounded queue of calls over all tickets, N workers, and every answer on disk."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from kl_core.errors import RunError
from kl_core.records import CallStats
from kl_core.sources.call_counts import CallCounts
from kl_core.sources.calls import Answer, AnswerStore, Ask, CallError, Context, Ticket
from kl_core.sources.limiter import Limiter, Outcome
from kl_core.sources.retries import RetryPolicy, Tries

T = TypeVar("T", bound=Ticket)
R = TypeVar("R")
OVERLOAD = frozenset({"429", "503"})
LOST = frozenset({"timeout", "connection", "certificate", "login"})
_END: Any = object()


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How hard to ask.

    Attributes:
        max_concurrent: calls at once, at most.
        rate_limit: calls a second, at most; None for no such limit.
        max_retries: calls of a context after its first, for failures that may pass.
        timeout_s: of one call; for whoever makes the client.
        deadline_s, base_s: see RetryPolicy.
        hopeless: so many contexts given up with no answer between them end the run.
        tick_s: between two looks at the counts.
        grace_s: how long calls in flight may take to come in when the run ends early.
    """

    max_concurrent: int = 50
    rate_limit: float | None = None
    max_retries: int = 8
    timeout_s: float = 60.0
    deadline_s: float = 900.0
    base_s: float = 0.5
    hopeless: int = 20
    tick_s: float = 0.3
    grace_s: float = 5.0

    @property
    def room(self) -> int:
        """Contexts held at once, and tickets."""
        return 2 * self.max_concurrent + 64


@dataclass(slots=True)
class _Open(Generic[T]):
    """A ticket that is not finished; `left` counts its open contexts and its feeding."""

    ticket: T
    left: int = 1
    failed: dict[bytes, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Pending:
    """A context being asked, and the tickets that want it."""

    context: Context
    tickets: list[_Open[Any]]
    tries: Tries | None = None


class Pool:
    """Asks what tickets need: every context once, retried by one policy, at a learnt speed.

    Memory does not grow with the run: contexts and tickets are taken while there is room, and
    what is finished is known by the journal alone.

    Args:
        ask: makes one call.
        answers: where finished calls are kept; what is there is not asked.
        settings: how hard to ask.
        earlier: answers of other runs that may be used; those without a distribution are not.
        tick: takes the counts about every `tick_s`, in a thread; may raise to end the run.
        started_from: the counts of earlier starts of this run.
        seed: of the waits before retries.
    """

    def __init__(
        self,
        ask: Ask,
        answers: AnswerStore,
        settings: PoolSettings,
        earlier: Callable[[bytes], Answer | None] | None,
        tick: Callable[[CallStats], None],
        started_from: CallStats | None = None,
        seed: int = 0,
    ) -> None:
        self._ask, self._answers, self._settings = ask, answers, settings
        self._earlier, self._tick, self._seed = earlier, tick, seed
        self._policy = RetryPolicy(
            settings.max_retries, base_s=settings.base_s, deadline_s=settings.deadline_s
        )
        self._counts = CallCounts(started_from or CallStats())
        self._limiter = Limiter(settings.max_concurrent, settings.rate_limit)

    @property
    def stats(self) -> CallStats:
        """The counts so far, those of earlier starts included."""
        limiter = self._limiter
        return self._counts.stats(limiter.in_flight, limiter.limit, self._settings.max_concurrent)

    async def run(
        self, tickets: Iterator[T], done: Callable[[T, Mapping[bytes, str]], None]
    ) -> None:
        """Answer all contexts of all tickets; may be called again, in the same event loop.

        Args:
            tickets: pulled in a thread, as room allows.
            done: takes each ticket when its contexts are on disk, with the reasons of those
                that have no distribution; in a thread, one at a time.

        Raises:
            RunError: no call can succeed, the server contradicts the probe, or nothing has
                been answered for too long.
            Exception: whatever `tick`, `done` or the tickets raised, after calls in flight had
                `grace_s` to come in.
        """
        run = _Run(self, done)
        try:
            await run.to_the_end(tickets)
        finally:
            await run.tidy(tickets)


class _Run(Generic[T]):
    """What lives as long as one `Pool.run`."""

    def __init__(self, pool: Pool, done: Callable[[T, Mapping[bytes, str]], None]) -> None:
        self._pool, self._done, self._settings = pool, done, pool._settings
        self._counts, self._limiter = pool._counts, pool._limiter
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="pool")  # tickets, done, tick
        self._outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room = asyncio.Semaphore(self._settings.room)
        self._ticket_room = asyncio.Semaphore(self._settings.room)
        self._ready: deque[_Pending] = deque()
        self._some = asyncio.Semaphore(0)
        self._pending: dict[bytes, _Pending] = {}
        self._finished: asyncio.Queue[_Open[T]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._landing: set[asyncio.Task[None]] = set()
        self._open, self._fed, self._stopping = 0, False, False
        self._given_up = 0

    async def to_the_end(self, tickets: Iterator[T]) -> None:
        """Until all tickets are done, or something ends it early."""
        parts = [self._feed(tickets), self._finish(), self._look()]
        for part in parts + [self._work() for _ in range(self._settings.max_concurrent)]:
            self._start(part, self._tasks)
        try:
            await self._outcome
        except Exception:
            await self._come_in()
            raise
        await self._in_thread(self._pool._tick, self._pool.stats)

    async def tidy(self, tickets: Iterator[T]) -> None:
        """Leave no task and no thread behind."""
        left = [*self._tasks, *self._landing]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)
        close = getattr(tickets, "close", None)
        if callable(close):  # a generator's files
            close()

    def _start(self, work: Coroutine[Any, Any, None], where: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(self._guarded(work))
        where.add(task)
        task.add_done_callback(where.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            if not self._outcome.done():
                self._outcome.set_exception(error)

    async def _in_thread(self, call: Callable[..., R], *arguments: Any) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(call, *arguments))

    async def _come_in(self) -> None:
        """No new calls; those in flight get some time to land."""
        self._stopping = True
        for task in self._tasks - self._asking:
            task.cancel()
        if self._asking:
            await asyncio.wait(set(self._asking), timeout=self._settings.grace_s)
        if self._landing:
            await asyncio.wait(set(self._landing), timeout=self._settings.grace_s)
        try:
            await self._in_thread(self._pool._tick, self._pool.stats)
        except Exception:  # it may ask for the end that is under way
            return

    async def _feed(self, tickets: Iterator[T]) -> None:
        while True:
            await self._ticket_room.acquire()
            ticket, contexts = await self._in_thread(_pull, tickets)
            if ticket is _END:
                break
            entry = _Open(ticket)
            self._open += 1
            for number, context in enumerate(contexts):
                await self._add(context, entry)
                if number % 64 == 63:
                    await asyncio.sleep(0)
            self._one_less(entry)
        self._fed = True
        self._check_end()

    async def _add(self, context: Context, entry: _Open[T]) -> None:
        key = context.key
        twin = self._pending.get(key)
        if twin is not None:
            if twin.tickets[-1] is not entry:
                twin.tickets.append(entry)
                entry.left += 1
            return
        kept = self._pool._answers.get(key)
        if kept is not None:
            if kept.error is not None:
                entry.failed[key] = kept.error
            return
        earlier = self._pool._earlier
        found = earlier(key) if earlier is not None else None
        await self._room.acquire()
        pending = self._pending[key] = _Pending(context, [entry])
        entry.left += 1
        if found is not None and found.error is None:
            self._start(self._land(pending, found, reused=True), self._landing)
        else:
            self._push(pending)

    def _push(self, pending: _Pending) -> None:
        """Ready to be asked; what was asked before goes first."""
        if pending.tries is None:
            self._ready.append(pending)
        else:
            self._ready.appendleft(pending)
        self._some.release()

    async def _work(self) -> None:
        me: Any = asyncio.current_task()
        while not self._stopping:
            await self._some.acquire()
            pending = self._ready.popleft()
            sent = await self._limiter.acquire()
            self._asking.add(me)
            try:
                await self._call(pending, sent)
            finally:
                self._asking.discard(me)

    async def _call(self, pending: _Pending, sent: float) -> None:
        began = time.monotonic()
        outcome: Outcome = "lost"
        wait: float | None = None
        self._counts.retried += pending.tries is not None
        try:
            answer = await self._pool._ask(pending.context)
            outcome = "answered"
        except CallError as error:
            outcome, wait = _outcome(error), error.retry_after_s
            self._failed(pending, error, began)
            return
        finally:
            self._limiter.release(sent, outcome, wait)
        self._given_up = 0
        if pending.tries is not None:
            answer = msgspec.structs.replace(answer, attempts=pending.tries.made + 1)
        self._start(self._land(pending, answer), self._landing)

    def _failed(self, pending: _Pending, error: CallError, began: float) -> None:
        self._counts.went_wrong(error)
        if error.retry == "denied":
            raise RunError(error.reason)
        key = pending.context.key
        if pending.tries is None:
            seed = f"{self._pool._seed}:{key.hex()}"
            pending.tries = Tries(self._pool._policy, seed, began)
        tries = pending.tries
        wait = tries.wait_after(error, time.monotonic())
        if wait is not None:
            asyncio.get_running_loop().call_later(wait, self._push, pending)
        elif error.retry == "stop":
            raise RunError(error.reason)
        elif error.retry == "again":
            self._give_up(pending, f"{error.reason} (given up after {tries.made} calls)")
        else:
            reason = error.reason if tries.made == 1 else f"{error.reason} ({tries.made} calls)"
            kept = Answer(attempts=tries.made, input_tokens=tries.input_tokens, error=reason)
            self._start(self._land(pending, kept), self._landing)

    def _give_up(self, pending: _Pending, reason: str) -> None:
        """For this start; a resumed run asks again."""
        self._counts.failed += 1
        self._given_up += 1
        self._settle(pending, reason)
        if self._given_up >= self._settings.hopeless:
            raise RunError(
                f"{self._given_up} contexts in a row got no answer, the last one because "
                f"{reason}: what was answered is kept, resume the run when the server is well"
            )

    async def _land(self, pending: _Pending, answer: Answer, reused: bool = False) -> None:
        await self._pool._answers.put(pending.context.key, answer)
        if reused:
            self._counts.reused += 1
        else:
            self._counts.landed(answer)
        self._settle(pending, answer.error)

    def _settle(self, pending: _Pending, reason: str | None) -> None:
        key = pending.context.key
        del self._pending[key]
        self._room.release()
        for entry in pending.tickets:
            if reason is not None:
                entry.failed[key] = reason
            self._one_less(entry)

    def _one_less(self, entry: _Open[T]) -> None:
        entry.left -= 1
        if entry.left == 0:
            self._finished.put_nowait(entry)

    async def _finish(self) -> None:
        while True:
            entry = await self._finished.get()
            await self._in_thread(self._done, entry.ticket, entry.failed)
            self._open -= 1
            self._ticket_room.release()
            del entry  # or it would be held until the next one comes
            self._check_end()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tick_s)
            await self._in_thread(self._pool._tick, self._pool.stats)

    def _check_end(self) -> None:
        if self._fed and not self._open and not self._outcome.done():
            self._outcome.set_result(None)


def _pull(tickets: Iterator[Any]) -> tuple[Any, Any]:
    ticket = next(tickets, _END)
    return ticket, () if ticket is _END else ticket.contexts


def _outcome(error: CallError) -> Outcome:
    if error.kind in OVERLOAD:
        return "overload"
    return "lost" if error.kind in LOST else "answered"
