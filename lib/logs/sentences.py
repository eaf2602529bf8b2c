"""Each kind of event in words for a person, on one line: the words of `workflow.log`, `relay logs` and `relay show`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lib.display import clip, counted, escaped
from lib.project.paths import SHARED_WORKTREE
from lib.question import answers_of, asked, told, ways
from lib.steps import BUILD, StepKind, StepStatus, shown_status

_Data = Mapping[str, Any]

_STORY: Final = frozenset(
    {
        "run_started", "orchestrator_started", "orchestrator_stopped", "state_edited", "state_restored",
        "problem_found", "problem_mended", "action_started", "asked", "verb_done", "finished", "assistant_held",
        "assistant_freed",
    }
)  # fmt: skip
#: The statuses at which a step's part of the story begins, turns or ends.
_TURNS: Final = frozenset({"running", "done", "built", "landed", "retrying", "failed", "skipped", "cancelled"})

#: The actions of `build` in words, and their beginnings.
_ACTIONS: Final = {"design_build": "making builders", "execution": "building", "merge_build": "merging"}
_BEGINNINGS: Final = {
    "design": "designing begins",
    "design_build": "builders are made",
    "execution": "building begins",
    "merge_build": "merging begins",
}
#: The same of a workflow of steps.
_OF_STEPS: Final = {"execution": "the steps", "merge_build": "merging"}
_STEPS_BEGIN: Final = {"execution": "the steps begin", "merge_build": "merging begins"}
#: What the worktree that steps share is called.
_WORKSPACE: Final = "the worktree"
#: Longer texts are for `events.jsonl` and the history.
_LINE_COLUMNS: Final = 500
_COMMIT_DIGITS: Final = 10


def sentence(kind: str, data: _Data) -> str | None:
    """The event in words, escaped, on one line; None for one that only machines care about.

    `data` is the event's JSON as a dict, `kind` included or not. A kind of a later version is named as it is.
    """
    words = _WORDS.get(kind)
    said = words(data) if words else kind.replace("_", " ")
    return None if said is None else clip(escaped(said), _LINE_COLUMNS)


def beyond(outside: int, deleted: int) -> str:
    """The count of files that a builder changed outside its own, in a few words; empty for none."""
    return (
        f"{counted(outside, 'file')} outside its own" + (f", {deleted} deleted" if deleted else "") if outside else ""
    )


def is_story(kind: str, data: _Data) -> bool:
    """True if the event belongs to the short story of a run: beginnings, ends, questions, and what went wrong."""
    if kind == "step_changed":
        kind, changes = _kind_in(data), data.get("changes") or {}
        return _status_in(kind, changes) in (_TURNS if kind != StepKind.WORKSPACE else {"failed"})
    if kind == "noted":
        return data.get("level") == "warning"
    return kind in _STORY


def _run_started(data: _Data) -> str:
    base = data.get("base") or {}
    where = f"{base.get('branch')} at {str(base.get('commit'))[:_COMMIT_DIGITS]}"
    return f"run {data.get('run')} started on {where} ({data.get('workflow')}): {data.get('requirement')}" + (
        f", going on {known}" if (known := whence(data.get("origin"))) else ""
    )


def _fork_made(data: _Data) -> str | None:
    branches = data.get("branches") or ()
    return f"branches made: {', '.join(map(str, branches))}" if branches else None


def whence(origin: _Data | None) -> str:
    """The run that another one goes on from, and the place in it; empty if it began by itself."""
    if not origin:
        return ""
    if step := origin.get("step"):
        return f"from {step} of {origin.get('run')}"
    return f"from checkpoint {origin.get('checkpoint')} ({origin.get('label')}) of {origin.get('run')}"


def _orchestrator_started(data: _Data) -> str:
    adopted = ", ".join(data.get("adopted") or ())
    return f"orchestrator {data.get('pid')} started" + (f", adopted {adopted}" if adopted else "")


def _state_edited(data: _Data) -> str:
    edit = {key: value for key, value in (data.get("edit") or {}).items() if value is not None}
    changes = ", ".join(f"{key}={_plain(value)}" for key, value in edit.items())
    return f"state.json was edited: {changes}" + (" (made on an older revision)" if data.get("rebased") else "")


def _problem_found(data: _Data) -> str:
    problem = data.get("problem") or {}
    return f"on hold: {problem.get('message')}; to fix it: {', or: '.join(way.command for way in ways(problem))}"


def _action_started(data: _Data) -> str:
    feedback = data.get("feedback")
    action = str(data.get("action"))
    beginnings = _BEGINNINGS if _is_build(data) else _STEPS_BEGIN
    return beginnings.get(action, f"{_words(action)} begins") + (f", with feedback: {feedback}" if feedback else "")


def _asked(data: _Data) -> str:
    said = told(str(data.get("message")), answers_of(data.get("answers", ())))
    return f"you are asked to {asked(str(data.get('action')))}: {said}"


def _advanced(data: _Data) -> str:
    message = data.get("message")
    return f"next: {_words(data.get('action'), data)}" + (f": {message}" if message else "")


def _verb_done(data: _Data) -> str:
    if data.get("verb") == "cancel":
        return "cancelling; a landing has begun, and is stopped unless your branch has moved"
    goes = "go on" if not _is_build(data) and data.get("action") == "execution" else "goes on"
    return f"{data.get('verb')} is done, {_words(data.get('action'), data)} {goes}"


def _step_added(data: _Data) -> str | None:
    step = data.get("step") or {}
    kind = step.get("kind", StepKind.BUILDER)
    if kind == StepKind.WORKSPACE:
        return None
    if kind != StepKind.BUILDER:
        return f"{step.get('id')}: added"
    title = (step.get("component") or {}).get("title")
    return f"{step.get('id')}: added for {step.get('assistant')}" + (f": {title}" if title else "")


def _step_changed(data: _Data) -> str | None:
    changes = data.get("changes") or {}
    status, error = _status_in(_kind_in(data), changes), changes.get("error") or {}
    if not status and not error:
        return None
    details = [str(changes["note"])] if changes.get("note") else []
    if changes.get("verified") or (status == "built" and "verified" in changes):
        details.append("verified" if changes["verified"] else "not verified")
    if _kind_in(data) == StepKind.WORKSPACE and not error:
        return None  # the effects on it are shown
    said = f"{_named(data.get('step'))}: {status or 'in trouble'}" + (f" ({', '.join(details)})" if details else "")
    return f"{said}: {str(error.get('message')).removeprefix(f'{SHARED_WORKTREE}: ')}" if error else said


def _named(step: object) -> str:
    """The name of a step as people know it."""
    return _WORKSPACE if step == SHARED_WORKTREE else str(step)


def _is_build(data: _Data) -> bool:
    return str(data.get("workflow", BUILD)) == BUILD


def _kind_in(data: _Data) -> str:
    return str(data.get("of", StepKind.BUILDER))


def _status_in(kind: str, changes: _Data) -> str:
    """The status that a step has by a change of it, as state.json shows it; empty if it has the same."""
    known = {"landed": changes.get("landed"), "merged": changes.get("merged")}
    if fact := next((name for name, is_new in known.items() if is_new), ""):
        return fact
    if "status" not in changes and not changes.get("stage"):
        return ""
    status = changes.get("status", StepStatus.RUNNING)
    return shown_status(kind, status, changes.get("stage", ""), merged=False, landed=False).value


def _job_started(data: _Data) -> str:
    job = data.get("job") or {}
    spec = job.get("spec") or {}
    by = f" by {spec['assistant']}" if spec.get("assistant") else ""
    attempt = f", attempt {job['attempt']}" if (job.get("attempt") or 1) > 1 else ""
    return f"{_named(spec.get('step') or 'run')}: {spec.get('name')} started{by}{attempt} [{job.get('id')}]"


def _job_progressed(data: _Data) -> str | None:
    """A change of its condition; what it has used in between is for machines."""
    progress = data.get("progress") or {}
    if progress.get("condition") == "working":
        return None
    words = str(progress.get("condition")).replace("_", " ")
    return f"job {data.get('job')} is {words}" + (f": {progress['reason']}" if progress.get("reason") else "")


def _held(hold: _Data) -> str:
    return f"{hold.get('reason')}" + (f", until {hold['until']}" if hold.get("until") else "")


def _job_delayed(data: _Data) -> str | None:
    """Only the first of many tries."""
    delay = data.get("delay") or {}
    problem = delay.get("problem") or {}
    if (delay.get("tries") or 1) > 1:
        return None
    said = f"job {data.get('job')} waits: {problem.get('message')}"
    return f"{said}; to fix it: {problem.get('remedy')}; it is retried by itself"


def _job_ended(data: _Data) -> str:
    result = data.get("result") or {}
    if result.get("ok"):
        return f"job {data.get('job')} succeeded"
    reason = ", ".join(str(result[key]) for key in ("code", "message") if result.get(key))
    return f"job {data.get('job')} failed: {reason or result.get('exit_status')}"


def _noted(data: _Data) -> str:
    return f"warning: {data.get('message')}" if data.get("level") == "warning" else str(data.get("message"))


def _words(name: object, data: _Data | None = None) -> str:
    """The name of an action as a person says it; `data` is that of an event which says of which workflow it is."""
    actions = _ACTIONS if data is None or _is_build(data) else _OF_STEPS
    return actions.get(str(name), str(name).replace("_", " "))


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


_WORDS: Final[Mapping[str, Callable[[_Data], str | None]]] = {
    "run_started": _run_started,
    "fork_made": _fork_made,
    "checkpoint_made": lambda _: None,
    "orchestrator_started": _orchestrator_started,
    "orchestrator_stopped": lambda data: f"orchestrator stopped: {data.get('reason')}",
    "state_edited": _state_edited,
    "state_restored": lambda data: f"state.json was restored: {data.get('reason')}",
    "problem_found": _problem_found,
    "problem_mended": lambda data: f"fixed: {_words(data.get('code'))}",
    "action_started": _action_started,
    "asked": _asked,
    "advanced": _advanced,
    "verb_done": _verb_done,
    "finished": lambda data: f"finished, {data.get('outcome')}: {data.get('message')}",
    "step_added": _step_added,
    "step_changed": _step_changed,
    "job_started": _job_started,
    "job_spawned": lambda _: None,
    "job_progressed": _job_progressed,
    "assistant_held": lambda data: f"{data.get('assistant')} is on hold: {_held(data.get('hold') or {})}",
    "assistant_freed": lambda data: f"{data.get('assistant')} is no longer on hold",
    "job_stopping": lambda data: f"job {data.get('job')} is being stopped: {data.get('reason')}",
    "job_delayed": _job_delayed,
    "job_resumed": lambda _: None,
    "job_ended": _job_ended,
    "noted": _noted,
}
