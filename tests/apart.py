"""Tests that mount something where that takes namespaces: each in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lib.files.syncing import mounted

#: A user namespace in which its maker is root, with mounts that nobody else sees.
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount")
#: Settings of Debian's, Ubuntu's and any kernel that forbid one.
ALLOWED = (
    "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
    "user.max_user_namespaces=10000"
)
#: Set in such a pytest.
_INSIDE = "TEST_APART"


class Apart(pytest.Item):
    """Takes the place of a test in its collector, under the same name, and runs it in `namespaces`."""

    def __init__(self, *, namespaces: Sequence[str], **item: Any) -> None:
        super().__init__(**item)
        self._namespaces = namespaces

    def runtest(self) -> None:
        inside = {**os.environ, _INSIDE: "1"}
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            inner = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp", self.nodeid]
            done = subprocess.run([*self._namespaces, *inner], cwd=self.config.rootpath, env=inside,
                                  capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)  # fmt: skip
        if done.returncode:
            pytest.fail(refused(done.stderr) or done.stdout + done.stderr, pytrace=False)


def refused(said: str) -> str:
    """The reason and what to type if `unshare` has said that there are no namespaces; else nothing."""
    return f"no user namespace is to be had: {said.strip()}; type: {ALLOWED}" if "unshare:" in said else ""


@cache
def mounts_are_told_apart() -> bool:
    """True if the kernel tells one mount from the next at the same place: from Linux 6.8 on."""
    return not mounted(Path("/")).endswith(" 0")


@cache
def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0


def _needed(fixtures: Collection[str]) -> Sequence[str] | None:
    """The command that makes what a test with these fixtures lacks here, if there is one."""
    if "small_disk" in fixtures and not may_mount():
        return NAMESPACES
    if "powered" in fixtures and may_mount() and not mounts_are_told_apart():
        return ("unshare", "--mount")  # where a power cut makes it look as if the machine was started again
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts such tests apart, in place."""
    if sys.platform != "linux" or _INSIDE in os.environ:
        return
    for at, item in enumerate(items):
        if item.parent and (namespaces := _needed(getattr(item, "fixturenames", ()))):
            items[at] = Apart.from_parent(item.parent, name=item.name, namespaces=namespaces)
