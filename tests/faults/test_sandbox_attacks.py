"""Attacks by a malicious builder, each without the sandbox, where it works, and in it, where it does not."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from containing import World
from eventually import WAIT_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Shell scripts that change something outside of what a builder may write.
ATTACKS = {
    "removes its .git": "rm -f .git",
    "renames its .git": "mv .git moved",
    "writes into its .git": "echo 'gitdir: /elsewhere' >.git",
    "makes a folder of its .git": 'rm -f .git; mkdir .git && echo "[core]" >.git/config',
    "links its .git elsewhere": 'ln -sf "$ROOT/.git" .git',
    "replaces its whole worktree": 'cd / && mv "$MINE" "$MINE-moved" && mkdir "$MINE"',
    "leads its record elsewhere": 'echo "$OUTSIDE" >"$RECORD/commondir"',
    "moves its HEAD": 'echo "ref: refs/heads/main" >"$RECORD/HEAD"',
    "sets a monitor": 'git config core.fsmonitor "touch $OUTSIDE/pwned"',
    "sets a filter": 'git config filter.x.clean "touch $OUTSIDE/pwned"',
    "sets a hooks folder": 'git config core.hooksPath "$MINE"',
    "sets an ssh command": 'git config core.sshCommand "touch $OUTSIDE/pwned"',
    "sets a configuration of its worktree": 'echo "[core]" >"$RECORD/config.worktree"',
    "adds a hook": 'printf "#!/bin/sh\\n" >"$GIT/hooks/post-checkout" && chmod +x "$GIT/hooks/post-checkout"',
    "adds attributes": 'mkdir -p "$GIT/info" && echo "* filter=x" >"$GIT/info/attributes"',
    "moves the user's branch": 'git update-ref refs/heads/main $(git commit-tree -m evil "HEAD^{tree}")',
    "writes a ref by hand": 'echo 0000000000000000000000000000000000000001 >"$GIT/refs/heads/evil"',
    "commits": "git commit -q --allow-empty -m mine",
    "commits in the user's folder": 'git -C "$ROOT" commit -q --allow-empty -m mine',
    "packs refs": "git pack-refs --all",
    "adds an object": "echo evil | git hash-object -w --stdin",
    "hands the run back": 'echo "{}" >"$STATE"',
    "replaces the state file": 'echo "{}" >new && mv new "$STATE"',
    "writes into the run database": 'echo x >>"$DB"',
    "removes the run database": 'rm -f "$DB"',
    "forges how its job ended": 'echo 0 >"$RECORDS/exit"',
    "writes a configuration": 'echo "verify: touch pwned" >"$ROOT/.project/config.yaml"',
    "writes a handler": 'mkdir -p "$ROOT/.project/phases" && echo >"$ROOT/.project/phases/evil.py"',
    "writes into another worktree": 'echo x >>"$OTHER/README.md"',
    "writes into another's cache": 'echo x >"$OTHER_KEEP/x"',
    "writes into the user's folder": 'echo x >>"$ROOT/README.md"',
    "changes the mode of the user's file": 'chmod 777 "$ROOT/README.md"',
    "writes through a link": 'ln -sf "$ROOT/README.md" link && echo x >>link',
    "writes through a hard link": 'ln "$ROOT/README.md" link && echo x >>link',
    "writes through its own root": 'echo x >>"/proc/self/root$ROOT/README.md"',
    "writes through a parent's root": 'echo x >>"/proc/$PPID/root$ROOT/README.md"',
    "adds to a start file of the shell": "echo 'touch pwned' >>~/.bashrc",
    "makes a start file of the shell": "echo 'touch pwned' >~/.zshenv",
    "makes a program of the user's": "mkdir -p ~/.local/bin && echo >~/.local/bin/git",
    "sets the user's git": 'git config --global core.editor "touch pwned"',
    "makes a key": "echo evil >>~/.ssh/authorized_keys",
    "leaves a file outside": 'echo x >"$OUTSIDE/pwned"',
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.made_in(tmp_path)
    yield made
    made.end()


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_works_without_the_sandbox_changes_nothing_in_it(world: World, attack: str) -> None:
    before = world.evidence()
    inside = world.run(ATTACKS[attack])
    assert world.evidence() == before, inside
    outside = world.run(ATTACKS[attack], contained=False)
    assert world.evidence() != before, outside


#: What has no harmless counterpart outside. Each ends with 0 only if it got through.
FORBIDDEN = {
    "mounts the root again": "mount -o remount,rw /",
    "mounts something over the records": 'mount -t tmpfs none "$RECORDS"',
    "takes a mount away": 'umount -l "$ROOT/.project"',
    "mounts again in namespaces of its own": 'unshare -Urm sh -c "mount -o remount,rw,bind / && touch $OUTSIDE/pwned"',
    "takes a mount away in namespaces of its own": 'unshare -Urm sh -c "umount -l $MINE/.git"',
    "sets a switch of the kernel": "cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern",
    "sets a switch of the machine": "find /sys -type f -writable 2>/dev/null | grep -q .",
    "makes a device": "mknod disk b 8 0",
    "reads a disk": "cat /dev/[svx]d[a-z] | head -c 1 | grep -q .",
    "speaks to a service of the machine": "find /run /var/run/ -type s | grep -q .",
    "reads the user's key": "cat ~/.ssh/id",
    "gets the terminal": ": </dev/tty",
}  # fmt: skip


@pytest.mark.parametrize("attack", FORBIDDEN)
def test_it_is_refused(world: World, attack: str) -> None:
    before = world.evidence()
    done = world.run(FORBIDDEN[attack])
    assert done.returncode != 0, done
    assert world.evidence() == before


def test_it_sees_no_process_but_its_own_and_can_end_none(world: World) -> None:
    victim = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        attacks = f"kill -9 {victim.pid}; kill -9 -{victim.pid}; kill -9 -1 & wait; test ! -e /proc/{victim.pid}/mem"
        world.run(attacks)
        listed = world.run("ls /proc | grep -c '^[0-9]'")
        assert int(listed.stdout) < 8
        assert victim.poll() is None
        assert world.run(f"kill -9 {victim.pid}", contained=False).returncode == 0
        assert victim.wait(WAIT_S) == -signal.SIGKILL
    finally:
        victim.kill()


def test_what_it_leaves_running_ends_with_it(world: World) -> None:
    world.run("setsid env -i sh -c 'sleep 300; touch late' >/dev/null 2>&1 & echo")
    # neither a mark nor a parent would tell of it: only where it works
    eventually(lambda: not [process for process in Path("/proc").glob("[0-9]*") if _works_in(process, world.mine)])


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:  # it has ended, or is another user's
        return False


def test_temporary_files_of_others_are_not_there(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret = tmp_path_factory.mktemp("others") / "secret"
    secret.write_text("of another program\n")
    assert world.run(f"cat {secret}").returncode != 0
    assert world.run("echo x >/tmp/left; echo y >/var/tmp/left2").returncode == 0
    assert (world.scratch / "left").read_text() == "x\n"
    assert not Path("/tmp/left").exists()
    assert not Path("/var/tmp/left2").exists()
