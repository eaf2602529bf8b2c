"""Implementation of `relay start` beyond its options: the plan, the run, and what is said of them."""

from __future__ import annotations

import gc
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from lib.config.model import Config
from lib.errors import RelayError
from lib.names import quote
from lib.project.lock import InstanceLock
from lib.project.paths import Project
from orchestrator.cli.formats import tell

if TYPE_CHECKING:
    from lib.model import Definition
    from orchestrator.commands.fork import Fork
    from orchestrator.engine.run import Run


def begin(
    project: Project,
    requirement: str,
    config: Config,
    definition: Definition | None = None,
    fork: Fork | None = None,
    *,
    wait: bool,
    foreground: bool,
    as_json: bool,
) -> int:
    """Makes the run and its orchestrator; the exit code. Raises `RelayError` before anything is made."""
    from orchestrator.background import start_detached
    from orchestrator.commands.create_run import create_run

    lock = InstanceLock(project)
    lock.acquire()
    try:
        run = create_run(project, requirement, config, definition, fork)
    except BaseException:
        lock.release()
        raise
    if config.keep_history_days is not None:
        from orchestrator.commands.forget_runs import forget_quietly

        if told := forget_quietly(project, config.keep_history_days):
            typer.echo(told, err=True)
    name = run.state.run
    gc.freeze()  # what was loaded stays: neither the orchestrator nor who follows it has to look through it
    gc.enable()
    if foreground:
        from orchestrator.daemon import drive

        with suppress(BrokenPipeError):  # nobody has to read it for the run to go on
            _announce(project, run, as_json=as_json, wait=wait)
        drive(project, name, lock)
        return 0
    start_detached(project, name, lock, confirmed=fork is not None)
    _announce(project, run, as_json=as_json, wait=wait)
    if wait:
        from orchestrator.status.watch import follow

        return follow(project, name)
    return 0


def begin_fork(project: Project, fork: Fork, *, wait: bool, foreground: bool, as_json: bool) -> int:
    """Makes the run that goes on from another one, and its orchestrator; the exit code. Raises `RelayError`."""
    from lib.store.rundb import RunDB
    from orchestrator.commands.create_run import refuse_active

    if (db := RunDB.open_readonly(project.database)) is not None:  # before the orchestrator at work is met
        refuse_active(project, db, fork.again)
    return begin(project, fork.requirement, fork.config, fork.definition, fork, wait=wait, foreground=foreground,
                 as_json=as_json)  # fmt: skip


def refuse_home(project: Project, folder: Path) -> None:
    """Raises `RelayError` (`home_repository`) where the nearest repository is the home, by accident as a rule."""
    here, home = folder.resolve(), Path.home().resolve()
    if here != project.root and home.is_relative_to(project.root):
        message = f"{here} is no repository; the nearest one is {project.root}, which holds your whole home folder"
        remedy = f"git init && git add -A && git commit -m start, or: cd {quote(project.root)}"
        raise RelayError(message, remedy=remedy, code="home_repository")


def _announce(project: Project, run: Run, *, as_json: bool, wait: bool) -> None:
    from lib.display import escaped
    from lib.logs.sentences import whence
    from orchestrator.status.whereabouts import Place

    name = run.state.run
    if as_json:
        typer.echo(json.dumps({"run": name, "project": str(project.root), "state_file": str(project.state_file)}))
        return
    told = Place.of(project).told
    typer.echo(f"Started {name}")
    typer.echo(f"  project    {escaped(str(project.root))}")
    if run.engine.origin is not None:
        typer.echo(f"  goes on    {whence(run.engine.origin.model_dump())}")
    if run.definition is not None:
        typer.echo(f"  workflow   {run.definition.name}")
    typer.echo(f"  assistant  {_chains(run.config)}")
    typer.echo(f"  state      {told(str(project.state_file.relative_to(project.root)))}")
    if unseen := _unseen(project):
        typer.echo(f"  unseen     {unseen}")
    for warning in run.engine.warnings:
        typer.echo(f"  warning    {told(warning)}")
    if not wait:
        tell("\nWatch it with:  ", "relay status --watch", project.instance)


def _unseen(project: Project) -> str:
    """A sentence on what is in the work tree and not given to builders; empty if nothing is."""
    from lib.git.inspect import uncommitted
    from lib.git.run import Repo

    counts: dict[str, int] = {}
    with suppress(RelayError):  # the run has been started, and needs none of this
        counts = uncommitted(Repo.of(project))
    told = " and ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{told}: builders are given what is committed (git add -A && git commit)" if told else ""


def _chains(config: Config) -> str:
    """The assistants that work, in words: `codex, then claude; reviewer: gemini`."""
    chains = {"": config.assistant, **{role.value: chain for role, chain in config.roles.items()}}
    return "; ".join(
        f"{role}: {', then '.join(chain)}" if role else ", then ".join(chain) for role, chain in chains.items()
    )


def plan(project: Project, requirement: str, config: Config, definition: Definition | None = None) -> dict[str, Any]:
    """The plan of `start`, of a workflow with its graph; all is checked that can be. Raises `RelayError`."""
    from lib.git.inspect import starting_point
    from lib.git.run import Repo
    from lib.project.trust import require
    from orchestrator.commands.create_run import with_assistants

    require(project)
    config = with_assistants(config, requirement)
    base = starting_point(Repo.of(project))
    return {
        "project": str(project.root),
        "instance": project.instance,
        "base": f"{base.branch} at {base.commit[:10]}",
        "assistant": _chains(config),
        **(_of_workflow(definition) if definition else {"gate": f"design: {config.gates.design.value}"}),
        "parallel": config.parallel,
        "setup": config.setup or "none",
        "verify": config.verify or f"nothing but what {_names(definition)} (relay init proposes a command)",
        "land": config.land.value,
    }


def _names(definition: Definition | None) -> str:
    return "its steps name" if definition else "the design names"


def _of_workflow(definition: Definition) -> dict[str, Any]:
    from lib.workflow.compiled import plan_of
    from orchestrator.commands.workflow_reports import picture

    return {"workflow": definition.name, "inputs": dict(definition.inputs),
            "graph": picture(plan_of(definition), "text")}  # fmt: skip


def show_plan(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(values))
        return
    from lib.display import escaped

    for key, value in values.items():
        if key == "graph":  # names of plain characters, on lines of their own
            typer.echo(f"\n{value}\n")
        elif isinstance(value, dict):
            for name, given in value.items():
                typer.echo(f"{key:10} {escaped(f'{name}: {given}')}")
        else:
            typer.echo(f"{key:10} {escaped(str(value))}")
    typer.echo("\nNothing was started. Leave out --dry-run to start it.")
