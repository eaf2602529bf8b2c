"""The assistant for the next turn: the first of its chain that no limit holds, within the run's budget. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lib.contracts import AskCi, Fail, Outcome, PhaseView, Wait
from lib.jobs import AssistantTurn, Cooldown, Job, JobSpec
from lib.model import Now, Problem
from lib.question import CANCEL, Answer
from lib.scheduling.budget import run_budget
from lib.scheduling.retries import MODEL, QUESTION, REFUSED

EXTEND_BUDGET = "extend_budget"
#: What ci is asked when an assistant asks, and what answers it.
ANSWER = "answer_questions"
ANSWERING = Answer('relay answer "words"', "answers")
_DECIDE = Answer("relay approve", "lets it decide by itself")
_EXTEND = Answer("relay approve", "allows as much again")


@dataclass(frozen=True, slots=True)
class Choice:
    """The assistant that takes the turn; None while none can, `why` in words.

    It can be asked for again at `until_mono_s`, or when a turn ends; never by itself if there is a `problem`.
    """

    assistant: str | None
    why: str = ""
    until_mono_s: float | None = None
    problem: Problem | None = None


def program(assistant: str) -> str:
    """The program, `NAME`, of `NAME` or `NAME:VARIANT`: its variants share a limit."""
    return assistant.partition(":")[0]


def hold_name(assistant: str, code: str) -> str:
    """The key of a hold for that failure: the program, or, if its model can't be had, that model of it."""
    return f"{program(assistant)}:{assistant.partition(':')[2]}" if code == MODEL else program(assistant)


def choose(
    view: PhaseView,
    chain: Sequence[str],
    starting: Iterable[JobSpec] = (),
    *,
    name: str = "",
    builder: str | None = None,
) -> Choice:
    """The one of `chain` to launch now. `starting` are turns that are about to be launched in this same step.

    With a `name` of jobs, of that `builder` or of the run, those that refused such a turn for good are left out.
    """
    if problem := run_budget(view.config, view.budgets, view.state.usage, view.ledger):
        return Choice(None, problem.message, problem=problem)
    holds: list[tuple[str, Cooldown]] = []
    for assistant in chain:
        hold = _refusal(view, assistant, name, builder) or _hold_of(view, assistant, starting)
        if hold is None:
            return Choice(assistant)
        holds.append((assistant if hold.code == MODEL else program(assistant), hold))
    why = "; ".join(f"{name}: {told(hold)}" for name, hold in holds)
    lifted = [hold.until_mono_s for _, hold in holds if hold.until_mono_s is not None]
    if not lifted:
        _, hold = holds[0]
        remedy = hold.remedy or "relay assistants"
        return Choice(None, why, problem=Problem(code=hold.code, message=why, remedy=remedy, does=hold.does))
    return Choice(None, f"waits for {why}", min((at for at in lifted if at > view.now.mono_s), default=None))


def nobody(choice: Choice, next_action: str) -> Outcome:
    """The outcome for a handler that can't go on without an assistant: it waits, or asks ci."""
    if choice.problem is None:
        return Wait(choice.until_mono_s)
    if choice.problem.code != "run_budget":
        return Fail(choice.problem)
    return AskCi(EXTEND_BUDGET, choice.problem.message, next_action, error=choice.problem, answers=(_EXTEND, CANCEL))


def lifted(view: PhaseView) -> list[float]:
    """The times at which holds of assistants end, on the monotonic clock."""
    return [hold.until_mono_s for hold in view.holds.values() if hold.until_mono_s is not None]


def to_answer(asked: Mapping[str, Sequence[str]], next_action: str, builders: Iterable[str] = ()) -> AskCi:
    """The question to ci that passes on what these ask, by their names; only the `builders` among them wait for it."""
    said = " ".join(_ended(f"{name} asks: {' '.join(questions)}") for name, questions in asked.items())
    problem = Problem.of(QUESTION, said, ANSWERING, action=next_action)
    return AskCi(ANSWER, said, next_action, error=problem, steps=tuple(builders), answers=(_DECIDE,))


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def is_held(hold: Cooldown, now: Now) -> bool:
    """True if the hold is in force; when it is over, one turn may be tried."""
    if hold.until is None or hold.until_mono_s is None:
        return True
    return now.mono_s < hold.until_mono_s if hold.boot_id == now.boot_id else now.wall < hold.until


def is_later(job: Job, hold: Cooldown, now: Now) -> bool:
    """True if a job that runs, or has just ended, was started after the hold began: in another boot, or later in it."""
    return hold.boot_id != now.boot_id or job.started_mono_s > hold.since_mono_s


def told(hold: Cooldown) -> str:
    """The reason, and until when."""
    return hold.reason if hold.until is None else f"{hold.reason}, until {hold.until:%H:%M:%S} UTC"


def _hold_of(view: PhaseView, assistant: str, starting: Iterable[JobSpec]) -> Cooldown | None:
    """The hold that keeps an assistant from being launched."""
    if (lasting := view.holds.get(hold_name(assistant, MODEL))) is not None:
        return lasting
    name = program(assistant)
    hold = view.holds.get(name)
    return hold if hold and (is_held(hold, view.now) or _tried(view, name, hold, starting)) else None


def _refusal(view: PhaseView, assistant: str, name: str, builder: str | None) -> Cooldown | None:
    """The refusal of such a turn, since a person handed back last, as what keeps the assistant from another one."""
    for job in view.ledger.jobs_of(builder):
        result = job.result
        if result is None or result.code != REFUSED or job.dispatch != view.dispatch:
            continue
        if (job.spec.name, job.assistant) == (name, assistant):
            return Cooldown(code=REFUSED, reason=f"its service refuses the request ({result.message})",
                        remedy=f"relay logs {builder}" if builder else "relay logs", does="what it printed",
                        since_mono_s=0.0, boot_id=view.now.boot_id)  # fmt: skip
    return None


def _tried(view: PhaseView, name: str, hold: Cooldown, starting: Iterable[JobSpec]) -> bool:
    """True if a turn of the assistant is being tried since its hold ran out, and has not been answered."""
    if any(isinstance(spec, AssistantTurn) and program(spec.assistant) == name for spec in starting):
        return True
    return any(
        job.turn is not None and program(job.assistant) == name and is_later(job, hold, view.now)
        for job in view.ledger.live()
    )
