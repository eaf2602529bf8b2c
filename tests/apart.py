"""Tests that mount something, for a user who may not: each in a pytest of its own, in namespaces where its user may."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache

import pytest

#: A user namespace in which its maker is root, with mounts that nobody else sees.
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount")
#: Settings of Debian's, Ubuntu's and any kernel that forbid one.
ALLOWED = (
    "sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
    "user.max_user_namespaces=10000"
)


class Apart(pytest.Item):
    """Takes the place of a test in its collector, under the same name."""

    def runtest(self) -> None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            inner = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp", self.nodeid]
            done = subprocess.run([*NAMESPACES, *inner], cwd=self.config.rootpath, capture_output=True, text=True,
                                  check=False, stdin=subprocess.DEVNULL)  # fmt: skip
        if done.returncode:
            pytest.fail(refused(done.stderr) or done.stdout + done.stderr, pytrace=False)


def refused(said: str) -> str:
    """The reason and what to type if `unshare` has said that there are no namespaces; else nothing."""
    return f"no user namespace is to be had: {said.strip()}; type: {ALLOWED}" if "unshare:" in said else ""


@cache
def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0


def moved(items: list[pytest.Item]) -> None:
    """Puts apart the tests with a fixture that mounts, where this process may not."""
    for at, item in enumerate(items):
        if "small_disk" in getattr(item, "fixturenames", ()) and item.parent and not may_mount():
            items[at] = Apart.from_parent(item.parent, name=item.name)
