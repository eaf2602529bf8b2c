"""The jobs that are under way: started, watched, stopped, and taken over from an orchestrator that is gone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lib.assistants import resolve
from lib.design.dependencies import ancestors
from lib.design.reports import BUILD
from lib.errors import RelayError
from lib.events import Event, JobEnded, JobResumed, JobSpawned
from lib.jobs import Job, JobResult, ProcessIdentity
from lib.model import Component, Now
from lib.process import (
    Exited,
    Footprint,
    NotStarted,
    Running,
    alive,
    claimed,
    close_watch,
    mono_s,
    output_size,
    recover,
    stop_trees,
    watch_fd,
)
from lib.project.paths import Project
from lib.steps import StepKind
from orchestrator.diagnostics import Diagnostics
from orchestrator.effects._registry import run_effect
from orchestrator.engine.decision import Output
from orchestrator.engine.limits import MEMORY_LIMIT, PROCESS_LIMIT
from orchestrator.engine.run import Run
from orchestrator.jobs.job_sandbox import clear, clear_left
from orchestrator.jobs.launch import guarded, launch
from orchestrator.jobs.outcome import finish
from orchestrator.jobs.output import LOOK_AGAIN_S, OutputWatch, TurnReader
from orchestrator.jobs.resources import Footprints
from orchestrator.pool import Pool
from orchestrator.wake import Wake
from orchestrator.work import Work

if TYPE_CHECKING:
    from orchestrator.secret_values import SecretValues

#: How often the output is looked at where nothing tells that it grew.
LOOK_S = 1.0
#: Threads that only end processes: effects that take long must not keep a job from being ended.
STOP_THREADS = 2
#: Such a job is not given time to end by itself.
GREEDY = frozenset({MEMORY_LIMIT, PROCESS_LIMIT})


@dataclass(slots=True)
class _Printed:
    """The size of a job's output when that last changed, when this was, and who reads it if it is a turn."""

    size: int
    changed_mono_s: float
    reader: TurnReader | None
    behind: bool = True


class Workers:
    """Everything slow happens in the pool; what comes of it is an event, fetched with `results`."""

    def __init__(self, project: Project, pool: Pool[Event | None], wake: Wake, log: Diagnostics) -> None:
        self._project = project
        self._log = log
        self._pool = pool
        self._wake = wake
        self._watched: dict[int, tuple[str, ProcessIdentity]] = {}
        self._unwatched: dict[str, ProcessIdentity] = {}
        self._printed: dict[str, _Printed] = {}
        self._growth = OutputWatch()
        self._footprints = Footprints()
        self._secrets: SecretValues | None = None
        self._growth_watched = False
        self._look_at_mono_s = 0.0
        self.due_mono_s: float | None = None
        self._stopping: set[str] = set()
        self._reasons: dict[str, str] = {}
        self._stops: Pool[None] = Pool(STOP_THREADS, wake.ring)

    def start(self, run: Run, job: Job) -> None:
        work = self._work(run, job)
        if not job.is_process:
            self._pool.submit(job.spec.step or "run", lambda: guarded(work, run_effect, self._log))
        elif job.process is not None:  # it has ended, and could not be judged before
            self._judge(run, job)
        else:
            self._pool.submit(job.id, lambda: guarded(work, launch, self._log))

    def stop(self, run: Run, job: Job) -> None:
        """Ends the job's process tree; an effect runs out by itself."""
        if not job.is_process or job.id in self._stopping:
            return
        self._reasons.setdefault(job.id, job.stopping)
        mark, grace_s = f"{run.state.run}/{job.id}", 0.0 if job.stopping in GREEDY else run.config.stop_grace_s
        self._stopping.add(job.id)

        def end() -> None:
            with contextlib.suppress(OSError):  # no descriptor left just now: `check` asks again
                stop_trees({mark: job.process}, grace_s)
            self._stopping.discard(job.id)

        self._stops.submit(job.id, end)

    def close(self, timeout_s: float) -> None:
        """Begins nothing more, and waits for what is under way, at most so long for each."""
        self._pool.close(timeout_s)
        self._stops.close(timeout_s)

    def clear(self, run: Run, job: str) -> None:
        """Removes what a job needed only until its end was recorded."""
        self._reasons.pop(job, None)
        work = self._work(run, run.jobs[job])
        if work.job.is_process:
            self._pool.submit(job, lambda: clear(work))

    def results(self) -> list[Event]:
        """Events that have come of jobs since the last call. A process that was spawned is watched from here on."""
        self._stops.results()
        events = [event for event in self._pool.results() if event is not None]
        for event in events:
            if isinstance(event, JobSpawned):
                self._watch(event.job, event.process)
        return events

    def check(self, run: Run, ready: set[int]) -> None:
        """Judges the jobs whose processes have ended: those of `ready` descriptors, and those that have none."""
        if self._growth.fd in ready:
            self._wake.forget(self._growth.fd)
            self._growth_watched = False
            self._look_at_mono_s = mono_s() + LOOK_AGAIN_S
        ended = [self._forget(descriptor) for descriptor in ready & self._watched.keys()]
        for job, process in list(self._unwatched.items()):
            if _has_ended(process):
                del self._unwatched[job]
                ended.append((job, process))
        for job, process in ended:
            self._judge(run, run.jobs[job].model_copy(update={"process": process}))
        for live in run.ledger.live():
            if live.stopping and live.process and live.id not in self._stopping and not _has_ended(live.process):
                self.stop(run, live)

    def output(self, run: Run, instant: Now) -> dict[str, Output]:
        """Seconds that each running process has been silent, by the growth of its output, and the progress of turns."""
        known: dict[str, Output] = {}
        self._growth.drain()
        printed = {}
        taken = self._footprints.look(run, instant)
        for job in run.ledger.live():
            if job.process is None:
                continue
            folder = self._project.output_dir(run.state.run, job.spec.step, job.id)
            now = printed[job.id] = self._read(run, job, folder, instant)
            silent_s = instant.mono_s - now.changed_mono_s
            known[job.id] = Output(silent_s, now.size, **taken.get(job.id, Footprint())._asdict())
            if now.reader is not None:
                condition_s = instant.mono_s - now.reader.stuck_since_mono_s
                known[job.id] = replace(known[job.id], progress=now.reader.progress, condition_s=condition_s)
        self._printed = printed
        self._follow_growth({now.reader.file for now in printed.values() if now.reader}, instant)
        if (due := self._footprints.due_mono_s) is not None:
            self.due_mono_s = min(due, self.due_mono_s or due)
        return known

    def _read(self, run: Run, job: Job, folder: Path, instant: Now) -> _Printed:
        """Takes in what a job has printed since the last look."""
        size = output_size(folder)
        last = self._printed.get(job.id)
        if last is None:
            last = _Printed(size, instant.mono_s, self._reader(run, job, folder, instant))
        elif last.size != size:
            last = _Printed(size, instant.mono_s, last.reader)
        if last.reader is not None and last.behind:
            last.behind = last.reader.read(instant)
        return last

    def _reader(self, run: Run, job: Job, folder: Path, instant: Now) -> TurnReader | None:
        if job.turn is None:
            return None
        try:
            adapter = resolve(job.assistant, run.config.assistants)
        except RelayError:
            return None  # a plug-in that was removed meanwhile: told when the turn is judged
        return TurnReader(folder / "output.log", adapter, instant)

    def _follow_growth(self, files: set[Path], instant: Now) -> None:
        """Is woken when one of the files grows, but no sooner than a moment after the last look."""
        self._growth.follow(files)
        self.due_mono_s = None
        if any(printed.behind for printed in self._printed.values() if printed.reader):
            self._wake.ring()
        if not files or self._growth_watched:
            return
        if self._growth.fd is None:
            self.due_mono_s = instant.mono_s + LOOK_S
        elif instant.mono_s < self._look_at_mono_s:
            self.due_mono_s = self._look_at_mono_s
        else:
            self._wake.watch(self._growth.fd)
            self._growth_watched = True

    def adopt(self, run: Run) -> tuple[list[str], list[Event]]:
        """Takes over every job without a result: the ids of those that still run, and what is known of the others."""
        adopted: list[str] = []
        events: list[Event] = []
        for job in run.ledger.live():
            if job.delay is not None:
                events.append(JobResumed(job=job.id))
            if not job.is_process:
                self.start(run, job)
                continue
            work = self._work(run, job)
            found = recover(work.records, work.mark)
            if isinstance(found, Running):
                adopted.append(job.id)
                events.append(JobSpawned(job=job.id, process=found.identity))
                self._watch(job.id, found.identity)
                if job.stopping:
                    self.stop(run, job)
            elif isinstance(found, NotStarted):
                result = JobResult(ok=False, code="not_started", message="the orchestrator ended before it was started")
                events.append(JobEnded(job=job.id, result=result))
            else:
                if job.process is None and (shim := claimed(work.records)):  # it was launched, and nobody could say so
                    events.append(JobSpawned(job=job.id, process=shim))
                    job = job.model_copy(update={"process": shim})  # noqa: PLW2901
                self._judge(run, job, rebooted=not isinstance(found, Exited) and _rebooted(job))
        clear_left(self._project, run.state.run, {job.id for job in run.ledger.live()})
        return adopted, events

    def _judge(self, run: Run, job: Job, *, rebooted: bool = False) -> None:
        reason = "rebooted" if rebooted else job.stopping or self._reasons.get(job.id, "")
        work = self._work(run, job.model_copy(update={"stopping": reason}))
        self._pool.submit(job.id, lambda: guarded(work, finish, self._log))

    def _watch(self, job: str, process: ProcessIdentity) -> None:
        descriptor = watch_fd(process)
        if descriptor is None:
            self._unwatched[job] = process
        else:
            self._watched[descriptor] = job, process
            self._wake.watch(descriptor)

    def _forget(self, descriptor: int) -> tuple[str, ProcessIdentity]:
        self._wake.forget(descriptor)
        close_watch(descriptor)
        return self._watched.pop(descriptor)

    def _work(self, run: Run, job: Job) -> Work:
        return Work(
            project=self._project,
            run=run.state.run,
            requirement=run.state.requirement,
            config=run.config,
            job=job,
            step=run.steps.get(job.spec.step or ""),
            siblings=_siblings(run, job),
            before=_before(run, job),
            secrets=self._secrets_of(run, job),
        )

    def _secrets_of(self, run: Run, job: Job) -> SecretValues | None:
        """The secrets of a workflow's step; None where it declares none."""
        if run.definition is None or job.spec.step is None:
            return None
        if self._secrets is None:
            from lib.workflow.compiled import plan_of
            from orchestrator.secret_values import SecretValues

            self._secrets = SecretValues(plan_of(run.definition).secrets, self._project.root)
        return self._secrets if self._secrets.are_declared else None


def _siblings(run: Run, job: Job) -> tuple[Component, ...]:
    """The other components, for the prompt of a step's turn."""
    if job.turn is None or job.spec.step is None:
        return ()
    others = (step for step in run.steps.values() if step.id != job.spec.step)
    return tuple(step.component for step in others if step.component and step.kind is StepKind.BUILDER)


def _before(run: Run, job: Job) -> tuple[str, ...]:
    """The ids of the steps that a builder's depends on, for the prompt of its turn."""
    step = run.steps.get(job.spec.step or "")
    return tuple(each.id for each in ancestors(step, run.steps)) if step and job.spec.name == BUILD else ()


def _has_ended(process: ProcessIdentity) -> bool:
    try:
        return not alive(process)
    except OSError:  # no descriptor left to look with: it is looked at again
        return False


def _rebooted(job: Job) -> bool:
    from lib.process import boot_id

    return job.process is not None and job.process.boot_id != boot_id()
