"""The orchestrator: one process per instance, one loop. Each tick observes, decides, commits, then acts.

What it started is believed only once it was observed; what it decided is done only once it was committed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from lib.contracts import PhaseHandler
from lib.errors import RelayError
from lib.events import Event, JobEnded, JobStopping, OrchestratorStarted, OrchestratorStopped, StateEdited
from lib.files.rubbish import sweep_quietly
from lib.files.safe_read import NotPlainError, read_plain
from lib.git.reading import close_unused, reading
from lib.jobs import ProcessIdentity
from lib.logs.sinks import Sinks
from lib.model import Edit, Now
from lib.process import identify, now
from lib.project.lock import InstanceLock, remove_pid, state_lock, write_pid
from lib.project.paths import Project
from lib.project.registry import RegistryEntry, record
from lib.secrets.masking import Masker
from lib.store.rundb import RunDB, StoreError
from orchestrator.diagnostics import Diagnostics
from orchestrator.engine.decide import decide, overdue
from orchestrator.engine.decision import Decision, Seen
from orchestrator.engine.handing_back import legal_actions
from orchestrator.engine.run import Run
from orchestrator.handlers import phase_handlers
from orchestrator.jobs.supervisor import Workers
from orchestrator.persistence.checkpoints import Pins, checkpoint_of
from orchestrator.persistence.outage import Outage
from orchestrator.persistence.project_folders import REPOSITORY_GONE, make_home, sweep_home
from orchestrator.persistence.run_store import restore, save
from orchestrator.persistence.state_restore import publish_beginning
from orchestrator.persistence.state_sync import LOCK_WAIT_S, Handover
from orchestrator.persistence.taking_over import take_over
from orchestrator.pool import Pool
from orchestrator.wake import Wake
from phases.design import DESIGN_FILE

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
POOL_THREADS = 4
CLOSE_TIMEOUT_S = 10.0
#: For how long such a lock is no reason to tell: commands and other orchestrators take it for moments.
BUSY_S = 5.0
LOOK_AGAIN_S = 0.1
TEXT_MAX_BYTES = 10_000_000
BUSY = frozenset({"state_busy", "store_busy"})
#: Another orchestrator has the instance, or there is none to have: this one must go.
NO_PLACE = frozenset({"already_running", REPOSITORY_GONE})


class Daemon:
    """Drives one run to its end, or until it is asked to stop."""

    def __init__(self, project: Project, run: Run, db: RunDB, lock: InstanceLock, wake: Wake) -> None:
        self.project = project
        self.run = run
        self.db = db
        self.lock = lock
        self.wake = wake
        self.handlers: dict[str, PhaseHandler] = phase_handlers(project)
        masker = Masker.from_environ(run.config.env)
        self.log = Diagnostics(run.state.run, run.config.log_level, masker.masked)
        self.pool: Pool[Event | None] = Pool(POOL_THREADS, wake.ring)
        self.workers = Workers(project, self.pool, wake, self.log)
        self.pins = Pins(project, wake, self.log)
        self.handover = Handover(project, db, run)
        self.hold = Outage(project)
        self.sinks = Sinks(project, masker, newest_seq=db.last_seq())
        self.identity = _own_identity()
        self.pending: list[Event] = []
        self.registered: RegistryEntry | None = None
        self.stop_reason = ""
        self.wake_at_mono_s: float | None = None
        self.busy_since_mono_s: float | None = None

    # --- life ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Takes up what an earlier orchestrator left: its processes, its unfinished effects, its state file."""
        make_home(self.project)
        sweep_home(self.project, self.run.state.run)
        sweep_quietly(self.project.worktrees, self.project.orchestrator_log)
        write_pid(self.project, self.identity)
        with suppress(StoreError):  # for people to see; the lock tells it, too
            self.db.set_orchestrator(self.run.state.run, self.identity.model_dump())
        publish_beginning(self.project, self.db, self.run.state.run)
        if self.run.engine.unmade:
            self.pending.append(take_over(self.project, self.db, self.run))
        self.pins.make()
        adopted, found = self.workers.adopt(self.run)
        self.pending += [OrchestratorStarted(pid=os.getpid(), adopted=tuple(adopted)), *found]
        self.log.info("begins", pid=os.getpid(), adopted=len(adopted))

    def serve(self) -> None:
        """Ticks until the run is over and nothing of it runs any more, or until a signal ends it."""
        signals: list[int] = []
        while True:
            self._note_signals(signals)
            self.tick()
            if self.stop_reason or self._is_over():
                break
            signals = self._sleep()
        self._end()

    def tick(self) -> None:
        """One turn: observe, decide, commit, act."""
        instant = now()
        self.pending += [*self.workers.results(), *self.pins.look(instant)]
        try:
            seen = self._observe(instant)
            decision = decide(self.run, seen, self.handlers, instant, self._read)
            committed = self._commit(decision, instant)
        except (RelayError, OSError) as error:
            self.run.ledger.undo()
            self._blocked(error, instant)
            return
        if not committed:
            self.run.ledger.undo()
            return
        self.log.standing("nothing can be decided", None)
        self.hold.lift()
        self.busy_since_mono_s = None
        self._act(decision)
        self.run.ledger.settle()
        self._tell(decision)

    def _blocked(self, error: RelayError | OSError, instant: Now) -> None:
        """Nothing can be decided just now: told if it lasts. Jobs are ended at their limits all the same."""
        if isinstance(error, OSError):
            error = RelayError(f"the system refused it: {error}", remedy="relay doctor", code="system")
        if error.code in NO_PLACE:
            raise error
        self.busy_since_mono_s = self.busy_since_mono_s or instant.mono_s
        if error.code in BUSY and instant.mono_s - self.busy_since_mono_s < BUSY_S:
            self.hold.due_mono_s = instant.mono_s + LOOK_AGAIN_S
        else:
            self.log.standing("nothing can be decided", f"{error.code}: {error.message}")
            self.hold.set(error, instant)
        with suppress(OSError):  # no descriptor to look at the output with: the next tick does
            seen = Seen(facts=tuple(self.pending), output=self.workers.output(self.run, instant))
            for job in overdue(self.run, seen, instant):
                stopping = JobStopping(job=job.id, reason=job.stopping)
                self.pending += [stopping] if stopping not in self.pending else []
                self.workers.stop(self.run, job)

    def _sleep(self) -> list[int]:
        timeout_s = self.run.config.poll_s
        for due_mono_s in (
            self.wake_at_mono_s,
            self.handover.due_mono_s,
            self.hold.due_mono_s,
            self.workers.due_mono_s,
            self.pins.due_mono_s,
        ):
            if due_mono_s is not None:
                timeout_s = min(timeout_s, due_mono_s - now().mono_s)
        ready, signals = self.wake.wait(timeout_s)
        close_unused()
        self.workers.check(self.run, ready)
        return signals

    def _is_over(self) -> bool:
        return self.run.state.outcome is not None and not self.run.ledger.live() and self.pins.idle()

    def _note_signals(self, signals: list[int]) -> None:
        for number in signals:
            self.log.debug("signal", number=number)
            if number in STOPPING:
                self.stop_reason = signal.Signals(number).name
            elif number in {signal.SIGUSR1, signal.SIGUSR2}:
                self.pending.append(StateEdited(edit=Edit(paused=number == signal.SIGUSR1)))

    def _end(self) -> None:
        """Waits for effects that are under way, keeps their results for the next start, and leaves."""
        self.workers.close(CLOSE_TIMEOUT_S)
        if self.stop_reason:
            self.pending.append(OrchestratorStopped(reason=self.stop_reason))
            self.tick()
        self.pins.close(CLOSE_TIMEOUT_S)
        with suppress(StoreError):  # its lock shows that it has gone
            self.db.set_orchestrator(self.run.state.run, None)
        self.log.info("ends", reason=self.stop_reason or "the run is over")
        remove_pid(self.project)

    # --- one tick --------------------------------------------------------------------------------------------------

    def _observe(self, instant: Now) -> Seen:
        make_home(self.project)
        self.lock.keep()
        if not self.project.pid_file.exists():
            write_pid(self.project, self.identity)
        self.handover.watch(self.wake)
        legal = legal_actions(self.run, self.handlers)
        return Seen(
            facts=(*self.pending, *self.handover.observe(self.run, legal, instant)),
            output=self.workers.output(self.run, instant),
        )

    def _commit(self, decision: Decision, instant: Now) -> bool:
        """Writes the decision to the run database, then to state.json; False if that was edited just now.

        Raises `RelayError`.
        """
        self.wake_at_mono_s = decision.wake_at_mono_s
        if not decision.events:
            return True
        design = self._read(DESIGN_FILE) if decision.checkpoint else None
        with state_lock(self.project, timeout_s=LOCK_WAIT_S):
            draft = self.handover.draft(decision.run, instant)
            if draft is None:  # look again at once
                self.wake_at_mono_s = instant.mono_s
                return False
            save(self.db, self.run, draft.run, decision.events, instant, file_bytes=draft.data,
                 checkpoint=checkpoint_of(draft.run, decision.checkpoint, design, instant))  # fmt: skip
            self.run = draft.run
            self.pending = self.handover.publish(draft)
        return True

    def _act(self, decision: Decision) -> None:
        if decision.checkpoint:
            self.pins.make()
        for job in decision.stop:
            self.workers.stop(self.run, job)
        for event in decision.events:
            if isinstance(event, JobEnded):
                self.workers.clear(self.run, event.job)
        if not self.stop_reason:
            for job in decision.start:
                self.workers.start(self.run, job)

    def _tell(self, decision: Decision) -> None:
        """Log and registry are made from what was committed; a failure of theirs stops nothing."""
        if not decision.events:
            return
        try:
            unwritten = self.sinks.catch_up(self.db.events(self.run.state.run, after_seq=self.sinks.last_seq))
        except StoreError as error:  # the next decision's look finds these events, too
            unwritten = error.message
        self.log.standing("a log is not written", unwritten)
        entry = RegistryEntry.of(self.project, self.run.state, self.identity)
        if replace(entry, updated_at=self.registered.updated_at if self.registered else "") != self.registered:
            self.log.standing("the run is not listed", record(entry))
            self.registered = entry

    def _read(self, name: str) -> str | None:
        """A text file of the run's folder."""
        try:
            text = read_plain(self.project.run_dir(self.run.state.run) / name, limit=TEXT_MAX_BYTES)
        except (OSError, NotPlainError):  # the handler tells that it can't be used
            return ""
        return None if text is None else text.decode(errors="replace")


def _own_identity() -> ProcessIdentity:
    identity = identify(os.getpid())
    if identity is None:
        raise RuntimeError("this process can't identify itself")
    return identity


def drive(project: Project, run_name: str, lock: InstanceLock, *, started: Callable[[], None] = lambda: None) -> None:
    """Drives a run in this process until it is over or a signal comes; the lock is held, and released at the end.

    `started` is called once it has taken up what an earlier orchestrator left.
    """
    try:
        with RunDB.open(project, busy_timeout_s=LOCK_WAIT_S) as db, Wake(SIGNALS) as wake, reading():
            daemon = Daemon(project, restore(db, run_name), db, lock, wake)
            daemon.start()
            started()
            daemon.serve()
    finally:
        lock.release()
