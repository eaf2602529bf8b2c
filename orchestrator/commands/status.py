"""`status.py` and `relay status`: one screen that says how far the run is, who acts next, and how.

It reads only, works with the orchestrator down, and starts in a few milliseconds: what it imports is watched by a test.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from lib.errors import EXIT_OK
from lib.project.paths import DEFAULT_INSTANCE, Project, find_project, working_folder
from orchestrator.ending import exit_code
from orchestrator.status.page import page
from orchestrator.status.query import instances, look
from orchestrator.status.screen import Look, say, table
from orchestrator.status.view import as_data, stage
from orchestrator.status.whereabouts import Place, seen_from

INTERVAL_S: Final = 0.5
_START: Final = 'relay start "what you want built"'


class Options(NamedTuple):
    instance: str = DEFAULT_INSTANCE
    json: bool = False
    watch: float | None = None
    colour: bool = True


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 whenever there is something to show, else that of the `RelayError`."""
    arguments = sys.argv[1:] if argv is None else argv
    return exit_code(lambda: _run(_parsed(arguments) if arguments else Options()))


def _parsed(arguments: Sequence[str]) -> Options:
    """Raises `SystemExit` as argparse does; imported late, as most calls have no arguments."""
    import argparse

    parser = argparse.ArgumentParser(
        prog="relay status", description="Show how far the run is, who acts next, and how."
    )
    parser.add_argument("--instance", default=DEFAULT_INSTANCE, metavar="NAME", help="an instance other than default")
    parser.add_argument("--json", action="store_true", help="everything, for machines; with --watch a line each time")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="json is the same as --json")
    parser.add_argument("--watch", nargs="?", type=float, const=INTERVAL_S, metavar="SECONDS",
                        help="stay until the run is over; q leaves")  # fmt: skip
    parser.add_argument("--no-color", dest="colour", action="store_false", help="print no colours, as with NO_COLOR")
    found = vars(parser.parse_args(arguments))
    found["json"] |= found.pop("format") == "json"
    return Options(**found)


def _run(options: Options) -> int:
    project = find_project(working_folder(), options.instance)
    view = look(project, every=options.json)
    if view is None:
        return _no_run(project, options)
    if options.watch is not None and view.outcome is None:
        from orchestrator.status.watch import watch

        return watch(project, view.run, max(options.watch, 0.1), as_json=options.json, colour=options.colour)
    if options.json:
        say(json.dumps(as_data(view), indent=2))
    else:
        say(page(seen_from(view, Place.of(project)), Look.of(sys.stdout, colour=options.colour)))
    return EXIT_OK


def _no_run(project: Project, options: Options) -> int:
    others = instances(project)
    if options.json:
        say(json.dumps({"run": None, "instances": [row.instance for row in others]}))
        return EXIT_OK
    shown = Look.of(sys.stdout, colour=options.colour)
    what = "No run here yet." if options.instance == DEFAULT_INSTANCE else f"No run of instance {options.instance}."
    lines = [what, "", f"   {_START}"]
    if others:
        rows = [
            [row.instance, stage(row.outcome, row.phase, row.owner, row.workflow), row.requirement] for row in others
        ]
        lines = [what, "", table(["instance", "status", "requirement"], rows, shown.columns), "",
                 f"   relay status --instance {others[0].instance}"]  # fmt: skip
    say(shown.spelled("\n".join(lines)))
    return EXIT_OK
