"""One selector that everything wakes: signals, file changes, ended processes, finished work, the next deadline."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
from collections.abc import Iterable
from types import FrameType
from typing import Self

BELL = 0


def _noted(_signal: int, _frame: FrameType | None) -> None:
    """Does nothing: the wake-up descriptor has taken the signal's number, which is all a handler may safely do."""


class Wake:
    """A context manager. Signals named in `signals` are taken over for its lifetime and reported by `wait`."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._selector = selectors.DefaultSelector()
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)
        self._outer.setblocking(False)
        self._selector.register(self._inner, selectors.EVENT_READ)
        self._previous_fd = signal.set_wakeup_fd(self._outer.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, _noted) for number in signals}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._selector.close()
        self._inner.close()
        self._outer.close()

    def watch(self, descriptor: int) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ)

    def forget(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def ring(self) -> None:
        """Wakes `wait` from any thread; a full buffer means that it is awake already."""
        with contextlib.suppress(BlockingIOError):
            self._outer.send(bytes([BELL]))

    def wait(self, timeout_s: float) -> tuple[set[int], list[int]]:
        """Sleeps until something happens or `timeout_s` is over: the descriptors that are ready, and the signals."""
        ready = {int(key.fd) for key, _ in self._selector.select(max(0.0, timeout_s))}
        signals: list[int] = []
        if self._inner.fileno() in ready:
            ready.remove(self._inner.fileno())
            with contextlib.suppress(BlockingIOError):
                while taken := self._inner.recv(4096):
                    signals += [number for number in taken if number != BELL]
        return ready, signals
