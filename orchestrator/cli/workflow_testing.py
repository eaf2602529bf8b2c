"""`relay workflows test`: plays the cases of workflows, and tells of each like a test runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json
from orchestrator.cli.project import project_if_any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.commands.workflow_tests import Result

_INDENT = " " * 4
_TIME = 8


def register(group: typer.Typer) -> None:
    group.command("test")(run_cases)


def run_cases(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME|FILE]…", help="Without, all with cases.")] = None,
    words: Annotated[str, typer.Option("-k", metavar="WORDS", help="Only cases with these words in their names.")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the order of the steps.")] = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Run the cases of NAME.test.yaml: steps give what a case says. Exits with 1 if any fails."""
    from lib.errors import EXIT_FAILED, UsageError
    from lib.workflow.library import shelf as shelf_of
    from orchestrator.commands.workflow_tests import as_data, results, suites

    shelf = shelf_of(project_if_any())
    played = {}
    human = not for_machines(output, as_json)
    for suite in suites(names or (), shelf):
        found: list[Result] = []
        for result in results(suite, shelf, words):
            if human and not found:
                typer.echo(f"{suite.entry.name}")
            found.append(result)
            if human:
                _tell_result(result, verbose=verbose)
        if found:
            played[suite.entry.name] = (suite, found)
    if not played:
        where = f" with {words} in its name" if words else ""
        raise UsageError(f"there is no case{where}", remedy="relay workflows test -v", code="no_cases")
    if human:
        _tell_sum([result for _, found in played.values() for result in found])
    else:
        print_json(as_data(played))
    if not all(result.passed for _, found in played.values() for result in found):
        raise typer.Exit(EXIT_FAILED)


def _tell_result(result: Result, *, verbose: bool) -> None:
    from lib.display import clip, width
    from orchestrator.rehearsal.expectations import arrows
    from orchestrator.status.screen import paint, wrapped

    columns = _columns()
    mark = paint("✓", "green") if result.passed else paint("✗", "red")
    name = clip(result.case, columns - _TIME - 5)
    took = f"{result.seconds * 1000:.0f} ms"
    gap = " " * max(1, columns - 4 - width(name) - len(took))
    _echo(f"  {mark} {name}{gap}{paint(took, 'dim')}")
    if verbose:
        for line in wrapped(arrows(result.ended.order), columns - len(_INDENT)):
            _echo(f"{_INDENT}{paint(line, 'dim')}")
    for told in result.differences:
        first, *more = wrapped(told, columns - len(_INDENT) - 2)
        _echo(f"{_INDENT}{paint(first, 'red')}")
        for line in more:
            _echo(f"{_INDENT}  {paint(line, 'red')}")


def _tell_sum(found: Sequence[Result]) -> None:
    from orchestrator.status.screen import paint

    failed = sum(not result.passed for result in found)
    parts = [paint(f"{failed} failed", "bold red")] if failed else []
    parts += [paint(f"{len(found) - failed} passed", "green")] if len(found) > failed else []
    seconds = sum(result.seconds for result in found)
    _echo(f"\n{', '.join(parts)} in {seconds:.2f} s")


def _columns() -> int:
    from orchestrator.status.screen import terminal_width

    return min(80, terminal_width())


def _echo(line: str) -> None:
    from orchestrator.status.screen import say

    say(line)
