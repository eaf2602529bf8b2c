"""Effects of commands on a run: the edits of state.json that a person would make, and starting or ending the daemon."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from lib.design.document import DESIGN_INVALID
from lib.errors import RelayError, UsageError
from lib.files.replace import Changed, exchange
from lib.jobs import ProcessIdentity
from lib.model import Edit, Owner, State
from lib.names import quote
from lib.process import freeze, identify, stop_trees, thaw, watch_fd
from lib.project.lock import InstanceLock, holder, state_lock
from lib.project.paths import SHARED_WORKTREE, Project
from lib.question import GATE, asked
from lib.statefile.document import MAX_FEEDBACK_CHARS, Missing, Raw, Refused, parse, read_raw, render, set_aside
from lib.steps import BUILD, BuilderStatus
from lib.store.rundb import RunDB, StoreError
from orchestrator.persistence.state_restore import publish_end, put_back
from orchestrator.status.questions import state_file

if TYPE_CHECKING:
    from lib.store.queries import Queries
    from orchestrator.engine.run import Run

STOP_TIMEOUT_S = 30.0
#: The command that answers nothing but this.
_ONLY = {"approve_design": "reject", "answer_questions": "answer", GATE: "decide"}
MERGED = frozenset({BuilderStatus.MERGED, BuilderStatus.LANDED})


def current(project: Project) -> State:
    """state.json as it is now. Raises `RelayError` when there is no run, or the file can't be used."""
    return _read(project)[1]


def _read(project: Project) -> tuple[bytes, State]:
    found = read_raw(project.state_file)
    if isinstance(found, Missing) and put_back(project):
        found = read_raw(project.state_file)
    if isinstance(found, Refused):
        problem = found.problem
        raise RelayError(problem.message, remedy=problem.remedy, code=problem.code)
    if isinstance(found, Missing):
        raise RelayError("there is no run here", remedy='relay start "what you want built"', code="no_run")
    return found.data, parse(found.data, state_file(project.instance))


def edit(project: Project, change: Edit) -> State:
    """Makes an edit of state.json as a person's editor would, and gives the state with it. Raises `RelayError`."""
    if change.feedback is not None and len(change.feedback) > MAX_FEEDBACK_CHARS:
        message = f"{len(change.feedback):,} characters are too many words; the limit is {MAX_FEEDBACK_CHARS:,}"
        raise UsageError(message, remedy="put them into a file of the repository, and name it", code="too_long")
    while True:
        with state_lock(project):
            raw, state = _read(project)
            edited = state.model_copy(update=change.changes())
            try:
                exchange(project.state_file, render(edited), raw)
            except Changed:
                continue
        return edited


def hand_back(project: Project, *, action: str | None = None, feedback: str | None = None, only: str = "") -> State:
    """Gives the run to code: `action` instead of the one that follows, with words for it.

    With `only`, what ci was asked must be that, or to mend what was made of it. Raises `RelayError` (`not_asked`) when
    ci has nothing to hand back, and (`unread_words`) when nobody would read the words.
    """
    state = current(project)
    check_asked(state, only, action)
    _check_words(project, action or "", feedback or state.feedback)
    return edit(project, Edit(action_owner=Owner.CODE, action_needed=action, feedback=feedback))


def check_asked(state: State, only: str = "", action: str | None = None) -> None:
    """Refuses an answer if ci is asked nothing, or something else than `only`. Raises `RelayError` (`not_asked`)."""
    answers = {state.action_needed, _failed_as(state)}
    if state.action_owner is not Owner.CI or (only and only not in answers):
        message = _not_asked(state, _ONLY.get(only) or action or "approve")
        remedy = ", or: ".join(answer.command for answer in state.answers) or "relay status"
        raise RelayError(message, remedy=remedy, code="not_asked")


def _check_words(project: Project, asked_for: str, words: str) -> None:
    """Refuses words that nobody would read with what is asked for. Raises `UsageError` (`unread_words`)."""
    from orchestrator.engine.words import WORDS, wordless

    remedy = wordless(run_of(project)).get(asked_for) if words else None
    if remedy is not None:
        remedy = remedy.replace(WORDS, quote(words))
        raise UsageError("nobody would read your words now", remedy=remedy, code="unread_words")


def run_of(project: Project) -> Run:
    """The run that is not over, as it is stored. Raises `RelayError` (`no_run`)."""
    from orchestrator.persistence.run_store import restore

    db, run = _stored(project)
    return restore(db, run)


def _stored(project: Project) -> tuple[RunDB, str]:
    """The run database, and the run in it that is not over. Raises `RelayError` (`no_run`)."""
    run, db = active_run(project), RunDB.open_readonly(project.database)
    if db is None:
        raise RelayError("the run database is gone", remedy="relay status", code="no_run")
    return db, run


def _failed_as(state: State) -> str:
    """The question that the failure ci is asked to fix amounts to: `approve_design` if the design can't be built."""
    is_invalid = state.error is not None and state.error.code == DESIGN_INVALID
    return "approve_design" if is_invalid and state.action_needed == "fix_failure" else ""


def _not_asked(state: State, what: str) -> str:
    if state.outcome is not None:
        return f"Nothing to {what}: the run is over ({state.outcome.value})"
    if state.action_owner is Owner.CI:
        return f"Nothing to {what}: you are asked to {asked(state.action_needed)}"
    return f"Nothing to {what}: Relay is at work ({state.action_needed.replace('_', ' ')})"


def active_run(project: Project) -> str:
    """The run of this instance that is not over. Raises `RelayError` (`no_run`)."""
    db = RunDB.open_readonly(project.database)
    run = db.active_run(project.instance_dir.name) if db else None
    if run is None:
        message = f"no run of {project.root} is under way"
        raise RelayError(message, remedy='relay start "what you want built"', code="no_run")
    return run


def ensure_daemon(project: Project) -> bool:
    """Starts the orchestrator of a run that is not over, unless one is there; whether it did. Raises `RelayError`."""
    if holder(project) is not None:
        return False
    from orchestrator.background import start_detached

    run = active_run(project)
    lock = InstanceLock(project)
    lock.acquire()
    start_detached(project, run, lock, confirmed=True)
    return True


def verb(project: Project, word: str, builders: Sequence[str], feedback: str | None = None) -> State:
    """Asks for `skip`, `retry` or `cancel`, whoever has it.

    Raises `RelayError` (`unknown_builder` or `unknown_step`, `too_late`).
    """
    active_run(project)
    state = current(project)
    known = _statuses(project, builders)
    if unknown := [name for name in builders if name not in known]:
        what, names = "builder" if state.workflow == BUILD else "step", _step_ids(project)
        message = f"there is no {what} {unknown[0]}; there are: {', '.join(sorted(names)) or 'none yet'}"
        raise RelayError(message, remedy="relay status", code=f"unknown_{what}")
    if word == "retry":
        _check_retried(project, builders)
    elif late := [name for name in builders if known[name] in MERGED]:
        message = f"{late[0]} is {known[late[0]].value} already"
        raise RelayError(message, remedy="relay cancel", code="too_late")
    if word != "cancel":
        _check_words(project, f"{word} ID" if builders else word, feedback or state.feedback)
    action = " ".join([word, *builders])
    return edit(project, Edit(action_owner=Owner.CODE, action_needed=action, feedback=feedback))


def _statuses(project: Project, names: Sequence[str]) -> dict[str, BuilderStatus]:
    """The statuses of these steps; unknown ones are left out, and so is the worktree that steps share."""
    with _looked(project) as look:
        return look.statuses(name for name in names if name != SHARED_WORKTREE)


def _step_ids(project: Project) -> list[str]:
    with _looked(project) as look:
        return look.step_ids()


@contextmanager
def _looked(project: Project) -> Iterator[Queries]:
    """A look at the run that is not over. Raises `RelayError` (`no_run`)."""
    db, run = _stored(project)
    with db.look(run) as look:
        yield look


def _check_retried(project: Project, builders: Sequence[str]) -> None:
    from orchestrator.engine.handing_back import nothing_to_retry

    run = run_of(project)
    if vain := next((said for name in builders if (said := nothing_to_retry(run, name))), ""):
        raise RelayError(vain, remedy="relay status", code="too_late")


def retry(project: Project, builders: Sequence[str], words: str | None) -> None:
    """Tries again what failed, or the `builders`; while code has the run, the assistants that are held."""
    if not builders and current(project).action_owner is Owner.CODE and _held(project):
        verb(project, "retry", (), feedback=words)
    elif builders:
        verb(project, "retry", builders, feedback=words)
    else:
        hand_back(project, action="retry", feedback=words)


def named(project: Project, words: Sequence[str]) -> tuple[list[str], str | None]:
    """The builders or steps that the first words name, and the others as words for the next action."""
    known = set(_step_ids(project))
    count = next((index for index, word in enumerate(words) if word not in known), len(words))
    return list(words[:count]), " ".join(words[count:]) or None


def cancel(project: Project) -> bool:
    """Ends the run; whether a landing has begun, which may be too late to stop.

    A state.json that Relay did not write is set aside: it might hold this, too. Raises `RelayError`.
    """
    from orchestrator.engine.cancelling import landing

    run = active_run(project)
    with state_lock(project):
        db = RunDB.open_readonly(project.database)
        found = read_raw(project.state_file)
        if db is not None and not isinstance(found, Missing) and not _is_written(found, db, run):
            set_aside(project.state_file)
    begun = landing(run_of(project)) is not None
    verb(project, "cancel", ())
    return begun


def _is_written(found: Raw | Refused, db: RunDB, run: str) -> bool:
    """True if the file is as Relay wrote it, now or at an earlier revision."""
    known = {revision.sha256 for revision in db.revisions(run)}
    return isinstance(found, Raw) and sha256(found.data).hexdigest() in known


def _held(project: Project) -> bool:
    """True if an assistant of the run is held."""
    return bool(run_of(project).engine.holds)


def pause(project: Project, *, freeze_builders: bool) -> None:
    """Holds the run; with `freeze_builders` its processes are frozen until `resume`."""
    active_run(project)
    edit(project, Edit(paused=True))
    if freeze_builders:
        freeze(_targets(project))


def resume(project: Project, *, discard_edit: bool) -> list[str]:
    """Ends a pause, thaws builders, starts the orchestrator if need be; lines that say what was done."""
    if ended := _published_end(project):
        return [ended]
    run = active_run(project)
    done = []
    if discard_edit and isinstance(read_raw(project.state_file), Raw | Refused):
        done.append(f"Set aside: {set_aside(project.state_file)}; the last good state is restored.")
    elif not isinstance(read_raw(project.state_file), Missing) and current(project).paused:
        edit(project, Edit(paused=False))
        done.append("No longer paused.")
    thaw(_targets(project))
    if ensure_daemon(project):
        done.append(f"Going on with {run}.")
    return [*(done or ["The orchestrator is running already."]), "Watch it with: relay status --watch"]


def _published_end(project: Project) -> str:
    """Publishes the end of the newest run where only state.json did not say so yet; a sentence on it, else nothing."""
    db = RunDB.open_readonly(project.database)
    newest = db.latest_run(project.instance_dir.name) if db else None
    if db is None or newest is None or holder(project) is not None:
        return ""
    stored = db.load(newest)
    if not publish_end(project, stored, db.revisions(newest)):
        return ""
    return f"{newest} is over ({stored.row.outcome}); state.json says so now."


def _targets(project: Project) -> dict[str, ProcessIdentity | None]:
    """The processes of the run's jobs, by their marks."""
    run = run_of(project)
    return {f"{run.state.run}/{job.id}": job.process for job in run.ledger.live() if job.process is not None}


def stop(project: Project, *, builders: bool) -> int | None:
    """Ends the orchestrator, and with `builders` what it started; the pid that it had, or None if none was there."""
    pid = holder(project)
    if pid is not None:
        _terminate(pid)
    if builders:
        _stop_builders(project)
    return pid


def _terminate(pid: int) -> None:
    identity = identify(pid)
    if identity is None:
        return
    descriptor = watch_fd(identity)
    os.kill(pid, signal.SIGTERM)
    if descriptor is None:
        return
    try:
        if not select.select([descriptor], [], [], STOP_TIMEOUT_S)[0]:
            message = f"the orchestrator (pid {pid}) did not end within {STOP_TIMEOUT_S:.0f} s"
            raise RelayError(message, remedy=f"kill -9 {pid} && relay resume", code="not_stopping")
    finally:
        os.close(descriptor)


def _stop_builders(project: Project) -> None:
    """Ends the processes of a run whose orchestrator is gone; recorded first, so that no failure is read from it."""
    from lib.events import JobStopping
    from lib.process import now
    from orchestrator.engine.run import apply
    from orchestrator.persistence.run_store import restore, save

    run_name = active_run(project)
    with RunDB.open(project) as db:
        before = restore(db, run_name)
        after = before.copy()
        instant = now()
        events = [JobStopping(job=job.id, reason="stopped") for job in before.ledger.live() if job.process]
        for event in events:
            apply(after, event, instant)
        targets = {f"{run_name}/{job.id}": job.process for job in before.ledger.live() if job.process}
        try:
            save(db, before, after, events, instant)
        except StoreError:  # one of them may keep the database locked
            stop_trees(targets, before.config.stop_grace_s)
            save(db, before, after, events, instant)
    stop_trees(targets, before.config.stop_grace_s)
