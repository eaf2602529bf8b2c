"""`builder`: prepared, run, collected, verified and perhaps reviewed, each at its own pace, none blocking another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lib.contracts import Advance, AskCi, Outcome, PhaseView, Wait
from lib.design.dependencies import ancestors, tips
from lib.design.final_json import questions_of
from lib.design.reports import plain
from lib.design.scope import is_refused, sentence
from lib.design.verification import of_builder
from lib.effects import Collect, CollectResult, Prepare, PrepareResult
from lib.jobs import AssistantTurn, Command, Job, JobResult, JobSpec, effect
from lib.model import Problem, Reach, Step, StepChange
from lib.question import CANCEL, HINT, Answer
from lib.scheduling.assistant_choice import ANSWERING, Choice, choose, lifted, nobody, to_answer
from lib.scheduling.budget import builder_budget
from lib.scheduling.passing_failures import DISK_FULL
from lib.scheduling.retries import (
    LOST,
    OF_THE_WORK,
    QUESTION,
    UNCOUNTED,
    another_round,
    delayed,
    failed,
    failure_digest,
    gave_up,
    retry_is_due,
)
from lib.steps import AT_WORK, BUILT, BuilderStatus, Stage, StepStatus
from phases import _review
from phases._base import AS_BEFORE, as_before
from phases._prompt import builder_prompt
from phases.steps import Moved, Moves

Status = StepStatus
#: Those whose last failure is known, and is not mended.
_MAY_HAVE_FAILED = (*AT_WORK, BuilderStatus.RETRYING, BuilderStatus.FAILED, BuilderStatus.SKIPPED)
#: How many one answer skips: an action has 2,000 characters.
_SKIPPED = 30


class Builders:
    """A builder: `_next` says what its last job's end means for it."""

    takes_slot = True

    def move(self, step: Step, moves: Moves) -> Moved | None:
        moved = _next(moves.view, step, moves.jobs, list(moves.changed.values()))
        return Moved(*moved) if moved else None


def parallel(view: PhaseView) -> int:
    """The number of builders that may be at work at once."""
    return view.config.parallel


def enter(step: Step, moves: Moves) -> Moved | None:
    """The first move of a builder that waits."""
    return mover.move(step, moves)


def rest(view: PhaseView) -> Outcome:
    """The outcome where no builder moves."""
    found = _all_done(view)
    if not (asked := _questions(view)):
        return found
    until = found.until_mono_s if isinstance(found, Wait) else None
    return replace(to_answer(asked, "execution", asked), until_mono_s=until)


def _all_done(view: PhaseView) -> Outcome:
    ledger = view.ledger
    retrying, working = ledger.within(BuilderStatus.RETRYING), ledger.count(*AT_WORK)
    left = [*retrying, *ledger.ready()]
    if left and not working:
        choices = [_choice(view, builder) for builder in left if not _step_alone(view, builder)]
        if len(choices) == len(left) and all(choice.problem for choice in choices):
            return nobody(choices[0], "execution")
    if left or working:
        pauses = [builder.retry_at_mono_s for builder in retrying if builder.retry_at_mono_s]
        return Wait(min((at for at in [*pauses, *lifted(view)] if at > view.now.mono_s), default=None))
    broken, done = ledger.within(BuilderStatus.FAILED), ledger.within(*BUILT)
    if broken or not done:
        return _ask(view, broken)
    verified = sum(b.verified for b in done)
    message = f"{len(done)} of {len(view.steps)} builders built, {verified or 'none'} verified"
    return Advance("merge_build", "merge_build", message)


_Moved = tuple[StepChange, JobSpec | None]


def _next(view: PhaseView, builder: Step, starting: Sequence[JobSpec], changed: Sequence[Step]) -> _Moved | None:
    """The changes of a builder's record and its next job, or None while it has to wait. `changed` are builders as they
    are after this same step.
    """
    if builder.status is Status.PENDING:
        return _start(view, builder)
    job = view.jobs.get(builder.job or "")
    if job is None:
        return _taken_over(view, builder)
    if job.result is None:
        return None
    if builder.status is Status.RETRYING:
        if job.spec.name == _review.TURN:  # interrupted: what the reviewer did to the worktree is still there
            return _review.settle(view, builder, job.result, starting)
        if not retry_is_due(builder, view.now):
            return None
        return _step_alone(view, builder) or _start(view, builder)
    if builder.status is Status.FAILED:
        handed_back = job.dispatch < view.dispatch
        return (another_round(builder, view.feedback, view.config), None) if handed_back else None
    if builder.status is not Status.RUNNING:
        return None
    if not job.result.ok and job.spec.name != _review.TURN and not _is_as_before_again(view, builder, job):
        if _cut_short(view, job, job.result):
            return {"note": ""}, job.spec
        if _says_nothing(job, job.result):
            return delayed(builder, job, _tries(view, job), view.config, view.now), None
        same = as_before(view, job)
        result = _explained(view, builder, job.result, f"; it {AS_BEFORE}" if same else "")
        others = () if same else (*view.ledger.within(*_MAY_HAVE_FAILED), *changed)
        return failed(builder, job.spec.name, result, view.config, view.now, others), None
    return _AFTER[job.spec.name](view, builder, job.result, starting)


def _taken_over(view: PhaseView, builder: Step) -> _Moved | None:
    """The move of a builder that has had no job in this run, which goes on from another one."""
    if builder.status is Status.RETRYING and retry_is_due(builder, view.now):
        return _start(view, builder)
    if builder.status is Status.FAILED and view.dispatch:
        return another_round(builder, view.feedback, view.config), None
    return None


def _asks(builder: Step) -> bool:
    return builder.status is Status.FAILED and builder.error is not None and builder.error.code == QUESTION


def _questions(view: PhaseView) -> dict[str, tuple[str, ...]]:
    """The questions of builders, by builder."""
    asking = [builder for builder in view.ledger.within(BuilderStatus.FAILED) if _asks(builder)]
    return {builder.id: _asked(view, builder) for builder in asking}


def _asked(view: PhaseView, builder: Step) -> tuple[str, ...]:
    """The questions with which the builder's work was collected."""
    job = view.jobs.get(builder.job or "")
    if job is None:
        return (builder.error.message.partition("it asks: ")[2],) if builder.error else ()
    args = job.args(Collect)
    return args.questions if args else ()


def _explained(view: PhaseView, builder: Step, result: JobResult, more: str) -> JobResult:
    """The result, which says `more`, or how much was used if that is why it was ended."""
    used = builder_budget(view.config, builder) if result.code == "budget" else ""
    return result.model_copy(update={"message": f"it has used {used}" if used else result.message + more})


def _is_as_before_again(view: PhaseView, builder: Step, job: Job) -> bool:
    """True if tests fail as before anything was built although the builder has tried, and so can't do more."""
    if job.result is None or not as_before(view, job):
        return False
    return builder.attempt >= builder.attempts or builder.failure == failure_digest(job.spec.name, job.result)


def _cut_short(view: PhaseView, job: Job, result: JobResult) -> bool:
    """True if a command was ended by no fault of its own: it alone is run again, and not the turn before it."""
    if not job.command:
        return False
    return result.code in UNCOUNTED or (result.code == LOST and _tries(view, job) < view.config.attempts)


def _tries(view: PhaseView, job: Job) -> int:
    return sum(other.spec == job.spec and other.attempt == job.attempt for other in view.ledger.jobs_of(job.spec.step))


def _says_nothing(job: Job, result: JobResult) -> bool:
    """True if a failure is no verdict on the turn before it: Relay's own step failed, or there was no room."""
    return (not job.is_process and result.code not in OF_THE_WORK) or result.code == DISK_FULL


def _step_alone(view: PhaseView, builder: Step) -> _Moved | None:
    """The step that failed, where that says nothing about the turn before it, which is not taken again.

    Preparing is none: it comes before the turn, and from what others have built meanwhile.
    """
    job = view.jobs.get(builder.job or "")
    if job is None or job.result is None or job.result.ok or job.spec.name == "prepare":
        return None
    if builder.error is None or builder.error.action != job.spec.name:  # a person has other words for it
        return None
    if not _says_nothing(job, job.result):
        return None
    stage = Stage.PREPARING if job.spec.name == "setup" else Stage.VERIFYING
    return {"status": Status.RUNNING, "stage": stage, "note": "", "error": None}, job.spec


def _start(view: PhaseView, builder: Step) -> _Moved | None:
    """Prepares it, if an assistant can be had; else it waits, and its note says for what."""
    choice = _choice(view, builder)
    if choice.assistant is not None:
        return _prepare(view, builder)
    return None if builder.note == choice.why else ({"note": choice.why, "error": None}, None)


def _choice(view: PhaseView, builder: Step, starting: Sequence[JobSpec] = ()) -> Choice:
    """Chooses from its chain, first the one that has worked on it: only that one can go on with the conversation."""
    worked = [builder.assistant] if builder.session else []
    wanted = list(dict.fromkeys([*worked, *(builder.chain or (builder.assistant,))]))
    return choose(view, wanted, starting, name="build", builder=builder.id)


def _prepare(view: PhaseView, builder: Step) -> _Moved:
    args = Prepare(
        branch=builder.branch,
        base=view.state.base.commit,
        tips=tips(ancestors(builder, view.steps)),
        set_up=not view.config.setup or _is_set_up(view, builder),
    )
    fields: StepChange = {
        "status": Status.RUNNING,
        "stage": Stage.PREPARING,
        "attempt": builder.attempt + 1,
        "note": "",
        "error": None,
        "started_at": builder.started_at or view.now.wall,
    }
    return fields, effect(args, step=builder.id, worktree=builder.id)


def _prepared(view: PhaseView, builder: Step, result: JobResult, starting: Sequence[JobSpec]) -> _Moved:
    """A worktree that was there before holds partial work, and is set up already if that ever succeeded."""
    made = PrepareResult.of(result)
    base = made.base
    if made.emptied:
        names = ", ".join(made.emptied)
        lost = f"A power cut ended your last turn. Files that it left empty are as before it, or gone: {names}"
        builder = builder.model_copy(update={"feedback": "\n\n".join(filter(None, (lost, builder.feedback)))})
    if view.config.setup and (made.made or not _is_set_up(view, builder)):
        return {"base_commit": base, "feedback": builder.feedback}, _command(view, builder, "setup", view.config.setup)
    fields, job = _build(view, builder, result, starting)
    return {"feedback": builder.feedback, **fields, "base_commit": base}, job


def _is_set_up(view: PhaseView, builder: Step) -> bool:
    runs = [job for job in view.ledger.jobs_of(builder.id) if job.spec.name == "setup"]
    return bool(runs and runs[-1].result and runs[-1].result.ok)


def _build(view: PhaseView, builder: Step, _result: JobResult, starting: Sequence[JobSpec]) -> _Moved:
    if used := builder_budget(view.config, builder):
        spent = JobResult(ok=False, code="budget", message=f"it has used {used}", remedy=f"relay retry {builder.id}",
                          does="grants it as much again")  # fmt: skip
        return failed(builder, "build", spent, view.config, view.now), None
    choice = _choice(view, builder, starting)
    if choice.assistant is None:
        waits: StepChange = {
            "status": Status.RETRYING,
            "attempt": builder.attempt - 1,
            "retry_at_mono_s": None,
            "note": choice.why,
        }
        return waits, None
    session = builder.session if choice.assistant == builder.assistant else None
    spec = AssistantTurn(
        name="build",
        step=builder.id,
        worktree=builder.id,
        role="builder",
        assistant=choice.assistant,
        prompt=builder_prompt(view, builder, session),
        session=session,
        timeout_s=view.config.timeout_s,
        idle_timeout_s=view.config.idle_timeout_s,
    )
    return {"stage": Stage.WORKING, "note": "", "assistant": choice.assistant, "session": session}, spec


def _collect(_view: PhaseView, builder: Step, result: JobResult, _: Sequence[JobSpec]) -> _Moved:
    said = result.text.strip()
    args = Collect(
        branch=builder.branch,
        base=builder.base_commit,
        title=builder.part.title or builder.id,
        report=plain(said),
        questions=questions_of(said),
    )
    fields: StepChange = {
        "stage": Stage.VERIFYING,
        "losses": 0,
        "session": builder.session if result.session is None else result.session or None,
        "note": said.splitlines()[-1][:200] if said else "",
    }
    return fields, effect(args, step=builder.id, worktree=builder.id)


def _collected(view: PhaseView, builder: Step, result: JobResult, _: Sequence[JobSpec]) -> _Moved:
    found = CollectResult.of(result)
    commit, reach = found.commit, found.reach
    fields: StepChange = {"commit": commit, "verified": False, "reach": reach}
    if found.left_out:
        fields["note"] = f"{found.left_out[0]} is Relay's own, and was left out"
    if questions := _asked(view, builder):
        asks = JobResult(ok=False, code=QUESTION, message=f"it asks: {' '.join(questions)}", remedy=ANSWERING.command,
                         does=ANSWERING.does)  # fmt: skip
        return {**fields, **failed(builder, "build", asks, view.config, view.now)}, None
    if commit == builder.base_commit and not view.config.allow_no_changes:
        what = f"a file, but for some that git ignores: {found.ignored}" if found.ignored else "a file"
        nothing = JobResult(ok=False, code="no_changes", message=f"it ended without changing {what}")
        return failed(builder, "build", nothing, view.config, view.now), None
    if is_refused(reach, view.config.scope):
        return {"reach": reach, **failed(builder, "build", _outside(builder, reach), view.config, view.now)}, None
    if verify := of_builder(view.config, builder.part):
        return fields, _command(view, builder, "verify", verify)
    return _done(view, builder, fields)


def _outside(builder: Step, reach: Reach) -> JobResult:
    """The failure of a builder that changed what is not its own, with what to do about it."""
    base = builder.base_commit[:10]
    tail = "\n".join(
        [
            "Make these files what they were; no others than those of your component may differ:",
            *reach.names,
            *([f"… and {reach.outside - len(reach.names)} more"] if reach.outside > len(reach.names) else []),
            f"`git show {base}:PATH > PATH` brings back what you changed (M) or deleted (D); remove what is new (A).",
        ]
    )
    return JobResult(ok=False, code="outside_scope", message=sentence("it", reach), tail=tail)


def _verified(view: PhaseView, builder: Step, result: JobResult, _: Sequence[JobSpec]) -> _Moved:
    why = f"verify {AS_BEFORE}" if not result.ok else result.shadow
    return _done(view, builder, {"verified": not why, "failure": "", **({"note": why} if why else {})})


def _done(view: PhaseView, builder: Step, fields: StepChange) -> _Moved:
    """It is built, unless a reviewer has to read it first."""
    commit = fields.get("commit", builder.commit)
    if view.config.review and commit != builder.base_commit:
        return fields, _review.begin(builder, commit)
    verified = fields.get("verified", builder.verified)
    return {**fields, "status": Status.DONE, "verified": verified, "ended_at": view.now.wall, "feedback": ""}, None


def _command(view: PhaseView, builder: Step, name: str, command: str) -> JobSpec:
    return Command(
        name=name,
        step=builder.id,
        worktree=builder.id,
        command=command,
        timeout_s=view.config.command_timeout_s,
    )


#: What follows a job that ended well, or as it did before anything was built, by its name.
_AFTER: Mapping[str, Callable[[PhaseView, Step, JobResult, Sequence[JobSpec]], _Moved | None]] = {
    "prepare": _prepared,
    "setup": _build,
    "build": _collect,
    "collect": _collected,
    "verify": _verified,
    "gather_diff": _review.ask,
    _review.TURN: _review.settle,
    "settle_review": _review.decide,
}


def _ask(view: PhaseView, broken: list[Step]) -> AskCi:
    if not broken:
        again = Answer(f"relay retry {next(iter(view.steps))}", "builds it after all")
        problem = Problem.of("nothing_built", "Every builder was skipped.", again)
        return AskCi("fix_failure", problem.message, "execution", error=problem, answers=(CANCEL,))
    names = " ".join(builder.id for builder in broken[:_SKIPPED])
    why = "; ".join(gave_up(builder) for builder in broken[:5])
    message = f"{why}. Fix it in {broken[0].worktree} if you like"
    answers = (HINT, Answer(f"relay skip {names}", "goes on without"))
    return AskCi("fix_failure", message, "execution", error=broken[0].error, answers=answers)


mover = Builders()
