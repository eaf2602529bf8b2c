"""The time that a run's steps may take together. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from lib.model import Definition, Now

#: The reason for which a step ends that is at work when that time is over.
RUN_TIME: Final = "run_timeout"


def left_s(definition: Definition | None, begun_at: datetime, now: Now) -> float | None:
    """Seconds that are left of it, negative once it is over; None where the workflow sets no limit.

    Raises `WorkflowError`.
    """
    if definition is None:
        return None
    from lib.workflow.compiled import plan_of

    timeout_s = plan_of(definition).workflow.timeout_s
    return None if timeout_s is None else timeout_s - (now.wall - begun_at).total_seconds()
