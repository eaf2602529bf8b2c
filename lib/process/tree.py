"""The processes of a job: its shim and all that descends from it, however far it has moved away.

A process belongs to a job by its mark, `RELAY_JOB` in the environment that it was started with, by its parent, or by
its session; once seen to belong it stays. What sheds all of these before anyone looks (an emptied environment, a
session of its own and a parent that has ended) is found only where a sandbox holds it.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lib.process.identity import boot_id, is_running, mono_s, running_s, watch
from lib.process.table import Row, environ_of, mark_in, row, rows

if TYPE_CHECKING:
    from lib.jobs import ProcessIdentity

#: Jobs by their mark, each with its shim if that is known: then less has to be read, and its session is theirs.
Targets = Mapping[str, "ProcessIdentity | None"]
#: What bubblewrap calls itself. Another program by that name is not asked to end, and killed with the rest.
HOLDER: Final = b"bwrap"
MAX_WATCHED: Final = 64
#: How long to look away where the end of a process can't be watched.
BLIND_MS: Final = 10


class Member(NamedTuple):
    """A process of a job. `group` is None if processes that must be left alone share it.

    One that `holds` others (bubblewrap) ends when they have, and they are killed when it is asked to end.
    """

    pid: int
    start_ticks: int
    job: str
    group: int | None
    program: int = 0
    holds: bool = False

    def is_running(self) -> bool:
        return is_running(self.pid, self.start_ticks)

    def age_key(self) -> tuple[int, int]:
        return self.start_ticks, self.pid


class Tree:
    """Finds the living processes of some jobs, as often as it is asked."""

    def __init__(self, targets: Targets) -> None:
        self._boot_id = boot_id()
        shims = {job: shim for job, shim in targets.items() if shim and shim.boot_id == self._boot_id}
        self._jobs = {os.fsencode(job): job for job in targets}
        self._known = {shim.pid: Member(shim.pid, shim.start_ticks, job, None) for job, shim in shims.items()}
        # No process of a job is older than its shim: if all are known, there is much that need not be read.
        all_known = shims.values() if len(shims) == len(targets) else ()
        self._since = min(all_known, key=lambda shim: (shim.start_ticks, shim.pid), default=None)
        kept = _own_line()
        self._kept = {process.pid for process in kept}
        # Group 0 is one beyond our pid namespace, and to killpg our own.
        self._kept_groups = {0, *(process.group for process in kept)}
        self._found: dict[int, Member] = {}
        self._sessions: dict[int, str] = {}
        self.is_certain = False

    def scan(self, act: Callable[[Member], None] | None = None) -> list[Member]:
        """One look at all processes; `act` is called with each member as soon as it is seen.

        `is_certain` then says that no process came or went in a way that could have hidden a member. Raises `OSError`.
        """
        self._found, self._sessions, self.is_certain = {}, {}, True
        others: list[Row] = []
        again: set[int] = set()
        since = (self._since.pid, running_s(self._since)) if self._since else ()
        for process in rows(again, *since):
            if process is None:
                self.is_certain = False
            elif self._concerns(process):
                job = self._job_of(process) or self._marked(process, again)
                if job is not None:
                    self._add(process, job, act)
                elif process.pid not in again:
                    others.append(process)
        # Pids start over: a child may have been listed before its parent.
        while related := {process: job for process in others if (job := self._job_of(process))}:
            for process, job in related.items():
                self._add(process, job, act)
            others = [process for process in others if process not in related]
        return list(self._found.values())

    def identity(self, member: Member) -> ProcessIdentity:
        from lib.jobs import ProcessIdentity

        return ProcessIdentity(pid=member.pid, start_ticks=member.start_ticks, boot_id=self._boot_id)

    def by_job(self, members: Iterable[Member]) -> dict[str, list[ProcessIdentity]]:
        listed: dict[str, list[ProcessIdentity]] = {}
        for member in members:
            listed.setdefault(member.job, []).append(self.identity(member))
        return listed

    def _concerns(self, process: Row) -> bool:
        if process.kernel or process.pid in self._kept:
            return False
        return self._since is None or process.start_ticks >= self._since.start_ticks

    def _job_of(self, process: Row) -> str | None:
        known = self._known.get(process.pid)
        if known is not None and known.start_ticks == process.start_ticks:
            return known.job
        if process.ppid in self._found:
            return self._found[process.ppid].job
        return self._sessions.get(process.session)

    def _marked(self, process: Row, again: set[int]) -> str | None:
        """The job by the environment; a process that has none just now is to be read `again`."""
        environ = b"" if process.ended else environ_of(process)
        if environ is None:
            again.add(process.pid)
        return self._jobs.get(mark_in(environ)) if environ else None

    def _add(self, process: Row, job: str, act: Callable[[Member], None] | None) -> None:
        self._sessions[process.session] = job
        if process.ended:
            return
        group = None if process.group in self._kept_groups else process.group
        member = Member(process.pid, process.start_ticks, job, group, process.program, process.name == HOLDER)
        self._found[process.pid] = self._known[process.pid] = member
        if act is not None:
            act(member)


def await_ends(members: Sequence[Member], timeout_s: float) -> None:
    """Returns once they have ended, or the first of them if there are very many, or the time is over."""
    deadline = mono_s() + timeout_s
    poll = select.poll()
    waiting: set[int] = set()
    with contextlib.ExitStack() as stack:
        for member in members[:MAX_WATCHED]:
            descriptor = watch(member.pid, member.start_ticks)
            if descriptor is not None:
                stack.callback(os.close, descriptor)
                poll.register(descriptor, select.POLLIN)
                waiting.add(descriptor)
        if members and not waiting:
            poll.poll(BLIND_MS)
        while waiting and (left_s := deadline - mono_s()) > 0:
            for descriptor, _ in poll.poll(left_s * 1000):
                poll.unregister(descriptor)
                waiting.remove(descriptor)


def _own_line() -> list[Row]:
    """This process and its forebears, which a job of an outer Relay may be among."""
    line = []
    pid = os.getpid()
    while (process := row(pid)) is not None and process not in line:
        line.append(process)
        pid = process.ppid
    return line
