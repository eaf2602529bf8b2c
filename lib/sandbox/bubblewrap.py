"""bubblewrap, bwrap(1): namespaces without privileges. Known to work from 0.8 on, which Debian 12 has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from lib.sandbox.policy import Access, Policy

PROGRAM: Final = "bwrap"
PROBE_TIMEOUT_S: Final = 20.0
#: A root that is read-only with all that is mounted below it; devices and processes of its own; no terminal to type
#: into (TIOCSTI); an end to all of it when the shim ends; and no capability, without which root could mount again what
#: it may not write. The switches of the kernel are root's to write all the same, so they are covered.
_NAMESPACES: Final = (
    *("--ro-bind", "/", "/"),
    *("--dev", "/dev"),
    *("--proc", "/proc"),
    "--unshare-pid",
    "--unshare-ipc",
    "--die-with-parent",
    "--new-session",
    *("--cap-drop", "ALL"),
    *("--ro-bind", "/proc/sys", "/proc/sys"),
    *("--ro-bind-try", "/proc/fs", "/proc/fs"),
    *("--ro-bind-try", "/proc/mtrr", "/proc/mtrr"),
    *("--ro-bind-try", "/proc/sysrq-trigger", "/proc/sysrq-trigger"),
)
#: What root is used to when it unpacks an archive or works in the folder of another user.
_ROOTS: Final = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID")
#: A program that is missing is then status 127, and one that can't be run 126, as without a sandbox.
_EXEC: Final = 'exec "$@"'
#: Also sets the most tasks that may be there, by the name that each shell has for it; root has no such limit.
_EXEC_LIMITED: Final = '{ ulimit -u "$0" || ulimit -p "$0"; } 2>/dev/null; exec "$@"'
#: Settings of the kernel that forbid what bubblewrap needs: the value that does, and what to type.
_FORBIDDING: Final = {
    "kernel/unprivileged_userns_clone": ("0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
    "kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "user/max_user_namespaces": ("0", "sudo sysctl -w user.max_user_namespaces=10000"),
}


@dataclass(frozen=True, slots=True)
class SandboxProbe:
    """Result of a check that jobs can be contained here: `version`, or why not and what to type."""

    works: bool
    version: str = ""
    reason: str = ""
    remedy: str = ""


def wrap(argv: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """The command that runs `argv` under `policy`. Pure; parents are mounted before what is below them."""
    mounts: list[str] = []
    for path, access in sorted(policy.access.items(), key=lambda entry: (len(entry[0].parts), entry[0])):
        mounts += _mount(str(path), access, policy)
    shell = ("/bin/sh", "-c", _EXEC, "sh")
    if policy.tasks_max is not None:
        shell = ("/bin/sh", "-c", _EXEC_LIMITED, str(policy.tasks_max))
    capabilities = [part for name in _ROOTS for part in ("--cap-add", name)] if policy.is_root else ()
    return (PROGRAM, *_NAMESPACES, *capabilities, *mounts, "--chdir", str(policy.folder), "--", *shell, *argv)


def _mount(path: str, access: Access, policy: Policy) -> tuple[str, ...]:
    match access:
        case Access.READ:
            return ("--ro-bind", path, path)
        case Access.WRITE:
            return ("--bind", path, path)
        case Access.TEMPORARY:
            return ("--bind", str(policy.scratch), path)
        case Access.MEMORY:
            return ("--size", str(policy.memory_max), "--tmpfs", path)
        case Access.EMPTY:
            return ("--perms", "0555", "--tmpfs", path)
        case Access.NOTHING:
            return ("--ro-bind", "/dev/null", path)


@cache
def probe() -> SandboxProbe:
    """Starts it once, as it is started for jobs. The answer is kept: a job must not change it for those after it."""
    if not sys.platform.startswith("linux"):
        return SandboxProbe(works=False, reason="bubblewrap needs Linux", remedy="relay config set sandbox off")
    if shutil.which(PROGRAM) is None:
        return SandboxProbe(works=False, reason="bubblewrap is not installed", remedy="sudo apt-get install bubblewrap")
    try:
        said = _answer("--version")
        tried = _answer(*_NAMESPACES, "--perms", "0555", "--tmpfs", "/run", "--", "/bin/sh", "-c", ":")
    except (OSError, subprocess.TimeoutExpired) as error:
        return SandboxProbe(works=False, reason=f"bubblewrap could not be started: {error}", remedy="bwrap --version")
    version = said.stdout.strip()
    if tried.returncode == 0:
        return SandboxProbe(works=True, version=version)
    why = (tried.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return SandboxProbe(works=False, version=version, reason=f"{version} does not work here: {why}", remedy=_remedy())


def _answer(*args: str) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, *args]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, errors="replace", timeout=PROBE_TIMEOUT_S
    )


def _remedy() -> str:
    for name, (forbids, remedy) in _FORBIDDING.items():
        file = Path("/proc/sys") / name
        if file.is_file() and file.read_text().strip() == forbids:
            return remedy
    return "bwrap --ro-bind / / --proc /proc --dev /dev --unshare-pid true"
