"""Ending, freezing and thawing the process trees of jobs. Nothing of a job survives its stop."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from lib.process.identity import mono_s
from lib.process.tree import Member, Targets, Tree, await_ends

if TYPE_CHECKING:
    from lib.jobs import ProcessIdentity

#: How often to look for processes that were started after the first TERM.
RESCAN_S: Final = 0.1
#: For how long to go on killing what does not die: it waits for a device, or belongs to another user.
KILL_TIMEOUT_S: Final = 10.0
FREEZE_ROUNDS: Final = 100
#: For how long to look again where processes come and go faster than they can be read, and nothing is found.
UNCERTAIN_S: Final = 2.0

Survivors = dict[str, list["ProcessIdentity"]]


def stop_trees(targets: Targets, grace_s: float) -> Survivors:
    """Ends all processes of these jobs: TERM to each program, and KILL to what still runs after `grace_s` seconds.

    Returns what could not be killed within 10 s more, by job: nothing, unless it belongs to another user or hangs in
    the kernel. Raises `OSError` without a free descriptor; calling again is harmless.
    """
    tree = Tree(targets)
    deadline = mono_s() + grace_s
    told: set[Member] = set()
    while members := tree.scan():
        for member in members:
            if member not in told and not member.holds:
                _signal(member, signal.SIGTERM)
                _signal(member, signal.SIGCONT)  # a frozen one would not hear it
        told.update(members)
        left_s = deadline - mono_s()
        if left_s <= 0:
            break
        await_ends(members, min(left_s, RESCAN_S))
    return _kill(tree)


def sweep(jobs: Targets | Iterable[str]) -> Survivors:
    """Kills what ended jobs left behind, and returns what could not be killed.

    Best before their shims are reaped: until then nobody else can have the session that their processes are in.
    """
    return _kill(Tree(_targets(jobs)))


def survivors(jobs: Targets | Iterable[str]) -> Survivors:
    """The living processes of jobs, by one look at the machine; jobs without any are left out. Raises `OSError`."""
    tree = Tree(_targets(jobs))
    return tree.by_job(tree.scan())


def _targets(jobs: Targets | Iterable[str]) -> Targets:
    return jobs if isinstance(jobs, Mapping) else dict.fromkeys(jobs)


def freeze(targets: Targets) -> None:
    """Stops all processes of these jobs where they are, until `thaw` or `stop_trees`."""
    _stopped(Tree(targets))


def thaw(targets: Targets) -> None:
    for member in Tree(targets).scan():
        _signal(member, signal.SIGCONT)


def _kill(tree: Tree) -> Survivors:
    """Stops what is there before killing it, so that nothing is forked meanwhile, until nothing is found any more."""
    deadline = mono_s() + KILL_TIMEOUT_S
    seen_mono_s = mono_s()
    members = tree.scan()
    for member in members:
        if member.holds:  # what it holds ends with it, however fast that forks
            _signal(member, signal.SIGKILL)
    while mono_s() < deadline:
        members = _stopped(tree)
        if not members and (tree.is_certain or mono_s() > seen_mono_s + UNCERTAIN_S):
            break
        for member in members:
            _signal(member, signal.SIGKILL)
        await_ends(members, deadline - mono_s())
        if members:
            seen_mono_s = mono_s()
    return tree.by_job(members)


def _stopped(tree: Tree) -> list[Member]:
    """The members, each frozen at the moment it was seen, once a look shows no new one."""
    stopped: set[Member] = set()

    def stop(member: Member) -> None:
        if member in stopped:
            return
        stopped.add(member)
        if member.group is None:
            _signal(member, signal.SIGSTOP)
            return
        # However fast a process forks, its child can't miss a signal to their group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(member.group, signal.SIGSTOP)

    members: list[Member] = []
    for _ in range(FREEZE_ROUNDS):
        known = len(stopped)
        members = tree.scan(stop)
        if len(stopped) == known:
            break
    return members


def _signal(member: Member, number: signal.Signals) -> None:
    """To a process that was seen under this pid a moment ago: too short a time for the pid to be given out again."""
    # It may have ended meanwhile; one of another user's is reported as a survivor.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(member.pid, number)
