"""Commands and edits to type next, by the state of a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from lib.project.paths import DEFAULT_INSTANCE
from lib.question import GATE, Answer, answers_of, offered, ways
from lib.spelling import for_instance
from lib.steps import BUILD

Record = Mapping[str, Any]

_HAND_BACK: Final = '"action_owner": "code"'


class Command(NamedTuple):
    """`text` can be typed (or edited in) as it is; `what` says what it does."""

    text: str
    what: str


def commands(header: Record, mood: str, problem: Record | None) -> tuple[Command, ...]:
    """Commands to type next, the likeliest first."""
    found: dict[str, str] = {}
    for answer in _answers(header, mood, problem):
        found.setdefault(for_instance(answer.command, header["instance"]), answer.does)
    return tuple(Command(*each) for each in found.items())


def _answers(header: Record, mood: str, problem: Record | None) -> Iterator[Answer]:
    match mood:
        case "held":
            yield from ways(problem)
        case "paused":
            yield Answer("relay resume", "goes on")
            if header["action_owner"] == "ci":
                yield from _to_ci(header)
        case "ask":
            yield from _to_ci(header)
        case "down":
            yield Answer("relay resume", "goes on where it stopped")
        case "work":
            if header.get("engine", {}).get("holds"):
                yield Answer("relay retry", "tries it again now")
            yield Answer("relay status --watch", "watches it live")
        case _:
            yield from _afterwards(header)


def _to_ci(header: Record) -> Iterator[Answer]:
    """The answers to the question, and the edit that does the same; a question of version 0.1 has none with it."""
    action = header["action_needed"]
    yield from answers_of(header.get("answers", ())) or offered(action, header["error"], ())
    yield Answer(_HAND_BACK, f"in {state_file(header['instance'])} does what {_first(header)}")


def _first(header: Record) -> str:
    """The command that a hand-back which names no action amounts to."""
    if header["action_needed"] != GATE:
        return "retry does" if header["action_needed"] == "fix_failure" else "approve does"
    if any(answer["command"].startswith("relay answer ") for answer in header.get("answers", ())):
        return "answer does, with the values as feedback"
    decision = next(iter(header.get("engine", {}).get("decisions", ())), "approve")
    return f"{decision} does" if decision in {"approve", "reject"} else f"decide {decision} does"


def state_file(instance: str) -> str:
    """The path of an instance's state.json, from the project's root."""
    return ".project/state.json" if instance == DEFAULT_INSTANCE else f".project/instances/{instance}/state.json"


def _afterwards(header: Record) -> Iterator[Answer]:
    """A run that is over asks for nothing."""
    branch = f"relay/{header['run']}"
    if header["outcome"] == "stored":
        yield Answer(f"git merge {branch}/merged", "brings it to the branch that you are on")
    if header["outcome"] in {"failed", "cancelled"}:
        done = "built" if header["workflow"] == BUILD else "done"
        yield Answer(f"git branch --list '{branch}/*'", f"what was {done} so far")
    stamp = "-".join(header["run"].split("-")[:2])  # enough of it to be found by
    yield Answer(f"relay show {stamp}", "what happened, event by event")
    if header["outcome"] in {"landed", "stored"}:
        yield Answer("relay diff", "what was changed")
