"""Commands that look at all runs of a repository: `runs` finds them, `stats` says how they went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lib.store.rundb import RunDB
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.project import project_of

if TYPE_CHECKING:
    from lib.secrets.masking import Masker
    from lib.store.history import Found, Wanted
    from lib.store.rows import RunRow

_NO_RUNS: Final = 'No runs. Start one with: relay start "what you want built"'

Since = Annotated[str | None, typer.Option(help="Only runs that started then or later: 2026-11-01, or 7d, 12h, 30m.")]


def register(app: typer.Typer) -> None:
    for command in (runs, stats):
        app.command()(command)


def runs(
    words: Annotated[list[str] | None, typer.Argument(help="Only runs in which one text has all of these words: a "
                     'requirement, prompt, output or error. "In quotes" for a phrase.')] = None,
    workflow: Annotated[str | None, typer.Option(help="Only runs of that workflow.")] = None,
    outcome: Annotated[str | None, typer.Option(help="landed, stored, done, failed or cancelled.")] = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option(help="Only runs that started then or earlier.")] = None,
    step: Annotated[str | None, typer.Option(help="Only runs with that step; words are looked for in that.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed, or of which a step did.")] = False,
    limit: Annotated[int, typer.Option(min=1)] = 20,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:  # fmt: skip
    """List the runs of this repository, the newest first, and search all that was said in them."""
    project = project_of("default")
    wanted = _wanted(workflow, outcome, since, until, step, failed=failed)
    text = " ".join(f'"{each}"' if " " in each.strip() and '"' not in each else each for each in words or ()).strip()
    found: list[Found] = []
    listed: list[RunRow] = []
    if db := RunDB.open_readonly(project.database):
        with db.history() as history:
            if text:
                found = history.search(text, wanted, limit=limit)
                listed = [each.run for each in found]
            else:
                listed = history.runs(wanted, limit=limit)
    from lib.secrets.masking import Masker

    masker = Masker.from_environ()
    if for_machines(output, as_json):
        print_json([as_dict(row) for row in listed] if not text else [_found(each, masker) for each in found])
        return
    if not listed:
        _tell_of_none(text, is_filtered=wanted != _wanted(None, None, None, None, None, failed=False))
        return
    _show(listed, found, masker)
    tell(f"\nMore of one: relay show {listed[0].id}")


def stats(
    workflow: Annotated[str, typer.Argument(help="Its steps one by one; all workflows if left out.")] = "",
    since: Since = None,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Say how the runs of each workflow went, or the steps of one."""
    from orchestrator.commands.run_statistics import statistics_of

    project = project_of("default")
    wanted = _wanted(workflow or None, None, since, None, None, failed=False)
    one, every = None, list[Any]()
    if db := RunDB.open_readonly(project.database):
        with db.history() as history:
            one = statistics_of(history, wanted) if workflow else None
            every = [] if workflow else history.workflows(wanted)
    if workflow and one is None:
        from lib.errors import RelayError

        period = f" since {since}" if since else ""
        raise RelayError(f"there is no run of a workflow {workflow}{period}", remedy="relay stats", code="no_run")
    if for_machines(output, as_json):
        print_json(one.as_dict() if one else every)
    elif one:
        from orchestrator.cli.statistics_page import workflow_page

        workflow_page(one)
    elif every:
        from orchestrator.cli.statistics_page import workflows_page

        workflows_page(every)
    else:
        tell("No such run. All runs: relay stats" if since else _NO_RUNS)


def as_dict(row: RunRow) -> dict[str, object]:
    """A run for machines."""
    return {
        "run": row.id, "instance": row.instance, "project": row.root, "workflow": row.workflow,
        "requirement": row.requirement, "phase": row.phase, "action_owner": row.owner, "action_needed": row.action,
        "outcome": row.outcome, "created_at": row.created_at, "updated_at": row.updated_at,
    }  # fmt: skip


def _wanted(
    workflow: str | None, outcome: str | None, since: str | None, until: str | None, step: str | None, *, failed: bool
) -> Wanted:
    """The runs that the options ask for. Raises `UsageError` (`not_a_date`, `unknown_outcome`)."""
    from datetime import UTC, datetime

    from lib.periods import instant
    from lib.store.history import Wanted

    if outcome is not None:
        from lib.errors import UsageError
        from lib.model import RunOutcome

        if outcome not in set(RunOutcome):
            message = f"{outcome!r} is no outcome of a run: {', '.join(RunOutcome)}"
            raise UsageError(message, remedy="relay runs --outcome landed", code="unknown_outcome")
    now = datetime.now(UTC)
    begin = instant(since, now, "--since") if since else None
    end = instant(until, now, "--until", ends=True) if until else None
    return Wanted(workflow, outcome, begin, end, step, failed)


def _found(each: Found, masker: Masker) -> dict[str, Any]:
    place = each.place
    where = {"step": place.step, "kind": place.kind, "at": place.at, "text": masker.masked(place.text),
             "words": [place.text[begin:end] for begin, end in place.marks]}  # fmt: skip
    return {**as_dict(each.run), "found": where, "more": each.more}


def _tell_of_none(text: str, *, is_filtered: bool) -> None:
    if text:
        of = "these runs" if is_filtered else "a run"
        tell(f"Nothing that was said in {of} has these words. All runs: relay runs")
    elif is_filtered:
        tell("No such run. All runs: relay runs")
    else:
        tell(_NO_RUNS)


def _show(listed: Sequence[RunRow], found: Sequence[Found], masker: Masker) -> None:
    """A table of runs; below each the place where the words were found."""
    from orchestrator.status.screen import table, terminal_width
    from orchestrator.status.view import stage

    columns = terminal_width()
    rows = [[row.id, stage(row.outcome, row.phase, row.owner, row.workflow), row.created_at[:16].replace("T", " "),
             " ".join(masker.masked(row.requirement).split())] for row in listed]  # fmt: skip
    head, *lines = table(["run", "status", "started", "requirement"], rows, columns).splitlines()
    typer.echo(head)
    for at, line in enumerate(lines):
        typer.echo(line)
        if found:
            typer.echo(_where(found[at], masker, columns))


def _where(each: Found, masker: Masker, columns: int) -> str:
    """The line of a place: the step and the kind of the text, and a part of it with the words marked."""
    import sys

    from lib.display import counted, escaped, width
    from orchestrator.status.screen import has_colour, paint

    place = each.place
    head = f"    {escaped(' '.join(filter(None, (place.step, place.kind))))}: "
    tail = f"  (+{counted(each.more, 'place')})" if each.more else ""
    is_painted = has_colour(sys.stdout)
    room = max(20, columns - width(head) - len(tail) - (0 if is_painted else 2 * len(place.marks)))
    text, marks = around(place.text, place.marks, room)
    if masker.masked(text) != text:
        return head + escaped(masker.masked(text)) + tail
    said, last = "", 0
    for begin, end in marks:
        word = escaped(text[begin:end])
        said += escaped(text[last:begin]) + (paint(word, "bold yellow") if is_painted else f"[{word}]")
        last = end
    return f"{paint(head, 'dim')}{said}{escaped(text[last:])}{paint(tail, 'dim')}"


def around(text: str, marks: Sequence[tuple[int, int]], columns: int) -> tuple[str, list[tuple[int, int]]]:
    """The part of a text around its first mark that fits into so many columns, and the marks that are in it."""
    first = marks[0][0] if marks else 0
    begin = max(0, min(first - columns // 3, len(text) - columns))
    begin = text.find(" ", begin, first) + 1 or begin if begin else 0
    lead = "…" if begin and text[begin] != "…" else ""
    size = columns - len(lead)
    end = len(text) if len(text) - begin <= size else begin + size - 1
    shift = len(lead) - begin
    return (
        lead + text[begin:end] + ("…" if end < len(text) else ""),
        [(a + shift, b + shift) for a, b in marks if a >= begin and b <= end],
    )
