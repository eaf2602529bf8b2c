"""Memory that the processes of a job take, and their number."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from lib.process.table import HAS_PROC, read
from lib.process.tree import Targets, Tree

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Footprint(NamedTuple):
    """`memory_bytes` is memory that the processes do not share with a file, `processes` how many they are."""

    memory_bytes: int = 0
    processes: int = 0


def footprint(targets: Targets, *, exact_above_bytes: float = float("inf")) -> dict[str, Footprint]:
    """The footprints of the jobs now, by their marks; their shims and what contains them are not counted.

    Memory that processes share after a fork is counted once for each, unless that makes more than `exact_above_bytes`:
    then it is divided among them, which takes the kernel longer to find out. Without /proc all is 0. Raises `OSError`.
    """
    found = dict.fromkeys(targets, Footprint())
    if not HAS_PROC:
        return found
    shims = {shim.pid for shim in targets.values() if shim}
    pids: dict[str, list[int]] = {mark: [] for mark in targets}
    for member in Tree(targets).scan():
        if member.pid not in shims and not member.holds:
            pids[member.job].append(member.pid)
    for mark, members in pids.items():
        taken = _sum(_anonymous_bytes, members)
        if taken > exact_above_bytes:
            taken = _sum(_proportional_bytes, members)
        found[mark] = Footprint(taken, len(members))
    return found


def _sum(measure: Callable[[int], int], pids: list[int]) -> int:
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            total += measure(pid)
    return total


def _anonymous_bytes(pid: int) -> int:
    """`resident` less `shared` of proc_pid_statm(5)."""
    fields = read(f"/proc/{pid}/statm").split()
    return (int(fields[1]) - int(fields[2])) * _PAGE_BYTES


def _proportional_bytes(pid: int) -> int:
    """`Pss_Anon` of proc_pid_smaps(5), rolled up."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return 0
