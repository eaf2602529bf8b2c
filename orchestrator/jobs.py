"""Jobs that are processes: how each is launched under its shim, and what its end means.

Both functions run in the pool and answer with the event that states what happened; a `RelayError` becomes the job's
result, anything else is a bug and is recorded as one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lib.assistants import ended_by_force, resolve, split
from lib.atomic import replace_file
from lib.attempts import LOST
from lib.config import Config
from lib.contracts import Assistant, AssistantEvent, Exit, Launch, Turn
from lib.display import Masker
from lib.errors import RelayError
from lib.events import Event, JobEnded, JobSpawned
from lib.model import Builder, Job, JobKind, JobResult
from lib.paths import Project
from lib.process import SpawnSpec, environment, exit_status, reap, spawn, sweep

TAIL_BYTES = 6_000
MAX_LINE = 10_000_000


@dataclass(frozen=True, slots=True)
class Work:
    """What a job needs beside its own record: where it runs, and a copy of its builder as it was when it started."""

    project: Project
    run: str
    requirement: str
    config: Config
    job: Job
    builder: Builder | None

    @property
    def mark(self) -> str:
        """The value of RELAY_JOB that every process of this job bears; unique on the machine."""
        return f"{self.run}/{self.job.id}"

    @property
    def worktree(self) -> Path:
        """Where the job runs: the user's own folder if it names no worktree."""
        name = self.job.spec.worktree
        return self.project.worktree(self.run, name) if name else self.project.root

    @property
    def records(self) -> Path:
        return self.project.record_dir(self.run, self.job.id)

    @property
    def output(self) -> Path:
        return self.project.output_dir(self.run, self.job.spec.builder, self.job.id)


def guarded(work: Work, task: Callable[[Work], Event]) -> Event:
    """The event that `task` gives; an exception becomes the job's failed result."""
    try:
        return task(work)
    except RelayError as error:
        result = JobResult(ok=False, code=error.code, message=error.message, remedy=error.remedy)
    except OSError as error:
        message = f"the system refused it: {error.strerror or error}"
        result = JobResult(ok=False, code="system", message=message, remedy="relay doctor")
    except Exception as error:  # noqa: BLE001 - a bug in one job must not take the others down; it is told in full
        import traceback

        result = JobResult(ok=False, code="internal_error", message=f"a bug in Relay: {error!r}",
                           remedy="relay doctor", data={"tail": traceback.format_exc()})  # fmt: skip
    return JobEnded(job=work.job.id, result=result)


def launch(work: Work) -> Event:
    """Starts the job's process; its identity is the event."""
    start = _launch_of(work)
    work.records.mkdir(parents=True, exist_ok=True)
    work.output.mkdir(parents=True, exist_ok=True)
    prompt = work.records / "prompt"
    replace_file(prompt, start.stdin.encode("utf-8", errors="replace"), durable=False)
    spec = SpawnSpec(
        job_id=work.mark,
        argv=start.argv,
        cwd=work.worktree,
        env=environment(os.environ, {**work.config.env, **start.env, **_told(work)}),
        folder=work.records,
        output=work.output,
        stdin_file=prompt,
    )
    return JobSpawned(job=work.job.id, process=spawn(spec))


def _launch_of(work: Work) -> Launch:
    spec = work.job.spec
    if spec.kind is JobKind.COMMAND:
        return Launch(argv=("/bin/sh", "-c", spec.command), env=spec.env)
    from lib.templates import render_prompt

    values = {**spec.prompt, "worktree": str(work.worktree)}
    text = render_prompt(spec.role, values, work.project.dot / "prompts")
    return _adapter(work).launch(_turn(work, text))


def _turn(work: Work, text: str) -> Turn:
    spec = work.job.spec
    name, variant = split(spec.assistant)
    return Turn(
        role=spec.role,
        prompt=text,
        worktree=str(work.worktree),
        scratch=str(work.records),
        builder=spec.builder or "",
        attempt=work.job.attempt,
        variant=variant,
        session=spec.session,
        requirement=work.requirement,
        settings=work.config.assistants.get(name, {}),
    )


def _told(work: Work) -> dict[str, str]:
    """What every program of a job finds in its environment."""
    return {
        "RELAY_JOB": work.mark,
        "RELAY_RUN": work.run,
        "RELAY_ROLE": work.job.spec.role or work.job.spec.name,
        "RELAY_BUILDER": work.job.spec.builder or "",
        "RELAY_ATTEMPT": str(work.job.attempt),
        "RELAY_WORKTREE": str(work.worktree),
        "RELAY_PORT_BASE": str(work.builder.port_base if work.builder else work.config.port_base),
    }


def finish(work: Work) -> Event:
    """Ends what the job left running, and judges its exit and output."""
    process = work.job.process
    sweep({work.mark: process})
    waited = reap(process.pid) if process else None
    recorded = exit_status(work.records)
    end = Exit(status=waited if recorded is None else recorded, stopped=work.job.stopping)
    judge = _command_result if work.job.spec.kind is JobKind.COMMAND else _assistant_result
    return JobEnded(job=work.job.id, result=_masked(work, judge(work, end)))


def _masked(work: Work, result: JobResult) -> JobResult:
    """Without the secrets that the job had: what leaves here is logged, shown, and told to other assistants."""
    return JobResult.model_validate(masker_of(work.config).masked_data(result.model_dump(mode="json")))


def masker_of(config: Config) -> Masker:
    """Knows the secrets that jobs may have: those of Relay's own environment, and of the configuration."""
    return Masker.from_environ({**os.environ, **config.env})


def _assistant_result(work: Work, end: Exit) -> JobResult:
    if failure := ended_by_force(end):
        return failure.model_copy(update={"data": {"tail": tail_of(work.output)}})
    adapter = _adapter(work)
    events: list[AssistantEvent] = []
    for line in lines_of(work.output / "output.log"):
        events += adapter.read(line)
    result = adapter.verdict(end, events, _text_end(work.output / "stderr.log"))
    if result.ok:
        return result
    return result.model_copy(update={"data": {**result.data, "tail": tail_of(work.output)}})


def _command_result(work: Work, end: Exit) -> JobResult:
    if failure := ended_by_force(end):
        return failure.model_copy(update={"data": {"tail": tail_of(work.output)}})
    if end.status == 0:
        return JobResult(ok=True, exit_status=0, data={"text": _text_end(work.output / "output.log")})
    tail = tail_of(work.output)
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "it printed nothing")
    message = f"exit status {end.status}: {last.strip()[:200]}"
    code = LOST if end.status in _KILLED else "exit_nonzero"
    return JobResult(ok=False, code=code, message=message, exit_status=end.status, data={"tail": tail})


#: A shell's count of what ends a program by HUP, INT, KILL and TERM: somebody's doing (a machine that shuts down or is
#: out of memory), and no verdict on the work.
_KILLED = frozenset(128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM))


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a file that an assistant wrote, torn, huge or not UTF-8 as they may be."""
    try:
        with file.open("rb") as stream:
            while line := stream.readline(MAX_LINE):
                yield line.decode("utf-8", errors="replace").rstrip("\r\n")
    except FileNotFoundError:
        return


def tail_of(output: Path) -> str:
    """The end of what a job printed, standard error last."""
    parts = (_text_end(output / "output.log"), _text_end(output / "stderr.log"))
    return "\n".join(part.strip() for part in parts if part.strip())[-TAIL_BYTES:]


def _text_end(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _adapter(work: Work) -> Assistant:
    return resolve(work.job.spec.assistant, work.config.assistants)
