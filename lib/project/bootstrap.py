"""Running from a checkout: the entry scripts' way to a Python that has Relay's dependencies.

It is read by whatever Python the script was started with, so it imports and uses nothing newer than Python 3.7.
"""

from __future__ import annotations

import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

NEEDED = (
    *("filelock", "git", "jinja2", "jsonschema", "pydantic", "referencing", "structlog", "typer", "typing_extensions"),
    "yaml",
)
OLDEST = (3, 11)
EXIT_REFUSED = 4  # as in lib.errors, which an older Python can't read


def enter_environment(script: Path) -> None:
    """Return where this Python can run Relay; else start `script` again with the checkout's own environment.

    Does not return when it replaces the process. Without such an environment, one line on standard error says what to
    type, and the process exits.
    """
    venv = script.parent / ".venv"
    inside = os.path.realpath(sys.prefix) == os.path.realpath(venv)
    if sys.version_info >= OLDEST and all(find_spec(name) for name in NEEDED):
        return
    python = venv / "bin" / "python"
    if not inside and os.access(python, os.X_OK):
        os.execv(python, [str(python), str(script), *sys.argv[1:]])  # noqa: S606 - no shell is wanted
    sys.stderr.write(f"Relay is not set up in {script.parent}; type: make -C {shlex.quote(str(script.parent))} setup\n")
    sys.exit(EXIT_REFUSED)
