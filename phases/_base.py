"""The tree that a run starts from: whether it bears the verify command before anything is built of it. Pure.

Where it does not, a person is asked once. If that is taken as it is, a command that fails later just as it did here is
held against no builder, and what it judged counts as not verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lib.attempts import failure_digest
from lib.contracts import AskCi, Fail, Outcome, PhaseView, Proceed, Wait
from lib.failures import report
from lib.model import Job, JobKind, JobSpec, Problem
from lib.passing import DISK_FULL
from lib.paths import BASE_WORKTREE

#: What ci is asked where it does not.
CHECK: Final = "check_base"
AS_BEFORE: Final = "fails just as it did before anything was built"
_CHECKOUT, _DROP = "checkout_base", "drop_base"
_WHAT: Final = {"setup": "Setup fails", "verify": "The tests fail"}


def prove(view: PhaseView) -> Outcome | None:
    """What is next until that is known, and taken as it is if it has to be; then, and without a command, None."""
    if CHECK not in view.answers:
        for spec in _steps(view):
            job = view.last(spec.name)
            if job is None:
                return Proceed(jobs=(spec,))
            if job.result is None:
                return Wait()
            if not job.result.ok:
                return _failed(job)
    names = {job.spec.name for job in view.jobs.values()}
    return Proceed(jobs=(_effect(view, _DROP),)) if _CHECKOUT in names and _DROP not in names else None


def as_before(view: PhaseView, job: Job) -> bool:
    """Whether a command failed as it did before anything was built; silence is like no other failure."""
    name = job.spec.name
    on_base = [each for each in view.jobs.values() if each.spec.worktree == BASE_WORKTREE and each.spec.name == name]
    base = on_base[-1].result if on_base else None
    if base is None or job.result is None or not base.data.get("printed"):
        return False
    digest = failure_digest(name, job.result)
    return bool(digest) and digest == failure_digest(name, base)


def _steps(view: PhaseView) -> Iterator[JobSpec]:
    if not view.config.verify:
        return
    yield _effect(view, _CHECKOUT)
    for name, command in (("setup", view.config.setup), ("verify", view.config.verify)):
        if command:
            yield JobSpec(kind=JobKind.COMMAND, name=name, worktree=BASE_WORKTREE, command=command,
                          timeout_s=view.config.command_timeout_s)  # fmt: skip


def _effect(view: PhaseView, name: str) -> JobSpec:
    args = {"base": view.state.base.commit}
    return JobSpec(kind=JobKind.EFFECT, name=name, worktree=BASE_WORKTREE, args=args)


def _failed(job: Job) -> Outcome:
    result = job.result
    assert result is not None  # noqa: S101 - it has ended
    if job.spec.kind is JobKind.EFFECT or result.code == DISK_FULL:
        return Fail(Problem(code=result.code, message=result.message, remedy=result.remedy or "relay retry"))
    message = (
        f"{_WHAT[job.spec.name]} before anything is built: {job.spec.command}: {result.message}. To go on regardless: "
        "relay approve (what fails just as now is held against no builder); to run it again: relay retry; "
        "to stop: relay cancel"
    )
    problem = Problem(code="base_fails", message=message, remedy="relay logs base", action=job.spec.name,
                      report=report(result.data))  # fmt: skip
    return AskCi(CHECK, message, next_action="design_build", error=problem)
