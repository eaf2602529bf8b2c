"""The review of a builder's work: what follows its verification when `review` is on. Pure.

A diff is gathered, a reviewer reads it, the worktree is made what it was, and then the answer counts. What can't be
read is asked again; what is sent back goes to the builder, as an attempt that failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lib.config.model import Role
from lib.contracts import PhaseView
from lib.design.final_json import last_object
from lib.design.reports import report_of
from lib.design.verification import of_builder
from lib.effects import GatherDiff, GatherDiffResult, SettleReview, SettleReviewResult
from lib.jobs import AssistantTurn, Job, JobResult, JobSpec, effect
from lib.model import Step, StepChange
from lib.scheduling.assistant_choice import choose
from lib.scheduling.retries import FATAL, UNJUDGED, failed
from lib.steps import StepStatus

Moved = tuple[StepChange, JobSpec | None]

#: The name of the reviewer's job.
TURN: Final = "review"
#: How often a reviewer is asked again that fails, or whose answer can't be read.
REPAIRS: Final = 2
_FORM: Final = 'end with one JSON object: {"verdict": "accept" or "send_back", "comments": ["…"]}'


@dataclass(frozen=True, slots=True)
class Verdict:
    """A reviewer's judgement of a builder's work."""

    accepted: bool
    comments: tuple[str, ...]


def begin(builder: Step, tip: str) -> JobSpec:
    """The first step: the diff up to the commit `tip`, which the reviewer is shown."""
    return effect(GatherDiff(base=builder.base_commit, tip=tip), step=builder.id, worktree=builder.id)


def ask(view: PhaseView, builder: Step, _result: JobResult, starting: Sequence[JobSpec]) -> Moved | None:
    """A turn of the reviewer, with what is wrong in the answers that it gave before."""
    choice = choose(
        view, view.config.roles.get(Role.REVIEWER) or builder.chain, starting, name=TURN, builder=builder.id
    )
    if choice.problem is not None:
        return _gave_up(view, builder, choice.why, choice.problem.code), None
    if choice.assistant is None:
        return None if builder.note == choice.why else ({"note": choice.why}, None)
    turns = _turns(view, builder)
    last = turns[-1] if turns else None
    goes_on = last is not None and last.assistant == choice.assistant and last.result is not None
    session = last.result.session if goes_on and last and last.result else None
    spec = AssistantTurn(
        name=TURN,
        step=builder.id,
        worktree=builder.id,
        role=Role.REVIEWER,
        assistant=choice.assistant,
        prompt={
            **_prompt(view, builder, [_unreadable(turn.result) for turn in turns if turn.result]),
            "goes_on": bool(session and last and last.result and last.result.ok),
        },
        session=session,
        timeout_s=view.config.timeout_s,
        idle_timeout_s=view.config.idle_timeout_s,
    )
    return {"note": "under review"}, spec


def settle(view: PhaseView, builder: Step, _result: JobResult, _: Sequence[JobSpec]) -> Moved:
    """A reviewer changes nothing: whatever it did to the worktree is taken back, whether it ended well or not."""
    args = SettleReview(branch=builder.branch, tip=builder.commit, tree=_gathered(view, builder).tree)
    return {}, effect(args, step=builder.id, worktree=builder.id)


def decide(view: PhaseView, builder: Step, result: JobResult, starting: Sequence[JobSpec]) -> Moved | None:
    """The builder's changes and next step by the newest answer."""
    turns = _turns(view, builder)
    said = turns[-1].result if turns else None
    verdict = read_verdict(said.text) if said is not None and said.ok else None
    if said is not None and said.code in FATAL:
        return _gave_up(view, builder, said.message, said.code), None
    if said is None or verdict is None:
        return _again(view, builder, result, said, starting)
    if isinstance(verdict, str):
        return _gave_up(view, builder, "it can't judge the work: " + verdict), None
    if verdict.accepted:
        undone = (
            ["what its reviewer changed was taken back: relay recover"] if SettleReviewResult.of(result).changed else []
        )
        note = "; ".join([*undone, *verdict.comments])[:200] or "accepted by its reviewer"
        return {"status": StepStatus.DONE, "verified": builder.verified, "ended_at": view.now.wall, "feedback": "",
                "note": note}, None  # fmt: skip
    comments = "\n".join(f"- {comment}" for comment in verdict.comments)
    sent_back = JobResult(ok=False, code="review", message="its reviewer sends it back: " + verdict.comments[0][:200],
                          tail=comments)  # fmt: skip
    return failed(builder, "review", sent_back, view.config, view.now), None


def read_verdict(text: str) -> Verdict | str | None:
    """The verdict in a reviewer's last message, or why it can't give one.

    None if there is neither, or if it sends back without a word of why.
    """
    try:
        found, _ = last_object(text, "verdict", "cannot")
    except ValueError:
        return None
    if found and "verdict" not in found:
        return str(found["cannot"])[:500]
    listed = (found or {}).get("comments") or []
    comments = tuple(_comment(each) for each in (listed if isinstance(listed, list) else [listed]) if each)
    match (found or {}).get("verdict"):
        case "accept":
            return Verdict(True, comments)
        case "send_back" if comments:
            return Verdict(False, comments)
    return None


def _comment(value: Any) -> str:  # noqa: ANN401 - whatever a model lists
    if not isinstance(value, Mapping):
        return str(value)
    return ": ".join(str(part) for part in value.values())


def _again(
    view: PhaseView, builder: Step, result: JobResult, said: JobResult | None, starting: Sequence[JobSpec]
) -> Moved | None:
    """Another turn, by the next assistant of the chain if a limit ended this one; at some point ci has it."""
    turns = _turns(view, builder)
    launched = not turns or turns[-1].process is not None
    if launched and len(turns) <= REPAIRS:
        return ask(view, builder, result, starting)
    return _gave_up(view, builder, _unreadable(said) if said else "it gave no answer"), None


def _gave_up(view: PhaseView, builder: Step, why: str, code: str = "review_unreadable") -> StepChange:
    """The builder fails at once: no other attempt of its own can mend that it is not reviewed."""
    message = f"its reviewer gave no verdict: {why}"
    result = JobResult(ok=False, code=code, message=message, remedy=f"relay retry {builder.id}", does="tries again")
    kept: StepChange = {"attempt": builder.attempt, "feedback": builder.feedback, "retry_at_mono_s": None}
    return {**failed(builder, "review", result, view.config, view.now), **kept, "status": StepStatus.FAILED,
            "ended_at": view.now.wall}  # fmt: skip


def _turns(view: PhaseView, builder: Step) -> list[Job]:
    """The reviewer's turns on what the builder has now that say something, oldest first."""
    own = view.ledger.jobs_of(builder.id)
    begun = max((index for index, job in enumerate(own) if job.spec.name == GatherDiff.effect), default=len(own))
    turns = [job for job in own[begun:] if job.spec.name == TURN]
    return [job for job in turns if not (job.result and job.result.code in UNJUDGED)]


def _unreadable(result: JobResult) -> str:
    return _FORM if result.ok else result.message


def _gathered(view: PhaseView, builder: Step) -> GatherDiffResult:
    """The result with which the newest diff was gathered."""
    own = [job for job in view.ledger.jobs_of(builder.id) if job.spec.name == GatherDiff.effect]
    return (GatherDiffResult.of_job(own[-1]) if own else None) or GatherDiffResult()


def _earlier(view: PhaseView, builder: Step) -> list[str]:
    """The comments with which reviewers sent this builder's work back before."""
    turns = [job for job in view.ledger.jobs_of(builder.id) if job.spec.name == TURN]
    read = [read_verdict(job.result.text) for job in turns if job.result and job.result.ok]
    return [comment for verdict in read if isinstance(verdict, Verdict) and not verdict.accepted
            for comment in verdict.comments]  # fmt: skip


def _prompt(view: PhaseView, builder: Step, errors: Sequence[str]) -> dict[str, Any]:
    seen = _gathered(view, builder)
    return {
        "verify": of_builder(view.config, builder.part),
        "base": builder.base_commit,
        "tip": builder.commit,
        "diff": seen.diff,
        "summary": seen.summary,
        "is_cut": seen.is_cut,
        "errors": list(dict.fromkeys(errors)),
        "report": report_of(view, builder),
        "earlier": _earlier(view, builder),
    }
