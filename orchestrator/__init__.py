"""The daemon and the commands: the only layer that drives."""

import sys
from pathlib import Path

# The caller's PYTHONPATH may name a project with a `lib` of its own, and it comes before installed packages.
_OWN = str(Path(__file__).resolve().parent.parent)
if sys.path[0] != _OWN:
    sys.path.insert(0, _OWN)

from lib.lean import load_hashlib  # noqa: E402 - found by the path that was just set

load_hashlib()
