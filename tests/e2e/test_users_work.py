"""The user's uncommitted work is, after a run, byte for byte what it was."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook

FILES = 2_000


def fingerprint(root: Path) -> dict[str, str]:
    """Kind, mode and content of everything outside of `.git` and `.project`."""
    found = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in {".git", ".project"}]
        for name in [*folders, *files]:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            content = (
                os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else path.read_bytes() if path.is_file() else b""
            )
            found[str(path.relative_to(root))] = f"{mode:o} {hashlib.sha256(content).hexdigest()}"
    return found


def git_sees(root: Path) -> dict[str, set[str]]:
    """The index, and what git tells of the work tree against it; lines about a branch are not the user's work."""
    return {
        "index": set(run_git(root, "ls-files", "-s", "-z").split("\0")),
        "status": set(run_git(root, "status", "--porcelain=v2", "--ignored", "-z").split("\0")),
        "stash": set(run_git(root, "stash", "list").splitlines()),
    }


@pytest.fixture
def busy(repo: Path) -> Path:
    """2,000 tracked files, and work of every kind that is not committed."""
    for number in range(FILES):
        file = repo / "many" / f"{number % 40}" / f"file {number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"line {number}\n" * 20)
    (repo / "run.sh").write_text("#!/bin/sh\n")
    (repo / ".gitignore").write_text("*.log\nbuild/\n.env\n")
    run_git(repo, "add", "-A")
    run_git(repo, "commit", "-qm", "many files")
    (repo / "stashed.txt").write_text("kept for later\n")
    run_git(repo, "stash", "-qu")
    many = repo / "many"
    (many / "1" / "file 1.txt").write_text("changed, not staged\n")
    (many / "2" / "file 2.txt").write_text("staged\n")
    run_git(repo, "add", "many/2")
    (many / "2" / "file 2.txt").write_text("staged, then changed again\n")
    (many / "3" / "file 3.txt").unlink()
    run_git(repo, "rm", "-q", "many/4/file 4.txt")
    run_git(repo, "mv", "many/5/file 5.txt", "many/5/renamed.txt")
    (repo / "run.sh").chmod(0o755)
    (repo / "new.txt").write_bytes(b"untracked \xff\x00 bytes\r\n")
    (repo / "staged-new.txt").write_text("new and staged\n")
    run_git(repo, "add", "staged-new.txt")
    (repo / "intended.txt").write_text("intent to add\n")
    run_git(repo, "add", "-N", "intended.txt")
    (repo / ".env").write_text("SECRET=1\n")
    (repo / ".env").chmod(0o600)
    (repo / "build").mkdir()
    (repo / "build" / "out.log").write_text("ignored\n")
    (repo / "link").symlink_to("new.txt")
    (repo / "empty").mkdir()
    return repo


def test_uncommitted_staged_untracked_and_ignored_work_is_as_it_was(busy: Path, tmp_path: Path) -> None:
    relay = Relay(busy)
    files, seen = fingerprint(busy), git_sees(busy)
    steps = [{"write": {"landed/one.txt": "1\n"}}, {"append": {"many/9/file 9.txt": "one more line\n"}}]
    relay.begin(playbook(tmp_path / "book", {"one": steps, "two": [{"write": {"landed/two.txt": "2\n"}}]},
                         verify="test -e run.sh"), "parts", "--yes")  # fmt: skip
    relay.over()

    changed = {name for name, what in fingerprint(busy).items() if files.get(name) != what}
    assert changed == {"landed", "landed/one.txt", "landed/two.txt", "many/9/file 9.txt"}
    assert set(files) - set(fingerprint(busy)) == set()
    after = git_sees(busy)
    gone = {line.partition("\t")[2] for line in seen["index"] - after["index"]}
    came = {line.partition("\t")[2] for line in after["index"] - seen["index"]}
    assert (gone, came) == ({"many/9/file 9.txt"}, {"landed/one.txt", "landed/two.txt", "many/9/file 9.txt"})
    assert after["status"] - seen["status"] <= {"! .project/"}
    assert seen["status"] <= after["status"]
    assert seen["stash"] == after["stash"]
    assert run_git(busy, "fsck", "--no-dangling") == ""


@pytest.mark.parametrize("where", ["changed", "staged", "untracked", "ignored"])
def test_work_that_stands_in_the_way_of_landing_is_never_overwritten(busy: Path, tmp_path: Path, where: str) -> None:
    mine = {
        "changed": "many/1/file 1.txt",
        "staged": "staged-new.txt",
        "untracked": "new.txt",
        "ignored": "build/out.log",
    }
    relay = Relay(busy)
    files, seen, head = fingerprint(busy), git_sees(busy), relay.head()
    theirs = [{"write": {mine[where]: "the builder's\n"}}, {"run": f"git add -f '{mine[where]}' 2>/dev/null || true"},
              {"commit": "Everything"}, {"write": {"other.txt": "o\n"}}]  # fmt: skip
    relay.begin(playbook(tmp_path / "book", {"one": theirs}), "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    state = relay.asked("clear_the_way")
    assert mine[where] in state["message"]
    assert fingerprint(busy) == files
    assert git_sees(busy)["index"] == seen["index"]
    assert relay.head() == head

    relay("cancel")
    relay.over("cancelled")
    assert fingerprint(busy) == files
    assert "other.txt" in run_git(busy, "ls-tree", "-r", "--name-only", f"relay/{state['run']}/merged")
