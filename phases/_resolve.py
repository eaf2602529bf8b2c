"""A conflict in an assistant's hands: what it leaves is judged and verified, and only then merged. Pure.

What is refused goes back to it with the reasons, `attempts` times in all. Then, or if nobody can be asked, the conflict
is put back as git left it, and a person has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from lib.config.model import Conflicts, Role
from lib.conflicts.account import RESOLVABLE, read_account
from lib.contracts import AskCi, Fail, Outcome, PhaseView, Proceed, Wait
from lib.design.failures import problem_of
from lib.design.reports import report_of
from lib.design.verification import of_merged
from lib.effects import (
    BriefResolver,
    BriefResolverResult,
    EffectArgs,
    JudgeResolution,
    JudgeResolutionResult,
    Merge,
    MergeResult,
    NotedConflict,
    ReopenConflict,
)
from lib.jobs import AssistantTurn, Command, Effect, Job, effect
from lib.model import Problem, Step
from lib.project.paths import MERGED_WORKTREE, author_of
from lib.question import Answer
from lib.scheduling.assistant_choice import Choice, choose, nobody, program
from phases._again import again as repeat
from phases._again import left_failed
from phases._base import as_before

RESOLVE: Final = "resolve"
BRIEF, JUDGE, REOPEN = BriefResolver.effect, JudgeResolution.effect, ReopenConflict.effect
_COMMANDS: Final = ("setup", "verify")
#: Paths, and characters of reasons, that a message to a person has.
SHOWN: Final = 8
_SAID: Final = 400
_RESOLVED: Final = Answer("relay approve", "goes on, once it is done")
_AGAIN: Final = Answer('relay retry "a hint"', "has the assistant try again")


def resolve(view: PhaseView, merge: Job, conflict: NotedConflict, again: Merge) -> Outcome:
    """The next step for a conflict that `merge` has found; `again` is the merge that goes on from a resolution."""
    if not _for_assistant(view, conflict):
        return asked(view, conflict)
    done = _since(view, merge)
    if not done:
        return Proceed(jobs=(_merged(BriefResolver(base=view.state.base.commit, tips=again.tips)),))
    last = done[-1]
    if last.result is None:
        return Wait()
    if last.result.ok and (reopened := last.args(ReopenConflict)) and reopened.fresh:
        return asked(view, conflict, *_why(view, done))
    if not last.is_process and not last.result.ok:
        return repeat(view, last) or Fail(problem_of(last.result, last.result.message))
    if last.spec.name in {BRIEF, REOPEN}:
        return _turn(view, merge, conflict, done)
    if (reasons := _reasons(last)) and not as_before(view, last):
        turns = [job for job in done if job.spec.name == RESOLVE]
        final = len(turns) >= view.config.attempts or _gave_up(turns[-1])
        return Proceed(
            jobs=(_merged(ReopenConflict(fresh=final)),), notes=(f"The resolution is refused: {reasons[0]}",)
        )
    if _questions(last):
        notes = ("Part of the resolution is for you to decide",)
        return Proceed(jobs=(_merged(ReopenConflict(fresh=True)),), notes=notes)
    if last.spec.name == RESOLVE:
        return Proceed(jobs=(_judge(view, conflict, last),))
    return _verified(view, merge, conflict, done, again)


def asked(view: PhaseView, conflict: NotedConflict, tried: str = "", answers: Iterable[Answer] = ()) -> AskCi:
    """The conflict is for ci; `tried` says in a sentence why no resolver could do it, `answers` how one still can."""
    paths = conflict.open or [f"{path.path} ({path.kind})" for path in conflict.paths]
    shown = ", ".join(paths[:SHOWN]) + (f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else "")
    what = "is not resolved yet" if conflict.open else "conflicts with what is merged already"
    folder = _folder(view)
    message = (
        f"{author_of(conflict.builder)} {what}: {shown}. {tried}"
        f"Resolve in {folder} (git status there shows each file; no commit needed)"
    )
    files = Answer(f"cd {folder} && git status", "shows the files in question")
    problem = Problem.of("conflict", message, files, action="merge")
    return AskCi("resolve_conflict", message, "merge_build", error=problem, answers=(_RESOLVED, *answers))


def _for_assistant(view: PhaseView, conflict: NotedConflict) -> bool:
    """A person who has begun to resolve keeps the conflict, unless handing back with words for the resolver."""
    if view.config.conflicts is not Conflicts.ASSISTANT or (conflict.open and not view.feedback):
        return False
    return all(path.kind in RESOLVABLE for path in conflict.paths)


def unjudged(view: PhaseView) -> list[Job]:
    """The merge whose resolution could not be judged when ci was asked: that alone is done again."""
    merges = [job for job in view.ledger.jobs_of(None) if job.spec.name == Merge.effect]
    return merges[-1:] if left_failed(view, JUDGE) else []


def _since(view: PhaseView, merge: Job) -> list[Job]:
    """The jobs of this conflict that count, in order."""
    position = {name: index for index, name in enumerate(job.id for job in view.ledger.jobs_of(None))}
    seen = [replace(view, dispatch=number) for number in range(merge.dispatch, view.dispatch + 1)]
    jobs = [job for each in seen for name in (BRIEF, RESOLVE, JUDGE, *_COMMANDS, REOPEN) for job in each.current(name)]
    return sorted((job for job in jobs if position[job.id] > position[merge.id]), key=lambda job: position[job.id])


def _turn(view: PhaseView, merge: Job, conflict: NotedConflict, done: Sequence[Job]) -> Outcome:
    choice = _choice(view)
    if choice.problem is not None and choice.problem.code == "run_budget":
        return nobody(choice, "merge_build")
    if choice.assistant is None:
        return Proceed(jobs=(_merged(ReopenConflict(fresh=True)),))
    turns = [job for job in done if job.spec.name == RESOLVE]
    last = turns[-1] if turns else None
    session = last.result.session if last and last.result and last.assistant == choice.assistant else None
    refused = next((reasons for job in reversed(done) if (reasons := _reasons(job))), [])
    spec = AssistantTurn(
        name=RESOLVE,
        worktree=MERGED_WORKTREE,
        role=Role.RESOLVER,
        assistant=choice.assistant,
        prompt={
            "attempt": len(turns) + 1,
            "paths": [path.model_dump() for path in conflict.paths],
            "base_branch": view.state.base.branch,
            "theirs": _purpose(view, view.steps.get(conflict.builder)),
            "ours": [_purpose(view, view.steps[name]) for name in _ours(done) if name in view.steps],
            "verify": _verify(view, merge, conflict),
            "reasons": refused,
            "goes_on": bool(session and refused and last and last.result and last.result.ok),
            "feedback": view.feedback,
        },
        session=session,
        timeout_s=view.config.timeout_s,
        idle_timeout_s=view.config.idle_timeout_s,
    )
    return Proceed(jobs=(spec,))


def _choice(view: PhaseView) -> Choice:
    return choose(view, view.config.chain(Role.RESOLVER), name=RESOLVE)


def _purpose(view: PhaseView, builder: Step | None) -> dict[str, Any] | None:
    """A side's component, and what its builder said of it."""
    return {**builder.part.model_dump(mode="json"), "report": report_of(view, builder)} if builder else None


def _ours(done: Sequence[Job]) -> tuple[str, ...]:
    found = BriefResolverResult.of_job(done[0])
    return found.ours if found else ()


def _reasons(job: Job) -> list[str]:
    """Reasons, by what a job found or how it ended, not to accept the resolution; empty if there are none."""
    if job.result is None or job.spec.name in {BRIEF, REOPEN}:
        return []
    if job.spec.name == JUDGE:
        return list(JudgeResolutionResult.of(job.result).objections) if job.result.ok else []
    if job.result.ok:
        cannot = read_account(job.result.text).cannot if job.spec.name == RESOLVE else ""
        return [f"it can't be resolved: {cannot}"] if cannot else []
    tail = job.result.tail.strip()
    said = f"{job.spec.name}: {job.result.message}"
    return [f"{said}\n\n{tail}" if tail and job.spec.name in _COMMANDS else said]


def _questions(job: Job) -> list[str]:
    """Questions that a person has to decide about a resolution that has no other faults."""
    found = JudgeResolutionResult.of_job(job) if job.spec.name == JUDGE else None
    return list(found.questions) if found else []


def by_own_account(view: PhaseView) -> list[str]:
    """Clauses on the lines that resolvers left out or put in, for reasons that are their own, of what is merged."""
    told = [line for job in view.ledger.jobs_of(None) for line in _told(view, job)]
    clause = "an assistant changed lines to resolve a conflict, for reasons that nothing proves: "
    return [clause + told[0], *told[1:]] if told else []


def is_news(view: PhaseView) -> bool:
    """True if some of it came after the last answer of ci."""
    return any(_told(view, job) for job in view.current(JUDGE))


def _told(view: PhaseView, job: Job) -> list[str]:
    """Lines that a judgement told of a resolution that was merged then."""
    found = JudgeResolutionResult.of_job(job) if job.spec.name == JUDGE else None
    if found is None or job.result is None:
        return []
    merged = {args.resolved for each in view.ledger.jobs_of(None) if (args := each.args(Merge))}
    return list(job.result.warnings) if found.commit and found.commit in merged else []


def _gave_up(turn: Job) -> bool:
    """True if the resolver could not be launched, or says itself that it can't."""
    ended_well = turn.result is not None and turn.result.ok
    return bool(_reasons(turn)) if ended_well else turn.process is None


def _why(view: PhaseView, done: Sequence[Job]) -> tuple[str, list[Answer]]:
    """Sentences on what was tried, for the message to a person, and the answers that take it up."""
    turns = [job for job in done if job.spec.name == RESOLVE]
    if not turns:
        return f"No assistant can resolve it: {_choice(view).why}. ", []
    judged = next((job for job in reversed(done) if job.spec.name == JUDGE), None)
    found = JudgeResolutionResult.of_job(judged)
    if found and found.questions:
        return _to_decide(view, turns[-1], found.questions, found.commit or "")
    refused = next((reasons for job in reversed(done) if (reasons := _reasons(job))), ["no reason recorded"])
    said = refused[0].splitlines()[0].removeprefix(f"{RESOLVE}: ")
    tried = f"{program(turns[-1].assistant)} tried {'once' if len(turns) == 1 else f'{len(turns)} times'}"
    return (f"{tried}: {said[:_SAID]}. ", [_AGAIN]) if turns[-1].process else (f"No resolver: {said[:_SAID]}. ", [])


def _to_decide(view: PhaseView, turn: Job, questions: Sequence[str], commit: str) -> tuple[str, list[Answer]]:
    """The lines that a person has to decide about, with the resolver's reasons, and how to take its version."""
    taking = f"git -C {_folder(view)} read-tree -u --reset {commit[:12]} && relay approve"
    more = f"; and {len(questions) - SHOWN} more" if len(questions) > SHOWN else ""
    return (
        f"{program(turn.assistant)} resolved it, but what it left out or put in is for you to decide: "
        f"{'; '.join(questions[:SHOWN])}{more}. "
    ), [Answer(taking, "takes its version as it is")]


def _folder(view: PhaseView) -> str:
    return f".project/worktrees/{view.state.run}/{MERGED_WORKTREE}"


def _judge(view: PhaseView, conflict: NotedConflict, turn: Job) -> Effect:
    """Its message is read here; whether it bears out what is in the files is judged with git."""
    account = read_account(turn.result.text if turn.result else "")
    explained = [
        f"Left out of {path}: {line} ({why})" for path, lines in account.removed.items() for line, why in lines.items()
    ]
    message = "\n\n".join(
        [
            f"Merge {author_of(conflict.builder)}, conflicts resolved by {program(turn.assistant)}",
            *(["\n".join(explained)[:4000]] if explained else []),
            f"Relay-Run: {view.state.run}\n",
        ]
    )
    return _merged(JudgeResolution(removed=account.removed, added=account.added, message=message))


def _verified(view: PhaseView, merge: Job, conflict: NotedConflict, done: Sequence[Job], again: Merge) -> Outcome:
    """The commands that have to succeed, one after the other; then the resolution is merged."""
    judged = next(index for index in reversed(range(len(done))) if done[index].spec.name == JUDGE)
    run = {job.spec.name for job in done[judged + 1 :]}
    for name, command in (("setup", view.config.setup), ("verify", _verify(view, merge, conflict))):
        if command and _verify(view, merge, conflict) and name not in run:
            spec = Command(name=name, worktree=MERGED_WORKTREE, command=command,
                           timeout_s=view.config.command_timeout_s)  # fmt: skip
            return Proceed(jobs=(spec,))
    found = JudgeResolutionResult.of_job(done[judged])
    return Proceed(jobs=(_merged(again.model_copy(update={"resolved": found and found.commit})),))


def _verify(view: PhaseView, merge: Job, conflict: NotedConflict) -> str:
    """Commands that each of the builders merged then was verified with, alone, and so must pass with the others."""
    found = MergeResult.of_job(merge)
    names = [name for name in (*(found.merged if found else ()), conflict.builder) if name in view.steps]
    return of_merged(view.config, [view.steps[name].part for name in names])


def _merged(args: EffectArgs) -> Effect:
    """An effect in the merged worktree."""
    return effect(args, worktree=MERGED_WORKTREE)
