#!/usr/bin/env python3
"""Start a run from a checkout of Relay: `start_workflow.py "<requirement>"`, from any folder, by any link."""

import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve()
# The project that Relay works for may have a `lib` of its own.
sys.path.insert(0, str(SCRIPT.parent))

from lib.project.bootstrap import enter_environment  # noqa: E402

if __name__ == "__main__":
    enter_environment(SCRIPT)
    from orchestrator.cli import start_main

    start_main()
