"""Git's open processes are killed, cut off or lie: an answer is the right one, or is left to another git."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from driver import Relay, playbook
from eventually import eventually

from lib.git.reading import UnreadError, find, read, read_commit
from lib.git.run import Repo
from lib.git.run import git as run
from lib.git.trees import blob, complete, tree_of
from lib.project.paths import find_project

Git = Callable[..., str]

#: Stands before git on the path. What `$FAULTY/lie` says is done by an open git, as often as the file has lines.
WRAPPER = r"""#!/bin/sh
case " $* " in *" cat-file --batch"*) ;; *) exec "$FAULTY_GIT" "$@" ;; esac
lie=$(head -n 1 "$FAULTY/lie")
sed -i 1d "$FAULTY/lie"
case $lie in
    "") exec "$FAULTY_GIT" "$@" ;;
    cut) read name; echo "$name" | "$FAULTY_GIT" "$@" | head -c 5000; kill -9 $$ ;;
    nothing) read name; kill -9 $$ ;;
    *) while read name; do printf "$lie"; done ;;
esac
"""


@pytest.fixture
def handle(repo: Path) -> Repo:
    return Repo.of(find_project(repo))


@pytest.fixture
def large(repo: Path, git: Git) -> tuple[str, bytes]:
    """A file that is more than a pipe holds, by its object and its content."""
    content = os.urandom(1_000_000)
    (repo / "large").write_bytes(content)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "large")
    return git(repo, "rev-parse", "HEAD:large"), content


@pytest.fixture
def lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says what the next open processes do instead of answering."""
    real = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
    program = tmp_path / "faulty" / "git"
    program.parent.mkdir()
    program.write_text(WRAPPER)
    program.chmod(0o755)
    monkeypatch.setenv("FAULTY", str(program.parent))
    monkeypatch.setenv("FAULTY_GIT", real)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def say(*what: str) -> None:
        (program.parent / "lie").write_text("".join(f"{each}\n" for each in what))

    say()
    return say


def opened(of: int) -> Iterator[int]:
    for file in Path(f"/proc/{of}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            for pid in file.read_text().split():
                with suppress(OSError):  # it has ended meanwhile
                    if b"\0cat-file\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        yield int(pid)


def kill(of: int) -> int:
    victims = list(opened(of))
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(victims)


def test_one_that_was_killed_is_started_again(repo: Path, git: Git, handle: Repo) -> None:
    head = git(repo, "rev-parse", "HEAD")
    for _ in range(3):
        assert read_commit(handle, head).tree == git(repo, "rev-parse", "HEAD^{tree}")
        assert find(handle, "0" * 40) is None
        assert kill(os.getpid()) == 2


def test_threads_get_right_answers_while_somebody_kills(handle: Repo, large: tuple[str, bytes]) -> None:
    oid, content = large
    over = threading.Event()
    killed = 0

    def ask(_number: int) -> bool:
        with suppress(UnreadError):
            return read(handle, oid) == ("blob", content) and (find(handle, oid), find(handle, "0" * 40)) == (oid, None)
        return True  # it was killed twice in one question

    def disturb() -> None:
        nonlocal killed
        while not over.wait(0.003):
            killed += kill(os.getpid())

    killer = threading.Thread(target=disturb)
    killer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            right = all(pool.map(ask, range(200)))
    finally:
        over.set()
        killer.join()
    assert right
    assert killed > 10
    assert blob(handle, oid) == content


def test_an_answer_that_is_cut_off_is_asked_for_again_once(
    handle: Repo, large: tuple[str, bytes], lies: Callable[..., None]
) -> None:
    oid, content = large
    lies("cut")
    assert read(handle, oid) == ("blob", content)
    assert kill(os.getpid())
    lies("cut", "nothing")
    with pytest.raises(UnreadError):
        read(handle, oid)
    lies("cut", "nothing")
    assert blob(handle, oid) == content  # by another git


@pytest.mark.parametrize("lie", [r"\n", r"x missing\n", r"$name blob\n", r"$name blob 1 2\n", r"$name ambiguous\n"])
def test_what_is_no_answer_is_not_taken_for_one(
    repo: Path, git: Git, handle: Repo, lies: Callable[..., None], lie: str
) -> None:
    head = git(repo, "rev-parse", "HEAD")
    for ask in (find, read):
        lies(lie.replace("$name", head), lie.replace("$name", head))
        with pytest.raises(UnreadError):
            ask(handle, head)
        assert ask(handle, head)
        kill(os.getpid())


def test_another_content_is_not_taken_for_an_objects(
    repo: Path, git: Git, handle: Repo, lies: Callable[..., None]
) -> None:
    tree, head = git(repo, "rev-parse", "HEAD^{tree}"), git(repo, "rev-parse", "HEAD")
    size = len(git(repo, "cat-file", "commit", head)) + 1
    other = git(repo, "cat-file", "commit", head).replace(tree, "0" * 40).replace("\n", r"\n") + r"\n"
    lies(rf"{head} commit {size}\n{other}\n")
    assert tree_of(handle, head) == tree


def test_what_can_not_be_started_is_left_to_another_git(
    repo: Path, git: Git, handle: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(repo, "rev-parse", "HEAD")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        with pytest.raises(UnreadError):
            read_commit(handle, head)
    assert read_commit(handle, head).tree == tree_of(handle, head)


def test_an_open_git_is_nobody_who_holds_a_lock(repo: Path, git: Git, handle: Repo) -> None:
    head = git(repo, "rev-parse", "HEAD")
    assert tree_of(handle, head)
    (repo / ".git" / "index.lock").touch()
    run(handle, "read-tree", "HEAD")
    assert not (repo / ".git" / "index.lock").exists()
    assert list(opened(os.getpid()))


def test_all_is_there_while_a_user_packs(repo: Path, git: Git, handle: Repo) -> None:
    over = threading.Event()

    def pack() -> None:
        while not over.is_set():
            subprocess.run(["git", "gc", "-q"], cwd=repo, capture_output=True, check=False)

    def done(*command: str) -> bool:
        """False if the user's own two commands met at a lock, or in a folder that one of them removed."""
        return subprocess.run(["git", *command], cwd=repo, capture_output=True, check=False).returncode == 0

    packer = threading.Thread(target=pack)
    packer.start()
    try:
        before = git(repo, "rev-parse", "HEAD")
        for number in range(40):
            (repo / "file").write_text(str(number))
            eventually(lambda: done("add", "file"))
            eventually(lambda: done("commit", "-q", "-m", "on", "file"))
            head = git(repo, "rev-parse", "HEAD")
            assert find(handle, head) == head
            assert read_commit(handle, head).parents == [before]
            assert complete(handle, head, before)
            before = head
    finally:
        over.set()
        packer.join()


def test_a_run_lands_while_somebody_kills_them(relay: Relay, tmp_path: Path, git: Git) -> None:
    names = [f"b{number}" for number in range(4)]
    turns = {name: [{"write": {f"{name}.txt": f"{name}\n"}}, {"sleep": 0.2}] for name in names}
    relay.begin(playbook(tmp_path / "book", turns, depends={"b3": ["b0", "b1"]}, verify="true"), "parts", "--yes")
    killed = 0

    def disturbed() -> bool:
        nonlocal killed
        pid = relay.pid()
        killed += kill(pid) if pid else 0
        return relay.is_over()

    eventually(disturbed)
    relay.over()
    assert killed
    assert git(relay.root, "ls-tree", "--name-only", "main", *(f"{name}.txt" for name in names)).split() == [
        f"{name}.txt" for name in names
    ]
    assert git(relay.root, "status", "--porcelain") == ""
    git(relay.root, "fsck", "--strict", "--no-dangling")
