"""`kill -9` at the system calls of git's own commands, and of Relay's: doing it again repairs, and loses nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from eventually import WAIT_S, eventually
from strace import output, python

from lib.errors import RelayError
from lib.git.clean import clean_run
from lib.git.conflict import accept, stage
from lib.git.land import Landed, land
from lib.git.merge import merge_builders
from lib.git.reading import reading
from lib.git.rescue import rescued
from lib.git.run import Repo, again
from lib.git.vacate import vacate
from lib.git.worktrees import prepare, remove, show, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]

#: The calls by which git changes what is on disk.
CALLS = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,symlink,symlinkat,write,fsync,chmod"
#: Found before git on the path: its Nth run is killed at the Mth of those calls, and no later one gets to run.
WRAPPER = f"""#!/bin/sh
read runs < "$FAULTY/runs"
read victim call < "$FAULTY/victim"
echo $((runs + 1)) > "$FAULTY/runs"
[ -e "$FAULTY/dead" ] && [ ! -e "$FAULTY/once" ] && kill -9 $$
[ $((runs + 1)) = "$victim" ] || exec "$FAULTY_GIT" "$@"
strace -f -q -o "$FAULTY/log" -e trace={CALLS} -e inject={CALLS}:signal=KILL:when=$call "$FAULTY_GIT" "$@"
status=$?
grep -q 'killed by SIGKILL' "$FAULTY/log" || exit $status
touch "$FAULTY/dead"
kill -9 $$
"""


class Killer:
    """Kills git at one place after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.killed = 0

    def only_once(self) -> None:
        """From now on git alone is killed, as a machine without memory does; Relay lives, and may run others."""
        (self.folder / "once").touch()

    def run(self, task: Callable[[], object], victim: int, call: int) -> bool:
        """True if the task runs git fewer than `victim` times, so that none of its runs was killed."""
        (self.folder / "dead").unlink(missing_ok=True)
        (self.folder / "runs").write_text("0\n")
        (self.folder / "victim").write_text(f"{victim} {call}\n")
        try:
            with reading():  # what stays open is killed now or not at all
                task()
        except RelayError:
            assert (self.folder / "dead").exists()
        self.killed += (self.folder / "dead").exists()
        (self.folder / "dead").unlink(missing_ok=True)
        (self.folder / "victim").write_text("0 0\n")
        return int((self.folder / "runs").read_text()) < victim

    def everywhere(self, attempt: Callable[[int, int], bool], calls: tuple[int, ...], step: int = 1) -> None:
        """Calls `attempt` for each run of git that there is, or each `step`th, and those of `calls` that it makes."""
        for victim in range(1, 60, step):
            for call in calls:
                before = self.killed
                if attempt(victim, call):
                    assert self.killed > len(calls)
                    return
                if self.killed == before:
                    break
        raise AssertionError("it never came to its end")


@pytest.fixture
def killer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Killer]:
    folder = tmp_path / "faulty"
    folder.mkdir()
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(WRAPPER)
    program.chmod(0o755)
    (folder / "runs").write_text("0\n")
    (folder / "victim").write_text("0 0\n")
    real = shutil.which("git")
    assert real is not None
    with monkeypatch.context() as patch:
        patch.setenv("FAULTY", str(folder))
        patch.setenv("FAULTY_GIT", real)
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        yield Killer(folder)


class World:
    """A project that is put back for each attempt to what it was when it was saved."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        self.saved = root.with_name("saved")
        self.base = git(root, "rev-parse", "main")
        self.repo = Repo.of(find_project(root))
        self.path = root / ".project" / "worktrees" / "run" / "api"

    def save(self) -> None:
        shutil.copytree(self.root, self.saved, symlinks=True)

    def fresh(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.saved, self.root, symlinks=True)

    def prepare(self) -> None:
        prepare(self.repo, self.path, "relay/run/api", self.base)

    def snapshot(self) -> str:
        return snapshot(self.repo, self.path, "relay/run/api", self.base, author_name="api", message="api").commit

    def sound(self) -> None:
        self.git(self.root, "fsck", "--strict", "--no-dangling")
        assert not list((self.root / ".git").rglob("*.lock"))


@pytest.fixture
def world(repo: Path, git: Git) -> World:
    (repo / ".git" / "info" / "exclude").write_text(".project/\n*.log\n")
    for name in (".git/hooks", ".git/description"):
        shutil.rmtree(repo / name) if (repo / name).is_dir() else (repo / name).unlink()
    (repo / "large").write_text("0123456789abcdef\n" * 2000)
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "large")
    return World(repo, git)


def test_making_a_worktree(world: World, killer: Killer) -> None:
    world.save()

    def attempt(victim: int, call: int) -> bool:
        world.fresh()
        complete = killer.run(world.prepare, victim, call)
        world.prepare()
        status = world.git(world.path, "status", "--porcelain", "--branch", "--ignored")
        assert status == "## relay/run/api"
        assert rescued(world.repo) == []
        world.sound()
        return complete

    killer.everywhere(attempt, (1, 2, 3, 5, 8))


@pytest.mark.parametrize("left", ["nothing", "work"])
def test_vacating_the_architects_worktree(world: World, killer: Killer, left: str) -> None:
    world.prepare()
    for name in ("notes.txt", "trace.log") if left == "work" else ():
        (world.path / name).write_text("a thought")
    world.save()
    aside = world.root / ".project" / "ignored"

    def vacating() -> list[str]:
        return vacate(world.repo, world.path, "relay/run/api", world.base, aside)

    def attempt(victim: int, call: int) -> bool:
        world.fresh()
        complete = killer.run(vacating, victim, call)
        vacating()
        show(world.repo, world.path, world.base)
        assert world.git(world.path, "status", "--porcelain", "--branch", "--ignored") == "## HEAD (no branch)"
        assert world.git(world.root, "branch", "--list", "relay/*") == ""
        kept = {world.git(world.root, "show", f"{item.commit}:notes.txt") for item in rescued(world.repo)}
        assert kept == ({"a thought"} if left == "work" else set())  # once, or twice with different dates
        assert len(list(aside.rglob("trace.log"))) == len(kept)
        world.sound()
        return complete

    killer.everywhere(attempt, (1, 3))


def test_taking_what_a_builder_left(world: World, killer: Killer) -> None:
    world.prepare()
    (world.path / "api.py").write_text("code")
    (world.path / "README.md").unlink()
    world.save()

    def attempt(victim: int, call: int) -> bool:
        world.fresh()
        complete = killer.run(world.snapshot, victim, call)
        commit = world.snapshot()
        files = world.git(world.root, "ls-tree", "-r", "--name-only", commit).splitlines()
        assert files == ["api.py", "large", "src/app.py"]
        assert world.git(world.path, "status", "--porcelain", "--branch") == "## relay/run/api"
        world.sound()
        return complete

    killer.everywhere(attempt, (1, 3))


@pytest.mark.parametrize("survives", [False, True], ids=["relay too", "git alone"])
def test_merging(world: World, killer: Killer, *, survives: bool) -> None:
    if survives:
        killer.only_once()
    tips = []
    for number in range(2):
        (world.root / f"file{number}").write_text(f"{number}")
        world.git(world.root, "add", "-A")
        world.git(world.root, "commit", "-qm", f"{number}")
        tips.append((f"b{number}", world.git(world.root, "rev-parse", "HEAD"), "title"))
        world.git(world.root, "reset", "-q", "--hard", world.base)
    heads = set()
    world.save()

    def attempt(victim: int, call: int) -> bool:
        world.fresh()

        def merge() -> None:
            done = merge_builders(world.repo, "refs/heads/relay/run/merged", world.base, tips)
            heads.add(done.head)

        complete = killer.run(partial(again, merge) if survives else merge, victim, call)
        if survives:
            world.sound()
        merge()
        world.sound()
        return complete

    killer.everywhere(attempt, (1, 3))
    assert len(heads) == 1


@pytest.mark.parametrize("survives", [False, True], ids=["relay too", "git alone"])
def test_landing_where_the_branch_is_checked_out(world: World, killer: Killer, *, survives: bool) -> None:
    root = world.root
    (root / "large").write_text("fedcba9876543210\n" * 3000)
    (root / "README.md").unlink()
    for name in ("a/new", "z/new"):
        (root / name).parent.mkdir()
        (root / name).write_text("new\n" * 3000)
    world.git(root, "add", "-A")
    world.git(root, "commit", "-qm", "work")
    new = world.git(root, "rev-parse", "HEAD")
    world.git(root, "reset", "-q", "--hard", world.base)
    mine = {"src/app.py": "edited", "a/mine": "untracked", "mine.log": "ignored"}
    for name, text in mine.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    world.save()
    if survives:
        killer.only_once()

    def attempt(victim: int, call: int) -> bool:
        world.fresh()

        def landing() -> object:
            return land(world.repo, "main", world.base, new, lambda _entry: None)

        complete = killer.run(partial(again, landing) if survives else landing, victim, call)
        if survives:
            assert world.git(world.root, "rev-parse", "main") == new
            world.sound()
        assert landing() == Landed(new)
        assert {name: (world.root / name).read_text() for name in mine} == mine
        assert world.git(world.root, "status", "--porcelain").splitlines() == ["M src/app.py", "?? a/mine"]
        world.sound()
        return complete

    killer.everywhere(attempt, (1, 2, 3, 4, 5, 6, 8, 10, 12))


def test_staging_and_accepting_a_conflict(world: World, killer: Killer) -> None:
    sides = []
    for text in ("ours", "theirs"):
        (world.root / "README.md").write_text(f"{text}\n")
        world.git(world.root, "commit", "-qam", text)
        sides.append(world.git(world.root, "rev-parse", "HEAD"))
        world.git(world.root, "reset", "-q", "--hard", world.base)
    ours, theirs = sides
    ref = "refs/heads/relay/run/merged"
    world.git(world.root, "update-ref", ref, ours)
    world.save()

    def attempt(victim: int, call: int) -> bool:
        world.fresh()
        complete = killer.run(lambda: stage(world.repo, world.path, ours, theirs), victim, call)
        stage(world.repo, world.path, ours, theirs)
        assert "<<<<<<< HEAD" in (world.path / "README.md").read_text()
        (world.path / "README.md").write_text("both\n")

        def accepting() -> str | list[str]:
            return accept(world.repo, world.path, ref, ours, theirs, "both")

        complete = killer.run(accepting, victim, call) and complete
        commit = accepting()
        assert world.git(world.root, "show", f"{commit}:README.md") == "both"
        show(world.repo, world.path, str(commit))
        assert world.git(world.path, "status", "--porcelain") == ""
        world.sound()
        return complete

    killer.everywhere(attempt, (2,), step=2)


def test_removing_and_cleaning(world: World, killer: Killer) -> None:
    world.prepare()
    (world.path / "api.py").write_text("code")
    tip = world.snapshot()
    (world.path / "more.py").write_text("uncommitted")
    world.save()

    def attempt(victim: int, call: int) -> bool:
        world.fresh()
        removal = killer.run(lambda: remove(world.repo, world.path, "relay/run/api"), victim, call)
        remove(world.repo, world.path, "relay/run/api")
        kept = [world.git(world.root, "ls-tree", "-r", "--name-only", item.commit) for item in rescued(world.repo)]
        assert any("api.py" in files and "more.py" in files for files in kept)
        world.git(world.root, "branch", "relay/run/api", tip)
        world.git(world.root, "merge", "-q", "--ff-only", tip)
        project = find_project(world.root)
        cleaning = killer.run(lambda: clean_run(world.repo, project, "run", "main"), victim, call)
        clean_run(world.repo, project, "run", "main")
        assert world.git(world.root, "branch", "--list", "relay/*") == ""
        assert world.git(world.root, "worktree", "list").count("\n") == 0
        world.sound()
        return removal and cleaning

    killer.everywhere(attempt, (1,), step=2)


def test_a_git_that_outlives_relay_is_waited_for(world: World, tmp_path: Path) -> None:
    """Relay is killed while its git writes a worktree; the next start finds that git still at it."""
    gate = tmp_path / "gate"
    world.git(
        world.root,
        "config",
        "filter.slow.smudge",
        f"touch {gate}.waiting; while [ ! -e {gate} ]; do sleep 0.02; done; cat",
    )
    (world.root / ".git" / "info" / "attributes").write_text("large filter=slow\n")
    world.git(world.root, "branch", "relay/run/api", world.base)
    command = ["git", "worktree", "add", "--quiet", "--force", str(world.path), "relay/run/api"]
    with subprocess.Popen(command, cwd=world.root) as orphan:
        eventually(Path(f"{gate}.waiting").exists)
        opener = f"sleep 0.5; touch {gate}"
        with subprocess.Popen(["sh", "-c", opener]):
            world.prepare()
        assert orphan.wait(WAIT_S) == 0
    assert world.git(world.path, "status", "--porcelain", "--branch") == "## relay/run/api"
    assert rescued(world.repo) == []


PREPARES = """
from pathlib import Path
from lib.git.run import Repo
from lib.git.worktrees import prepare
from lib.project.paths import find_project

root = Path(sys.argv[1])
prepare(Repo.of(find_project(root)), root / ".project" / "worktrees" / "run" / "api", "relay/run/api", sys.argv[2])
"""


def test_a_git_of_its_own_is_waited_for(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"touch {gate}.waiting; while [ ! -e {gate} ]; do sleep 0.02; done; cat"
    world.git(world.root, "config", "filter.slow.smudge", waits)
    (world.root / ".git" / "info" / "attributes").write_text("large filter=slow\n")
    with subprocess.Popen(python(PREPARES, world.root, world.base)) as relay:
        eventually(Path(f"{gate}.waiting").exists)
        relay.kill()
    with subprocess.Popen(["sh", "-c", f"sleep 0.5; touch {gate}"]):
        world.prepare()
    assert world.git(world.path, "status", "--porcelain", "--branch") == "## relay/run/api"
    assert rescued(world.repo) == []
    world.sound()


#: A builder's whole life; what was done already is done again.
LIFE = """
from pathlib import Path
from lib.git.reading import reading
from lib.git.run import Repo
from lib.git.worktrees import prepare, remove, show, snapshot
from lib.project.paths import find_project

reading().__enter__()
root, base = Path(sys.argv[1]), sys.argv[2]
repo, path = Repo.of(find_project(root)), root / ".project" / "worktrees" / "run" / "api"
print("begun", flush=True)
prepare(repo, path, "relay/run/api", base)
(path / "api.py").write_text("code")
commit = snapshot(repo, path, "relay/run/api", base, author_name="api", message="api").commit
other = path.with_name("merged")
show(repo, other, base)
(other / "mine").write_text("by hand")
show(repo, other, commit)
remove(repo, path, "relay/run/api")
remove(repo, other)
print(commit)
"""


@pytest.mark.parametrize("call", ["rename", "unlink", "unlinkat", "mkdir"])
def test_relay_itself(world: World, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    life = python(LIFE, world.root, world.base)
    world.save()
    killed = 0
    for number in (1, 3, 8):
        world.fresh()
        said = output(life, f"{call}:signal=KILL:when={number}").split()
        if len(said) == 2:
            break
        killed += 1
        commit = output(life).split()[-1]
        kept = [world.git(world.root, "ls-tree", "-r", "--name-only", item.commit) for item in rescued(world.repo)]
        assert any("api.py" in files for files in kept)
        assert any("mine" in files for files in kept)
        assert world.git(world.root, "cat-file", "-t", commit) == "commit"
        assert world.git(world.root, "worktree", "list").count("\n") == 0
        assert list(world.path.parent.iterdir()) == []
        world.sound()
    assert killed
