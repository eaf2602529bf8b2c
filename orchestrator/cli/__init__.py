"""The command line: typer commands, one group a file. Nothing else in Relay exits or prints."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from lib.errors import EXIT_OK


def main() -> None:
    """`relay`."""
    if sys.argv[1:2] == ["status"]:  # without typer and the other commands, which cost more than status itself
        from orchestrator.commands.status import main as status

        sys.exit(status(sys.argv[2:]))
    _exit_with(lambda: _app()(sys.argv[1:]))


def start_main() -> None:
    """`start_workflow.py`: the `start` command under its own name."""
    gc.disable()  # loading leaves nothing to collect; `begin` turns it on again
    _exit_with(lambda: _start_app()(sys.argv[1:]))


def _app() -> Callable[..., object]:
    from orchestrator.cli.app import app

    return app


def _start_app() -> Callable[..., object]:
    """The one command, without loading the others."""
    import typer

    from orchestrator.cli.running import start

    settings = {"help_option_names": ["-h", "--help"]}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                      context_settings=settings)  # fmt: skip
    app.command()(start)
    return app


def _exit_with(call: Callable[[], object]) -> None:
    from lib.names import show_on
    from lib.process import occupy_stdio
    from orchestrator.ending import exit_code

    def called() -> int:
        call()
        return EXIT_OK

    occupy_stdio()
    show_on(sys.stdout, sys.stderr)
    sys.exit(exit_code(called))
