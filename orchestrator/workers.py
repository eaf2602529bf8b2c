"""The jobs that are under way: started, watched, stopped, and taken over from an orchestrator that is gone."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from lib.events import Event, JobEnded, JobSpawned
from lib.model import Job, JobKind, JobResult, Now, ProcessIdentity
from lib.paths import Project
from lib.process import (
    Exited,
    NotStarted,
    Running,
    alive,
    close_watch,
    output_size,
    recover,
    stop_trees,
    watch_fd,
)
from orchestrator.effects import run_effect
from orchestrator.fold import Run
from orchestrator.jobs import Work, finish, guarded, launch
from orchestrator.machine import Silence
from orchestrator.pool import Pool
from orchestrator.wake import Wake


@dataclass(slots=True)
class _Output:
    """How much a job had printed when that last changed, and when this was."""

    size: int
    changed_mono_s: float


class Workers:
    """Everything slow happens in the pool; what comes of it is an event, fetched with `results`."""

    def __init__(self, project: Project, pool: Pool[Event | None], wake: Wake) -> None:
        self._project = project
        self._pool = pool
        self._wake = wake
        self._watched: dict[int, tuple[str, ProcessIdentity]] = {}
        self._unwatched: dict[str, ProcessIdentity] = {}
        self._output: dict[str, _Output] = {}
        self._stopping: set[str] = set()

    def start(self, run: Run, job: Job) -> None:
        work = self._work(run, job)
        if job.spec.kind is JobKind.EFFECT:
            self._pool.submit(job.spec.builder or "run", lambda: guarded(work, run_effect))
        else:
            self._pool.submit(job.id, lambda: guarded(work, launch))

    def stop(self, run: Run, job: Job) -> None:
        """Ends the job's process tree; an effect runs out by itself."""
        if job.spec.kind is JobKind.EFFECT:
            return
        mark, grace_s = f"{run.state.run}/{job.id}", run.config.stop_grace_s
        self._stopping.add(job.id)

        def end() -> None:
            with contextlib.suppress(OSError):  # no descriptor left just now: `check` asks again
                stop_trees({mark: job.process}, grace_s)
            self._stopping.discard(job.id)

        self._pool.submit(job.id, end)

    def results(self) -> list[Event]:
        """What has come of jobs since the last call. A process that was spawned is watched from here on."""
        events = [event for event in self._pool.results() if event is not None]
        for event in events:
            if isinstance(event, JobSpawned):
                self._watch(event.job, event.process)
        return events

    def check(self, run: Run, ready: set[int]) -> None:
        """Judges the jobs whose processes have ended: those of `ready` descriptors, and those that have none."""
        ended = [self._forget(descriptor) for descriptor in ready & self._watched.keys()]
        for job, process in list(self._unwatched.items()):
            if not alive(process):
                del self._unwatched[job]
                ended.append((job, process))
        for job, process in ended:
            self._judge(run, run.jobs[job].model_copy(update={"process": process}))
        for live in run.live_jobs():
            if live.stopping and live.process and live.id not in self._stopping and alive(live.process):
                self.stop(run, live)

    def output(self, run: Run, instant: Now) -> dict[str, Silence]:
        """How long each running process has been silent, by what its output files grew."""
        known = {}
        for job in run.live_jobs():
            if job.process is None:
                continue
            size = output_size(self._project.output_dir(run.state.run, job.spec.builder, job.id))
            last = self._output.get(job.id)
            if last is None or last.size != size:
                last = self._output[job.id] = _Output(size, instant.mono_s)
            known[job.id] = Silence(instant.mono_s - last.changed_mono_s, size)
        self._output = {job: last for job, last in self._output.items() if job in known}
        return known

    def adopt(self, run: Run) -> tuple[list[str], list[Event]]:
        """Takes over every job without a result: the ids of those that still run, and what is known of the others."""
        adopted: list[str] = []
        events: list[Event] = []
        for job in run.live_jobs():
            if job.spec.kind is JobKind.EFFECT:
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
                self._judge(run, job, rebooted=not isinstance(found, Exited) and _rebooted(job))
        return adopted, events

    def _judge(self, run: Run, job: Job, *, rebooted: bool = False) -> None:
        work = self._work(run, job.model_copy(update={"stopping": "rebooted"}) if rebooted else job)
        self._pool.submit(job.id, lambda: guarded(work, finish))

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
            builder=run.builders.get(job.spec.builder or ""),
        )


def _rebooted(job: Job) -> bool:
    from lib.process import boot_id

    return job.process is not None and job.process.boot_id != boot_id()
