"""The Protocols that plug-ins satisfy, and the values that pass through them. No base class is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from lib.config.model import Config
from lib.jobs import Cooldown, Job, JobResult, JobSpec
from lib.ledger import HasLedger, Ledger
from lib.model import NO_ACTION, Definition, Now, Problem, RunOutcome, State, Step, StepChange, Usage
from lib.origin import Origin
from lib.question import Answer
from lib.scheduling.retries import LOST, UNJUDGED

# --- phase handlers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PhaseView(HasLedger):
    """All that a handler may know: one instant of one run, read-only.

    `ledger` answers what is often asked of its steps and jobs. `dispatch` counts how often the run was handed to a
    handler, and a job bears the dispatch that it was started in; that of a builder which was at work since, the newest.
    `definition` is that of the run's workflow, None for `build`; `origin` where it goes on from another run.
    `read` gives the text of a file below the run's folder, or None. `answered` are the questions that ci has handed
    back since the phase began, in order. `holds` are the assistants, by name, of which nothing is launched for now;
    `budgets` counts how often the run's budget was granted.
    """

    state: State
    ledger: Ledger
    dispatch: int
    feedback: str
    answered: Sequence[str]
    config: Config
    now: Now
    read: Callable[[str], str | None]
    holds: Mapping[str, Cooldown] = field(default_factory=dict)
    budgets: int = 1
    definition: Definition | None = None
    origin: Origin | None = None

    def current(self, name: str) -> list[Job]:
        """The run's own jobs of that name which this dispatch started and that count, oldest first."""
        return self.counting(
            job for job in self.ledger.jobs_of(None) if job.dispatch == self.dispatch and job.spec.name == name
        )

    def counting(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs, of some that are alike, whose end says something, or that have none yet.

        The others are simply started again: stopped by a person, never started, ended by a limit of their assistant,
        or, as long as there are attempts left, killed from outside.
        """
        jobs = list(jobs)
        lost = [job.id for job in jobs if job.result and job.result.code == LOST]
        void = set(lost[: self.config.attempts - 1])
        return [job for job in jobs if job.id not in void and not (job.result and job.result.code in UNJUDGED)]

    def last(self, name: str) -> Job | None:
        """The newest of them."""
        return next(reversed(self.current(name)), None)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one step's record."""

    step: str
    fields: StepChange


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do until a job ends, or until `until_mono_s` (CLOCK_BOOTTIME seconds)."""

    until_mono_s: float | None = None


@dataclass(frozen=True, slots=True)
class Proceed:
    """Steps to add or change and jobs to start; the handler is asked again in the same tick."""

    changes: tuple[Change, ...] = ()
    jobs: tuple[JobSpec, ...] = ()
    added: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advance:
    """This action is done: the run enters `phase`, and `action` (of code) follows."""

    phase: str
    action: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class AskCi:
    """A person or an assistant must act; `phase` is entered before asking, `next_action` follows the hand-back.

    `message` says what happened. What can be typed then are the ways out of the `error` and these `answers`, the
    likeliest first; without answers it is `relay approve`, or `relay retry` where the action is `fix_failure`.

    If `steps` ask, only they wait: the handler goes on being asked for the others, also at `until_mono_s`. The
    answer gives those another round of attempts with its words, and a gate one of these `decisions`, the first where
    none is named. Until then no other question is put.
    """

    action: str
    message: str
    next_action: str
    phase: str | None = None
    error: Problem | None = None
    steps: tuple[str, ...] = ()
    until_mono_s: float | None = None
    answers: tuple[Answer, ...] = ()
    decisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is over; `outputs` are what its workflow gives."""

    outcome: RunOutcome
    message: str
    phase: str = "storage"
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fail:
    """The handler can't go on; ci is asked to `fix_failure`, and a hand-back runs the same action again.

    `answers` are as those of `AskCi`.
    """

    error: Problem
    answers: tuple[Answer, ...] = ()


Outcome = Wait | Proceed | Advance | AskCi | Finish | Fail


@runtime_checkable
class PhaseHandler(Protocol):
    """Decides what an action does next. `phases` are those in which the action may be asked for."""

    name: str
    phases: tuple[str, ...]

    def step(self, view: PhaseView) -> Outcome:
        """Decides what is to be done now. Called at every tick; has no side effects; same view, same answer."""
        ...


#: A file in a turn's scratch folder: what its program writes there is read, line by line, after its standard output.
SIDE_OUTPUT = "side.jsonl"

# --- assistants ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn that an assistant is asked for.

    `variant` is what followed the colon in `NAME:VARIANT` (a model, a playbook), `session` the conversation to go on
    with. `job` is unique to the turn. Folders outside the worktree that it may write: `scratch` lasts as long as the
    turn and is its TMPDIR, `keep` as long as the run, for all turns of one builder. `prompt_file` holds the prompt.
    `contained` says that Relay's own sandbox is around it, so that it needs none. `effort` is how much the model is to
    think, in a word that the program knows.
    """

    role: str
    prompt: str
    worktree: str
    scratch: str
    keep: str = ""
    job: str = ""
    prompt_file: str = ""
    contained: bool = False
    builder: str = ""
    attempt: int = 1
    variant: str = ""
    effort: str = ""
    session: str | None = None
    requirement: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Launch:
    """A turn's command: `argv`, additions to the environment, what goes to standard input, and the session's id if
    the caller chooses it.

    `folders` are the program's own, `~` standing for the home directory: it may write them in the sandbox. `variables`
    are patterns (fnmatch) of the user's environment variables that it needs beside the ordinary ones.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    session: str | None = None
    folders: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssistantEvent:
    """One neutral event read from an assistant's output.

    `kind`: started, text, tool_start, tool_end, file_change, retrying, denied, asking, usage, finished.
    `text` is what it said, or the tool, or the reason. `asking` is a question that it waits to have answered. For
    `usage`, `cumulative` says that it counts from the turn's start, and so replaces the usage events before it; one
    with a `part` replaces those before it of the same part (a message whose usage is reported several times).
    For `finished`, `ok` is its own opinion. `error`, of `finished` and `retrying`, is one of auth, credits, model,
    refused, context_full, rate_limit, server, network, busy, budget, timeout, cancelled, denied, no_result;
    `retry_at` (UTC) or `delay_s` (seconds) when it tries again, or when its limit is lifted.
    """

    kind: str
    text: str = ""
    session: str | None = None
    usage: Usage | None = None
    cumulative: bool = False
    part: str = ""
    ok: bool | None = None
    error: str = ""
    delay_s: float | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of the process: `status` None when nobody recorded it; `stopped` is the reason if Relay ended it."""

    status: int | None
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """Declarations of an assistant for safety. What any of them declares counts for all.

    `logins` are files and folders that hold its logins and sessions, mostly in the home directory (`~`): setup and
    verify commands don't see them. `guarded` are names in its own folders (`Launch.folders`) of what says which
    programs it starts the next time, perhaps without a sandbox: no assistant may write them. `starters` are such files
    that are made if they are missing, as what is not there can't be guarded, each with a text that says nothing.
    `steering` are patterns (`lib.design.sensitive_files`) of files in a repository that it takes instructions from: a
    change of one is asked about before it lands. Raises `ValueError` for a login or starter that is no path like `~/.x`
    or `/x`.
    """

    logins: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()
    starters: Mapping[str, str] = field(default_factory=dict)
    steering: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.logins, *self.starters):
            first, *below = name.split("/")
            if first not in {"~", ""} or not below or {"", ".", ".."} & set(below):
                raise ValueError(f"{name!r} is no path, like ~/.claude or /elsewhere")

    @classmethod
    def together(cls, several: Iterable[Safety]) -> Safety:
        """All that these declare."""
        known = list(several)
        return cls(
            logins=_each_once(each.logins for each in known),
            guarded=_each_once(each.guarded for each in known),
            starters={file: text for each in known for file, text in each.starters.items()},
            steering=_each_once(each.steering for each in known),
        )


def _each_once(several: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in several for name in names))


@runtime_checkable
class Assistant(Protocol):
    """A program that does the work of a role. One a file in `lib/assistants/`.

    `install` is what to type on a machine that does not have it.
    """

    @property
    def name(self) -> str: ...

    @property
    def install(self) -> str: ...

    def available(self, settings: Mapping[str, Any]) -> str | None:
        """None if it can be launched on this machine, else why not."""
        ...

    def launch(self, turn: Turn) -> Launch:
        """The command for this turn, which never waits for a permission. Raises `RelayError` if there can't be one."""
        ...

    def read(self, line: str) -> Sequence[AssistantEvent]:
        """The neutral events of one line of its standard output; an unknown line gives none."""
        ...

    def verdict(self, end: Exit, events: Sequence[AssistantEvent], stderr: str) -> JobResult:
        """The result of the turn, from the exit and all that it said. `text` is its final message."""
        ...


__all__ = [
    "NO_ACTION",
    "SIDE_OUTPUT",
    "Advance",
    "Answer",
    "AskCi",
    "Assistant",
    "AssistantEvent",
    "Change",
    "Exit",
    "Fail",
    "Finish",
    "Launch",
    "Outcome",
    "PhaseHandler",
    "PhaseView",
    "Proceed",
    "Safety",
    "Turn",
    "Wait",
]
