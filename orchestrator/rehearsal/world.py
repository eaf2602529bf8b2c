"""A world for the machine in memory: time moves on demand, and jobs end as a subclass says. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lib.contracts import PhaseHandler
from lib.effects import (
    BriefResolver,
    Collect,
    GatherDiff,
    JudgeResolution,
    Merge,
    Prepare,
    SettleReview,
    Survey,
    WriteFiles,
)
from lib.events import Event, JobEnded, JobSpawned, StateEdited
from lib.jobs import Effect, Job, JobResult, ProcessIdentity
from lib.ledger import Ledger
from lib.model import Edit, Now, Owner
from orchestrator.engine.decide import decide
from orchestrator.engine.decision import Decision, Output, Seen
from orchestrator.engine.run import Run
from phases import design, design_build, execution, merge_build

HANDLERS: Final[Mapping[str, PhaseHandler]] = {
    module.handler.name: module.handler for module in (design, design_build, execution, merge_build)
}
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_BOOT: Final = "b"
_PROCESS: Final = ProcessIdentity(pid=7, start_ticks=1, boot_id=_BOOT)
#: Pauses that a run may wait for in a row; one with more never rests.
_MAX_PAUSES: Final = 10_000


class RestlessError(Exception):
    """The run goes on and on."""


def ok(**told: Any) -> JobResult:  # noqa: ANN401 - fields of a result, or the data of an effect's
    """A good end."""
    return JobResult(ok=True, **_sorted(told))


def bad(code: str, message: str = "it went wrong", **told: Any) -> JobResult:  # noqa: ANN401
    """The bad end of a process that printed something."""
    return JobResult(ok=False, code=code, message=message, **_sorted({"printed": True, **told}))


def gives(value: Any) -> JobResult:  # noqa: ANN401 - any JSON value
    """The good end of a command that gave a value."""
    return ok(output=json.loads(json.dumps(value)), exit_status=0)


def says(value: Any) -> JobResult:  # noqa: ANN401
    """The good end of a turn that said a text, or a value as JSON."""
    return ok(text=value if isinstance(value, str) else f"Here it is:\n```json\n{json.dumps(value)}\n```")


def _sorted(told: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a result, and the data of an effect's."""
    own = {name: value for name, value in told.items() if name in JobResult.model_fields}
    return {**own, "data": json.loads(json.dumps({name: value for name, value in told.items() if name not in own}))}


@dataclass
class World:
    """A run, and all that happens to it. `result_of` gives the end of each job, by default a good one."""

    run: Run
    mono_s: float = 1000.0
    boot_id: str = _BOOT
    #: When the machine was started, in seconds after `START`.
    booted_s: float = 0.0
    #: The text files of the run's folder.
    files: dict[str, str] = field(default_factory=dict)
    started: list[Job] = field(default_factory=list)
    stopped: list[Job] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    last: Decision | None = None
    #: The jobs as they were last settled, as the run database has them.
    rows: dict[str, Job] = field(default_factory=dict)
    #: The commits that were made.
    commits: int = 0

    def __post_init__(self) -> None:
        self.run.ledger = Ledger(self.run.steps.values(), self.run.jobs.values(), self._recall)

    def _recall(self, step: str) -> list[Job]:
        return [job for job in self.rows.values() if job.spec.step == step]

    # --- what passes -------------------------------------------------------------------------------------------------

    def now(self) -> Now:
        wall = START + timedelta(seconds=self.booted_s + self.mono_s)
        return Now(wall=wall, mono_s=self.mono_s, boot_id=self.boot_id)

    def tick(self, *facts: Event, output: Mapping[str, Output] | None = None) -> Decision:
        """One decision on facts and the output of running jobs, by job; nothing is answered yet."""
        decision = decide(self.run, Seen(facts, output or {}), HANDLERS, self.now(), self.files.get)
        self.run, self.last = decision.run, decision
        self.rows |= {job.id: job for job in self.run.ledger.changed_jobs()}
        self.run.ledger.settle()
        self.events += decision.events
        self.started += decision.start
        self.stopped += decision.stop
        return decision

    def settle(self, *facts: Event) -> None:
        """Ticks until nothing is answered any more."""
        queue: list[Event] = list(facts)
        while True:
            decision = self.tick(*queue)
            queue = [event for job in decision.start for event in self._answer(job)]
            if not queue:
                return

    def later(self) -> None:
        """Time passes until the machine wants to look again. Raises `RestlessError` if nothing wakes it."""
        if self.last is None or self.last.wake_at_mono_s is None:
            raise RestlessError(f"nothing wakes it: {self.statuses()}")
        self.mono_s = max(self.mono_s, self.last.wake_at_mono_s)
        self.settle()

    def to_rest(self, *facts: Event) -> None:
        """Goes on, over all pauses, until it waits for a person, for a job, or is over. Raises `RestlessError`."""
        self.settle(*facts)
        for _ in range(_MAX_PAUSES):
            waits = self.run.state.outcome is not None or self.run.ledger.live() or self.asked
            if waits or self.last is None or self.last.wake_at_mono_s is None:
                return
            self.later()
        raise RestlessError(f"no rest: {self.statuses()}")

    def hand_back(self, action: str | None = None, words: str | None = None) -> None:
        """A person's answer in state.json, with an action or with the owner alone."""
        edit = Edit(action_owner=Owner.CODE if self.asked else None, action_needed=action, feedback=words)
        self.to_rest(StateEdited(edit=edit))

    # --- what it looks at --------------------------------------------------------------------------------------------

    @property
    def asked(self) -> str:
        """The action that a person is asked for; empty if none is."""
        state = self.run.state
        return state.action_needed if state.action_owner is Owner.CI else ""

    @property
    def outcome(self) -> str:
        """The outcome of the run; empty before its end."""
        state = self.run.state
        return state.outcome.value if state.outcome else ""

    def statuses(self) -> dict[str, str]:
        """The status of each step, as it is shown."""
        return {name: step.shown.value for name, step in self.run.steps.items()}

    # --- how jobs end ------------------------------------------------------------------------------------------------

    def result_of(self, job: Job) -> JobResult | None:
        """The end of a job that was just started; None if it goes on."""
        return self.usual(job)

    def _answer(self, job: Job) -> list[Event]:
        """The facts that come of a job that is started."""
        events: list[Event] = [JobSpawned(job=job.id, process=_PROCESS)] if job.is_process else []
        result = self.result_of(job)
        return events if result is None else [*events, JobEnded(job=job.id, result=result)]

    def changes_files(self, job: Job) -> bool:  # noqa: ARG002 - for subclasses
        """True if the step whose work is collected by the job has changed a file."""
        return True

    def usual(self, job: Job) -> JobResult:
        """The end of a job where nothing goes wrong."""
        match job.spec.args if isinstance(job.spec, Effect) else job.spec.name:
            case Survey():
                return ok(survey="2 files")
            case WriteFiles(files=files):
                self.files.update(files)
                return ok()
            case Prepare(base=base):
                return ok(base=base, made=True)
            case Collect(base=base) if not self.changes_files(job):
                return ok(commit=base)
            case Collect():
                self.commits += 1
                return ok(commit=f"commit-{self.commits}")
            case GatherDiff():
                return ok(tree="t")
            case SettleReview():
                return ok(changed=False)
            case Merge(tips=tips):
                return ok(head="h", merged=[tip.id for tip in tips], conflict=None)
            case BriefResolver(tips=tips):
                return ok(ours=[tip.id for tip in tips[:1]])
            case JudgeResolution():
                return ok(objections=[], commit="c-resolved")
            case "review":
                return says('{"verdict": "accept"}')
            case _:
                return ok(text="done")
