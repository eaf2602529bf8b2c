"""The state of a run: the one value that status, the live display and the web show. Pure; plain dicts go in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from lib.project.paths import SHARED_WORKTREE
from lib.steps import BUILD, WAITING, StepKind, is_counted, status_of
from lib.store.queries import Totals, Whole
from orchestrator.status.headline import building, doing, headline, stepping, working
from orchestrator.status.questions import Command, commands, state_file
from orchestrator.status.step_views import BuilderView, StepView, age, builder_view, step_views, used
from orchestrator.status.track import Stop, track

Record = Mapping[str, Any]

#: A run's phases in words.
_STAGES: Final = {"init": "designing", "design": "designed", "execution": "building", "merge_build": "merging"}
#: How a process of a job can be, besides running.
FROZEN: Final = "frozen"
GONE: Final = "stopped"


def stage(outcome: str | None, phase: str, owner: str, workflow: str = BUILD) -> str:
    """The stage of a run, and whom it waits for: `building; waiting for you`, `landed`."""
    if outcome:
        return {"stored": "merged, not landed"}.get(outcome, outcome)
    is_stepping = workflow != BUILD and phase == "execution"
    doing = "at its steps" if is_stepping else _STAGES.get(phase, phase.replace("_", " "))
    return f"{doing}; waiting for you" if owner == "ci" else doing


class Trouble(NamedTuple):
    """A problem of the run; `remedy` can be typed as it is."""

    code: str
    message: str
    remedy: str


class HoldView(NamedTuple):
    """An assistant of which nothing is launched, why, and until when (ISO 8601, UTC); null until a person acts."""

    assistant: str
    reason: str
    until: str | None
    left_s: float | None


class View(NamedTuple):
    """All of it, and with these names the object that `status --json` prints.

    `mood` is one of ask, work, done, failed, held, paused, down. `message` is what is asked of ci, else empty.
    `commands` are what to type next, each with what it does. Builders are those of `build`, `steps` those of another
    workflow. `progress` counts all of them by status, also those that are not listed; `built` and `active` are how many
    are built (or done) at least, and how many are at work; `asks` counts gates that wait for an answer, `halted` those
    whose processes are frozen or stopped, `unverified` builders that are built and that no command has verified.
    `origin` says where it goes on from another run. `outputs` are what the workflow gave. `took_s` is the sum of the
    times of those that ended. `report` is that of the failure which ci is asked about: the command, its exit and its
    last lines. `troubles` are problems of it, each with its remedy. `doing` is what runs for the run as a whole, since
    `doing_s`, and `line` the last that it printed. `holds` are the assistants that a limit holds. Ages are seconds,
    stamps ISO 8601, cost US dollars; `orchestrator_pid` is null while none is running, and 0 where its pid is unknown.
    Texts are not escaped.
    """

    run: str
    instance: str
    workflow: str
    requirement: str
    phase: str
    action_owner: str
    action_needed: str
    paused: bool
    outcome: str | None
    mood: str
    headline: str
    message: str
    report: tuple[str, ...]
    commands: tuple[Command, ...]
    track: tuple[Stop, ...]
    doing: str
    doing_s: float | None
    line: str
    holds: tuple[HoldView, ...]
    builders: tuple[BuilderView, ...]
    steps: tuple[StepView, ...]
    progress: dict[str, int]
    built: int
    active: int
    asks: int
    halted: dict[str, int]
    unverified: int
    assistants: tuple[str, ...]
    tokens: int
    cost_usd: float
    took_s: float
    origin: str
    outputs: dict[str, Any]
    troubles: tuple[Trouble, ...]
    orchestrator_pid: int | None
    sandbox: str | None
    base_branch: str
    branch: str
    state_file: str
    folder: str
    age_s: float
    created_at: str
    updated_at: str


def as_data(value: Any) -> Any:  # noqa: ANN401 - a view or any part of it
    """The view as JSON-like data: an object for each value, with its fields' names."""
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        parts = [as_data(part) for part in value]
        return dict(zip(fields, parts, strict=True)) if fields else parts
    return value


#: What a view shows of the header as it is.
_OF_HEADER: Final = (
    *("run", "instance", "workflow", "requirement", "phase", "action_owner", "action_needed", "paused", "outcome"),
    *("created_at", "updated_at"),
)


def status_view(
    header: Record,
    steps: Sequence[Record],
    jobs: Sequence[Record],
    problem: Record | None,
    daemon_pid: int | None,
    now: datetime,
    lines: Mapping[str, str],
    halted: Mapping[str, str] | None = None,
    whole: Whole | None = None,
) -> View:
    """The view of a run.

    `header` has the fields of `State`; `steps` are dumps of `Step`, or of their lines in it; `jobs` those of the jobs
    that have not ended; `problem` that of the `Problem` that holds the run. `lines` maps a job's id to the last line
    that it printed, `halted` one whose processes do nothing to `FROZEN` or `GONE`. `whole` has the facts of all
    steps, if those given, at least the ones at work, are not all of them.
    """
    turns = {job["id"]: job["progress"] for job in jobs if job["spec"]["kind"] == "assistant"}
    whole = whole or _whole(steps, now)
    builders = [record for record in steps if _kind(record) == StepKind.BUILDER]
    others = [record for record in steps if _kind(record) not in {StepKind.BUILDER, StepKind.WORKSPACE}]
    tokens, cost_usd = used([header["usage"], whole.totals._asdict(), *(turn["usage"] for turn in turns.values())])
    idle = Counter(_halted(record, jobs, halted or {}, daemon_pid) for record in (*builders, *others))
    built = sum(count for status, count in whole.counts.items() if status.is_built)
    busy = sum(count for status, count in whole.counts.items() if status.is_at_work)
    active = busy - whole.asks - idle[FROZEN] - idle[GONE]
    job = next((job for job in reversed(jobs) if job["spec"]["step"] in {None, SHARED_WORKTREE}), None)
    told = building if header["workflow"] == BUILD else stepping
    words = told(built, sum(whole.counts.values()), active)
    return View(
        **{name: header[name] for name in _OF_HEADER},
        **_standing(header, problem, daemon_pid, job, words, active),
        track=track(header, may_merge=whole.has_worktree),
        doing_s=age(job["started_at"], None, now) if job else None,
        line=lines.get(job["id"], "") if job else "",
        holds=_holds(header, now),
        builders=tuple(builder_view(each, turns.get(each.get("job") or ""), lines, now) for each in builders),
        steps=step_views(others, turns, lines, now),
        progress={status.value: count for status, count in whole.counts.items()},
        built=built,
        active=active,
        asks=whole.asks,
        halted={name: idle[name] for name in (FROZEN, GONE) if idle[name]},
        unverified=whole.unverified,
        assistants=whole.assistants,
        tokens=tokens,
        cost_usd=cost_usd,
        took_s=whole.totals.took_s,
        origin=_origin(header.get("engine", {}).get("origin")),
        outputs=dict(header.get("engine", {}).get("outputs", {})),
        troubles=_troubles(header, problem, jobs),
        orchestrator_pid=daemon_pid,
        sandbox=header.get("sandbox"),
        base_branch=header["base"]["branch"],
        branch=f"relay/{header['run']}/merged",
        state_file=state_file(header["instance"]),
        folder=f".project/runs/{header['run']}",
        age_s=age(header["created_at"], header["updated_at"] if header["outcome"] else None, now) or 0.0,
    )


def _standing(
    header: Record, problem: Record | None, daemon_pid: int | None, job: Record | None, words: str, active: int
) -> dict[str, Any]:
    """The fields that say in words where the run is, and what to type next; `job` runs for the run as a whole."""
    mood, what = _mood(header, problem, daemon_pid), doing(job) if job else ""
    message = header["message"] if header["action_owner"] == "ci" else ""
    return {
        "mood": mood,
        "headline": headline(header, mood, working(header["action_needed"], what, words), active),
        "message": message,
        "report": tuple((header["error"] or {}).get("report", ())) if message else (),
        "commands": commands(header, mood, problem),
        "doing": what,
    }


def _halted(step: Record, jobs: Sequence[Record], halted: Mapping[str, str], daemon_pid: int | None) -> str:
    """The state of a halted step that should be at work; without an orchestrator, one that has no job is halted."""
    if not status_of(step).is_at_work or _kind(step) in WAITING:
        return ""
    job = step.get("job") or ""
    alone = daemon_pid is None and not any(job == one["id"] for one in jobs)
    return halted.get(job, GONE if alone else "")


def _holds(header: Record, now: datetime) -> tuple[HoldView, ...]:
    if header["outcome"]:
        return ()
    known = header.get("engine", {}).get("holds", {})
    return tuple(
        HoldView(name.rstrip(":"), hold["reason"], hold["until"], _left(hold["until"], now))
        for name, hold in known.items()
    )


def _left(until: str | None, now: datetime) -> float | None:
    return None if until is None else max(0.0, round((datetime.fromisoformat(until) - now).total_seconds(), 1))


def _kind(record: Record) -> str:
    """The kind of a step; the lines of builders in state.json don't say theirs."""
    return str(record.get("kind", StepKind.BUILDER))


def _whole(steps: Sequence[Record], now: datetime) -> Whole:
    """The facts of all steps, where all are given."""
    found = [(_kind(record), status_of(record), record) for record in steps]
    counts = Counter(status for kind, status, _ in found if is_counted(kind, status))
    unverified = sum(kind == StepKind.BUILDER and status.is_built and not record.get("verified")
                     for kind, status, record in found)  # fmt: skip
    asks = sum(kind == StepKind.GATE and status.is_at_work for kind, status, _ in found)
    at_work = [record for kind, _, record in found if kind not in {*WAITING, StepKind.WORKSPACE}]
    usages = [usage for record in at_work if (usage := record.get("usage"))]
    tokens, more, cost = ([usage[name] for usage in usages] for name in ("input_tokens", "output_tokens", "cost_usd"))
    took_s = sum(age(record["started_at"], record["ended_at"], now) or 0.0 for record in at_work if record["ended_at"])
    assistants = sorted({record["assistant"] for record in steps} - {""})
    has_worktree = any(kind == StepKind.WORKSPACE for kind, _, _ in found)
    return Whole(counts, unverified, tuple(assistants), Totals(sum(tokens), sum(more), sum(cost), took_s), asks,
                 has_worktree)  # fmt: skip


def _mood(header: Record, problem: Record | None, daemon_pid: int | None) -> str:
    if header["outcome"]:
        return "failed" if header["outcome"] in {"failed", "cancelled"} else "done"
    if problem:
        return "held"
    if header["paused"]:
        return "paused"
    if header["action_owner"] == "ci":
        return "ask"
    return "down" if daemon_pid is None else "work"


def _troubles(header: Record, problem: Record | None, jobs: Sequence[Record]) -> tuple[Trouble, ...]:
    """The problem that holds the run, its error unless the message to ci has it already, what the machine refuses jobs,
    and the run's lasting warnings.
    """
    error = header["error"]
    if error and header["action_owner"] == "ci" and error["message"] in header["message"]:
        error = None
    delays = [job["delay"]["problem"] for job in jobs if job.get("delay")]
    wrong = [Trouble(each["code"], each["message"], each["remedy"]) for each in (problem, error, *delays) if each]
    warnings = () if header["outcome"] else header.get("engine", {}).get("warnings", ())
    remedy = "$EDITOR .project/config.yaml  # assistants"
    return tuple(dict.fromkeys([*wrong, *(Trouble("warning", words, remedy) for words in warnings)]))


def _origin(origin: Record | None) -> str:
    if not origin:
        return ""
    from lib.logs.sentences import whence

    return whence(origin)
