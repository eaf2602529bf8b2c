"""The values of the prompt of a builder's turn. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib.config.model import Scope
from lib.contracts import PhaseView
from lib.design.final_json import questions_of
from lib.design.verification import of_builder
from lib.jobs import Job
from lib.model import Step
from lib.scheduling.retries import INTERRUPTED
from phases._base import red

#: The rule that a builder's prompt has for files outside its component's.
OUTSIDE: Mapping[Scope, str] = {
    Scope.WARN: "it is listed for a person.",
    Scope.ASK: "it is listed for a person, who is asked before a deletion, a lock file or many files land.",
    Scope.REFUSE: "such a change is sent back to you.",
}


def builder_prompt(view: PhaseView, builder: Step, session: str | None) -> dict[str, Any]:
    """The values for the template of a builder; `session` is the conversation that the turn goes on with."""
    earlier = [job for job in view.ledger.jobs_of(builder.id) if job.spec.name == "build"]
    return {
        "resumed": bool(earlier),
        **_goes_on(builder, earlier, session),
        "verify": of_builder(view.config, builder.part),
        "red": red(view),
        "outside": OUTSIDE[view.config.scope],
        "all_feedback": builder.feedback,
        "attempt": builder.attempt,
        "setup": view.config.setup or "",
        "minutes": max(1, round(view.config.timeout_s / 60)),
        "ports": list(range(builder.port_base, builder.port_base + view.config.ports_per_builder)),
    }


def _goes_on(builder: Step, earlier: Sequence[Job], session: str | None) -> dict[str, Any]:
    """The values of the prompt that differ for a turn that goes on in a conversation which has the rest.

    After an interruption, feedback that the conversation has already is left out.
    """
    last = earlier[-1] if earlier else None
    if last is None or last.result is None or last.turn is None:
        return {"goes_on": False, "interrupted": False, "questions": [], "feedback": builder.feedback}
    known = [job for job in earlier if session and session in _sessions(job) and _is_kept(job)]
    interrupted = not last.result.ok and last.result.code in INTERRUPTED
    heard = interrupted and last in known and last.turn.prompt.get("feedback") == builder.feedback
    feedback = "" if heard else builder.feedback
    if last.result.ok:
        questions = list(questions_of(last.result.text))
    else:  # it was answered, but may not have heard it
        questions = list(last.turn.prompt.get("questions", ())) if feedback else []
    return {"goes_on": bool(known), "interrupted": interrupted, "questions": questions, "feedback": feedback}


def _sessions(job: Job) -> set[str | None]:
    return {job.turn.session if job.turn else None, job.result.session if job.result else None}


def _is_kept(job: Job) -> bool:
    """True if its program has that turn in its conversation."""
    return job.result is not None and (job.result.kept or job.result.ok)
