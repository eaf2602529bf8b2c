"""`merge_build`: the built branches come together, are verified as one tree, and land on the user's branch.

Merging, making ready, verifying, landing and cleaning follow one another. A hand-back starts again at the first of
them: what is merged already is found merged, and what a person left in the merged worktree is taken along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib.config.model import Land as LandMode
from lib.contracts import AskCi, Change, Fail, Finish, Outcome, PhaseView, Proceed, Wait
from lib.design.dependencies import tips
from lib.design.failures import problem_of
from lib.design.verification import HINT, of_merged, unverified, verdict
from lib.effects import BranchTaken, CheckoutMerged, Clean, Land, Merge, MergeResult, Survey, Vacate
from lib.jobs import Command, Effect, Job, JobResult, JobSpec, effect
from lib.model import Component, Problem, RunOutcome, Step
from lib.project.paths import MERGED_WORKTREE
from lib.question import CANCEL, RETRY, Answer
from lib.scheduling.retries import reading
from lib.steps import StepKind, StepStatus
from phases._base import AS_BEFORE, as_before
from phases._gate import reasons, remarks
from phases._resolve import is_news, resolve, unjudged

TAKEN = "branch_taken"
STEPS = (CheckoutMerged.effect, "setup", "verify", Land.effect, Clean.effect)


class MergeBuildHandler:
    """Walks down the steps; the first whose job is missing is started, the first that failed is asked about."""

    name = "merge_build"
    phases = ("merge_build",)

    def step(self, view: PhaseView) -> Outcome:
        if not any(builder.has_work for builder in view.steps.values()):
            return _nothing()
        if (waits := _vacating(view)) is not None:
            return waits
        merges = view.current(Merge.effect) or unjudged(view)
        if not merges:
            return Proceed(jobs=(_merging(view),))
        merge = merges[-1]
        done = _since(view, merge)
        if merge.result is None:
            return Wait()
        if merge.result.code == TAKEN:
            return _look(merge.result)
        if not merge.result.ok:
            return _fix(view, merge.result, "Merging failed")
        merged = MergeResult.of(merge.result)
        if fresh := [name for name in merged.merged if _is_unmerged(view.steps[name])]:
            return Proceed(changes=tuple(Change(name, {"merged": True}) for name in fresh))
        if merged.conflict:
            return resolve(view, merge, merged.conflict, _merge(view))
        for spec in _verification(view):
            job = done.get(spec.name)
            if job is None:
                return Proceed(jobs=(spec,))
            if job.result is None:
                return Wait()
            if not job.result.ok and not as_before(view, job):
                return _fix(view, job.result, f"The merged tree fails: {spec.name}")
        return _landing(view, done, merged)


def _vacating(view: PhaseView) -> Outcome | None:
    """The next step until the worktree, which the architect has had, is free for merges; None once it is."""
    surveys = [job for job in view.ledger.jobs_of(None) if job.spec.name == Survey.effect]
    lent = surveys and surveys[-1].spec.worktree == MERGED_WORKTREE
    if not lent or any(
        job.spec.name == Vacate.effect and job.result and job.result.ok for job in view.ledger.jobs_of(None)
    ):
        return None
    vacate = view.last(Vacate.effect)
    if vacate is None:
        return Proceed(jobs=(effect(Vacate(base=view.state.base.commit), worktree=MERGED_WORKTREE),))
    if vacate.result is None:
        return Wait()
    message = f"The architect's worktree can't be made ready for merging: {vacate.result.message}"
    return Fail(problem_of(vacate.result, message))


def _landing(view: PhaseView, done: Mapping[str, Job], merged: MergeResult) -> Outcome:
    mode, head, doubt = view.config.land, merged.head, _shadow(done) or _as_before(view, done)
    known, why = _known(view, doubt), reasons(view, merged, doubt)
    if (mode is LandMode.ASK or why) and ("approve_landing" not in view.answered or is_news(view)):
        return _approval(view, known, [*why, *remarks(view)])
    if mode is LandMode.BRANCH:
        message = f"Merged, {known}, not landed: git merge {_branch(view)}"
        return Finish(RunOutcome.STORED, message, outputs=_outputs(view))
    land = done.get(Land.effect)
    if land is None:
        args = Land(branch=view.state.base.branch, base=view.state.base.commit, head=head)
        return Proceed(jobs=(effect(args),))
    if land.result is None:
        return Wait()
    if land.result.code == "moved_on":
        note = f"{view.state.base.branch} has moved on meanwhile: merging again"
        return Proceed(jobs=(_merging(view),), notes=(note,))
    if not land.result.ok:
        return _blocked(view, land.result)
    if fresh := [step.id for step in view.steps.values() if step.merged and not step.landed]:
        return Proceed(changes=tuple(Change(name, {"landed": True}) for name in fresh))
    clean = done.get(Clean.effect)
    if clean is None:
        return Proceed(jobs=(effect(Clean(branch=view.state.base.branch)),))
    if clean.result is None:
        return Wait()
    late = "; it was too late to cancel" if land.stopping else ""
    message = f"Landed on {view.state.base.branch} at {head[:10]}, {known}{_hint(view)}{late}"
    return Finish(RunOutcome.LANDED, message, outputs=_outputs(view))


def _outputs(view: PhaseView) -> Mapping[str, Any]:
    """The outputs of the run's workflow; `build` has none."""
    if view.definition is None:
        return {}
    from phases.steps._graph import outputs

    return outputs(view)


def _shadow(done: Mapping[str, Job]) -> str:
    """A clause, if the commands which succeeded looked at the user's checkout and not at the merged tree."""
    verified = done.get("verify")
    return verified.result.shadow if verified and verified.result else ""


def _as_before(view: PhaseView, done: Mapping[str, Job]) -> str:
    """A clause, if verify fails on the merged tree as it did before."""
    verified = done.get("verify")
    return f"verify {AS_BEFORE}" if verified and as_before(view, verified) else ""


def _known(view: PhaseView, doubt: str) -> str:
    """The evidence for the merged tree, in words."""
    return "not verified" if doubt else verdict(view.config, _parts(view))


def _hint(view: PhaseView) -> str:
    """The one thing to do where nothing, or not everything, is verified."""
    return f": {HINT}" if unverified(view.config, _parts(view)) else ""


def _approval(view: PhaseView, known: str, clauses: list[str]) -> AskCi:
    """The one question before the branch moves, with all that is to be known on it."""
    keeps = view.config.land is LandMode.BRANCH
    yes = Answer("relay approve", "keeps it on that branch" if keeps else f"lands it on {view.state.base.branch}")
    read = f", but read first: {'; '.join(clauses)}" if clauses else ""
    answers = (yes, Answer("relay diff", "shows what would land"))
    return AskCi("approve_landing", f"{_branch(view)} is merged and {known}{read}", "merge_build", answers=answers)


def _merging(view: PhaseView) -> Effect:
    return effect(_merge(view), worktree=MERGED_WORKTREE)


def _merge(view: PhaseView) -> Merge:
    working = [builder for builder in view.steps.values() if builder.has_work]
    return Merge(
        branch=_branch(view),
        base_branch=view.state.base.branch,
        base=view.state.base.commit,
        tips=tips(working),
        owned={builder.id: builder.part.files for builder in working},
        landed=any(builder.landed for builder in view.steps.values()),
        believed=_believed(view),
        before=view.origin.branch_at if view.origin else "",
    )


def _believed(view: PhaseView) -> tuple[str, ...]:
    """The commits that the user's branch was found at with work of builders, if ci said that this is right."""
    found = [job.result for job in view.ledger.jobs_of(None) if job.result is not None and job.result.code == TAKEN]
    return tuple(BranchTaken.of(result).tip for result in found) if "check_branch" in view.answered else ()


def _is_unmerged(step: Step) -> bool:
    return step.status is StepStatus.DONE and not step.merged


def _verification(view: PhaseView) -> list[JobSpec]:
    """The jobs that judge the merged tree: none without a verify command of the run or of a component."""
    verify = of_merged(view.config, _parts(view))
    if not verify:
        return []
    specs: list[JobSpec] = [effect(CheckoutMerged(branch=_branch(view)), worktree=MERGED_WORKTREE)]
    for name, command in (("setup", view.config.setup), ("verify", verify)):
        if command:
            specs.append(
                Command(
                    name=name,
                    worktree=MERGED_WORKTREE,
                    command=command,
                    timeout_s=view.config.command_timeout_s,
                )
            )
    return specs


def _parts(view: PhaseView) -> list[Component]:
    return [builder.part for builder in view.steps.values() if builder.has_work]


def _since(view: PhaseView, merge: Job) -> dict[str, Job]:
    """The newest job of each step, from that merge on."""
    order = [job.id for job in view.ledger.jobs_of(None)]
    begun = order.index(merge.id)
    newest = {name: view.last(name) for name in STEPS}
    return {name: job for name, job in newest.items() if job is not None and order.index(job.id) >= begun}


def _branch(view: PhaseView) -> str:
    return f"relay/{view.state.run}/{MERGED_WORKTREE}"


def _folder(view: PhaseView) -> str:
    return f".project/worktrees/{view.state.run}/{MERGED_WORKTREE}"


def _nothing() -> AskCi:
    """Nothing is landed when nothing is left to land."""
    message = "Every builder was skipped, so there is nothing to land. Their branches are kept"
    problem = Problem.of("nothing_built", message, CANCEL, action="merge_build")
    return AskCi("fix_failure", message, "merge_build", error=problem, answers=(CANCEL,))


def _fix(view: PhaseView, result: JobResult, what: str) -> AskCi:
    names = [step.id for step in view.steps.values() if step.has_work and step.kind is StepKind.BUILDER]
    also = ", or have a builder fix it" if names else ""
    message = f"{what}: {result.message}. Fix it in {_folder(view)} (no commit needed){also}"
    shown = reading(MERGED_WORKTREE, result) if result.printed else RETRY
    answers = (*(Answer(f'relay retry {name} "a hint"', "has that builder fix it") for name in names[-1:]), RETRY)
    problem = problem_of(result, message, shown, "merge_build")
    return AskCi("fix_failure", message, "merge_build", error=problem, answers=answers)


def _look(result: JobResult) -> AskCi:
    """Commits of builders on the user's branch: only its owner knows whether they belong there."""
    answers = (
        Answer("relay approve", "goes on with your branch as it is"),
        Answer("relay recover", "lists what is kept"),
    )
    problem = problem_of(result, result.message, action="merge")
    return AskCi("check_branch", result.message, "merge_build", error=problem, answers=answers)


def _blocked(view: PhaseView, result: JobResult) -> AskCi:
    message = f"{_branch(view)} is ready, but {result.message}"
    return AskCi("clear_the_way", message, "merge_build", error=problem_of(result, message, action="land"),
                 answers=(Answer("relay approve", "lands it, once that is done"),))  # fmt: skip


handler = MergeBuildHandler()
