"""The state of a run: the one value that status, the live display and the web show. Pure; plain dicts go in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from lib.logs.sentences import beyond
from lib.steps import BuilderStatus, status_of
from lib.store.queries import Totals, Whole
from orchestrator.status.headline import building, doing, headline, working
from orchestrator.status.questions import Command, commands, state_file

Record = Mapping[str, Any]

#: The actions of `build` in order, each with the phase that it runs in.
ACTIONS: Final = {"design": "init", "design_build": "design", "execution": "execution", "merge_build": "merge_build"}
LANDED: Final = "landed"
#: How many of five steps (prepared, committed, built, merged, landed) a status proves by itself.
STEPS: Final = {"running": 1, "verifying": 2, "built": 3, "merged": 4, LANDED: 5}
#: A run's phases in words.
_STAGES: Final = {"init": "designing", "design": "designed", "execution": "building", "merge_build": "merging"}
#: How a process of a job can be, besides running.
FROZEN: Final = "frozen"
GONE: Final = "stopped"


def stage(outcome: str | None, phase: str, owner: str) -> str:
    """The stage of a run, and whom it waits for: `building; waiting for you`, `landed`."""
    if outcome:
        return {"stored": "merged, not landed"}.get(outcome, outcome)
    doing = _STAGES.get(phase, phase.replace("_", " "))
    return f"{doing}; waiting for you" if owner == "ci" else doing


class Stop(NamedTuple):
    """One stop of the run's way; `state` is done, now or ahead."""

    name: str
    state: str


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


class BuilderView(NamedTuple):
    """One builder. `steps` of five (see `STEPS`) are behind it; `line` is its last word: output, error or note.

    `verified` says that its commands succeeded on what it has now; `outside` counts its files that are not its own.

    `condition` is how its turn is doing: working, silent, asking, retrying or rate_limited; empty without a turn.
    """

    id: str
    title: str
    status: str
    verified: bool
    outside: int
    steps: int
    attempt: int
    attempts: int
    assistant: str
    age_s: float | None
    tokens: int
    cost_usd: float
    condition: str
    line: str
    branch: str
    worktree: str


class View(NamedTuple):
    """All of it, and with these names the object that `status --json` prints.

    `mood` is one of ask, work, done, failed, held, paused, down. `message` is what is asked of ci, else empty.
    `commands` are what to type next, each with what it does. `progress` counts all builders by status, also those that
    are not among `builders`; `built` and `active` are how many of them are built at least, and how many are at work;
    `halted` counts those whose processes are frozen or stopped, `unverified` those built that no command has verified.
    `took_s` is the sum of the times of ended builders. `report` is that of the failure which ci is asked about: the
    command, its exit and its last lines. `troubles` are problems of it, each with its remedy. `doing` is what runs for
    the run as a whole, since `doing_s`, and `line` the last that it printed. `holds` are the assistants that a limit
    holds. Ages are seconds, stamps ISO 8601, cost US dollars; `orchestrator_pid` is null while none is running, and 0
    where its pid is unknown. Texts are not escaped.
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
    progress: dict[str, int]
    built: int
    active: int
    halted: dict[str, int]
    unverified: int
    assistants: tuple[str, ...]
    tokens: int
    cost_usd: float
    took_s: float
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
    builders: Sequence[Record],
    jobs: Sequence[Record],
    problem: Record | None,
    daemon_pid: int | None,
    now: datetime,
    lines: Mapping[str, str],
    halted: Mapping[str, str] | None = None,
    whole: Whole | None = None,
) -> View:
    """The view of a run.

    `header` has the fields of `State`; `builders` are dumps of `Step`, or of `BuilderLine`; `jobs` those of the jobs
    that have not ended; `problem` that of the `Problem` that holds the run. `lines` maps a job's id to the last line
    that it printed, `halted` one whose processes do nothing to `FROZEN` or `GONE`. `whole` has the facts of all
    builders, if those given, at least the ones at work, are not all of them.
    """
    turns = {job["id"]: job["progress"] for job in jobs if job["spec"]["kind"] == "assistant"}
    shown = tuple(_builder(builder, turns.get(builder.get("job") or ""), lines, now) for builder in builders)
    whole = whole or _whole(shown, builders)
    used = _used([header["usage"], whole.totals._asdict(), *(turn["usage"] for turn in turns.values())])
    idle = Counter(_halted(builder, jobs, halted or {}, daemon_pid) for builder in builders)
    built = sum(count for status, count in whole.counts.items() if status.is_built)
    busy = sum(count for status, count in whole.counts.items() if status.is_at_work)
    active = busy - idle[FROZEN] - idle[GONE]
    job = next((job for job in reversed(jobs) if not job["spec"]["step"]), None)
    what = doing(job) if job else ""
    words = working(header["action_needed"], what, building(built, sum(whole.counts.values()), active))
    mood = _mood(header, problem, daemon_pid)
    message = header["message"] if header["action_owner"] == "ci" else ""
    return View(
        **{name: header[name] for name in _OF_HEADER},
        mood=mood,
        headline=headline(header, mood, words, active),
        message=message,
        report=tuple((header["error"] or {}).get("report", ())) if message else (),
        commands=commands(header, mood, problem),
        track=_track(header),
        doing=what,
        doing_s=_age(job["started_at"], None, now) if job else None,
        line=lines.get(job["id"], "") if job else "",
        holds=_holds(header, now),
        builders=shown,
        progress={status.value: count for status, count in whole.counts.items()},
        built=built,
        active=active,
        halted={name: idle[name] for name in (FROZEN, GONE) if idle[name]},
        unverified=whole.unverified,
        assistants=whole.assistants,
        tokens=used[0],
        cost_usd=used[1],
        took_s=whole.totals.took_s,
        troubles=_troubles(header, problem, jobs),
        orchestrator_pid=daemon_pid,
        sandbox=header.get("sandbox"),
        base_branch=header["base"]["branch"],
        branch=f"relay/{header['run']}/merged",
        state_file=state_file(header["instance"]),
        folder=f".project/runs/{header['run']}",
        age_s=_age(header["created_at"], header["updated_at"] if header["outcome"] else None, now) or 0.0,
    )


def _halted(builder: Record, jobs: Sequence[Record], halted: Mapping[str, str], daemon_pid: int | None) -> str:
    """The state of a halted builder that should be at work; without an orchestrator, one that has no job is halted."""
    if not status_of(builder).is_at_work:
        return ""
    job = builder.get("job") or ""
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


def _builder(builder: Record, turn: Record | None, lines: Mapping[str, str], now: datetime) -> BuilderView:
    status, error = status_of(builder), builder.get("error") or {}
    proved = 2 if builder.get("commit") else 1 if builder.get("base_commit") else 0
    said = lines.get(builder.get("job") or "", "") if status.is_at_work else ""
    note = "" if builder["note"] == status else builder["note"]
    reach = builder.get("reach") or {"outside": 0, "deleted": 0}
    outside = beyond(reach["outside"], reach["deleted"])
    tokens, cost_usd = _used([part for part in (builder.get("usage"), turn and turn["usage"]) if part])
    return BuilderView(
        id=builder["id"],
        title=builder.get("component", {}).get("title", ""),
        status=status.value,
        verified=bool(builder.get("verified")),
        outside=reach["outside"],
        steps=STEPS.get(status, proved),
        attempt=builder["attempt"],
        attempts=builder.get("attempts", builder["attempt"]),
        assistant=builder["assistant"],
        age_s=_age(builder["started_at"], builder["ended_at"], now),
        tokens=tokens,
        cost_usd=cost_usd,
        condition=turn["condition"] if turn else "",
        line=_condition(turn)
        or said
        or error.get("message", "").removeprefix(f"{builder['id']}: ")
        or "; ".join(filter(None, (outside, note))),
        branch=builder["branch"],
        worktree=builder["worktree"],
    )


def _left(until: str | None, now: datetime) -> float | None:
    return None if until is None else max(0.0, round((datetime.fromisoformat(until) - now).total_seconds(), 1))


def _condition(turn: Record | None) -> str:
    """The condition of a turn that does not simply work, in words."""
    if turn is None or turn["condition"] == "working":
        return ""
    words = {"asking": "asks", "silent": "has been silent for a while"}.get(turn["condition"])
    said = words or turn["condition"].replace("_", " ")
    return f"{said}: {turn['reason']}" if turn["reason"] else said


def _age(start: str | None, end: str | None, now: datetime) -> float | None:
    """Seconds from `start` to `end`, or to now; never less than none, as the wall clock may have been set back."""
    if start is None:
        return None
    until = datetime.fromisoformat(end) if end else now
    return max(0.0, round((until - datetime.fromisoformat(start)).total_seconds(), 1))


def _used(parts: Sequence[Record]) -> tuple[int, float]:
    """Tokens and US dollars in all."""
    tokens = sum(part["input_tokens"] + part["output_tokens"] for part in parts)
    return tokens, round(sum(part["cost_usd"] for part in parts), 6)


def _whole(shown: Sequence[BuilderView], builders: Sequence[Record]) -> Whole:
    """The facts of all builders, where all are given."""
    counts = Counter(BuilderStatus(builder.status) for builder in shown)
    unverified = sum(BuilderStatus(builder.status).is_built and not builder.verified for builder in shown)
    usages = [usage for builder in builders if (usage := builder.get("usage"))]
    tokens, more, cost = ([usage[name] for usage in usages] for name in ("input_tokens", "output_tokens", "cost_usd"))
    took_s = sum(builder.age_s or 0.0 for builder, record in zip(shown, builders, strict=True) if record["ended_at"])
    totals = Totals(sum(tokens), sum(more), sum(cost), took_s)
    return Whole(counts, unverified, tuple(sorted({builder.assistant for builder in shown})), totals)


def _mood(header: Record, problem: Record | None, daemon_pid: int | None) -> str:
    if header["outcome"]:
        return "failed" if header["outcome"] == "cancelled" else "done"
    if problem:
        return "held"
    if header["paused"]:
        return "paused"
    if header["action_owner"] == "ci":
        return "ask"
    return "down" if daemon_pid is None else "work"


def _track(header: Record) -> tuple[Stop, ...]:
    """The run's way through `build`, or just the phase where another workflow goes its own."""
    names = [*ACTIONS, header["outcome"] if header["outcome"] == "stored" else LANDED]
    if header["outcome"] in {LANDED, "stored"}:
        return tuple(Stop(name, "done") for name in names)
    here = _here(header)
    if here is None:
        return (Stop(header["phase"], "now"),)
    at = names.index(here)
    return tuple(Stop(name, "done" if index < at else "ahead" if index > at else "now")
                 for index, name in enumerate(names))  # fmt: skip


def _here(header: Record) -> str | None:
    """The action that the run is in; a design that waits for approval is made, and nothing is built of it."""
    if header["action_needed"] == "approve_design":
        return "design_build"
    for action in (header["action_needed"], header["next_action"]):
        if action in ACTIONS:
            return str(action)
    return next((action for action, phase in ACTIONS.items() if phase == header["phase"]), None)


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
