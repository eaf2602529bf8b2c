"""Jobs that are processes: how each is launched under its shim. What its end means is in `orchestrator.jobs.outcome`.

Both run in the pool and answer with the event that states what happened; a `RelayError` becomes the job's result,
anything else is a bug and is recorded as one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from lib.assistants import resolve, split
from lib.contracts import Assistant, Launch, Turn
from lib.design.reports import BUILD, plain
from lib.errors import RelayError
from lib.events import Event, JobDelayed, JobEnded, JobSpawned
from lib.files.replace import replace_file
from lib.jobs import AssistantTurn, Command, Delay, JobResult
from lib.names import shown
from lib.process import SpawnSpec, environment, spawn
from lib.question import DOCTOR
from lib.scheduling.passing_failures import passing
from lib.store.rundb import RunDB
from orchestrator.diagnostics import Diagnostics
from orchestrator.jobs.job_sandbox import Site, clear
from orchestrator.work import Work

#: Files in the root of a repository that say how work is done there; not every program reads them by itself.
GUIDES = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", "CONTRIBUTING.md", "CONTRIBUTING.rst", "CONTRIBUTING")


def guarded(work: Work, task: Callable[[Work], Event], log: Diagnostics) -> Event:
    """The event that `task` gives. What the machine refused is done again later; any other exception becomes the
    job's failed result.
    """
    try:
        with log.about(work.job.id):
            log.debug(task.__name__)
            return task(work)
    except (RelayError, OSError) as error:
        if problem := passing(error):
            return JobDelayed(job=work.job.id, delay=Delay(problem=problem, tries=0))
        result = _refused(error)
    except Exception as error:  # noqa: BLE001 - a bug in one job must not take the others down; it is logged in full
        import traceback

        log.bug("a bug in Relay", error)
        result = JobResult(ok=False, code="internal_error", message=f"a bug in Relay: {error!r}",
                           remedy=DOCTOR.command, does=DOCTOR.does, tail=traceback.format_exc())  # fmt: skip
    return JobEnded(job=work.job.id, result=result)


def _refused(error: RelayError | OSError) -> JobResult:
    if isinstance(error, RelayError):
        return JobResult(ok=False, code=error.code, message=error.message, remedy=error.remedy, does=error.does)
    place = f": {error.filename}" if error.filename else ""
    message = f"the system refused it: {error.strerror or error}{place}"
    return JobResult(ok=False, code="system", message=message, remedy=DOCTOR.command, does=DOCTOR.does)


def launch(work: Work) -> Event:
    """Starts the job's process; its identity is the event."""
    work.records.mkdir(parents=True, exist_ok=True)
    work.output.mkdir(parents=True, exist_ok=True)
    site = Site.of(work)
    try:
        start = _launch_of(work, site)
        process = spawn(_spawn_spec(work, site, start))
    except BaseException:
        clear(work)
        raise
    return JobSpawned(job=work.job.id, process=process)


def _spawn_spec(work: Work, site: Site, start: Launch) -> SpawnSpec:
    stdin = shown(start.stdin)
    secrets = work.secrets.read() if work.secrets else {}
    own = {**work.config.env, **work.env, **secrets}
    # A job may write what it reads from, so that is not the record of it.
    for file, text in ((work.records / "prompt", work.masker.masked(stdin)), (site.stdin, stdin)):
        replace_file(file, text.encode(), durable=False)
    additions = {**site.caches(), **own, **start.env, **site.variables(), **_told(work)}
    return SpawnSpec(
        job_id=work.mark,
        argv=site.command(start),
        cwd=work.worktree,
        env=environment(os.environ, additions, passed=(*start.variables, *work.config.env_pass)),
        folder=work.records,
        output=work.output,
        secrets=secrets,
        stdin_file=site.stdin,
    )


def _launch_of(work: Work, site: Site) -> Launch:
    spec = work.job.spec
    if isinstance(spec, Command):
        return Launch(argv=("/bin/sh", "-c", spec.command))
    turn = turn_of(work)
    from lib.project.skills import read_skills
    from lib.project.templates import render_prompt

    names = dict.fromkeys((*work.config.skills, *turn.prompt.get("skills", ())))
    skills = read_skills(tuple(names), work.project.dot / "skills")
    values = {**turn.prompt, **_known(work), "worktree": str(work.worktree), "skills": skills,
              "contained": site.contained,
              "own": work.project.own,
              "guides": [name for name in GUIDES if os.path.lexists(work.worktree / name)]}  # fmt: skip
    adapter = adapter_of(work)
    if not getattr(adapter, "resumes", True):  # its line takes no session, and begins a new conversation each time
        values |= {"goes_on": False, "feedback": values.get("all_feedback", values.get("feedback", ""))}
    text = shown(render_prompt(turn.role, values, work.project.dot / "prompts"))
    replace_file(site.prompt, text.encode(), durable=False)
    return adapter.launch(_turn(work, site, text))


def _known(work: Work) -> dict[str, Any]:
    """The values of a prompt that follow from the run, and so are stored with no job. Raises `StoreError`."""
    if work.step is None or work.step.component is None:
        return {"requirement": work.requirement}
    return {
        "requirement": work.requirement,
        "component": work.step.component.model_dump(mode="json"),
        "siblings": [component.model_dump(mode="json") for component in work.siblings],
        "reports": _reports(work),
    }


def _reports(work: Work) -> list[dict[str, str]]:
    """The closing words of those that the step depends on; who said nothing is left out."""
    db = RunDB.open_readonly(work.project.database) if work.before else None
    if db is None:
        return []
    with db.look(work.run) as look:
        said = {name: plain(text) for name, text in look.said(work.before, BUILD).items()}
    return [{"id": name, "text": text} for name, text in said.items() if text]


def _turn(work: Work, site: Site, text: str) -> Turn:
    spec = turn_of(work)
    name, variant = split(spec.assistant)
    return Turn(
        role=spec.role,
        prompt=text,
        worktree=str(work.worktree),
        scratch=str(site.scratch),
        keep=str(site.keep),
        job=work.mark,
        prompt_file=str(site.prompt),
        contained=site.contained,
        builder=spec.step or "",
        attempt=work.job.attempt,
        variant=variant,
        effort=spec.effort,
        session=spec.session,
        requirement=work.requirement,
        settings=work.config.assistants.get(name, {}),
    )


def _told(work: Work) -> dict[str, str]:
    """Variables that every program of a job finds in its environment."""
    files = {"RELAY_FILES_DIR": str(work.files)} if work.files else {}
    return files | {
        "RELAY_JOB": work.mark,
        "RELAY_RUN": work.run,
        "RELAY_ROLE": work.job.role or work.job.spec.name,
        "RELAY_BUILDER": work.job.spec.step or "",
        "RELAY_ATTEMPT": str(work.job.attempt),
        "RELAY_WORKTREE": str(work.worktree),
        "RELAY_PORT_BASE": str(work.step.port_base if work.step else work.config.port_base),
    }


def adapter_of(work: Work) -> Assistant:
    """The adapter of the job's assistant. Raises `RelayError` if there is none any more."""
    return resolve(turn_of(work).assistant, work.config.assistants)


def turn_of(work: Work) -> AssistantTurn:
    """The turn that the job is."""
    if work.job.turn is None:
        raise TypeError(f"{work.job.id} is no turn of an assistant")
    return work.job.turn
