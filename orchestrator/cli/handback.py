"""Commands that make a person's edits of state.json, from `approve` to `cancel`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from lib.project.paths import Project
from lib.question import NO, YES
from orchestrator.cli.formats import tell
from orchestrator.cli.project import Instance, project_of

Words = Annotated[str | None, typer.Argument(help="Words for the next action.")]


def register(app: typer.Typer) -> None:
    for command in (approve, reject, decide, answer, retry, skip, pause, resume, cancel):
        app.command()(command)


_APPROVED: Final = {
    "approve_design": "Approved. Building starts.",
    "approve_landing": "Approved. It lands now.",
    "clear_the_way": "Landing again.",
    "resolve_conflict": "Your resolution is checked, then merging goes on.",
    "extend_budget": "Approved. As much again may be spent.",
    "fix_failure": "Retrying.",
}


def approve(words: Words = None, instance: Instance = "default") -> None:
    """Say yes to what you are asked; the run goes on."""
    from orchestrator.commands import gates, run_control

    project = project_of(instance)
    state = run_control.current(project)
    if gates.is_asking(state):
        gates.decide(project, YES, words)
        _told(project, "Approved. The workflow goes on.")
        return
    question = state.action_needed
    run_control.hand_back(project, feedback=words)
    _told(project, _APPROVED.get(question, "Relay goes on."))


def reject(
    words: Annotated[str, typer.Argument(help="What to do differently.")], instance: Instance = "default"
) -> None:
    """Say no: ask for another design, one that follows your words, or reject what a gate asks about."""
    from orchestrator.commands import gates, run_control

    project = project_of(instance)
    if gates.is_asking(run_control.current(project)):
        gates.decide(project, NO, words)
        _told(project, "Rejected, with your words.")
        return
    run_control.hand_back(project, only="approve_design", action="design", feedback=words)
    _told(project, "Rejected. Another design is made, with your words.")


def decide(
    decision: Annotated[str, typer.Argument(metavar="NAME", help="One of the decisions that the gate offers.")],
    words: Words = None,
    instance: Instance = "default",
) -> None:
    """Answer the gate of a workflow with one of its decisions."""
    from orchestrator.commands import gates

    project = project_of(instance)
    gates.decide(project, decision, words)
    _told(project, f"Decided: {decision}. The workflow goes on.")


def answer(words: Annotated[str, typer.Argument(help="The answer.")], instance: Instance = "default") -> None:
    """Answer what an assistant asks, or a gate with a form (name=value …)."""
    from lib.scheduling.assistant_choice import ANSWER
    from orchestrator.commands import gates, run_control

    project = project_of(instance)
    if gates.is_asking(run_control.current(project)):
        gates.answer(project, words)
        _told(project, "Answered. The workflow goes on.")
        return
    state = run_control.hand_back(project, only=ANSWER, feedback=words)
    _told(project, f"Answered: {state.next_action} goes on.")


def retry(
    words: Annotated[list[str] | None, typer.Argument(help="Builders or steps to retry, and words for them.")] = None,
    builder: Annotated[
        list[str] | None, typer.Option("--builder", "-b", help="Only this builder or step, even while it works.")
    ] = None,
    instance: Instance = "default",
) -> None:
    """Retry what failed, with a hint if you have one; lift what holds an assistant."""
    from orchestrator.commands import run_control

    project = project_of(instance)
    names, hint = run_control.named(project, words) if words else ([], None)
    chosen = [*(builder or ()), *names]
    run_control.retry(project, chosen, hint)
    _told(project, f"Retrying {', '.join(chosen)}." if chosen else "Retrying.")


def skip(
    builder: Annotated[list[str], typer.Argument(help="Builders or steps.")], instance: Instance = "default"
) -> None:
    """Go on without a builder or step; what it did is kept."""
    from orchestrator.commands import run_control

    project = project_of(instance)
    run_control.verb(project, "skip", builder)
    _told(project, f"Going on without {', '.join(builder)}.")


def pause(
    now: Annotated[bool, typer.Option("--now", help="Freeze running builders too.")] = False,
    instance: Instance = "default",
) -> None:
    """Start nothing new; what runs goes on, or with --now is frozen until `relay resume`."""
    from orchestrator.commands import run_control

    project = project_of(instance)
    run_control.pause(project, freeze_builders=now)
    tell("Paused. Go on with: ", "relay resume", instance)


def resume(
    discard_edit: Annotated[
        bool, typer.Option("--discard-edit", help="Set an unusable state.json aside; restore the last good one.")
    ] = False,
    instance: Instance = "default",
) -> None:
    """Go on: end a pause, and start the orchestrator if none is running."""
    from orchestrator.commands import run_control

    project = project_of(instance)
    for line in run_control.resume(project, discard_edit=discard_edit):
        tell(line, instance=instance)


def cancel(instance: Instance = "default") -> None:
    """End the run: builders are stopped; branches, worktrees and checkpoints are kept."""
    from orchestrator.commands import run_control

    project = project_of(instance)
    landing = run_control.cancel(project)
    late = "Cancelling. A landing has begun: it is stopped unless your branch has moved. See: relay status"
    _told(project, late if landing else "Cancelling; branches and worktrees are kept.")


def _told(project: Project, line: str) -> None:
    from orchestrator.commands import run_control

    started = run_control.ensure_daemon(project)
    typer.echo(line)
    if started:
        typer.echo("The orchestrator was not running: started.")
    tell("Watch it with: ", "relay status --watch", project.instance)
