"""A step of Relay's own that failed: it is done again alone, and the turn before it is not taken again. Pure."""

from __future__ import annotations

from lib.contracts import PhaseView, Proceed, Wait
from lib.jobs import Job
from lib.scheduling.retries import FATAL, backoff_s


def again(view: PhaseView, job: Job) -> Proceed | Wait | None:
    """The outcome that repeats it after a pause; None if no other try can help, or all attempts have been made."""
    tries = sum(each.spec == job.spec for each in view.current(job.spec.name))
    if job.result is None or job.result.code in FATAL or tries >= view.config.attempts:
        return None
    due = job.started_mono_s + backoff_s(view.config, tries, job.spec.name)
    # After a reboot the clock that it was started by is gone, and so is the pause.
    return Wait(due) if job.started_mono_s <= view.now.mono_s < due else Proceed(jobs=(job.spec,))


def left_failed(view: PhaseView, name: str) -> Job | None:
    """The step of that name whose failure ci was asked about, unless words for another turn came back."""
    earlier = [job for job in view.ledger.jobs_of(None) if job.dispatch < view.dispatch]
    last = earlier[-1] if earlier and not view.feedback else None
    failed = last is not None and last.spec.name == name and last.result is not None and not last.result.ok
    return last if failed else None
