"""A question to ci: its words, and the answers that it offers. Pure, and light, as `status` lists them too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

#: The question of a workflow's gate.
GATE: Final = "answer_gate"
#: What ci can be asked by the built-in phases, in words.
QUESTIONS: Final = {
    "approve_design": "approve the design",
    "resolve_conflict": "resolve a conflict",
    "fix_failure": "fix a failure",
    "approve_landing": "approve the landing",
    "extend_budget": "grant the run its budget again, or end it",
    "clear_the_way": "unblock the landing",
    "check_branch": "look at your branch",
    "answer_questions": "answer what is asked",
    GATE: "make a decision",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A way to answer: `command` can be typed as it is, and `does` says in a few words what that does."""

    command: str
    does: str


#: Decisions of a gate that have commands of their own.
YES: Final = "approve"
NO: Final = "reject"

APPROVE: Final = Answer("relay approve", "goes on")
RETRY: Final = Answer("relay retry", "tries again")
#: The same with words, where somebody reads them.
HINT: Final = Answer('relay retry "a hint"', "tries again")
DOCTOR: Final = Answer("relay doctor", "checks this machine")
CANCEL: Final = Answer("relay cancel", "ends the run, keeps the branches")
REDESIGN: Final = Answer('relay reject "what to change"', "asks for a new design")


def asked(action: str) -> str:
    """The words for what ci is asked, after "you are asked to"."""
    return QUESTIONS.get(action, action.replace("_", " "))


def answers_of(listed: Iterable[Mapping[str, Any]]) -> tuple[Answer, ...]:
    """The answers that are listed in a document."""
    return tuple(Answer(str(each["command"]), str(each["does"])) for each in listed)


def ways(problem: Mapping[str, Any] | None) -> tuple[Answer, ...]:
    """The ways out of a problem, which is the dump of a `Problem`, or has at least a remedy; the likeliest first."""
    if not problem or not problem["remedy"]:
        return ()
    first = Answer(problem["remedy"], problem.get("does") or "is one way to fix it")
    return (first, *answers_of(problem.get("others", ())))


def offered(action: str, problem: Mapping[str, Any] | None, answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """The answers to a question: the ways out of its problem, then its own; without these, to go on or try again.

    A way that does what an own answer does is left out.
    """
    own = tuple(answers) or (RETRY if action == "fix_failure" else APPROVE,)
    known = {words for answer in own for words in (answer.command, answer.does)}
    return (*(way for way in ways(problem) if known.isdisjoint((way.command, way.does))), *own)


def told(message: str, answers: Iterable[Answer]) -> str:
    """The message, and what to type then, on one line."""
    typed = ", or: ".join(f"{answer.command} ({answer.does})" for answer in answers)
    stop = "" if message.endswith((".", "?", "!")) else "."
    return f"{message}{stop} Then: {typed}" if typed else message
