"""The command line: typer commands, one group a file. Nothing else in Relay exits or prints."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

from lib.errors import EXIT_BUG, EXIT_OK, RelayError

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main() -> None:
    """`relay`."""
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
    from lib.process import occupy_stdio

    occupy_stdio()
    try:
        call()
        code = EXIT_OK
    except RelayError as error:
        from orchestrator.screen import error_block

        print(error_block(error.message, error.remedy), file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = EXIT_OK
    except SystemExit:
        raise
    except Exception:  # noqa: BLE001 - what no command foresaw is a bug, and says so
        import traceback

        traceback.print_exc()
        print("This is a bug in Relay. Your work is untouched; `relay status` shows the run.", file=sys.stderr)
        code = EXIT_BUG
    sys.exit(code)
