"""A decision in the making: what was seen goes in, events and jobs come out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib.events import Event, JobStarted, JobStopping, VerbDone
from lib.jobs import AssistantTurn, Job, JobSpec, Progress
from lib.model import Now
from orchestrator.engine.run import Run, apply


@dataclass(frozen=True, slots=True)
class Output:
    """Seconds since a job last printed, the bytes that it printed in all, and its turn's progress by what it printed.

    `condition_s` is how long it has been in that condition. Memory and processes are measured only where they
    are limited.
    """

    silent_s: float
    output_bytes: int
    progress: Progress = field(default_factory=Progress)
    condition_s: float = 0.0
    memory_bytes: int = 0
    processes: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """Observations of a tick: facts in the order in which they were seen, and the output of running jobs."""

    facts: Sequence[Event] = ()
    output: Mapping[str, Output] = field(default_factory=dict)


@dataclass(slots=True)
class Decision:
    """The result of a tick: the new run, the events that led to it, what to start and stop, and when to look again."""

    run: Run
    events: list[Event] = field(default_factory=list)
    start: list[Job] = field(default_factory=list)
    stop: list[Job] = field(default_factory=list)
    wake_at_mono_s: float | None = None
    checkpoint: str | None = None


class Draft:
    """The decision in the making."""

    def __init__(self, decision: Decision, now: Now) -> None:
        self.decision = decision
        self.now = now

    @property
    def run(self) -> Run:
        return self.decision.run

    def emit(self, event: Event) -> None:
        apply(self.run, event, self.now)
        self.decision.events.append(event)

    def verb_done(self, verb: str, action: str) -> None:
        self.emit(VerbDone(verb=verb, action=action, workflow=self.run.state.workflow))

    def wake_at(self, mono_s: float | None) -> None:
        known = self.decision.wake_at_mono_s
        if mono_s is not None and (known is None or mono_s < known):
            self.decision.wake_at_mono_s = mono_s

    def stop(self, job: Job, reason: str) -> None:
        if not job.stopping:
            self.emit(JobStopping(job=job.id, reason=reason))
            self.decision.stop.append(self.run.jobs[job.id])

    def start(self, spec: JobSpec) -> None:
        number = self.run.engine.jobs_started + 1
        prompt = spec.prompt if isinstance(spec, AssistantTurn) else {}
        attempt = self.run.steps[spec.step].attempt if spec.step else int(prompt.get("attempt", 1))
        job = Job(
            id=f"{number:04d}-{spec.step or 'run'}-{spec.name}",
            spec=spec,
            attempt=attempt,
            dispatch=self.run.engine.dispatch,
            started_at=self.now.wall,
            started_mono_s=self.now.mono_s,
        )
        self.emit(JobStarted(job=job))
        self.decision.start.append(job)
