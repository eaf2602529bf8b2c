"""Power cuts, on real file systems with their default options: no file that one emptied is believed, merged or landed.

Many moments: POWER_CUTS=60 python -m pytest tests/faults/test_power.py
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually
from killing import reached
from power import Disk

from lib.git.conflict import accept, stage
from lib.git.land import Landed, land
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import prepare, show, snapshot
from lib.project.paths import find_project

#: How many moments of a run are tried on each file system.
CUTS = int(os.environ.get("POWER_CUTS", "1"))
BUILDERS = [f"b{number}" for number in range(4)]
#: About how many events an undisturbed run has.
EVENTS = 75
LINES = "".join(f"line {number}\n" for number in range(200))


@pytest.fixture
def disk(powered: Disk) -> Disk:
    return powered


@pytest.fixture
def root(disk: Disk) -> Path:
    """A repository on the disk, of files that all hold something, and written out."""
    folder = disk.path / "project"
    folder.mkdir()
    run_git(folder, "init", "-q", "-b", "main")
    (folder / "src").mkdir()
    for number in range(20):
        (folder / "src" / f"{number}.txt").write_text(f"{number}\n{LINES}")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "start")
    os.sync()
    return folder


@pytest.fixture
def relay(root: Path) -> Iterator[Relay]:
    driver = Relay(root)
    yield driver
    driver.end()


def empty(root: Path) -> list[str]:
    """The files of the user's checkout that hold nothing."""
    listed = run_git(root, "ls-files").splitlines()
    return [name for name in listed if not (root / name).read_bytes().strip(b"\0")]


def check_landed(relay: Relay, parts: list[str]) -> None:
    root = relay.root
    sizes = [line.split()[3] for line in run_git(root, "ls-tree", "-r", "-l", "main").splitlines()]
    assert "0" not in sizes
    assert empty(root) == []
    # Or it would write the index again, unsynced, right before the next cut.
    assert run_git(root, "--no-optional-locks", "status", "--porcelain") == ""
    assert [(root / "parts" / f"{name}.txt").read_text() for name in parts] == [f"all of {name}\n" for name in parts]
    assert run_git(root, "fsck", "--no-dangling") == ""


@pytest.mark.parametrize("seed", range(CUTS))
def test_a_power_cut_at_any_moment_costs_no_file(relay: Relay, disk: Disk, tmp_path: Path, seed: int) -> None:
    steps = {
        name: [
            {"write": {f"parts/{name}.txt": f"half of {name}\n"}},
            {"run": f"echo {name} >> src/{number}.txt"},
            {"sleep": 0.05},
            {"write": {f"parts/{name}.txt": f"all of {name}\n"}},
        ]
        for number, name in enumerate(BUILDERS)
    }
    book = playbook(tmp_path / "book", steps, depends={"b3": ["b0", "b1"]}, verify="test -d parts")
    relay.begin(book, "parts", "--yes")
    eventually(partial(reached, relay, random.Random(seed).randrange(5, EVENTS)))  # noqa: S311 - repeatable
    disk.cut()
    if not relay.is_over():
        relay.process("resume")
    relay.over()
    check_landed(relay, BUILDERS)
    disk.cut()
    check_landed(relay, BUILDERS)


def test_what_a_cut_emptied_in_the_middle_of_a_turn_is_no_work(relay: Relay, disk: Disk, tmp_path: Path) -> None:
    cut = tmp_path / "shared" / "cut"
    cut.parent.mkdir()
    first = f"[ -e {cut} ] || {{ echo new > new.txt; echo x > src/1.txt.new; mv src/1.txt.new src/1.txt; touch {cut}.at; sleep 600; }}"  # noqa: E501
    steps = [{"run": first}, {"run": "mkdir -p parts; echo 'all of b0' > parts/b0.txt"}]
    env = {"RELAY_SANDBOX_WRITE": json.dumps([str(cut.parent)])}
    relay.begin(playbook(tmp_path / "book", {"b0": steps}), "parts", "--yes", env=env)
    eventually(cut.with_name("cut.at").exists)
    disk.commit_metadata()
    disk.cut()
    worktree = relay.root / ".project" / "worktrees" / relay.state()["run"] / "b0"
    assert (worktree / "new.txt").stat().st_size == 0
    cut.touch()
    relay.process("resume")
    relay.over()
    check_landed(relay, ["b0"])
    assert not (relay.root / "new.txt").exists()
    assert "a power cut had emptied" in (relay.home / "logs" / "workflow.log").read_text()
    assert rescued(Repo.of(find_project(relay.root)))


def test_an_exit_that_outlived_a_cut_is_no_proof_of_the_work(relay: Relay, disk: Disk, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    waits = f"touch {shared}/at; until [ -e {shared}/go ]; do sleep 0.1; done"
    steps = [{"run": waits}, {"run": "mkdir -p parts; echo 'all of b0' > parts/b0.txt"}]
    env = {"RELAY_SANDBOX_WRITE": json.dumps([str(shared)])}
    relay.begin(playbook(tmp_path / "book", {"b0": steps}), "parts", "--yes", env=env)
    eventually((shared / "at").exists)
    relay.kill()
    (shared / "go").touch()
    [records] = (relay.root / ".git" / "relay").rglob("*-b0-build")
    eventually(lambda: (records / "exit").is_file() and (records / "exit").read_text() == "0\n")
    with (records / "exit").open() as stream:
        os.fsync(stream.fileno())
    disk.cut()
    worktree = relay.root / ".project" / "worktrees" / relay.state()["run"] / "b0"
    assert (worktree / "parts" / "b0.txt").stat().st_size == 0
    assert (records / "exit").read_text() == "0\n"
    relay.process("resume")
    relay.over()
    check_landed(relay, ["b0"])


# --- single steps ---


class Site:
    """A builder's worktree on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repo = Repo.of(find_project(root))
        self.path = root / ".project" / "worktrees" / "run" / "api"
        self.base = run_git(root, "rev-parse", "HEAD")
        (root / ".git" / "info" / "exclude").write_text(".project/\n*.log\n")

    def prepare(self) -> None:
        prepare(self.repo, self.path, "relay/run/api", self.base)

    def snapshot(self) -> str:
        taken = snapshot(self.repo, self.path, "relay/run/api", self.base, author_name="api", message="api")
        return taken.commit

    def hollow(self) -> list[str]:
        files = (file for file in self.path.rglob("*") if file.is_file() and file.name != ".git")
        return sorted(file.name for file in files if not file.read_bytes().strip(b"\0"))


@pytest.fixture
def site(root: Path) -> Site:
    return Site(root)


@pytest.mark.parametrize("again", ["prepare", "show"])
def test_a_worktree_is_whole_once_it_counts_as_made(site: Site, disk: Disk, again: str) -> None:
    if again == "prepare":
        site.prepare()
    else:
        show(site.repo, site.path, site.base)
    disk.commit_metadata()
    disk.cut()
    assert site.hollow() == []
    assert run_git(site.path, "status", "--porcelain") == ""


def test_a_worktree_that_shows_another_commit_is_whole(site: Site, disk: Disk) -> None:
    show(site.repo, site.path, site.base)
    (site.root / "src" / "1.txt").write_text("another\n")
    run_git(site.root, "commit", "-qam", "another")
    show(site.repo, site.path, run_git(site.root, "rev-parse", "HEAD"))
    disk.commit_metadata()
    disk.cut()
    assert site.hollow() == []
    assert (site.path / "src" / "1.txt").read_text() == "another\n"


def test_what_was_collected_is_in_the_worktree_after_a_cut(site: Site, disk: Disk) -> None:
    site.prepare()
    (site.path / "api.txt").write_text("work\n")
    commit = site.snapshot()
    disk.cut()
    assert run_git(site.root, "show", f"{commit}:api.txt") == "work"
    assert (site.path / "api.txt").read_text() == "work\n"


def test_empty_files_that_were_written_before_the_last_step_are_work(site: Site, disk: Disk) -> None:
    site.prepare()
    (site.path / "__init__.py").touch()
    (site.path / "src" / "1.txt").write_text("")
    site.snapshot()
    disk.cut()
    site.prepare()
    assert site.hollow() == ["1.txt", "__init__.py"]
    assert rescued(site.repo) == []


def test_what_a_cut_emptied_is_rescued_and_put_back(site: Site, disk: Disk) -> None:
    site.prepare()
    (site.path / "api.txt").write_text("work\n")
    (site.path / "cache.log").write_text("ignored\n")
    (site.path / "src" / "1.txt").unlink()
    (site.path / "src" / "1.txt").write_text("changed\n")
    disk.commit_metadata()
    disk.cut()
    assert "api.txt" in site.hollow()
    found = prepare(site.repo, site.path, "relay/run/api", site.base).damage
    assert found.removed == ["api.txt"]
    assert found.ignored == ["cache.log"]
    assert (site.path / "src" / "1.txt").read_text() in {f"1\n{LINES}", "changed\n"}
    [kept] = rescued(site.repo)
    assert run_git(site.root, "show", f"{kept.commit}:api.txt") == ""
    site.prepare()
    assert len(rescued(site.repo)) == 1


def test_commits_of_a_builder_that_a_cut_took_are_not_gone_on_from(site: Site, disk: Disk) -> None:
    site.prepare()
    (site.path / "api.txt").write_text("work\n")
    run_git(site.path, "add", "-A")
    run_git(site.path, "commit", "-qm", "mine")
    disk.commit_metadata()
    disk.cut()
    site.prepare()
    (site.path / "api.txt").write_text("work\n")
    assert run_git(site.root, "show", f"{site.snapshot()}:api.txt") == "work"
    assert run_git(site.root, "fsck", "--no-dangling", "--no-reflogs") == ""


def conflict(site: Site) -> tuple[str, str]:
    """Two commits that disagree about a file, the second one merged into the first in the worktree."""
    commits = []
    for name in ("one", "two"):
        run_git(site.root, "switch", "-q", "-c", name, site.base)
        (site.root / "src" / "1.txt").write_text(f"{name}\n")
        (site.root / "src" / f"{name}.txt").write_text(f"{name}\n")
        run_git(site.root, "add", "-A")
        run_git(site.root, "commit", "-qm", name)
        commits.append(run_git(site.root, "rev-parse", "HEAD"))
    run_git(site.root, "switch", "-q", "main")
    stage(site.repo, site.path, *commits)
    return commits[0], commits[1]


def test_a_conflict_that_was_left_is_whole(site: Site, disk: Disk) -> None:
    conflict(site)
    disk.commit_metadata()
    disk.cut()
    assert site.hollow() == []
    assert run_git(site.path, "status", "--porcelain").splitlines() == ["UU src/1.txt", "A  src/two.txt"]


def test_a_resolution_that_a_cut_emptied_is_none(site: Site, disk: Disk) -> None:
    head, theirs = conflict(site)
    for name in ("1.txt", "two.txt"):
        (site.path / "src" / name).unlink()
        (site.path / "src" / name).write_text("two\n")
    disk.commit_metadata()
    disk.cut()
    assert site.hollow() == ["1.txt", "two.txt"]
    [still] = accept(site.repo, site.path, "refs/heads/relay/run/merged", head, theirs, "resolved")
    assert still.startswith("src/1.txt: line 1 is a conflict marker")
    assert (site.path / "src" / "two.txt").read_text() == "two\n"


def landing(site: Site) -> tuple[str, str]:
    """The commit that the user's branch is at, and another one that can land on it."""
    site.prepare()
    (site.path / "api.txt").write_text("work\n")
    (site.path / "src" / "1.txt").write_text("changed\n")
    return site.base, site.snapshot()


def test_the_users_checkout_is_whole_once_it_is_said_that_it_landed(site: Site, disk: Disk) -> None:
    old, new = landing(site)
    assert land(site.repo, "main", old, new, lambda _: None) == Landed(new)
    disk.commit_metadata()
    disk.cut()
    assert empty(site.root) == []
    assert run_git(site.root, "status", "--porcelain") == ""


def test_a_landing_that_was_cut_is_finished_with_whole_files(site: Site, disk: Disk) -> None:
    old, new = landing(site)
    marker = site.root / ".git" / "relay-landing"
    kept: list[bytes] = []
    wait_for: Callable[..., object] = kept.append
    land(site.repo, "main", old, new, wait_for)
    run_git(site.root, "reset", "-q", "--hard", old)
    os.sync()
    # What git had done when the power was cut, which is before anything was written out.
    marker.write_text(json.dumps({"branch": "main", "old": old, "new": new, "mount": "before"}))
    run_git(site.root, "-c", "core.fsync=all", "merge", "-q", "--ff-only", new)
    with marker.open() as stream:
        os.fsync(stream.fileno())
    disk.cut()
    assert "api.txt" in empty(site.root)
    (site.root / "src" / "1.txt").write_text("the user's own\n")
    assert land(site.repo, "main", old, new, lambda _: None) == Landed(new)
    assert empty(site.root) == []
    assert run_git(site.root, "status", "--porcelain") == "M src/1.txt"
    assert not marker.exists()
