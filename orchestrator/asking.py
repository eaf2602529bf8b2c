"""Questions that ci is asked, and the exact commands and edits that answer them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

from lib.paths import DEFAULT_INSTANCE
from orchestrator.spelling import for_instance

Record = Mapping[str, Any]

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
}
#: Where such a message begins to name commands, which are listed anyway.
_THEN: Final = (
    ", then: relay",
    "; then: relay",
    ". Then: relay",
    ". To land it on",
    ". To keep it as",
    ". To allow as much again",
    " To answer: relay",
)
_DISCARD: Final = "relay resume --discard-edit"
_HAND_BACK: Final = '"action_owner": "code"'


class Command(NamedTuple):
    """`text` can be typed (or edited in) as it is; `what` says what it does."""

    text: str
    what: str


def asked(action: str) -> str:
    """The words for what ci is asked, after "Waiting for you:"."""
    return QUESTIONS.get(action, action.replace("_", " "))


def question(header: Record) -> str:
    """The message to ci, without the commands that a built-in phase puts at its end."""
    message = str(header["message"])
    if header["action_needed"] in QUESTIONS:
        for mark in _THEN:
            message = message.rpartition(mark)[0] or message
    return message


def commands(header: Record, mood: str, problem: Record | None, builders: Mapping[str, str]) -> tuple[Command, ...]:
    """Commands to type next, the likeliest first. `builders` are their statuses."""
    found: dict[str, Command] = {}
    for command in _answers(header, mood, problem, builders):
        text = for_instance(command.text, header["instance"])
        found.setdefault(text, Command(text, command.what))
    return tuple(command for text, command in found.items() if text)


def _answers(header: Record, mood: str, problem: Record | None, builders: Mapping[str, str]) -> Iterator[Command]:
    match mood:
        case "held" if problem is not None:
            for text in problem["remedy"].split(", or: "):
                yield Command(text, "sets the file aside, restores the last" if text == _DISCARD else effect(text))
        case "paused":
            yield Command("relay resume", "goes on")
            if header["action_owner"] == "ci":
                yield from _to_ci(header, builders)
        case "ask":
            yield from _to_ci(header, builders)
        case "down":
            yield Command("relay resume", "goes on where it stopped")
        case "work":
            if header.get("engine", {}).get("holds"):
                yield Command("relay retry", "tries it again now")
            yield Command("relay status --watch", "watches it live")
        case _:
            yield from _afterwards(header)


def _to_ci(header: Record, builders: Mapping[str, str]) -> Iterator[Command]:
    """Commands that answer a question of the built-in phases; any other is answered by approving."""
    failed, merged = (
        [name for name, status in builders.items() if status == wanted] for wanted in ("failed", "merged")
    )
    action, remedy = header["action_needed"], (header["error"] or {}).get("remedy", "")
    same = "retry" if action == "fix_failure" else "approve"
    if action == "answer_questions":
        yield Command(remedy, "answers")
        yield Command("relay approve", "lets it decide by itself")
    elif action == "fix_failure":
        is_read = reads_retry(header["next_action"], builders.values())
        if not (is_read and remedy == "relay retry"):
            yield Command(remedy, effect(remedy))
        if header["phase"] == "merge_build" and merged:
            yield Command(f'relay retry {merged[-1]} "a hint"', "has that builder fix it")
        yield Command('relay retry "a hint"' if is_read else "relay retry", "tries again")
        if failed:
            yield Command(f"relay skip {' '.join(failed)}", "goes on without")
    else:
        if not remedy.startswith("relay approve"):
            yield Command(remedy, effect(remedy))
        yield Command("relay approve", _YES.get(action, "goes on, once it is done"))
    if action == "approve_landing":
        yield Command("relay diff", "shows what would land")
    if action == "extend_budget":
        yield Command("relay cancel", "ends it here; branches are kept")
    if action == "approve_design":
        yield Command('relay reject "what to change"', "asks for a new design")
    yield Command(_HAND_BACK, f"in {state_file(header['instance'])} does what {same} does")


def reads_retry(action: str, statuses: Collection[str]) -> bool:
    """True if the built-in action takes up words of a retry: for the architect, or for builders that failed."""
    return action == "design" or (action == "execution" and "failed" in statuses)


#: What a remedy does, by how it begins or what is in it.
_EFFECTS: Final = {
    "relay cancel": "ends the run, keeps the branches",
    "relay retry": "tries again",
    "relay skip": "goes on without",
    " --failed": "what failed, and its last lines",
    "relay logs": "what it printed",
    "relay resume": "goes on",
    "relay doctor": "checks this machine",
    "relay recover": "lists what was kept",
    "git stash push": "sets those files aside",
    " && mv ": "moves those files aside",
    "git status": "shows the files in question",
    "git branch -f": "puts the branch back",
    "git update-ref": "puts the branch back",
    "git reset": "puts the branch back",
    "df -h": "shows the free space",
    "ls -l": "shows the file",
    "$EDITOR": "opens it in your editor",
}


def effect(remedy: str) -> str:
    """The effect of the remedy, in words; only what the command itself shows."""
    return next((what for part, what in _EFFECTS.items() if part in remedy), "is one way to fix it")


_YES: Final = {
    "approve_design": "builds it",
    "approve_landing": "lands it",
    "extend_budget": "allows as much again",
}


def state_file(instance: str) -> str:
    """The path of an instance's state.json, from the project's root."""
    return ".project/state.json" if instance == DEFAULT_INSTANCE else f".project/instances/{instance}/state.json"


def _afterwards(header: Record) -> Iterator[Command]:
    """A run that is over asks for nothing."""
    branch = f"relay/{header['run']}"
    if header["outcome"] == "stored":
        yield Command(f"git merge {branch}/merged", "brings it to the branch that you are on")
    if header["outcome"] == "cancelled":
        yield Command(f"git branch --list '{branch}/*'", "what was built so far")
    stamp = "-".join(header["run"].split("-")[:2])  # enough of it to be found by
    yield Command(f"relay show {stamp}", "what happened, event by event")
    if header["outcome"] != "cancelled":
        yield Command("relay diff", "what was changed")
