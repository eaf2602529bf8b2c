"""What the installed commands call, under a name that neither a project nor a command has.

The caller's PYTHONPATH may name a project with a `lib` or an `orchestrator` of its own, and it comes before installed
packages. So the folder that this file was installed to is put first before anything else of Relay is imported.

It can't be a part of start_workflow.py: a command's own folder, `bin`, is searched before everything, and there
`import start_workflow` finds the command of that name.
"""

from __future__ import annotations

import sys
from pathlib import Path


def relay() -> None:
    _own_packages_first()
    from orchestrator.cli import main

    main()


def start_workflow() -> None:
    _own_packages_first()
    from orchestrator.cli import start_main

    start_main()


def status() -> int:
    _own_packages_first()
    from orchestrator.status import main

    return main()


def _own_packages_first() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
