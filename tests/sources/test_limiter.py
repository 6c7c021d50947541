"""The limiter against simulated servers, in virtual time."""

import asyncio
import random
from collections import Counter, deque

import pytest

from kl_core.sources.limiter import Limiter
from tests.sources.virtual import in_virtual_time


class Server:
    """Bears `capacity(now)` calls in any second."""

    def __init__(self, capacity):
        self.capacity, self.taken = capacity, deque()

    def takes(self, now):
        while self.taken and self.taken[0] <= now - 1.0:
            self.taken.popleft()
        if len(self.taken) < self.capacity(now):
            self.taken.append(now)
            return True
        return False


def simulate(takes, ceiling=100, seconds=20, latency=0.05, retry_after=None, rate_limit=None):
    """Calls answered, and refused, by second."""
    good, bad, rng = Counter(), Counter(), random.Random(1)

    async def main(loop):
        limiter = Limiter(ceiling, rate_limit, clock=loop.time)

        async def worker():
            while loop.time() < seconds:
                sent = await limiter.acquire()
                assert limiter.in_flight <= ceiling
                if takes(loop.time()):
                    await asyncio.sleep(latency * rng.uniform(0.8, 1.2))
                    good[int(loop.time())] += 1
                    limiter.release(sent, "answered")
                else:
                    await asyncio.sleep(0.005)
                    bad[int(loop.time())] += 1
                    limiter.release(sent, "overload", retry_after)

        await asyncio.gather(*[worker() for _ in range(ceiling)])
        assert limiter.in_flight == 0

    in_virtual_time(main)
    return [good[i] for i in range(seconds)], [bad[i] for i in range(seconds)]


def mean(counts):
    return sum(counts) / len(counts)


@pytest.mark.parametrize("retry_after", [None, 0.2])
@pytest.mark.parametrize("capacity", [10, 100])
def test_throughput_settles_within_a_fifth_of_what_the_server_bears(capacity, retry_after):
    """A storm of 429 ends at the true capacity, with few calls refused on the way."""
    server = Server(lambda _: capacity)
    good, bad = simulate(server.takes, seconds=30, retry_after=retry_after)
    assert 0.8 * capacity <= mean(good[5:]) <= 1.01 * capacity
    assert mean(bad[5:]) <= 0.2 * capacity


def test_a_lifted_limit_is_found_again():
    """From 100 a second to 800 within 15 s of the server bearing it."""
    server = Server(lambda now: 100 if now < 10 else 800)
    good, _ = simulate(server.takes, seconds=30)
    assert 80 <= mean(good[5:10]) <= 101
    assert mean(good[25:]) >= 640


def test_a_lowered_limit_is_met_within_seconds():
    """From 800 a second to 100: no collapse, no lasting storm."""
    server = Server(lambda now: 800 if now < 6 else 100)
    good, bad = simulate(server.takes, seconds=20)
    assert 80 <= mean(good[9:]) <= 101
    assert mean(bad[9:]) <= 20


def test_refusals_that_have_nothing_to_do_with_load_do_not_slow_the_calls():
    """4 % of 429 by chance are noise."""
    rng = random.Random(2)
    good, _ = simulate(lambda _: rng.random() >= 0.04, ceiling=20, seconds=15)
    assert mean(good[3:]) >= 0.9 * 400


def test_the_window_doubles_each_round_until_the_ceiling():
    """Slow start: 10, 20, 40 … calls in flight, never above max_concurrent."""
    good, bad = simulate(lambda _: True, ceiling=80, seconds=3)
    assert not sum(bad)
    assert good[0] >= 0.75 * 80 / 0.05
    assert good[1] >= 0.97 * 80 / 0.05


def test_a_rate_limit_is_kept_and_used():
    """Beside the window: calls a second, evenly spaced."""
    good, _ = simulate(lambda _: True, seconds=10, rate_limit=30.0)
    assert max(good) <= 31
    assert mean(good[1:]) >= 29


def test_an_episode_cuts_once():
    """Refused calls that were sent before the cut do not cut again."""
    now = [0.0]

    async def main():
        limiter = Limiter(100, clock=lambda: now[0])
        sent = [await limiter.acquire() for _ in range(10)]
        now[0] = 1.0
        for each in sent[:5]:
            limiter.release(each, "overload", 30.0)
        rate = limiter.rate
        assert rate < float("inf")
        now[0] = 1.01
        for each in sent[5:]:
            limiter.release(each, "overload", 30.0)
        assert limiter.rate == pytest.approx(rate, rel=0.2)
        assert limiter.rate >= rate

    asyncio.run(main())


def test_retry_after_pauses_all_calls_once():
    """Nothing is sent while the server asks to wait, and late refusals do not prolong it."""

    async def main(loop):
        limiter = Limiter(100, clock=loop.time)
        sent = [await limiter.acquire() for _ in range(10)]
        await asyncio.sleep(0.1)
        for each in sent[:6]:
            limiter.release(each, "overload", 3.0)
        await asyncio.sleep(0.5)
        for each in sent[6:]:
            limiter.release(each, "overload", 3.0)
        assert 3.1 <= await limiter.acquire() <= 3.5

    in_virtual_time(main)


def test_there_is_always_leave_for_one_call():
    """Whatever is refused, the limiter does not stop for ever."""
    good, bad = simulate(lambda now: now > 60, seconds=90)
    assert not sum(good[:60])
    assert sum(bad[:60]) < 1000
    assert sum(good[60:]) > 0


def test_a_call_given_up_while_waiting_leaves_no_trace():
    """A cancelled worker holds no leave."""

    async def main(loop):
        limiter = Limiter(1, clock=loop.time)
        sent = await limiter.acquire()
        waiting = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert limiter.in_flight == 1
        limiter.release(sent, "lost")
        await limiter.acquire()

    in_virtual_time(main)
