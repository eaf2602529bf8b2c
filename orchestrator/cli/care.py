"""Looking after a project: `init`, `doctor`, `recover`, `clean`, and the `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lib.project.paths import working_folder
from orchestrator.cli.formats import Format, Json, Output, for_machines, print_json, tell
from orchestrator.cli.project import Instance, project_of, tell_of_folder


def register(app: typer.Typer) -> None:
    for command in (init, doctor, recover, clean, demo):
        app.command()(command)


def init(
    print_only: Annotated[bool, typer.Option("--print", help="Print the file instead of writing it.")] = False,
) -> None:
    """Write a commented config.yaml for this project to start from."""
    from contextlib import suppress

    from lib.errors import RelayError
    from lib.project.templates import shipped
    from orchestrator.commands import project_setup
    from orchestrator.commands.verify_proposals import proposals, with_proposals

    text = (shipped("project") / "config.yaml").read_text()
    if print_only:
        with suppress(RelayError):  # without a project there is nothing to propose
            project = project_of("default")
            text = project.named(with_proposals(text, proposals(project.root)))
        typer.echo(text, nl=False)
        return
    project = project_of("default")
    found = proposals(project.root)
    tell_of_folder(project)
    file = project_setup.write_config(project, project.named(with_proposals(text, found)))
    typer.echo(f"Wrote {file}. Every line of it is a default; change what you like.")
    if found:
        typer.echo(f"It proposes `verify: {found[0].command}` (from {found[0].source}). Nothing is verified until you "
                   "remove the # there.")  # fmt: skip
    else:
        typer.echo("No test command was found in this project: without `verify:` nothing verifies what is built.")


def doctor(output: Output = Format.TABLE, as_json: Json = False, instance: Instance = "default") -> None:
    """Check git, assistants, sandbox, locks and worktrees, each with its fix."""
    from orchestrator.commands.doctor import examine

    findings = examine(working_folder(), instance)
    if for_machines(output, as_json):
        print_json([finding.as_dict() for finding in findings])
    else:
        from lib.display import escaped
        from orchestrator.status.screen import paint

        for finding in findings:
            bad = paint("--", "dim") if finding.optional else paint("!!", "red")
            mark = paint("ok", "green") if finding.ok else bad
            typer.echo(f"  {mark}  {finding.what:14} {escaped(finding.detail)}")
            if not finding.ok:
                typer.echo(f"      {'':14} fix: {escaped(finding.remedy)}")
    raise typer.Exit(0 if all(finding.ok or finding.optional for finding in findings) else 1)


def recover(
    ref: Annotated[str, typer.Argument(help="What to bring back, as the list names it; without it, the list.")] = "",
    branch: Annotated[str, typer.Option(help="Name of the branch to make.")] = "",
    output: Output = Format.TABLE,
    as_json: Json = False,
) -> None:
    """List work that was kept before something was removed or reset, and bring it back as a branch."""
    from lib.display import escaped
    from lib.git.rescue import rescued, restore
    from lib.git.run import Repo

    repo = Repo.of(project_of("default"))
    if ref:
        name = restore(repo, ref, branch or f"rescued/{ref.rsplit('rescue/', 1)[-1]}")
        typer.echo(f"Brought back as the branch {name}. Look at it with: git log -p {name}")
        return
    kept = rescued(repo)
    if for_machines(output, as_json):
        rows = [{"ref": item.ref, "commit": item.commit, "when": item.when, "reason": item.reason} for item in kept]
        print_json(rows)
    elif not kept:
        typer.echo("Nothing is kept: all that Relay removed or reset had landed.")
    else:
        for item in kept:
            typer.echo(f"  {_named(item.ref)}\n      {item.when}  {escaped(item.reason)}")
        tell(f"\nBring one back, the newest for example, with: relay recover {_named(kept[0].ref)}")


def _named(ref: str) -> str:
    """The ref as the list and `relay recover` name it."""
    return ref.removeprefix("refs/relay/rescue/")


def clean(
    run: Annotated[str, typer.Argument(help="A run's id; all that are over if left out.")] = "",
    history: Annotated[int | None, typer.Option(min=1, metavar="DAYS", help="Instead, forget the history of runs that "
                       "were over so many days ago and left no branch, worktree or rescued work.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --history: only say what would go.")] = False,
) -> None:  # fmt: skip
    """Remove worktrees, branches and refs of checkpoints whose work has landed, and only those."""
    from lib.display import counted, escaped
    from lib.errors import UsageError

    project = project_of("default")
    if history is not None:
        from orchestrator.commands.forget_runs import forget_old

        if run:
            message = "--history is about all runs that are over, not about one"
            raise UsageError(message, remedy=f"relay clean --history {history}", code="history_of_one")
        lines = forget_old(project, history, dry=dry_run) or [f"No run ended more than {counted(history, 'day')} ago."]
    elif dry_run:
        raise UsageError("--dry-run says what --history would forget", remedy="relay clean --history 90 --dry-run",
                         code="dry_run_of_what")  # fmt: skip
    else:
        from orchestrator.commands.project_setup import clean_runs

        lines = clean_runs(project, run)
    for line in lines:
        typer.echo(escaped(line))
    if dry_run and any(line.startswith("would") for line in lines):
        tell(f"\nForget them: relay clean --history {history}")


def demo(
    folder: Annotated[Path | None, typer.Option("--dir", help="Where to make the scratch repository.")] = None,
    keep_going: Annotated[bool, typer.Option("--gate/--no-gate", help="Stop at the gate, as a real run does.")] = False,
) -> None:
    """Build a calculator with scripted assistants in a scratch repository: a whole run, without AI."""
    from orchestrator.cli.demo import run_demo

    raise typer.Exit(run_demo(folder, gate=keep_going))
