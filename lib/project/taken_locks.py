"""Locks of an instance that one of its own jobs has taken after its orchestrator was killed.

A job has no right to them: it differs from an orchestrator by the mark that each process of a job bears.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.project.paths import Project


def is_taken_by_jobs(project: Project, inode: str | None) -> bool:
    """True if all processes that have the folder of the instance open, or the socket `inode`, belong to its jobs."""
    found = list(_holders(project, inode))
    return bool(found) and all(_is_job(project, pid) for pid in found)


def put_aside(project: Project) -> None:
    """Gives the instance a new folder: a lock on the old one is a lock on nothing. Raises `OSError`."""
    aside = project.instance_dir.with_name(f".taken-{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):  # another command was quicker
        project.instance_dir.rename(aside)


def _holders(project: Project, inode: str | None) -> Iterator[int]:
    names = {str(project.instance_dir), str(project.instance_dir / "state.lock")}
    if inode is not None:
        names.add(f"socket:[{inode}]")
    for name in os.listdir("/proc"):  # noqa: PTH208 - as cheap as can be
        if name.isdecimal() and int(name) != os.getpid() and _has_any(f"/proc/{name}/fd", names):
            yield int(name)


def _has_any(folder: str, names: set[str]) -> bool:
    with suppress(OSError):  # it has ended, or belongs to somebody else
        return any(_target(f"{folder}/{number}") in names for number in os.listdir(folder))  # noqa: PTH208
    return False


def _target(link: str) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - a socket's is no path
    except OSError:  # closed meanwhile
        return ""


def _is_job(project: Project, pid: int) -> bool:
    """True if the process bears the mark of a job that this repository has records of."""
    from lib.process.table import environ_of, mark_in, row

    process = row(pid)
    mark = os.fsdecode(mark_in(environ_of(process) or b"")) if process else ""
    run, _, job = mark.partition("/")
    return bool(run and job and "/" not in job) and project.record_dir(run, job).is_dir()
