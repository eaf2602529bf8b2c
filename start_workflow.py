#!/usr/bin/env python3
"""Start a run: `start_workflow.py "<requirement>"`, from any folder, by any link, from a checkout or installed.

The installed commands come in here too. The caller's PYTHONPATH may name a project that has a `lib` or an
`orchestrator` of its own, so the folder of this file is put first before anything else of Relay is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve()
sys.path.insert(0, str(SCRIPT.parent))


def main() -> None:
    """`start_workflow.py`."""
    from orchestrator.cli import start_main

    start_main()


def relay() -> None:
    """`relay`."""
    from orchestrator.cli import main as relay_main

    relay_main()


def status() -> int:
    """`status.py`; the exit code."""
    from orchestrator.status import main as status_main

    return status_main()


if __name__ == "__main__":
    from lib.checkout import enter_environment

    enter_environment(SCRIPT)
    main()
