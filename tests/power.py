"""File systems whose power can be cut: whatever was not written out is gone, as with the mount's default options.

Mounting one takes root and a loop device, and nothing replaces those: the kernel mounts no disk in a user namespace,
and FUSE writes out too much. Anywhere else these tests are skipped, and `.ci/run` names them at its end.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from apart import mounts_are_told_apart
from conftest import MARK
from eventually import eventually

from lib.process.identity import boot_id

#: FS_IOC_SHUTDOWN of linux/fs.h, for ext4 and xfs alike, and its flag for leaving the journal as it is.
_SHUTDOWN, _AS_IT_IS = 0x8004587D, 2
#: Options of mkfs, and the least size that it takes.
KINDS = {"ext4": (["-q", "-F"], "128M"), "xfs": (["-q", "-f"], "300M")}
TYPE = "sudo .venv/bin/python -m pytest tests/faults/test_power.py"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Disk:
    """A new file system at `path`, in a file beside it; it is detached as soon as nothing uses it any more."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._kind = kind
        self._image = path.with_name(f"{path.name}.img")
        options, size = KINDS[kind]
        path.mkdir()
        subprocess.run(["truncate", "-s", size, self._image], check=True)
        subprocess.run([f"/sbin/mkfs.{kind}", *options, self._image], check=True)

    def mount(self) -> None:
        # Two copies of one xfs at once, as long as somebody has a folder of the old one open, are let be.
        options = "loop,nouuid" if self._kind == "xfs" else "loop"
        command = ["mount", "-o", options, str(self._image), str(self.path)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            reason = done.stderr.splitlines()[0] if os.geteuid() == 0 else f"only root mounts {self._kind}"
            pytest.skip(f"{reason}; type: {TYPE}")

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.path], check=True)

    def commit_metadata(self) -> None:
        """Writes the journal out, as any program's fsync(2) does: names are on the disk then, contents are not."""
        with (self.path / "journal").open("w") as stream:
            stream.write("x")
            stream.flush()
            os.fsync(stream.fileno())

    def cut(self) -> None:
        """Cuts the power: nothing more is written, every process that the test started is gone, the disk is back."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("=I", _AS_IT_IS))
        finally:
            os.close(descriptor)
        eventually(self._all_killed)
        self.unmount()
        # A copy: a sandbox that another test has just made may keep the old one mounted for a while.
        after = self._image.with_name(f"{self._image.name}.after")
        subprocess.run(["cp", "--sparse=always", self._image, after], check=True)
        after.replace(self._image)
        self.mount()
        if not mounts_are_told_apart():
            self._restart()

    def _restart(self) -> None:
        """Makes it another start of the machine; the test has mounts of its own, see tests/apart.py."""
        told = self._image.with_name("boot_id")
        told.write_text(f"{uuid.uuid4()}\n")
        subprocess.run(["mount", "--bind", told, _BOOT_ID], check=True)
        told.unlink()
        boot_id.cache_clear()

    def _all_killed(self) -> bool:
        """Kills what the test has started; true if nothing of it still ran.

        A job's environment names its worktree; a command that was forked has its origin's, but works on the disk.
        """
        marks = (f"{MARK}={os.environ[MARK]}".encode(), b"=" + os.fsencode(self.path) + b"/")
        found = False
        for entry in os.scandir("/proc"):
            with suppress(OSError):  # it has ended, or is another user's
                environ = Path(entry.path, "environ").read_bytes() if entry.name.isdigit() else b""
                works_here = entry.name.isdigit() and Path(entry.path, "cwd").readlink().is_relative_to(self.path)
                if works_here or any(mark in environ for mark in marks):
                    os.kill(int(entry.name), signal.SIGKILL)
                    found = True
        return not found


@pytest.fixture(params=KINDS)
def powered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A file system of each kind, mounted."""
    disk = Disk(tmp_path / "disk", request.param)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()
