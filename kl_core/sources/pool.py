"""One bounded queue of calls over all tickets, N workers, and every answer on disk."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import msgspec

from kl_core.errors import RunError
from kl_core.records import CallStats
from kl_core.sources.call_counts import CallCounts
from kl_core.sources.calls import Answer, AnswerStore, Ask, Asked, CallError, Ticket
from kl_core.sources.limiter import Limiter, Outcome
from kl_core.sources.pending import Open, Pending
from kl_core.sources.pool_settings import PoolSettings
from kl_core.sources.retries import RetryPolicy, Tries
from kl_core.sources.spells import Spell

__all__ = ["Pool", "PoolSettings"]

T = TypeVar("T", bound=Ticket[Any])
R = TypeVar("R")
OVERLOAD = frozenset({"429", "503"})
LOST = frozenset({"timeout", "connection", "certificate", "login"})
_END: Any = object()


class Pool(Generic[Asked]):
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
        known_good: a context that was answered well, such as the probe's; the latest such
            context takes its place.
    """

    def __init__(
        self,
        ask: Ask[Asked],
        answers: AnswerStore,
        settings: PoolSettings,
        earlier: Callable[[bytes], Answer | None] | None,
        tick: Callable[[CallStats], None],
        started_from: CallStats | None = None,
        seed: int = 0,
        known_good: Asked | None = None,
    ) -> None:
        self._ask, self._answers, self._settings = ask, answers, settings
        self._earlier, self._tick, self._seed = earlier, tick, seed
        self._known_good = known_good
        self._policy = RetryPolicy(
            settings.max_retries, base_s=settings.base_s, deadline_s=settings.deadline_s
        )
        self._counts = CallCounts(started_from or CallStats(), set(answers.given_up))
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
            RunError: no call can succeed, the server contradicts the probe, nothing has been
                answered for too long, or nothing usable.
            Exception: whatever `tick`, `done` or the tickets raised, after calls in flight had
                `grace_s` to come in.
        """
        run = _Run(self, done)
        try:
            await run.to_the_end(tickets)
        finally:
            await run.tidy(tickets)


class _Run(Generic[T, Asked]):
    """What lives as long as one `Pool.run`."""

    def __init__(self, pool: Pool[Asked], done: Callable[[T, Mapping[bytes, str]], None]) -> None:
        self._pool, self._done, self._settings = pool, done, pool._settings
        self._counts, self._limiter = pool._counts, pool._limiter
        self._threads = ThreadPoolExecutor(3, thread_name_prefix="pool")  # tickets, done, tick
        self._outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room = asyncio.Semaphore(self._settings.room)
        self._ticket_room = asyncio.Semaphore(self._settings.room)
        self._ready: deque[Pending[Asked]] = deque()
        self._some = asyncio.Semaphore(0)
        self._pending: dict[bytes, Pending[Asked]] = {}
        self._finished: asyncio.Queue[Open[T]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._landing: set[asyncio.Task[None]] = set()
        self._open, self._fed, self._stopping = 0, False, False
        self._given_up = 0
        self._spell: Spell[Pending[Asked]] = Spell(self._settings.odd_in_a_row)
        self._control: Pending[Asked] | None = None  # asked to try the server, while others wait
        self._calm = asyncio.Event()
        self._calm.set()
        self._crowded = False

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
            self._crowded = self._ticket_room.locked()
            self._let_go_if_stuck()
            await self._ticket_room.acquire()
            self._crowded = False
            ticket, contexts = await self._in_thread(_pull, tickets)
            if ticket is _END:
                break
            entry = Open(ticket)
            self._open += 1
            for number, context in enumerate(contexts):
                await self._add(context, entry)
                if number % 64 == 63:
                    await asyncio.sleep(0)
            self._one_less(entry)
        self._fed = True
        self._let_go_if_stuck()
        self._check_end()

    async def _add(self, context: Asked, entry: Open[T]) -> None:
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
            else:
                self._pool._known_good = context
            return
        earlier = self._pool._earlier
        found = earlier(key) if earlier is not None else None
        await self._room.acquire()
        pending = self._pending[key] = Pending(context, [entry])
        entry.left += 1
        if found is not None and found.error is None:
            self._start(self._land(pending, found, reused=True), self._landing)
        else:
            self._push(pending)

    def _push(self, pending: Pending[Asked]) -> None:
        """Ready to be asked; what was asked before goes first."""
        if pending is self._control:
            self._start(self._send(pending), self._tasks)
            return
        if pending.tries is None:
            self._ready.append(pending)
        else:
            self._ready.appendleft(pending)
        self._some.release()

    async def _work(self) -> None:
        while not self._stopping:
            await self._some.acquire()
            await self._calm.wait()
            await self._send(self._ready.popleft())

    async def _send(self, pending: Pending[Asked]) -> None:
        me: Any = asyncio.current_task()
        sent = await self._limiter.acquire()
        self._asking.add(me)
        try:
            await self._call(pending, sent)
        finally:
            self._asking.discard(me)

    async def _call(self, pending: Pending[Asked], sent: float) -> None:
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
        self._pool._known_good = pending.context
        self._let_go()
        if pending is self._control:
            self._end_check()
            self._counts.checked(answer)
            return
        if pending.tries is not None:
            answer = msgspec.structs.replace(answer, attempts=pending.tries.made + 1)
        self._start(self._land(pending, answer), self._landing)

    def _failed(self, pending: Pending[Asked], error: CallError, began: float) -> None:
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
        elif pending is self._control:
            if self._spell.suspect:
                raise self._spell.error()
            self._end_check()
        elif error.retry == "stop":
            raise RunError(error.reason)
        elif error.retry == "again":
            self._give_up(pending, f"{error.reason} (given up after {tries.made} calls)")
        else:
            reason = error.reason if tries.made == 1 else f"{error.reason} ({tries.made} calls)"
            kept = Answer(
                attempts=tries.made,
                input_tokens=tries.input_tokens,
                output_tokens=tries.output_tokens,
                error=reason,
            )
            if error.retry == "odd":
                self._hold(pending, kept)
            else:
                self._start(self._land(pending, kept), self._landing)

    def _hold(self, pending: Pending[Asked], kept: Answer) -> None:
        """Keep an odd end from the disk until it is known that the server is well."""
        self._spell.held.append((pending, kept))
        if self._spell.suspect and self._control is None:
            if self._pool._known_good is None:
                raise self._spell.error()
            self._counts.retried += 1
            self._control = Pending(self._pool._known_good, [])
            self._calm.clear()
            self._push(self._control)
        self._let_go_if_stuck()

    def _end_check(self) -> None:
        self._control = None
        self._calm.set()

    def _let_go(self) -> None:
        """The server is well: what was held back is so for good."""
        if self._outcome.done():  # the run ends early, and the next start asks again
            return
        for pending, kept in self._spell.take():
            self._start(self._land(pending, kept), self._landing)

    def _let_go_if_stuck(self) -> None:
        """Where everything waits for what is held back, no good answer can come any more."""
        all_in = (self._fed or self._crowded) and self._control is None
        if all_in and len(self._spell.held) == len(self._pending):
            self._let_go()

    def _give_up(self, pending: Pending[Asked], reason: str) -> None:
        """For this start; a resumed run asks again."""
        self._counts.gave_up(pending.context.key)
        self._pool._answers.give_up(pending.context.key)
        self._given_up += 1
        self._settle(pending, reason)
        if self._given_up >= self._settings.hopeless:
            raise RunError(
                f"{self._given_up} questions in a row got no answer, the last one because "
                f"{reason}: what was answered is kept, resume the run when the server is well"
            )

    async def _land(self, pending: Pending[Asked], answer: Answer, reused: bool = False) -> None:
        key = pending.context.key
        await self._pool._answers.put(key, answer, reused)
        self._counts.landed(key, answer, reused)
        self._settle(pending, answer.error)

    def _settle(self, pending: Pending[Asked], reason: str | None) -> None:
        key = pending.context.key
        del self._pending[key]
        self._room.release()
        for entry in pending.tickets:
            if reason is not None:
                entry.failed[key] = reason
            self._one_less(entry)
        self._let_go_if_stuck()

    def _one_less(self, entry: Open[T]) -> None:
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
