"""The selector that everything wakes, and the threads for what takes time."""

from __future__ import annotations

import os
import signal
import threading

from eventually import WAIT_S

from orchestrator.pool import Pool
from orchestrator.wake import Wake


def test_a_signal_wakes_and_is_named() -> None:
    with Wake([signal.SIGUSR1]) as wake:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert wake.wait(WAIT_S) == (set(), [signal.SIGUSR1])


def test_a_bell_from_another_thread_wakes() -> None:
    with Wake([]) as wake:
        thread = threading.Thread(target=wake.ring)
        thread.start()
        assert wake.wait(WAIT_S) == (set(), [])
        thread.join()


def test_bells_beyond_what_the_buffer_holds_do_no_harm() -> None:
    with Wake([signal.SIGUSR1]) as wake:
        for _ in range(200_000):
            wake.ring()
        assert wake.wait(WAIT_S) == (set(), [])
        os.kill(os.getpid(), signal.SIGUSR1)
        assert wake.wait(WAIT_S)[1] == [signal.SIGUSR1]


def test_a_watched_descriptor_is_named_until_it_is_forgotten() -> None:
    reading, writing = os.pipe()
    with Wake([]) as wake:
        wake.watch(reading)
        os.write(writing, b"x")
        assert wake.wait(WAIT_S) == ({reading}, [])
        wake.forget(reading)
        assert wake.wait(0) == (set(), [])
    os.close(reading)
    os.close(writing)


def test_handlers_of_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with Wake([signal.SIGUSR1]):
        assert signal.getsignal(signal.SIGUSR1) is not before
    assert signal.getsignal(signal.SIGUSR1) is before


def test_tasks_of_one_lane_keep_their_order_and_lanes_run_side_by_side() -> None:
    done = threading.Semaphore(0)
    pool: Pool[str] = Pool(2, done.release)
    first_may_end, log = threading.Event(), []

    def first() -> str:
        first_may_end.wait(WAIT_S)
        log.append("a1")
        return "a1"

    def second() -> str:
        log.append("a2")
        return "a2"

    def other() -> str:
        log.append("b")
        first_may_end.set()
        return "b"

    for lane, task in (("a", first), ("a", second), ("b", other)):
        pool.submit(lane, task)
    for _ in range(3):
        assert done.acquire(timeout=WAIT_S)
    assert log == ["b", "a1", "a2"]
    assert sorted(pool.results()) == ["a1", "a2", "b"]
    pool.close(10)


def test_a_closed_pool_starts_nothing_more() -> None:
    done = threading.Semaphore(0)
    pool: Pool[int] = Pool(1, done.release)
    pool.close(10)
    pool.submit("a", lambda: 1)
    assert not done.acquire(timeout=0.05)
    assert pool.results() == []
