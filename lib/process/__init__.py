"""Processes: starting jobs so that they outlive us, knowing them again, and ending all that they became.

Everything here is synchronous and holds no state: what is to be known of a job is in its folder and in the
system's table of processes.
"""

from lib.process.background import detach, occupy_stdio
from lib.process.capture import await_written
from lib.process.claim import claimed, revoke
from lib.process.environ import environment
from lib.process.footprint import Footprint, footprint
from lib.process.identity import (
    alive,
    boot_id,
    close_watch,
    ended_with,
    identify,
    mono_s,
    now,
    reap,
    running_s,
    watch_fd,
)
from lib.process.recovery import Exited, Lost, NotStarted, Recovered, Running, recover
from lib.process.shim import SpawnFailed, SpawnSpec, exit_status, output_size, spawn
from lib.process.stopping import freeze, stop_trees, survivors, sweep, thaw

__all__ = [
    "Exited",
    "Footprint",
    "Lost",
    "NotStarted",
    "Recovered",
    "Running",
    "SpawnFailed",
    "SpawnSpec",
    "alive",
    "await_written",
    "boot_id",
    "claimed",
    "close_watch",
    "detach",
    "ended_with",
    "environment",
    "exit_status",
    "footprint",
    "freeze",
    "identify",
    "mono_s",
    "now",
    "occupy_stdio",
    "output_size",
    "reap",
    "recover",
    "revoke",
    "running_s",
    "spawn",
    "stop_trees",
    "survivors",
    "sweep",
    "thaw",
    "watch_fd",
]
