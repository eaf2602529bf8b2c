"""The tree that a run starts from: whether it passes the verify command before anything is built of it. Pure.

It is looked at once, while the architect is at work. The gate of the design shows the result, and so do builders'
prompts. A builder whose tests fail just as they did here gets a second try; what fails so again counts as not
verified, and lands only when a person says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from lib.contracts import Outcome, PhaseView, Proceed, Wait
from lib.effects import CheckoutBase, DropBase
from lib.jobs import Command, Job, JobSpec, effect
from lib.project.paths import BASE_WORKTREE
from lib.scheduling.retries import failure_digest

AS_BEFORE: Final = "fails just as it did before anything was built"
_WHAT: Final = {"setup": "setup fails", "verify": "the tests fail"}


def beside(view: PhaseView, outcome: Outcome) -> Outcome:
    """The outcome with the next step of looking at that tree, which goes on while the architect works."""
    step = _following(view)
    if step is None or not isinstance(outcome, Wait | Proceed):
        return outcome
    found = red(view) if step.name == DropBase.effect else ""
    proceed = outcome if isinstance(outcome, Proceed) else Proceed()
    return replace(proceed, jobs=(*proceed.jobs, step), notes=(*proceed.notes, *([found] if found else [])))


def is_known(view: PhaseView) -> bool:
    """True if there is nothing more to find out about that tree."""
    last = _newest(view, DropBase.effect)
    return not view.config.verify or (last is not None and last.result is not None)


def red(view: PhaseView) -> str:
    """A clause on what fails before anything is built; empty if nothing does, or nobody has looked."""
    failed = (job for name in _WHAT if (job := _newest(view, name)) and job.result and not job.result.ok)
    job = next(failed, None)
    if job is None or job.result is None:
        return ""
    return f"{_WHAT[job.spec.name]} before anything is built: {job.command}: {job.result.message}"


def as_before(view: PhaseView, job: Job) -> bool:
    """True if verify failed as it did before anything was built; silence is like no other failure."""
    base = _newest(view, job.spec.name) if job.spec.name == "verify" else None
    if base is None or base.result is None or job.result is None or not base.result.printed:
        return False
    digest = failure_digest(job.spec.name, job.result)
    return bool(digest) and digest == failure_digest(job.spec.name, base.result)


def _following(view: PhaseView) -> JobSpec | None:
    """The next step, unless one is at work, or all is done."""
    if not view.config.verify:
        return None
    for spec in _steps(view):
        job = _newest(view, spec.name)
        if job is None:
            return spec
        if job.result is None:
            return None
        if not job.result.ok:
            break
    return None if _newest(view, DropBase.effect) else effect(DropBase(), worktree=BASE_WORKTREE)


def _newest(view: PhaseView, name: str) -> Job | None:
    jobs = (job for job in view.ledger.jobs_of(None) if job.spec.worktree == BASE_WORKTREE and job.spec.name == name)
    return next(reversed(view.counting(jobs)), None)


def _steps(view: PhaseView) -> Iterator[JobSpec]:
    yield effect(CheckoutBase(base=view.state.base.commit), worktree=BASE_WORKTREE)
    for name, command in (("setup", view.config.setup), ("verify", view.config.verify)):
        if command:
            yield Command(name=name, worktree=BASE_WORKTREE, command=command,
                          timeout_s=view.config.command_timeout_s)  # fmt: skip
