"""`relay workflows`: the workflows that are found from here, listed, shown, drawn, checked, made and changed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import workflow_testing
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.project import project_if_any

if TYPE_CHECKING:
    from lib.project.paths import Project
    from lib.workflow.faults import Remark
    from lib.workflow.library import Shelf

Name = Annotated[str, typer.Argument(metavar="NAME", help="A workflow's name, or its file.")]
User = Annotated[bool, typer.Option("--user", help="In your own folder, for all projects.")]


class Picture(StrEnum):
    TEXT = "text"
    TABLE = "table"
    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, draw, check and change workflows.")
    for command in (list_, show, new, edit, validate, graph, delete, import_, export, schema):
        group.command(command.__name__.rstrip("_"))(command)
    workflow_testing.register(group)
    app.add_typer(group, name="workflows")


def list_(output: Output = Format.TABLE, as_json: Json = False) -> None:
    """List the workflows of this project, of yours, and those that ship with Relay, in this order."""
    from orchestrator.commands.workflow_reports import listed

    rows = listed(_shelf())
    if for_machines(output, as_json):
        print_json(rows)
        return
    cells = [[str(row["name"]), str(row["origin"]), str(row["note"] or row["description"])] for row in rows]
    _print_table(["workflow", "from", ""], cells)
    for row in rows:
        for file in row["shadows"]:
            typer.echo(f"note: {row['name']} of {row['file']} is used, not {file}", err=True)
    tell("\nLook at one: relay workflows graph build")


def show(name: Name, output: Output = Format.TABLE, as_json: Json = False) -> None:
    """Show a workflow: what it does, its inputs, steps and outputs."""
    from orchestrator.commands.workflow_reports import described, shown

    shelf = _shelf()
    entry = shelf.entry(name)
    loaded, plan = shelf.plan(name)
    if for_machines(output, as_json):
        print_json(described(entry, loaded, plan))
        return
    _tell_remarks(loaded.remarks)
    typer.echo(shown(entry, plan))


def graph(
    name: Name,
    form: Annotated[Picture, typer.Option("--format", help="The kind of picture.")] = Picture.TEXT,
    as_json: Json = False,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there.")] = None,
) -> None:
    """Draw a workflow: its levels, what needs what, and the critical path."""
    from orchestrator.commands.workflow_reports import picture

    loaded, plan = _shelf().plan(name)
    text = picture(plan, Picture.JSON if as_json else form)
    _tell_remarks(loaded.remarks)
    if file is None:
        typer.echo(text)
        return
    from lib.files.replace import replace_file

    replace_file(file.absolute(), f"{text}\n".encode())


def validate(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]…", help="Names or files; without, all.")] = None,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Check workflows: everything that is wrong, with file, line and column. Exits with 2 if anything is."""
    from lib.errors import EXIT_USAGE
    from orchestrator.commands.workflow_reports import checked

    shelf = _shelf()
    rows = [checked(name, shelf) for name in names or [entry.name for entry in shelf.entries()]]
    if for_machines(output, as_json):
        print_json([row.as_data() for row in rows])
    else:
        for row in rows:
            typer.echo(row.told(), err=not row.valid)
    if not all(row.valid for row in rows):
        raise typer.Exit(EXIT_USAGE)


def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits, - and _.")],
    template: Annotated[str, typer.Option("--from", help="The workflow to begin from.")] = "",
    description: Annotated[str, typer.Option("--description", help="One line on what it does.")] = "",
    inputs: Annotated[list[str] | None, typer.Option("--input", help="The name of an input; may be repeated.")] = None,
    steps: Annotated[list[str] | None, typer.Option("--step", help="ID=PROMPT; may be repeated.")] = None,
    verify: Annotated[str, typer.Option("--verify", help="The command that judges the last step.")] = "",
    user: User = False,
) -> None:
    """Make a workflow: a copy of another one, of the steps that you give, or by questions."""
    from orchestrator.commands import workflow_files as files

    project = project_if_any()
    shelf = _shelf(project)
    folder = files.folder_for(project, user=user)
    if template:
        text = files.from_template(shelf.entry(template), shelf.load(template), name, description)
        cases = files.cases_from_template(shelf.entry(template))
    else:
        pairs = [_pair(step) for step in steps or ()]
        if not pairs and sys.stdin.isatty() and sys.stdout.isatty():
            description, inputs, pairs, verify = _asked(description)
        pairs = pairs or [("work", "{{ run.requirement }}")]
        text = files.from_answers(name, description, inputs or (), pairs, verify)
        cases = files.cases_for_answers(inputs or (), pairs)
    file = files.write_new(folder, name, text, shelf)
    tell(f"Made {file}. Go on with: ", f"relay workflows edit {name}")
    if cases and (made := files.write_cases(file, cases)):
        tell(f"Made {made}. See that it passes: ", f"relay workflows test {name}")


def _pair(step: str) -> tuple[str, str]:
    from lib.errors import UsageError

    name, separator, prompt = step.partition("=")
    if not separator or not prompt.strip():
        remedy = 'relay workflows new NAME --step plan="Plan it" --step build="Build it"'
        raise UsageError(f"--step is ID=PROMPT, not {step}", remedy=remedy, code="step_invalid")
    return name.strip(), prompt.strip()


def _asked(description: str) -> tuple[str, list[str], list[tuple[str, str]], str]:
    """The answers of a person: description, names of inputs, steps with their prompts, verify command."""
    description = description or typer.prompt("What does it do, in one line")
    inputs = [each.strip() for each in typer.prompt("Inputs, by commas", default="").split(",") if each.strip()]
    pairs: list[tuple[str, str]] = []
    while step := typer.prompt(f"Step {len(pairs) + 1}: its id (empty: no more)", default="", show_default=False):
        pairs.append((step.strip(), typer.prompt("  What is an assistant to do")))
    verify = typer.prompt("A command that must succeed at the end", default="", show_default=False)
    return description, inputs, pairs, verify


def edit(name: Name, user: User = False) -> None:
    """Edit a workflow in $EDITOR: it is checked before it replaces the old file. A built-in one is copied first."""
    from orchestrator.commands import workflow_files as files

    project = project_if_any()
    shelf = _shelf(project)
    file = files.edit(shelf.entry(name), files.folder_for(project, user=user), shelf)
    typer.echo(f"{file} is valid, and in use.")


def delete(
    name: Name, yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False, output: Output = Format.TABLE
) -> None:  # fmt: skip
    """Take a workflow away; its file is kept under a hidden name."""
    from lib.names import quote
    from orchestrator.commands import workflow_files as files

    entry = _shelf().entry(name)
    if not yes and sys.stdin.isatty() and not typer.confirm(f"Delete {entry.file}?"):
        raise typer.Exit(1)
    kept = files.set_aside(entry)
    if output is Format.JSON:
        print_json({"name": entry.name, "file": str(entry.file), "kept": str(kept[entry.file])})
        return
    back = " && ".join(f"mv {quote(aside)} {quote(file)}" for file, aside in kept.items())
    tell(f"Deleted {' and '.join(map(str, kept))}. To bring it back: ", back)


def import_(
    file: Annotated[Path, typer.Argument(help="A workflow in any dialect, or an exported one.")],
    name: Annotated[str, typer.Option("--name", help="Another name for it.")] = "",
    user: User = False,
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """Take in a workflow of another tool, converted, or one that was exported. Names what has no counterpart."""
    from dataclasses import asdict

    from orchestrator.commands import workflow_files as files

    project = project_if_any()
    shelf = _shelf(project)
    made, remarks = files.import_file(file, files.folder_for(project, user=user), name, shelf)
    if for_machines(output, as_json):
        print_json({"files": [str(each) for each in made], "remarks": [asdict(remark) for remark in remarks]})
        return
    _tell_remarks(remarks)
    for each in made:
        typer.echo(f"Made {each}.")
    if not made:
        typer.echo("All of it is there already.")


def export(
    name: Name,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write it there.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Print one file with a workflow and its own prompts, skills and sub-workflows, for `import` elsewhere."""
    from lib.workflow.bundles import bundle
    from lib.workflow.library import user_folder
    from lib.workflow.writing import as_yaml

    project = project_if_any()
    data = bundle(name, _shelf(project), project.dot if project else user_folder().parent)
    if file is not None:
        from lib.files.replace import replace_file

        replace_file(file.absolute(), as_yaml(data).encode())
    elif output is Format.JSON:
        print_json(data)
    else:
        typer.echo(as_yaml(data), nl=False)


def schema() -> None:
    """Print the JSON Schema of workflows, for editors."""
    from lib.workflow.schema import schema_text

    typer.echo(schema_text(), nl=False)


def _shelf(project: Project | None = None) -> Shelf:
    from lib.workflow.library import shelf

    return shelf(project or project_if_any())


def _tell_remarks(remarks: tuple[Remark, ...]) -> None:
    for remark in remarks:
        typer.echo(f"warning: {remark.told}", err=True)


def _print_table(headers: list[str], rows: list[list[str]]) -> None:
    from orchestrator.status.screen import table, terminal_width

    typer.echo(table(headers, rows, terminal_width()))
