"""The pool with a fake server in memory: what is asked, how often, and how it ends."""

import asyncio
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from kl_core.errors import RunCancelled, RunError
from kl_core.records import CallStats, Message
from kl_core.sources.calls import Answer, CallError, Candidate, Context
from kl_core.sources.pool import Pool, PoolSettings

PROMPT = (Message("user", "hi"),)
QUICK = PoolSettings(20, base_s=0.002, tick_s=0.02, grace_s=0.3)
FAULTS = [
    ("429", "again"),
    ("503", "again"),
    ("timeout", "again"),
    ("connection", "again"),
    ("not JSON", "again"),
    ("empty", "odd"),
    ("blocked", "odd"),
    ("other model", "stop"),
]


def context(number):
    return Context(number.to_bytes(16, "big"), PROMPT, b"said", 4)


def answer_of(key):
    return Answer((Candidate("t", 1, -key[-1] - 0.5),), None, "m", 10, 1)


@dataclass(frozen=True)
class Part:
    contexts: list


class Store:
    """A journal in memory whose puts take a moment."""

    def __init__(self):
        self.kept, self.reused, self.given_up = {}, set(), set()

    def get(self, key):
        return self.kept.get(key)

    async def put(self, key, answer, reused=False):
        await asyncio.sleep(0.001)
        assert key not in self.kept
        self.kept[key] = answer
        self.given_up.discard(key)
        if reused:
            self.reused.add(key)

    def give_up(self, key):
        self.given_up.add(key)


class Fake:
    """Counts calls by key; `faults` gives the failure of an attempt or None."""

    def __init__(self, faults=lambda key, attempt: None, latency=0.001):
        self.faults, self.latency = faults, latency
        self.asked, self.answered, self.now, self.most = Counter(), Counter(), 0, 0

    async def __call__(self, asked):
        self.asked[asked.key] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.latency)
            fault = self.faults(asked.key, self.asked[asked.key])
            if fault is not None:
                raise fault
            self.answered[asked.key] += 1
            return answer_of(asked.key)
        finally:
            self.now -= 1


def parts(numbers, size=7):
    numbers = list(numbers)
    for begin in range(0, len(numbers), size):
        yield Part([context(number) for number in numbers[begin : begin + size]])


def run(
    fake,
    tickets,
    store=None,
    settings=QUICK,
    earlier=None,
    tick=lambda _: None,
    done=None,
    known_good=None,
    before=None,
):
    """The pool and what `done` was given: tickets and failures."""
    store = Store() if store is None else store
    finished = []

    def note(part, failed):
        assert all(each.key in store.kept or each.key in failed for each in part.contexts)
        finished.append((part, dict(failed)))

    async def main():
        pool = Pool(fake, store, settings, earlier, tick, before, known_good=known_good)
        try:
            await pool.run(tickets, done or note)
        finally:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not others, others
        return pool

    pool = asyncio.run(main())
    return pool, finished, store


def random_faults(rate, seed=3):
    def fault(key, attempt):
        rng = random.Random(f"{seed}:{key.hex()}:{attempt}")
        if rng.random() >= rate:
            return None
        kind, retry = rng.choice(FAULTS)
        return CallError(kind, f"it was {kind}", retry)

    return fault


def test_every_ticket_is_done_once_with_all_its_answers():
    """And the counts say so."""
    fake = Fake()
    pool, finished, store = run(fake, parts(range(100)))
    assert len(finished) == 15
    assert not any(failed for _, failed in finished)
    assert set(fake.asked.values()) == {1}
    assert len(store.kept) == 100
    stats = pool.stats
    assert (stats.made, stats.failed, stats.retried, stats.errors) == (100, 0, 0, {})
    assert (stats.input_tokens, stats.output_tokens, stats.in_flight) == (1000, 100, 0)


def test_a_fifth_of_failing_calls_changes_no_answer_and_repeats_no_success():
    """All kinds of faults mixed: same answers as without, each context answered once."""
    _, _, clean = run(Fake(), parts(range(1000)))
    fake = Fake(random_faults(0.2))
    pool, finished, store = run(fake, parts(range(1000)))
    assert not any(failed for _, failed in finished)
    assert {key: each.top for key, each in store.kept.items()} == {
        key: each.top for key, each in clean.kept.items()
    }
    assert set(fake.answered.values()) == {1}
    assert {key: each.attempts for key, each in store.kept.items()} == dict(fake.asked)
    assert pool.stats.retried == sum(pool.stats.errors.values()) == sum(fake.asked.values()) - 1000
    assert set(pool.stats.errors) == {kind for kind, _ in FAULTS}


def test_equal_contexts_are_asked_once():
    """In one ticket, in several open tickets, and long after."""
    tickets = [Part([context(1), context(1), context(2)]) for _ in range(30)]
    tickets += [*parts(range(100, 400)), Part([context(2)])]
    fake = Fake()
    _, finished, _ = run(fake, iter(tickets))
    assert set(fake.asked.values()) == {1}
    assert len(finished) == len(tickets)


def test_what_is_in_the_journal_is_not_asked():
    """Errors for good included: their reason is handed on."""
    store = Store()
    store.kept = {context(1).key: answer_of(context(1).key), context(2).key: Answer(error="no")}
    fake = Fake()
    _, finished, _ = run(fake, parts(range(4)), store)
    assert set(fake.asked) == {context(0).key, context(3).key}
    assert finished[0][1] == {context(2).key: "no"}


def test_answers_of_other_runs_are_copied_and_counted_as_reused():
    """Only those with a distribution."""
    found = {context(1).key: answer_of(context(1).key), context(2).key: Answer(error="no")}
    fake = Fake()
    pool, _, store = run(fake, parts(range(4)), earlier=found.get)
    assert context(1).key not in fake.asked
    assert context(2).key in fake.asked
    assert len(store.kept) == 4
    assert (pool.stats.reused, pool.stats.made) == (1, 3)
    assert store.reused == {context(1).key}


@pytest.mark.parametrize(
    ("retry", "calls", "kept"), [("refused", 1, True), ("odd", 4, True), ("again", 4, False)]
)
def test_a_context_given_up_keeps_its_reason_and_the_rest_goes_on(retry, calls, kept):
    """For good in the journal, or to be asked again by a resumed run."""
    bad = context(5).key
    settings = PoolSettings(5, max_retries=3, base_s=0.001, tick_s=0.02)
    fake = Fake(
        lambda key, _: CallError("k", "a reason", retry, None, 3, 2) if key == bad else None
    )
    pool, finished, store = run(fake, parts(range(20), 20), settings=settings)
    ((_, failed),) = finished
    assert set(failed) == {bad}
    assert "a reason" in failed[bad]
    assert fake.asked[bad] == calls
    assert (bad in store.kept) == kept
    if kept:
        assert store.kept[bad].attempts == calls
        assert store.kept[bad].input_tokens == 3 * calls
        assert store.kept[bad].output_tokens == 2 * calls
    assert pool.stats.failed == 1
    assert pool.stats.made == 19
    assert (bad in store.given_up) != kept
    assert pool.stats.errors == {"k": calls}
    assert pool.stats.input_tokens == 190 + 3 * calls
    assert pool.stats.output_tokens == 19 + 2 * calls


def test_a_contradiction_ends_the_run_once_it_is_confirmed():
    """Three times on one context; a passing one does not."""
    once = Fake(lambda _, attempt: CallError("m", "another", "stop") if attempt < 3 else None)
    run(once, parts(range(20)))
    fake = Fake(lambda key, _: CallError("m", "another", "stop") if key[-1] == 9 else None)
    with pytest.raises(RunError, match="another"):
        run(fake, parts(range(2000)))
    assert fake.asked[context(9).key] == 3


def test_a_denied_call_ends_the_run_at_once():
    """Nothing more is asked; what was in flight lands."""
    fake = Fake(lambda key, _: CallError("403", "no right", "denied") if key[-1] == 30 else None)
    store = Store()
    with pytest.raises(RunError, match="no right"):
        run(fake, parts(range(5000)), store)
    assert fake.asked[context(30).key] == 1
    assert sum(fake.asked.values()) < 200
    assert set(store.kept) == set(fake.answered)


def test_a_server_that_answers_nothing_any_more_ends_the_run():
    """Instead of trying each of 100,000 contexts nine times."""
    settings = PoolSettings(5, max_retries=1, base_s=0.001, hopeless=6)
    fake = Fake(lambda *_: CallError("503", "down", "again"))
    with pytest.raises(RunError, match="6 questions in a row.*down"):
        run(fake, parts(range(5000)), settings=settings)
    assert sum(fake.asked.values()) < 100


SPELL = PoolSettings(20, base_s=0.001, tick_s=0.02, grace_s=0.3, odd_in_a_row=10)


def odd(*_):
    return CallError("empty", "the reply was empty", "odd")


def within(first, last):
    """Odd answers for some numbers, at every attempt."""
    keys = {context(number).key for number in range(first, last)}
    return lambda key, _: odd() if key in keys else None


def test_a_spell_of_odd_answers_ends_the_run_and_is_asked_again_by_the_next_start():
    """None of it is taken for an error of its positions; what was good is kept."""
    fake, store = Fake(), Store()
    fake.faults = lambda key, _: odd() if len(fake.answered) >= 100 else None
    finished = set()

    def done(part, failed):
        assert not failed
        finished.update(each.key for each in part.contexts)

    with pytest.raises(RunError, match=r"\d+ questions in a row .*the reply was empty.*resume"):
        run(fake, parts(range(1000)), store, SPELL, done=done)
    assert not any(answer.error for answer in store.kept.values())
    assert finished <= set(store.kept)
    assert len(fake.asked) <= 100 + 10 + SPELL.room  # no new ones while in doubt
    fake.faults = lambda *_: None
    _, _, store = run(fake, parts(range(1000)), store, SPELL)
    assert len(store.kept) == 1000
    assert not any(answer.error for answer in store.kept.values())


def test_a_server_that_is_odd_from_the_start_ends_the_run_too():
    """With no context known to be good there is nothing to try it with."""
    store, fake = Store(), Fake(odd)
    with pytest.raises(RunError, match="10 questions in a row"):
        run(fake, parts(range(1000)), store, SPELL)
    assert not store.kept


def test_an_answer_that_comes_in_after_a_spell_ended_the_run_saves_nothing_of_it():
    """That answer is kept, and no error."""

    class Late(Fake):
        async def __call__(self, asked):
            self.latency = 0.15 if asked.key == context(0).key else 0.0
            return await super().__call__(asked)

    store = Store()
    with pytest.raises(RunError, match="in a row"):
        run(Late(within(1, 1000)), parts(range(1000)), store, SPELL)
    assert set(store.kept) == {context(0).key}


@pytest.mark.parametrize("known", ["the caller's", "the journal's", "answered before"])
def test_a_long_blocked_prompt_in_a_healthy_run_stays_an_error_of_its_positions(known):
    """A context known to be good is asked once more, is answered, and the run goes on."""
    store, fake = Store(), Fake(within(200, 600))
    good, numbers = None, range(200, 700)
    if known == "the caller's":
        good = context(10**6)
    elif known == "the journal's":
        numbers = range(199, 700)
        store.kept[context(199).key] = answer_of(context(199).key)
    else:
        numbers = range(700)
    pool, finished, _ = run(fake, parts(numbers), store, SPELL, known_good=good)
    assert sum(len(failed) for _, failed in finished) == 400 == pool.stats.failed
    assert sum(answer.error is not None for answer in store.kept.values()) == 400
    extra = sum(fake.answered.values()) - len(set(fake.answered) & set(store.kept))
    assert 1 <= extra <= 40
    calls = sum(fake.asked.values())
    assert pool.stats.input_tokens == 10 * sum(fake.answered.values())
    run(fake, parts(numbers), store, SPELL)
    assert sum(fake.asked.values()) == calls


@pytest.mark.parametrize("count", [1, 9, 300])
def test_few_odd_contexts_never_end_a_run(count):
    """Held back until the end where nothing good comes after them; shared ones block nothing."""
    numbers = [number % 9 for number in range(count)]
    pool, finished, store = run(Fake(odd), parts(numbers, 1), settings=SPELL)
    assert len(finished) == count
    assert all(failed for _, failed in finished)
    assert pool.stats.failed == len(store.kept) == min(count, 9)


def test_a_context_that_is_answered_after_all_is_no_longer_counted_as_failed():
    """Given up by one start, or one round, and answered by a later one; made once."""
    settings = PoolSettings(5, max_retries=1, base_s=0.001, tick_s=0.02)
    fake, store = (
        Fake(lambda key, _: CallError("k", "x", "again") if key[-1] < 3 else None),
        Store(),
    )
    first, _, _ = run(fake, parts(range(20)), store, settings)
    assert (first.stats.made, first.stats.failed) == (17, 3)
    again, _, _ = run(fake, parts(range(20)), store, settings, before=first.stats)
    assert (again.stats.made, again.stats.failed) == (17, 3)
    last, _, _ = run(Fake(), parts(range(20)), store, settings, before=again.stats)
    assert (last.stats.made, last.stats.failed) == (20, 0)


def test_cancelling_lets_calls_in_flight_land_and_starts_no_new_ones():
    """Whatever was answered is kept; nothing that was kept is asked by the next start."""
    fake, store, at = Fake(latency=0.1), Store(), []

    def tick(stats):
        if stats.made >= 40:
            at.append(sum(fake.asked.values()))
            raise RunCancelled("stop")

    with pytest.raises(RunCancelled):
        run(fake, parts(range(1000)), store, tick=tick)
    assert sum(fake.asked.values()) - at[0] <= 20
    assert set(store.kept) == set(fake.answered)
    run(fake, parts(range(200)), store)
    assert set(fake.answered.values()) == {1}


def test_a_call_that_hangs_does_not_hold_the_end_for_ever():
    """The grace is short."""

    class Hanging(Fake):
        async def __call__(self, asked):
            self.asked[asked.key] += 1
            await asyncio.sleep(3600)

    def tick(_):
        raise RunCancelled("stop")

    began = time.monotonic()
    with pytest.raises(RunCancelled):
        run(Hanging(), parts(range(100)), tick=tick)
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("where", ["done", "tickets", "journal", "ask"])
def test_whatever_else_fails_ends_the_run_with_its_own_error(where):
    """`done`, the reader of files, the disk, a bug in the client."""

    def broken(*_):
        raise ZeroDivisionError(where)

    def tickets():
        yield from parts(range(50))
        if where == "tickets":
            broken()
        yield from parts(range(50, 5000))

    class Full(Store):
        async def put(self, key, answer, reused=False):
            if where == "journal" and len(self.kept) > 20:
                broken()
            await super().put(key, answer, reused)

    fake = Fake((lambda *_: ZeroDivisionError(where)) if where == "ask" else lambda *_: None)
    with pytest.raises(ZeroDivisionError, match=where):
        run(fake, tickets(), Full(), done=broken if where == "done" else lambda *_: None)
    assert sum(fake.asked.values()) < 2000


def test_open_tickets_and_contexts_stay_few_whatever_the_run_s_size():
    """Tickets are pulled while there is room, and let go when they are done."""
    pulled, ended, most = [0], [0], [0]

    def tickets():
        for number in range(3000):
            pulled[0] += 1
            most[0] = max(most[0], pulled[0] - ended[0])
            yield Part([context(number)])

    def done(*_):
        ended[0] += 1

    fake = Fake(latency=0.0)
    run(fake, tickets(), done=done)
    assert ended[0] == 3000
    assert most[0] <= QUICK.room + 2
    assert fake.most <= 20


def test_a_slow_done_holds_back_the_asking():
    """Finished tickets do not pile up; `done` runs one at a time, outside the event loop."""
    inside, pulled, ended = [], [0], [0]

    def tickets():
        for number in range(200):
            pulled[0] += 1
            assert pulled[0] - ended[0] <= PoolSettings(2).room + 2
            yield Part([context(number)])

    def done(*_):
        assert not inside
        inside.append(threading.current_thread())
        assert inside[0] is not threading.main_thread()
        time.sleep(0.001)
        inside.pop()
        ended[0] += 1

    run(Fake(), tickets(), settings=PoolSettings(2, tick_s=0.01), done=done)
    assert ended[0] == 200


def test_an_empty_ticket_and_no_ticket_at_all_end_too():
    """Nothing to ask is no reason to wait."""
    _, finished, _ = run(Fake(), iter([Part([]), Part([])]))
    assert len(finished) == 2
    _, finished, _ = run(Fake(), iter([]))
    assert not finished


def test_the_counts_go_on_from_those_of_earlier_starts():
    """A resumed run shows the whole."""
    seen = []
    before = CallStats(made=5, retried=2, errors={"429": 2}, input_tokens=7)

    async def main():
        fake = Fake(lambda _, attempt: CallError("429", "x", "again") if attempt == 1 else None)
        pool = Pool(fake, Store(), QUICK, None, seen.append, before)
        await pool.run(parts(range(10)), lambda *_: None)

    asyncio.run(main())
    last = seen[-1]
    assert (last.made, last.retried, last.errors) == (15, 12, {"429": 12})
    assert (last.input_tokens, last.max_concurrent) == (107, 20)


def test_a_pool_can_run_again_for_more_tickets():
    """Rounds of a search share limiter, counts and journal."""
    store, fake = Store(), Fake()

    async def main():
        pool = Pool(fake, store, QUICK, None, lambda _: None)
        await pool.run(parts(range(20)), lambda *_: None)
        await pool.run(parts(range(40)), lambda *_: None)
        return pool.stats.made

    assert asyncio.run(main()) == 40
    assert set(fake.asked.values()) == {1}
