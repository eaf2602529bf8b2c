"""The work of a step in a workflow's worktree: when it may begin, and what follows its turn or command. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from lib.config.model import Sandbox
from lib.contracts import Change, PhaseView
from lib.design.reports import plain
from lib.effects import (
    Collect,
    CollectResult,
    GatherDiff,
    GatherDiffResult,
    KeepArtifacts,
    Reuse,
    ReuseResult,
    SettleReview,
    SettleReviewResult,
)
from lib.errors import UsageError
from lib.jobs import Command, Job, JobResult, JobSpec, effect
from lib.model import Step, StepChange
from lib.project.paths import SHARED_WORKTREE
from lib.scheduling.passing_failures import DISK_FULL
from lib.scheduling.retries import LOST, NO_ARTIFACT, OF_THE_WORK, UNCOUNTED, delayed, retry_is_due
from lib.scheduling.step_limits import own_limits
from lib.steps import AT_WORK, Stage, StepKind, StepStatus
from lib.workflow.evaluating import EvaluationError, as_text, evaluate
from lib.workflow.options import Access
from lib.workflow.placeholders import ARGUMENT
from lib.workflow.plan import Node
from lib.workflow.shell import ShellLine
from phases.steps import Moved, Moves
from phases.steps._failing import ended_badly, fails, handed_back, is_out_of_time
from phases.steps._names import for_process, names_after, names_for, variables
from phases.steps._nodes import is_full, node_of, shares, workspace_of
from phases.steps._reuse import content_of, kept_content, look, looks, taken

#: The first job of an attempt, or a note on what it waits for.
Work = Callable[[Step, Moves], Moved]
#: What decides the work, beside what all kinds have. Raises `EvaluationError`.
About = Callable[[Step, Moves], dict[str, Any]]
#: The move that follows what the work gave.
Worked = Callable[[Step, Moves, JobResult], Moved]
#: The names of jobs that are a step's own work.
_WORK: Final = frozenset({"turn", "run"})
#: The name of the job that says if a loop is to end.
CHECK: Final = "check"
_WROTE: Final = "it changed files, which was taken back"
#: What looks at the worktree before a reader that no sandbox keeps from writing, and what takes back what it wrote.
_LOOK, _TAKE_BACK = GatherDiff.effect, SettleReview.effect


class Worker:
    """A kind of step that has `work` of its own; `about` is what decides it, `worked` says what follows it."""

    takes_slot = True

    def __init__(self, work: Work, about: About, worked: Worked) -> None:
        self.work = work
        self.about = about
        self.worked = worked

    def move(self, step: Step, moves: Moves) -> Moved | None:
        return _begin(step, moves, self) if step.status is StepStatus.PENDING else _go_on(step, moves, self)


def misfit(step: Step, moves: Moves, what: str, wrong: Sequence[str]) -> StepChange:
    """The changes of a step whose output does not fit its schema."""
    result = JobResult(ok=False, code="schema", message=f"its {what} does not fit output_schema: {'; '.join(wrong)}")
    return ended_badly(moves.view, step, moves.view.jobs[step.job or ""], result)


def _begin(step: Step, moves: Moves, kind: Worker) -> Moved | None:
    """The first move of an attempt, as soon as the shared worktree is free for it: its work, or a look for what an
    equal step gave.
    """
    view, node = moves.view, node_of(moves.view, step)
    if not _is_free(step, node, moves):
        return None
    fields: StepChange = {"status": StepStatus.RUNNING, "stage": Stage.WORKING, "note": "", "error": None,
                          "started_at": step.started_at or view.now.wall}  # fmt: skip
    if (alone := _step_alone(view, step)) is not None:
        return Moved(fields | {"stage": Stage.VERIFYING}, alone)
    fields["base_commit"] = head = _head(moves) if shares(node) else ""
    if looks(view, step) and (content := _content(step, moves, kind)):
        return look(step, moves, content, fields | {"content": content})
    fields["content"] = _content(step, moves, kind) if step.job is None else kept_content(step, head)
    return _attempt(step, moves, kind.work, fields)


def _head(moves: Moves) -> str:
    """The last commit of the shared worktree."""
    shared = moves.step(SHARED_WORKTREE)
    return shared.commit or shared.base_commit


def _content(step: Step, moves: Moves, kind: Worker) -> str:
    """The digest of what decides the step's work; empty where that has no value, as the work will say."""
    with suppress(EvaluationError, UsageError):
        verify = _verify_line(moves.view, step)
        return content_of(moves.view, step, kind.about(step, moves) | {"verify": verify})
    return ""


def _verify_line(view: PhaseView, step: Step) -> tuple[str, dict[str, str]] | None:
    """The command that verifies the step, with its values. Raises `EvaluationError`."""
    node = node_of(view, step)
    return _line(node, "verify", names_for(view, step)) if "verify" in node.commands else None


def _attempt(step: Step, moves: Moves, work: Work, fields: StepChange) -> Moved | None:
    """The first move of an attempt without a look: its `work`, with the shared worktree as it is to be for it."""
    view, node = moves.view, node_of(moves.view, step)
    fields["attempt"] = step.attempt + 1
    moved = _begun(view, step, fields, work, moves)
    if not shares(node):
        return moved
    shared, head = moves.step(SHARED_WORKTREE), _head(moves)
    if moved is None or moved.job is None:
        return moved
    writes = node.step.access is Access.WRITE
    others = (Change(SHARED_WORKTREE, {"occupant": step.id if writes else ""}),)
    if shared.occupant not in {"", step.id}:
        return Moved(fields, _taking_back(step, shared.branch, head, ""), others=others)
    if _must_look(view, node):
        return Moved(fields, effect(GatherDiff(base=head, tip=head), step=step.id, worktree=SHARED_WORKTREE))
    return moved._replace(others=others if writes else ())


def _begun(view: PhaseView, step: Step, fields: StepChange, work: Work, moves: Moves) -> Moved | None:
    """The work of an attempt; where nobody can take it, a note on what it waits for."""
    begun = step.model_copy(update=dict(fields))
    moved = _valued(view, begun, lambda: work(begun, moves))
    if moved.job is None and "status" not in moved.fields:
        return None if step.note == moved.fields.get("note") else moved
    return moved._replace(fields=fields | moved.fields)


def _taking_back(step: Step, branch: str, tip: str, tree: str) -> JobSpec:
    """The shared worktree as it is to be: at the commit `tip`, with the `tree` if it had another one; what differs is
    rescued.
    """
    return effect(SettleReview(branch=branch, tip=tip, tree=tree), step=step.id, worktree=SHARED_WORKTREE)


def or_later(step: Step, moved: Moved) -> Moved:
    """The move of a step that has begun; where nobody can take its turn, another attempt later."""
    if moved.job is not None:
        return moved
    later: StepChange = {"status": StepStatus.RETRYING, "attempt": step.attempt - 1, "retry_at_mono_s": None}
    return Moved(moved.fields | later)


def _go_on(step: Step, moves: Moves, kind: Worker) -> Moved | None:
    """The next move of a step that has begun: its work is done again, or its kind says what came of it."""
    view = moves.view
    if step.status is StepStatus.RETRYING:
        if is_out_of_time(view, step):
            return Moved(fails(view, step, "the time of the run was over"))
        job = view.jobs.get(step.job or "")
        is_ending = job is not None and job.result is None
        is_due = retry_is_due(step, view.now) and not is_ending and not is_full(step, moves)
        return _begin(step, moves, kind) if is_due else None
    if step.status is StepStatus.FAILED and (again := handed_back(view, step)):
        return Moved(again)
    job = view.jobs.get(step.job or "")
    if step.status is not StepStatus.RUNNING or job is None or job.result is None:
        return None
    result, name = job.result, job.spec.name
    if not result.ok:
        return _failed(view, step, job, result)
    if name == KeepArtifacts.effect:
        return Moved(_done(view, {}))
    return _valued(view, step, lambda: _followed(step, moves, name, result, kind))


def _followed(step: Step, moves: Moves, name: str, result: JobResult, kind: Worker) -> Moved:
    """The move after a job that ended well, but for the last one."""
    if name == Reuse.effect:
        return _looked(step, moves, ReuseResult.of(result), kind)
    if name == _LOOK or (name == _TAKE_BACK and not _has_worked(moves.view, step)):
        return or_later(step, kind.work(step, moves))
    if name == Collect.effect:
        return _collected(moves.view, step, CollectResult.of(result))
    if name == "verify":
        verified: StepChange = {"verified": not result.shadow, "note": result.shadow or step.note}
        return _kept(moves.view, step, verified)
    if name == _TAKE_BACK:
        told: StepChange = {"note": _WROTE} if SettleReviewResult.of(result).changed else {}
        return _verify(moves.view, step, told)
    return kind.worked(step, moves, result)


def _looked(step: Step, moves: Moves, found: ReuseResult, kind: Worker) -> Moved:
    """The move after the look for an equal step."""
    if found.run:
        return taken(moves.view, step, found)
    begun = _attempt(step, moves, kind.work, {})
    if begun is not None and (begun.job is not None or "status" in begun.fields):
        return begun
    later: StepChange = {"status": StepStatus.RETRYING, "retry_at_mono_s": None}
    return Moved((begun.fields if begun else {}) | later)


def _has_worked(view: PhaseView, step: Step) -> bool:
    """True if the work itself of this attempt is done."""
    jobs = (job for job in view.ledger.jobs_of(step.id) if job.attempt == step.attempt)
    return any(job.spec.name in _WORK for job in jobs)


def after_work(view: PhaseView, step: Step, output: Any, said: str = "") -> Moved:  # noqa: ANN401 - any JSON value
    """The move after the work itself, which gave `output`: what it left is collected, or taken back."""
    node = node_of(view, step)
    fields: StepChange = {"output": output, "losses": 0}
    if not shares(node):
        return _verify(view, step, fields)
    if node.step.access is Access.WRITE:
        collect = Collect(
            branch=workspace_of(view).branch,
            base=step.base_commit,
            title=node.step.description or step.id,
            report=plain(said),
        )
        fields["stage"] = Stage.VERIFYING
        return Moved(fields, effect(collect, step=step.id, worktree=SHARED_WORKTREE))
    looked = next((job for job in reversed(view.ledger.jobs_of(step.id)) if job.spec.name == _LOOK), None)
    before = GatherDiffResult.of_job(looked) if _must_look(view, node) else None
    if before is None:
        return _verify(view, step, fields)
    return Moved(fields, _taking_back(step, workspace_of(view).branch, step.base_commit, before.tree))


def command(
    view: PhaseView, step: Step, option: str, name: str, names: dict[str, Any] | None = None, *, gives: bool = False
) -> Command:
    """The job of a command of a step, by the option that has it. Raises `EvaluationError`."""
    node = node_of(view, step)
    names = names_for(view, step) if names is None else names
    line, values = _line(node, option, names)
    return Command(
        name=name,
        step=step.id,
        worktree=worktree_of(node),
        command=line,
        env=variables(view, step, names) | values,
        gives=gives,
        read_only=node.step.access is Access.READ,
        timeout_s=node.step.timeout_s or view.config.command_timeout_s,
        idle_timeout_s=node.step.idle_timeout_s,
        limits=own_limits(node.step.limits),
    )


def checking(step: Step, moves: Moves) -> Moved | None:
    """The command that says if a loop is to end, as soon as nothing else is in the shared worktree."""
    view = moves.view
    is_shared = SHARED_WORKTREE in view.steps
    if is_shared and not _is_room(step, moves, alone=True):
        return None
    check = command(view, step, "loop.until_run", CHECK, names_after(view, step))
    place = {"worktree": SHARED_WORKTREE if is_shared else None}
    return Moved({"stage": Stage.VERIFYING}, check.model_copy(update=place))


def worktree_of(node: Node) -> str | None:
    return SHARED_WORKTREE if shares(node) else None


def _line(node: Node, option: str, names: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The shell line of a command, and the variables that hold the values in it."""
    made = node.commands[option]
    if isinstance(made, ShellLine):
        values = [as_text(evaluate(each, names)) for each in made.arguments]
        line = made.line
    else:
        values = [part.rendered(names) for part in made]
        line = " ".join(f'"${{{ARGUMENT}{number}}}"' for number in range(1, len(values) + 1))
    return line, for_process({f"{ARGUMENT}{number}": value for number, value in enumerate(values, 1)})


def _valued(view: PhaseView, step: Step, move: Callable[[], Moved]) -> Moved:
    """The move; where an expression has no value, the end of the step."""
    try:
        return move()
    except (EvaluationError, UsageError) as error:
        return Moved(fails(view, step, error.message))


def _failed(view: PhaseView, step: Step, job: Job, result: JobResult) -> Moved:
    """A command that verifies and was cut short is run again alone; a step of Relay's own is done again."""
    if job.spec.name == "verify" and result.code in {*UNCOUNTED, LOST}:
        tries = sum(other.spec == job.spec and other.attempt == job.attempt for other in view.ledger.jobs_of(step.id))
        if result.code != LOST or tries < view.config.attempts:
            return Moved({"note": ""}, job.spec)
    if result.code == NO_ARTIFACT:
        return Moved(ended_badly(view, step, job, result))
    if result.code in OF_THE_WORK:  # its worktree is gone, and is made again
        again: StepChange = {"status": StepStatus.RETRYING, "retry_at_mono_s": None}
        return Moved(ended_badly(view, step, job, result), others=(Change(SHARED_WORKTREE, again),))
    if not job.is_process or (result.code == DISK_FULL and job.spec.name != "run"):
        tries = sum(other.spec == job.spec for other in view.ledger.jobs_of(step.id))
        return Moved(delayed(step, job, tries, view.config, view.now))
    return Moved(ended_badly(view, step, job, result))


def _step_alone(view: PhaseView, step: Step) -> JobSpec | None:
    """The step of Relay's own that failed, which is done again without the work before it."""
    job = view.jobs.get(step.job or "") if step.status is StepStatus.RETRYING else None
    is_own = job is not None and not job.is_process and job.result is not None and not job.result.ok
    if job is None or not is_own or job.spec.name == Reuse.effect:  # a look begins again, as others may have written
        return None
    return job.spec if step.error and step.error.action == job.spec.name else None


def _is_free(step: Step, node: Node, moves: Moves) -> bool:
    """True if the shared worktree is ready, and no step is in it that this one would disturb.

    Those that only read may be in it together, if a sandbox keeps them from writing.
    """
    return not shares(node) or _is_room(step, moves, alone=not _only_reads(moves.view, node))


def _is_room(step: Step, moves: Moves, *, alone: bool) -> bool:
    """True if the shared worktree is ready and has room for a step. One that is to be retried keeps it."""
    view, shared = moves.view, moves.step(SHARED_WORKTREE)
    if shared.status is not StepStatus.DONE:
        return False
    owner = moves.step(shared.occupant) if shared.occupant not in {"", step.id} else None
    if owner is not None and owner.status in {StepStatus.RUNNING, StepStatus.RETRYING}:
        return False
    live = {job.spec.step for job in view.ledger.live() if job.spec.step}  # also of what is being ended
    there = {each.id: each for each in (*moves.at_work(view.ledger.within(*AT_WORK)), *map(moves.step, live))}
    alone = alone or owner is not None
    return not any(_disturbs(view, each, alone=alone) for each in there.values() if each.id != step.id)


def _disturbs(view: PhaseView, other: Step, *, alone: bool) -> bool:
    """True if another step that is at work is in the shared worktree and does not leave room beside it."""
    if other.kind is StepKind.LOOP:
        return other.stage == Stage.VERIFYING
    if other.kind not in {StepKind.PROMPT, StepKind.RUN}:
        return False
    node = node_of(view, other)
    return shares(node) and (alone or not _only_reads(view, node))


def _only_reads(view: PhaseView, node: Node) -> bool:
    return node.step.access is Access.READ and view.config.sandbox is Sandbox.REQUIRE


def _must_look(view: PhaseView, node: Node) -> bool:
    return shares(node) and node.step.access is Access.READ and view.config.sandbox is not Sandbox.REQUIRE


def _collected(view: PhaseView, step: Step, found: CollectResult) -> Moved:
    fields: StepChange = {"commit": found.commit, "verified": False, "reach": found.reach}
    if found.partial:
        fields["content"] = ""
    if found.left_out:
        fields["note"] = f"{found.left_out[0]} is Relay's own, and was left out"
    shared: StepChange = {"occupant": ""}
    if found.commit != step.base_commit:
        shared["commit"] = found.commit
    return _verify(view, step, fields)._replace(others=(Change(SHARED_WORKTREE, shared),))


def _verify(view: PhaseView, step: Step, fields: StepChange) -> Moved:
    if "verify" not in node_of(view, step).commands:
        return _kept(view, step, fields)
    return Moved(fields | {"stage": Stage.VERIFYING}, command(view, step, "verify", "verify"))


def _kept(view: PhaseView, step: Step, fields: StepChange) -> Moved:
    """The move that copies the step's artifacts, if it names any; else its end."""
    node = node_of(view, step)
    if not node.step.artifacts:
        return Moved(_done(view, fields))
    names = names_for(view, step)
    patterns = tuple(node.templates[f"artifacts.{at}"].rendered(names) for at in range(len(node.step.artifacts)))
    keep = effect(KeepArtifacts(patterns=patterns), step=step.id, worktree=SHARED_WORKTREE)
    return Moved(fields | {"stage": Stage.VERIFYING}, keep)


def _done(view: PhaseView, fields: StepChange) -> StepChange:
    return fields | {"status": StepStatus.DONE, "ended_at": view.now.wall, "feedback": "", "error": None}
