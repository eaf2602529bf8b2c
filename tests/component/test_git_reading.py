"""Objects are read through git's open processes as a git of its own would read them, by any thread, at any time."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from eventually import eventually
from strace import python

from lib.git import reading
from lib.git.inspect import changed_paths, is_ancestor, resolve
from lib.git.reading import UnreadError, close_unused, find, read, read_commit
from lib.git.run import Repo
from lib.git.trees import blob, complete, tree_of
from lib.project.paths import find_project

Git = Callable[..., str]
REF = "refs/heads/some/branch"


@pytest.fixture
def handle(repo: Path) -> Repo:
    return Repo.of(find_project(repo))


@pytest.fixture
def head(repo: Path, git: Git) -> str:
    git(repo, "branch", "some/branch")
    return git(repo, "rev-parse", "HEAD")


def opened() -> list[int]:
    """The open processes of this one."""
    return [pid for pid, words in _children() if b"cat-file" in words]


def _children() -> Iterator[tuple[int, list[bytes]]]:
    for file in Path("/proc/self/task").glob("*/children"):
        for pid in file.read_text().split():
            with suppress(OSError):  # it has ended meanwhile
                yield int(pid), Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def commit_file(repo: Path, git: Git, name: str, content: str) -> str:
    (repo / name).write_text(content)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", name)
    return git(repo, "rev-parse", "HEAD")


def test_a_commit_and_what_it_names(repo: Path, git: Git, handle: Repo, head: str) -> None:
    git(repo, "commit", "-q", "--allow-empty", "-m", "on")
    on = git(repo, "rev-parse", "HEAD")
    git(repo, "merge", "-q", "--no-ff", "-m", "both", git(repo, "commit-tree", "-p", head, "-m", "x", "HEAD^{tree}"))
    both = git(repo, "rev-parse", "HEAD")
    found = read_commit(handle, both)
    assert found.parents == git(repo, "rev-parse", "HEAD^@").splitlines()
    assert found.tree == tree_of(handle, both) == tree_of(handle, "main") == git(repo, "rev-parse", "HEAD^{tree}")
    assert found.stamp == int(git(repo, "log", "-1", "--format=%ct"))
    assert [is_ancestor(handle, each, both) for each in (head, on, both)] == [True] * 3
    assert not is_ancestor(handle, both, on)
    assert blob(handle, f"{both}:src/app.py") == blob(handle, git(repo, "rev-parse", "HEAD:src/app.py"))
    assert blob(handle, f"{both}:src/app.py") == b"print('hello')\n"


def test_what_is_no_commit_is_not_taken_for_one(repo: Path, git: Git, handle: Repo, head: str) -> None:
    git(repo, "tag", "-am", "a tag", "tagged")
    tree, file = git(repo, "rev-parse", "HEAD^{tree}"), git(repo, "rev-parse", "HEAD:README.md")
    tag = git(repo, "rev-parse", "refs/tags/tagged")
    for other in (tree, file, tag, "main", "0" * 40):
        with pytest.raises(UnreadError):
            read_commit(handle, other)
    assert resolve(handle, tag) == resolve(handle, "refs/tags/tagged") == resolve(handle, REF) == head
    assert [resolve(handle, other) for other in (tree, file, "0" * 40, "refs/heads/none")] == [None] * 4
    assert read(handle, "0" * 40) is None


def test_what_is_packed_is_read_and_what_is_torn_is_not(repo: Path, git: Git, handle: Repo, head: str) -> None:
    file = repo / ".git" / "objects" / head[:2] / head[2:]
    file.chmod(0o644)
    whole = file.read_bytes()
    for torn in (b"", b"\0" * len(whole), whole[:-8]):
        file.write_bytes(torn)
        with pytest.raises(UnreadError):
            read_commit(handle, head)
        assert resolve(handle, REF) is None
    file.write_bytes(whole)
    git(repo, "gc", "-q")
    assert not file.exists()
    assert read_commit(handle, head).tree == git(repo, "rev-parse", "HEAD^{tree}")
    assert resolve(handle, REF) == head


def test_a_name_that_can_not_be_asked_is_left_to_git(repo: Path, git: Git, handle: Repo) -> None:
    name = os.fsdecode(b"latin-\xe9\nline")
    head = commit_file(repo, git, name, "odd")
    for odd in (f"{head}:{name}", f"{head}:a\nb", "HEAD", f"{head[:10]}"):
        with pytest.raises(UnreadError):
            find(handle, odd)
    assert blob(handle, f"{head}:{name}") == b"odd"


def test_a_replaced_object_is_left_to_git(repo: Path, git: Git, handle: Repo, head: str) -> None:
    on = commit_file(repo, git, "new", "new")
    git(repo, "replace", on, head)
    with pytest.raises(UnreadError):
        read_commit(handle, on)
    assert tree_of(handle, on) == git(repo, "rev-parse", f"{head}^{{tree}}")


def test_without_a_session_all_is_left_to_git(
    repo: Path, git: Git, handle: Repo, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_session", None)
    with pytest.raises(UnreadError):
        find(handle, head)
    assert resolve(handle, REF) == head
    assert tree_of(handle, head) == git(repo, "rev-parse", "HEAD^{tree}")
    assert complete(handle, head, head)
    assert not opened()


def test_names_of_sha256_are_left_to_git(tmp_path: Path, git: Git) -> None:
    root = tmp_path / "newer"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(root))
    first, second = (commit_file(root, git, name, name) for name in ("one", "two"))
    newer = Repo.of(find_project(root))
    assert is_ancestor(newer, first, second)
    assert changed_paths(newer, first, second) == [("A", "two")]
    assert complete(newer, second, first)
    assert not opened()


def test_what_was_written_since_is_seen(repo: Path, git: Git, handle: Repo, head: str) -> None:
    assert resolve(handle, REF) == head
    for number in range(3):
        on = commit_file(repo, git, f"file{number}", str(number))
        git(repo, "branch", "-f", "some/branch")
        assert resolve(handle, REF) == on
        git(repo, "gc", "-q", "--prune=now")
        assert read_commit(handle, on).parents == [head]
        assert complete(handle, on, head)
        head = on


def test_what_was_pruned_since_is_missed(repo: Path, git: Git, handle: Repo, head: str) -> None:
    """Also where it was in a pack, which an open git keeps in use after it has been removed."""
    git(repo, "switch", "-q", "--detach")
    gone = commit_file(repo, git, "gone", "gone")
    file = git(repo, "rev-parse", "HEAD:gone")
    git(repo, "gc", "-q")
    assert not (repo / ".git" / "objects" / gone[:2] / gone[2:]).exists()
    assert complete(handle, gone, head)
    assert find(handle, file) == file
    git(repo, "switch", "-q", "main")
    git(repo, "reflog", "expire", "--expire=all", "--all")
    git(repo, "gc", "-q", "--prune=now")
    assert resolve(handle, gone) is None
    assert find(handle, file) is None
    assert read(handle, file) is None
    assert not complete(handle, gone, head)
    assert not [name for pid in opened() for name in _mapped(pid) if "(deleted)" in name]


def _mapped(pid: int) -> list[str]:
    return [line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if ".git/objects" in line]


def test_what_a_repository_borrows_is_read_until_it_is_gone(repo: Path, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--shared", str(repo), str(tmp_path / "borrower"))
    borrower = Repo.of(find_project(tmp_path / "borrower"))
    head = git(repo, "rev-parse", "HEAD")
    assert resolve(borrower, head) == head
    on = commit_file(repo, git, "on", "on")
    assert resolve(borrower, on) == on
    git(repo, "gc", "-q")
    assert resolve(borrower, on) == on
    git(repo, "reset", "-q", "--hard", head)
    git(repo, "reflog", "expire", "--expire=all", "--all")
    git(repo, "gc", "-q", "--prune=now")
    assert resolve(borrower, on) is None


def test_a_repository_that_is_another_one_by_now(repo: Path, git: Git, handle: Repo, head: str, tmp_path: Path) -> None:
    assert resolve(handle, head) == head
    git(repo, "gc", "-q")
    assert resolve(handle, head) == head
    repo.rename(tmp_path / "before")
    git(tmp_path, "init", "-q", str(repo))
    on = commit_file(repo, git, "other", "another one")
    assert resolve(handle, on) == on
    assert resolve(handle, head) is None


def test_it_has_no_other_environment_than_git_of_relay_and_no_builders_folder(
    repo: Path, handle: Repo, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG_PARAMETERS"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.chdir("/")
    there = Repo(repo / "a builder's", repo / ".git" / "worktrees" / "a builder's", handle.common_dir)
    assert resolve(there, head) == head
    (pid,) = opened()
    environ = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"/nowhere" not in environ
    assert b"GIT_NO_LAZY_FETCH=1" in environ
    assert Path(f"/proc/{pid}/cwd").readlink() == repo / ".git"
    assert b"core.hooksPath=/dev/null" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_partial_clone_fetches_nothing_by_it(repo: Path, git: Git, tmp_path: Path) -> None:
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=tree:0", f"file://{repo}", str(tmp_path / "part"))
    part = Repo.of(find_project(tmp_path / "part"))
    head, tree = git(repo, "rev-parse", "HEAD"), git(repo, "rev-parse", "HEAD^{tree}")
    assert read_commit(part, head).tree == tree
    for ask in (find, read):
        with pytest.raises(UnreadError):
            ask(part, tree)
    assert resolve(part, head) == head
    offline = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
    there = subprocess.run(
        ["git", "cat-file", "-e", tree], cwd=part.root, check=False, env=offline, capture_output=True
    )
    assert there.returncode


def test_nothing_else_inherits_its_pipes(handle: Repo, head: str) -> None:
    assert resolve(handle, head) == head
    (pid,) = opened()
    pipes = {str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1)}
    assert all(pipe.startswith("pipe:") for pipe in pipes)
    with subprocess.Popen(["ls", "-l", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False, text=True) as other:
        said, _ = other.communicate()
    assert not [pipe for pipe in pipes if pipe in said]


def test_threads_take_turns(repo: Path, git: Git, handle: Repo, head: str) -> None:
    commits = [head, *(commit_file(repo, git, f"file{number}", str(number)) for number in range(12))]
    trees = {commit: git(repo, "rev-parse", f"{commit}^{{tree}}") for commit in commits}

    def ask(number: int) -> bool:
        commit = commits[number % len(commits)]
        found = read_commit(handle, commit).tree, find(handle, f"{commit}^{{tree}}"[:40]), find(handle, "0" * 40)
        return found == (trees[commit], commit, None)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(800)))
    assert len(opened()) == 2


def test_those_that_nobody_asks_are_ended(
    repo: Path, git: Git, handle: Repo, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(repo / ".git" / "objects" / "pack", (0, 0))  # it was made just now, and may change again
    assert tree_of(handle, head)
    close_unused()
    assert opened()
    git(repo, "repack", "-adq")
    close_unused()
    assert not opened()
    os.utime(repo / ".git" / "objects" / "pack", (0, 0))
    assert tree_of(handle, head)
    close_unused()
    assert opened()
    monkeypatch.setattr(reading, "UNUSED_S", 0.0)
    close_unused()
    assert not opened()
    assert resolve(handle, head) == head


def test_they_end_with_the_session_and_nobody_waits_for_them_longer(handle: Repo, head: str) -> None:
    with reading.reading():
        assert resolve(handle, head) == head
        (pid,) = opened()
        os.kill(pid, signal.SIGSTOP)
        told: list[object] = []

        def ask() -> None:
            try:
                told.append(find(handle, head))
            except UnreadError as error:
                told.append(error)

        waiting = threading.Thread(target=ask)
        waiting.start()
        begun = time.monotonic()
    waiting.join(10)
    assert time.monotonic() - begun < 10
    assert [type(each) for each in told] == [UnreadError]
    assert not opened()


ASKS = """
import time
from pathlib import Path
from lib.git.reading import find, reading
from lib.git.run import Repo
root = Path(sys.argv[1])
with reading():
    find(Repo(root, root / ".git", root / ".git"), sys.argv[2])
    print("asked", flush=True)
    time.sleep(60)
"""


def test_they_end_when_relay_is_killed(repo: Path, head: str) -> None:
    with subprocess.Popen(python(ASKS, repo, head), stdout=subprocess.PIPE, text=True) as relay:
        assert relay.stdout is not None
        assert relay.stdout.readline() == "asked\n"
        (pid,) = (int(each) for each in Path(f"/proc/{relay.pid}/task/{relay.pid}/children").read_text().split())
        relay.kill()
    eventually(lambda: not Path(f"/proc/{pid}").exists())
