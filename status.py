#!/usr/bin/env python3
"""Show how far a run is, from a checkout of Relay: `status.py`, from any folder, by any link."""

import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve()
# The project that Relay works for may have a `lib` of its own.
sys.path.insert(0, str(SCRIPT.parent))

if __name__ == "__main__":
    try:
        from orchestrator.commands.status import main

        sys.exit(main())
    except (ImportError, SyntaxError):
        # Only then: looking for the dependencies, of which status needs none as a rule, takes a tenth of its time.
        from lib.project.bootstrap import enter_environment

        enter_environment(SCRIPT)
        raise
