"""The start of a step, decided by the ends of what it needs. Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from lib.steps import TriggerRule


class Need(StrEnum):
    """The state of a step that another one needs."""

    PENDING = "pending"
    DONE = "done"
    #: An optional step that failed, or one that a person skipped: others go on as if it were done.
    WAIVED = "waived"
    #: Its condition was false, or what it needs did not let it start.
    SKIPPED = "skipped"
    FAILED = "failed"


class Start(StrEnum):
    RUN = "run"
    SKIP = "skip"
    WAIT = "wait"


def start(rule: TriggerRule, needs: Collection[Need]) -> Start:
    """The decision for a step with that rule; one that needs nothing runs.

    all_success runs once all are done, and skips at the first that will not be. all_done runs once all have ended.
    one_success runs at the first that is done. none_failed_min_one_success waits for all, skips at the first failure,
    and wants one done.
    """
    succeeded = sum(need in {Need.DONE, Need.WAIVED} for need in needs)
    waiting = any(need is Need.PENDING for need in needs)
    if not needs:
        return Start.RUN
    match rule:
        case TriggerRule.ALL_SUCCESS:
            if any(need in {Need.SKIPPED, Need.FAILED} for need in needs):
                return Start.SKIP
            return Start.WAIT if waiting else Start.RUN
        case TriggerRule.ALL_DONE:
            return Start.WAIT if waiting else Start.RUN
        case TriggerRule.ONE_SUCCESS:
            return Start.RUN if succeeded else Start.WAIT if waiting else Start.SKIP
        case TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
            if any(need is Need.FAILED for need in needs):
                return Start.SKIP
            return Start.WAIT if waiting else Start.RUN if succeeded else Start.SKIP
