"""A few threads for what takes time. Tasks of one lane run one after another, lanes side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Runs tasks and keeps their results until they are fetched; `on_done` is called from the thread after each.

    A task must not raise: whoever submits it turns errors into results.
    """

    def __init__(self, threads: int, on_done: Callable[[], None]) -> None:
        self._on_done = on_done
        self._changed = threading.Condition()
        self._waiting: deque[tuple[str, Callable[[], T]]] = deque()
        self._busy: set[str] = set()
        self._results: deque[T] = deque()
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, lane: str, task: Callable[[], T]) -> None:
        with self._changed:
            self._waiting.append((lane, task))
            self._changed.notify()

    def results(self) -> list[T]:
        """Results of what has finished since the last call, in the order of finishing."""
        taken: list[T] = []
        while self._results:
            taken.append(self._results.popleft())
        return taken

    def idle(self) -> bool:
        with self._changed:
            return not (self._busy or self._waiting or self._results)

    def close(self, timeout_s: float) -> None:
        """Starts nothing more, and waits at most `timeout_s` for each task that is under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout_s)

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            lane, task = taken
            result = task()
            with self._changed:
                self._busy.discard(lane)
                self._results.append(result)
                self._changed.notify_all()
            self._on_done()

    def _next(self) -> tuple[str, Callable[[], T]] | None:
        with self._changed:
            while not self._closed:
                for position, (lane, task) in enumerate(self._waiting):
                    if lane not in self._busy:
                        del self._waiting[position]
                        self._busy.add(lane)
                        return lane, task
                self._changed.wait()
            return None
