"""Watching a folder for changes with inotify(7). An event is a hint only: whoever watches goes on polling."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from inotify_simple import INotify

#: The watch of the event that says "events were lost".
_OVERFLOW: Final = -1


class Watch:
    """Watches one folder, not the files in it: a watch on a file dies when the file is first replaced.

    `fd` is ready for reading when there is something to `drain`. It is None where nothing can be watched, and then the
    polling alone finds changes; `reason` says why, also while the folder is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notifier: INotify | None = None
        self._watched: tuple[int, tuple[int, int]] | None = None
        self.reason = "this system has no inotify"
        if sys.platform == "linux":
            self._open()

    @property
    def fd(self) -> int | None:
        return self._notifier.fileno() if self._notifier else None

    def drain(self) -> bool:
        """True if anything changed since the last call. To be called at every poll too, not only when `fd` is ready:

        a folder that was moved away, or made again, is noticed here, and from then on the new one is watched.
        """
        if self._notifier is None:
            return False
        from inotify_simple import flags

        mark, identity = self._watched or (None, None)
        events = [event for event in self._notifier.read(timeout=0) if event.wd in {mark, _OVERFLOW}]
        gone = any(event.mask & (flags.IGNORED | flags.MOVE_SELF) for event in events)
        if gone or identity is None or identity != self._identity():
            return self._arm(self._notifier) or bool(events)
        return bool(events)

    def close(self) -> None:
        if self._notifier is not None:
            self._notifier.close()
            self._notifier = None

    def _open(self) -> None:
        from inotify_simple import INotify

        try:
            self._notifier = INotify(nonblocking=True)
        except OSError as error:
            self.reason = f"no inotify instance to be had: {error.strerror}"
            return
        if not self._arm(self._notifier) and self._folder.is_dir():
            self.close()

    def _arm(self, notifier: INotify) -> bool:
        """Watches what is now at the path, and nothing else; whether it can be."""
        from inotify_simple import flags

        wanted = flags.CREATE | flags.DELETE | flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_FROM | flags.MOVED_TO
        wanted |= flags.MOVE_SELF | flags.ONLYDIR | flags.DONT_FOLLOW
        if self._watched is not None:
            with contextlib.suppress(OSError):  # a folder that was removed took its watch along
                notifier.rm_watch(self._watched[0])
        self._watched = None
        identity = self._identity()
        try:
            self._watched = (notifier.add_watch(self._folder, wanted), identity)
        except OSError as error:
            self.reason = f"{self._folder} can't be watched: {error.strerror}"
            return False
        self.reason = ""
        return True

    def _identity(self) -> tuple[int, int]:
        with contextlib.suppress(FileNotFoundError):
            found = self._folder.lstat()
            return found.st_dev, found.st_ino
        return 0, 0
