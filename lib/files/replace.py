"""Replacing a file as a whole: readers see the old content or the new, and no editor's save in between is lost.

`exchange` swaps the new file with the old one in one step (renameat2(2)) and only then looks at what it displaced. What
becomes of that is said in `lib.files.replaced_file`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from errno import EACCES, EDQUOT, EINVAL, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM, EROFS
from pathlib import Path
from typing import Final

from lib.errors import EXIT_FAILED, RelayError
from lib.files import replaced_file
from lib.files.replaced_file import Late, content_of, read_in
from lib.files.safe_read import NotPlainError, open_folder
from lib.names import quote

__all__ = ["Changed", "Late", "WriteError", "exchange", "late_write", "replace_file", "sweep_temporaries"]

_TEMPORARY: Final = re.compile(r"\..+\.(\d+)-[0-9a-f]{8}\.tmp")
_RENAME_NOREPLACE: Final = 1
_RENAME_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset({EINVAL, ENOSYS, EOPNOTSUPP, EPERM})


class WriteError(RelayError):
    """A file could not be written; the same call may be made again once the cause is mended.

    `code` is `write_full`, `write_readonly` or `write_failed`. `in_place` says what a look at the file gave: the old
    content is there, or the new one, which a power cut may still take away.
    """

    exit_code = EXIT_FAILED

    def __init__(self, path: Path, error: OSError, *, in_place: bool = False) -> None:
        folder = quote(str(path.parent))
        code, remedy = "write_failed", f"ls -ld {folder} {quote(str(path))}"
        if error.errno in {ENOSPC, EDQUOT}:
            code, remedy = "write_full", f"df -h {folder}; df -i {folder}"
        elif error.errno in {EROFS, EACCES, EPERM}:
            code = "write_readonly"
        held = "its new content may not survive a power cut" if in_place else "its old content is unchanged"
        super().__init__(f"{path} can't be written: {error.strerror}; {held}", remedy=remedy, code=code)
        self.in_place = in_place


class Changed(Exception):  # noqa: N818 - an answer rather than a failure
    """Somebody else changed the file; `actual` is what it holds now, None if it is gone."""

    def __init__(self, actual: bytes | None) -> None:
        super().__init__("the file was changed meanwhile")
        self.actual = actual


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Gives `path` the content `data`; with `durable`, it survives a power cut once this has returned.

    The folder must exist and be no link; a link at `path` itself is replaced, not followed. Raises `WriteError`,
    `RelayError` (`state_path_refused`).
    """
    with _explained(path), _folder_of(path) as folder:
        with _temporary(folder, path.name, data, durable=durable) as temporary:
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        if durable:
            _sync(folder, path, data)


def exchange(path: Path, data: bytes, expected: bytes | None) -> None:
    """Gives `path` the content `data` if it holds `expected`; None means that there must be nothing.

    Holds against editors that know of no lock. Two programs of ours take `lib.project.lock.state_lock` first. Raises
    `Changed`, and then what somebody else saved is kept; `WriteError`, `RelayError` (`state_path_refused`).
    """
    name = path.name
    with _explained(path), _folder_of(path) as folder:
        if (actual := read_in(folder, name)) != expected:
            raise Changed(actual)
        with _temporary(folder, name, data, mode=_mode(folder, name)) as temporary:
            if expected is None:
                _create(folder, temporary, name)
            else:
                _swap(folder, temporary, name, data, expected)
        _sync(folder, path, data)


def late_write(path: Path) -> Late | None:
    """A save that went into a file which `exchange` had displaced from `path`, or that a crash left unnoticed.

    Its data may be incomplete while the editor is at it. The lock that writers of `path` take must be held. Raises
    `OSError`.
    """
    try:
        with _folder_of(path) as folder:
            found = replaced_file.written_since(folder, path.name)
    except (FileNotFoundError, NotPlainError):
        return None
    return None if found is None else Late(path.with_name(found[0]), found[1])


def sweep_temporaries(folder: Path, of: str = "") -> None:
    """Removes what writers that were killed left in `folder`; none of it was ever in place. With `of`, only what was
    to become that file. A folder that is missing, or a link, has nothing. Raises `OSError`.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in folder.iterdir():
        found = _TEMPORARY.fullmatch(path.name)
        if found and path.name.startswith(f".{of}") and not _alive(int(found[1])):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


# --- the steps -------------------------------------------------------------------------------------------------------


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WriteError(path, error) from error
    except NotPlainError as error:
        message = f"{path} is {error.what}, or its folder is; Relay writes plain files only"
        raise RelayError(message, remedy=f"ls -ld {quote(str(path.parent))} {quote(str(path))}",
                         code="state_path_refused") from error  # fmt: skip


@contextmanager
def _folder_of(path: Path) -> Iterator[int]:
    descriptor = open_folder(path.parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(folder: int, name: str, data: bytes, *, mode: int | None = None, durable: bool = True) -> Iterator[str]:
    """The name of a new file with that content. It is gone afterwards, unless it was renamed."""
    temporary = f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield temporary
    finally:
        _remove(folder, temporary)


def _mode(folder: int, name: str) -> int | None:
    try:
        return stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return None


def _create(folder: int, temporary: str, name: str) -> None:
    """Puts a file where none is; one that appeared meanwhile is left alone."""
    try:
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            _rename(folder, temporary, name, _RENAME_NOREPLACE)
    except FileExistsError:
        raise Changed(read_in(folder, name)) from None


def _swap(folder: int, temporary: str, name: str, data: bytes, expected: bytes) -> None:
    """Exchanges and looks; on a surprise exchanges back."""
    slot = replaced_file.name_for(name, expected)
    os.rename(temporary, slot, src_dir_fd=folder, dst_dir_fd=folder)
    try:
        with _pinned(folder, slot) as ours:
            try:
                _rename(folder, slot, name, _RENAME_EXCHANGE)
            except OSError as error:
                if error.errno == ENOENT:
                    raise Changed(None) from None
                if error.errno not in _UNSUPPORTED:
                    raise
                _swap_by_link(folder, slot, name, expected)
            else:
                if not _holds(folder, slot, expected):
                    _put_back(folder, slot, name, ours)
                    raise Changed(read_in(folder, name))
        replaced_file.drop(folder, name, newest=slot)
    finally:
        if _holds(folder, slot, data):  # never came into place, or came back as it was; else it is somebody's save
            _remove(folder, slot)


def _put_back(folder: int, slot: str, name: str, placed: int) -> None:
    """Exchanges until what comes out is what was known to be in place: then the newest save is back in place.

    `placed` is a descriptor of it: while it is open, its inode number can't come up again.
    """
    with ExitStack() as pins:
        while True:
            waiting = pins.enter_context(_pinned(folder, slot))
            try:
                _rename(folder, slot, name, _RENAME_EXCHANGE)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):  # it is there again: once more
                    _rename(folder, slot, name, _RENAME_NOREPLACE)
                    return
                continue
            came_out = os.stat(slot, dir_fd=folder, follow_symlinks=False)
            if os.path.samestat(came_out, os.fstat(placed)):
                return
            placed = waiting


def _swap_by_link(folder: int, fresh: str, name: str, expected: bytes) -> None:
    """As well as it can be done where there is no exchange: a save by rename between the last two steps is lost."""
    slot = replaced_file.name_for(name, expected)
    try:
        os.link(name, slot, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise Changed(None) from None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    if not _holds(folder, name, expected):
        _remove(folder, slot)
        raise Changed(read_in(folder, name))
    os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)


def _sync(folder: int, path: Path, data: bytes) -> None:
    """Makes the new name durable. A failure does not tell what is in place, so that is looked up."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno == EINVAL:  # a file system that has no such thing
            return
        raise WriteError(path, error, in_place=_holds(folder, path.name, data)) from error


@contextmanager
def _pinned(folder: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _holds(folder: int, name: str, content: bytes) -> bool:
    return content_of(folder, name) == content


def _remove(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # it was renamed
        os.unlink(name, dir_fd=folder)


def _rename(folder: int, old: str, new: str, flags: int) -> None:
    """renameat2(2) within one folder. Raises `OSError`: ENOSYS where the system has none, EINVAL the file system."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(ENOSYS, os.strerror(ENOSYS))
    if libc.renameat2(folder, os.fsencode(old), folder, os.fsencode(new), flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
