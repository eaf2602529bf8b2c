"""Making a run: everything that can refuse it is asked first, then it is recorded and state.json written."""

from __future__ import annotations

import re
import secrets
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

from lib.assistants import chain_of, uncounted
from lib.config.model import Config
from lib.errors import RelayError, UsageError
from lib.events import CheckpointMade, Event, Noted, RunStarted
from lib.files.replace import exchange
from lib.git.inspect import resolve, starting_point
from lib.git.run import Repo
from lib.model import Definition
from lib.origin import Origin
from lib.process import now
from lib.project.paths import Project
from lib.project.trust import require
from lib.secrets.masking import Masker
from lib.statefile.document import Raw, read_raw, render, set_aside
from lib.steps import BUILD
from lib.store.rows import Cause
from lib.store.rundb import RunDB
from orchestrator.engine.run import Run, apply, begin
from orchestrator.jobs import shadowing
from orchestrator.jobs.job_sandbox import settled
from orchestrator.persistence.checkpoints import checkpoint_for
from orchestrator.persistence.presenting import present
from orchestrator.persistence.project_folders import make_home
from orchestrator.persistence.run_store import save
from orchestrator.persistence.state_restore import publish_end

if TYPE_CHECKING:
    from orchestrator.commands.fork import Fork

MAX_REQUIREMENT = 20_000


def _free(project: Project) -> str:
    """A name for another instance."""
    names = ("second", *(f"run-{number}" for number in range(3, 100)))
    return next((name for name in names if not (project.dot / "instances" / name).exists()), "another")


def create_run(
    project: Project,
    requirement: str,
    config: Config,
    definition: Definition | None = None,
    fork: Fork | None = None,
) -> Run:
    """Records a new run of `project` and writes its state.json. The instance lock must be held.

    `definition` is that of its workflow, None for `build`; `fork` has what it takes over from another run, of which
    branches and files are made when its orchestrator starts. Raises `RelayError` before anything is made when the
    repository, the configuration or the instance is not ready.
    """
    if not requirement.strip():
        raise UsageError("the requirement is empty", remedy='relay start "what you want built"', code="no_requirement")
    if len(requirement) > MAX_REQUIREMENT:
        message = f"the requirement has {len(requirement)} characters, the limit is {MAX_REQUIREMENT}"
        raise UsageError(message, remedy="put the details into a file of the repository and name it", code="too_long")
    require(project)
    if (project.dot / "phases").is_dir():
        from orchestrator.handlers import phase_handlers

        phase_handlers(project)
    if config.skills:
        from lib.project.skills import read_skills

        read_skills(config.skills, project.dot / "skills")
    config, warning = settled(project, with_assistants(config, requirement))
    if definition is not None:
        from orchestrator.commands.start_workflow import with_aids

        definition = with_aids(project, definition, config, requirement)
    here = starting_point(Repo.of(project))
    with RunDB.open(project) as db:
        refuse_active(project, db, fork.again if fork else "relay start")
        make_home(project)
        instant = now()
        warnings = budget_warnings(config)
        started = RunStarted(
            run=run_id(Masker.from_environ(config.env).masked(requirement), instant.wall),
            workflow=definition.name if definition else BUILD,
            instance=project.instance,
            requirement=requirement,
            base=fork.base if fork else here,
            phase=fork.phase if fork else "execution" if definition else "init",
            action=fork.action if fork else "execution" if definition else "design",
            warnings=warnings,
            feedback=fork.feedback if fork else "",
            origin=_origin(project, fork) if fork else None,
        )
        run = begin(started, config, instant, definition)
        told = [words for words in (warning, shadowing.warning(project, config), *warnings) if words]
        events: list[Event] = [started, *(Noted(message=words, level="warning") for words in told)]
        for event in (*fork.events(started.run), CheckpointMade(label=fork.label)) if fork else ():
            events.append(event)
            apply(run, event, instant)
        written = render(present(run, project.named))
        previous = _previous_file(project, db)
        first = checkpoint_for(Cause.FORK, run, fork.label, fork.design, instant) if fork else None
        save(db, None, run, events, instant, file_bytes=written, checkpoint=first)
        exchange(project.state_file, written, previous)
    return run


def refuse_active(project: Project, db: RunDB, command: str) -> None:
    """Raises `RelayError` (`run_active`) if the instance has a run that is not over, for which `command` is no way."""
    if active := db.active_run(project.instance_dir.name):
        message = f"the run {active} of this project is not over"
        words = " …" if command == "relay start" else ""
        remedy = f"relay resume, or: relay cancel, or: {command} --instance {_free(project)}{words}"
        raise RelayError(message, remedy=remedy, code="run_active")


def _origin(project: Project, fork: Fork) -> Origin:
    """The place from which the run goes on, with the commit that the user's branch is at now."""
    found = resolve(Repo.of(project), f"refs/heads/{fork.base.branch}")
    return fork.origin.model_copy(update={"branch_at": found or ""})


def with_assistants(config: Config, requirement: str) -> Config:
    """The configuration with its chains settled: what is not installed here is left out. Raises `RelayError`."""
    roles = {role: chain_of(chain, config.assistants, requirement) for role, chain in config.roles.items()}
    chain = chain_of(config.assistant, config.assistants, requirement)
    return config.model_copy(update={"assistant": chain, "roles": roles})


def budget_warnings(config: Config) -> tuple[str, ...]:
    """Budgets that can't be kept, since an assistant tells nothing that counts towards them."""
    chains = [config.assistant, *config.roles.values()]
    limits = {
        "cost": [name for name in ("max_cost_usd", "builder_max_cost_usd") if getattr(config, name) is not None],
        "tokens": [name for name in ("max_tokens", "builder_max_tokens") if getattr(config, name) is not None],
    }
    warnings = []
    for what, names in limits.items():
        silent = uncounted((spec for chain in chains for spec in chain), config.assistants, what) if names else []
        if silent:
            warnings.append(f"{' and '.join(names)}: nothing that {', '.join(silent)} uses counts towards it: "
                            f"it reports no {what}")  # fmt: skip
    return tuple(warnings)


def run_id(requirement: str, at: datetime) -> str:
    """Time, a slug of the requirement, a random tail: safe in a path and in a branch's name."""
    plain = unicodedata.normalize("NFKD", requirement).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain)[:5])[:32].strip("-") or "run"
    return f"{at:%Y%m%d-%H%M%S}-{slug}-{secrets.token_hex(2)}"


def _previous_file(project: Project, db: RunDB) -> bytes | None:
    """The bytes that the new state.json replaces: those of the run before; anything else is set aside first."""
    last = db.latest_run(project.instance_dir.name)
    stored = db.load(last) if last is not None else None
    if stored is not None:
        publish_end(project, stored, db.revisions(stored.row.id))
    found = read_raw(project.state_file)
    if not isinstance(found, Raw):
        return None
    if stored is not None and stored.file_bytes == found.data:
        return found.data
    set_aside(project.state_file)
    return None
