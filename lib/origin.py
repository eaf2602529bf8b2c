"""The run that another one goes on from."""

from __future__ import annotations

from lib.model import Value


class Origin(Value):
    """The run from which another one goes on, and where: at a checkpoint (its number and label), or at a step.

    `branch_at` is the commit at which the user's branch was then: what it had is no doing of the new run. `merged` is
    the commit of what was merged there; empty before the first merge.
    """

    run: str
    checkpoint: int | None = None
    label: str = ""
    step: str = ""
    branch_at: str = ""
    merged: str = ""
