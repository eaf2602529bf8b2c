"""A terminal's alternate screen, redrawn in place, and left as it was found: at the end, on Ctrl-C and on TERM."""

from __future__ import annotations

import os
import re
import signal
import termios
import tty
from contextlib import ExitStack
from types import FrameType
from typing import Final, NoReturn, Self, TextIO

from lib.display import width

# Control sequences of ECMA-48, and private modes of xterm (ctlseqs) that every terminal of today knows.
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_CLEAR_LINE: Final = "\x1b[K"
_CLEAR_REST: Final = "\x1b[J"
_STYLE: Final = re.compile(r"\x1b\[[\d;]*m")
_QUIT: Final = frozenset(b"qQ\x04")
_KEYS_AT_ONCE: Final = 64


class Terminal:
    """`out` as a screen, and `keys`, if that is a terminal too, for the key that leaves."""

    def __init__(self, out: TextIO, keys: TextIO | None) -> None:
        self._out = out
        self._keys = keys if keys and keys.isatty() else None
        self._undo = ExitStack()

    @property
    def keys(self) -> int | None:
        """The descriptor to wait on for keys."""
        return self._keys.fileno() if self._keys else None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for number, handler in ((signal.SIGTERM, _terminated), (signal.SIGTSTP, signal.SIG_IGN)):
                undo.callback(signal.signal, number, signal.signal(number, handler))
            if self._keys:
                descriptor = self._keys.fileno()
                undo.callback(termios.tcsetattr, descriptor, termios.TCSADRAIN, termios.tcgetattr(descriptor))
                tty.setcbreak(descriptor)
            undo.callback(self._write, _LEAVE)
            self._write(_ENTER)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def draw(self, text: str, columns: int, rows: int) -> None:
        """Replaces what is shown by as much of `text` as `rows` take; one write, so that nothing flickers."""
        shown, left = [], rows
        for line in text.splitlines():
            left -= max(1, -(-width(_STYLE.sub("", line)) // columns))
            if left < 0:
                break
            shown.append(line + _CLEAR_LINE)
        self._write(_HOME + "\n".join(shown) + _CLEAR_REST)

    def wants_to_leave(self) -> bool:
        """Reads the keys that are waiting; whether one of them leaves, or there are no more to come."""
        if self._keys is None:
            return False
        pressed = os.read(self._keys.fileno(), _KEYS_AT_ONCE)  # a buffered read would keep some from the next select
        return not pressed or not _QUIT.isdisjoint(pressed)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
