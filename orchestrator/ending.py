"""The end of every command: its exit code, and one sentence in place of a traceback for what a user can mend.

It must stay light: `status.py` ends here too. The codes are documented in docs/user-guide.md.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from errno import EACCES, EDQUOT, EIO, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lib.errors import EXIT_BUG, EXIT_FAILED, EXIT_OK, RelayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.status.whereabouts import Place

INTERRUPTED: Final = 130  # 128 + SIGINT, as shells report it
#: What the machine refuses, and no program of ours could have known: each with what to type about it.
_REFUSALS: Final = {
    **dict.fromkeys((EACCES, EPERM, EROFS, ELOOP, ENAMETOOLONG), "ls -ld {}"),
    **dict.fromkeys((ENOSPC, EDQUOT, EIO), "df -h {}"),
    **dict.fromkeys((EMFILE, ENFILE), "ulimit -n"),
}
_OUTPUT_REFUSED: Final = frozenset({ENOSPC, EDQUOT, EIO})


def exit_code(call: Callable[[], int]) -> int:
    """Calls it, and tells what went wrong on standard error; the code to exit with.

    Raises `SystemExit`, `ImportError`.
    """
    _open_streams()
    try:
        code = call()
        sys.stdout.flush()
    except RelayError as error:
        return _told(error.message, error.remedy, error.exit_code)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        if error.errno in _REFUSALS:
            return _refused(error)
        return _bug()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # as click turns one into
            return _unread()
        raise
    except ImportError:
        raise  # `status.py` of a checkout enters its environment then
    except Exception:  # noqa: BLE001 - what no command foresaw is a bug, and says so
        return _bug()
    return code


def _open_streams() -> None:
    """Puts /dev/null in place of a standard stream that is closed (`>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - it stays open to the end


def _told(message: str, remedy: str, code: int) -> int:
    from orchestrator.status.screen import error_block

    with suppress(RelayError):  # in no project, paths are as they are
        place = _place()
        message, remedy = place.told(message), place.told(remedy)
    sys.stderr.write(error_block(message, remedy) + "\n")
    return code


def _place() -> Place:
    """The place that the command was typed in. Raises `RelayError`."""
    from lib.project.paths import find_project, working_folder
    from orchestrator.status.whereabouts import Place

    return Place.of(find_project(working_folder(), _instance(sys.argv)))


def _instance(arguments: list[str]) -> str:
    """The instance that the command was about."""
    for at, word in enumerate(arguments):
        if word.startswith("--instance"):
            return word.partition("=")[2] or "".join(arguments[at + 1 : at + 2])
    return "default"


def _unread() -> int:
    """The reader went away, which is no error: what is still buffered goes nowhere."""
    _drop_output()
    return EXIT_OK


def _refused(error: OSError) -> int:
    if error.filename is None and error.errno in _OUTPUT_REFUSED:
        _drop_output()
        return _told(f"standard output can't be written: {error.strerror}", "df -h .", EXIT_FAILED)
    from lib.names import quote

    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "."
    remedy = _REFUSALS[error.errno or 0].format(quote(where))
    return _told(f"{where}: {error.strerror}{_owner(Path(where))}", remedy, EXIT_FAILED)


def _owner(path: Path) -> str:
    """Names the owner of the nearest folder or file that is another user's."""
    for place in (path, *path.parents):
        with suppress(OSError):
            if (uid := place.lstat().st_uid) not in {os.geteuid(), 0}:
                return f"; {place} belongs to user {uid}"
    return ""


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _bug() -> int:
    import traceback

    traceback.print_exc()
    sys.stderr.write("This is a bug in Relay. Your work is untouched; `relay status` shows the run.\n")
    return EXIT_BUG
