"""Landing in every situation of the user's: the branch moves forward or nothing at all happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from strace import python, traced

from lib.errors import RelayError
from lib.git.alone import alone
from lib.git.land import Blocked, Landed, MovedOn, land
from lib.git.run import Repo
from lib.project.paths import find_project

Git = Callable[..., str]


class Site:
    """A project, and a commit to land that changes, removes and adds files."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        for name in ("gone", "other"):
            (root / name).write_text(f"{name}\n")
        (root / ".gitignore").write_text("*.env\n")
        git(root, "add", "-A")
        git(root, "commit", "-qm", "base")
        self.old = git(root, "rev-parse", "HEAD")
        (root / "README.md").write_text("new\n")
        (root / "gone").unlink()
        for name in ("src/added.py", "local.env", "folder/deep"):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(f"{name} of the run\n")
        git(root, "add", "-Af")
        tree = git(root, "write-tree")
        self.new = git(root, "commit-tree", tree, "-p", self.old, "-m", "the run's work")
        git(root, "reset", "-q", "--hard")
        self.repo = Repo.of(find_project(root))
        self.journal: list[Any] = []

    def land(self, branch: str = "main") -> Landed | MovedOn | Blocked:
        return land(self.repo, branch, self.old, self.new, self.journal.append)

    def blocked(self, code: str) -> Blocked:
        """Lands, and holds that nothing has changed."""
        before = self.state()
        done = self.land()
        assert isinstance(done, Blocked), done
        assert done.code == code
        assert self.state() == before
        return done

    def state(self) -> tuple[Any, ...]:
        files = {
            str(file.relative_to(self.root)): file.read_bytes()
            for file in self.root.rglob("*")
            if file.is_file() and ".git" not in file.relative_to(self.root).parts
        }
        return files, self.git(self.root, "for-each-ref"), self.git(self.root, "status", "--porcelain")


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


def test_a_branch_that_is_checked_out_moves_with_its_files(site: Site) -> None:
    (site.root / "other").write_text("user's edit")
    (site.root / "mine").write_text("untracked")
    (site.root / "x.env").write_text("ignored")
    (site.root / "staged").write_text("staged")
    site.git(site.root, "add", "staged")
    assert site.land() == Landed(site.new)
    assert site.git(site.root, "rev-parse", "main") == site.new
    assert site.git(site.root, "status", "--porcelain").splitlines() == ["M other", "A  staged", "?? mine"]
    assert [(site.root / name).read_text() for name in ("other", "mine", "x.env")] == [
        "user's edit", "untracked", "ignored",
    ]  # fmt: skip
    assert (site.root / "local.env").read_text() == "local.env of the run\n"
    assert [entry["old"] for entry in site.journal] == [site.old]
    assert site.land() == Landed(site.new)
    assert not (site.root / ".git" / "relay-landing").exists()


def test_a_branch_that_is_checked_out_nowhere_just_moves(site: Site) -> None:
    site.git(site.root, "switch", "-qc", "elsewhere")
    (site.root / "README.md").write_text("dirty")
    assert site.land() == Landed(site.new)
    assert site.git(site.root, "rev-parse", "main") == site.new
    assert (site.root / "README.md").read_text() == "dirty"


def test_a_branch_that_another_worktree_has_moves_there(site: Site, tmp_path: Path) -> None:
    site.git(site.root, "switch", "-qc", "elsewhere")
    site.git(site.root, "worktree", "add", "-q", str(tmp_path / "theirs"), "main")
    assert site.land() == Landed(site.new)
    assert site.git(tmp_path / "theirs", "status", "--porcelain") == ""
    assert (tmp_path / "theirs" / "README.md").read_text() == "new\n"


def test_a_linked_worktree_as_project_lands_like_any(site: Site, tmp_path: Path) -> None:
    site.git(site.root, "worktree", "add", "-q", "-b", "linked", str(tmp_path / "linked"))
    site.repo = Repo.of(find_project(tmp_path / "linked"))
    assert site.land("linked") == Landed(site.new)
    assert (tmp_path / "linked" / "README.md").read_text() == "new\n"


def test_a_branch_that_moved_on_is_told_and_both_can_be_kept(site: Site) -> None:
    (site.root / "other").write_text("committed meanwhile")
    site.git(site.root, "commit", "-qam", "meanwhile")
    tip = site.git(site.root, "rev-parse", "HEAD")
    assert site.land() == MovedOn(tip)
    assert site.git(site.root, "rev-parse", "main") == tip


def test_a_branch_that_was_deleted_is_told(site: Site) -> None:
    site.git(site.root, "switch", "-q", "--detach")
    site.git(site.root, "branch", "-D", "main")
    assert site.blocked("branch_gone").remedy == f"git branch main {site.old}"


@pytest.mark.parametrize("how", ["edited", "staged"])
def test_changed_files_in_the_way_stay(site: Site, how: str) -> None:
    (site.root / "README.md").write_text("mine\n")
    (site.root / "gone").write_text("mine\n")
    if how == "staged":
        site.git(site.root, "add", "-A")
    done = site.blocked("in_the_way")
    assert done.paths == ["README.md", "gone"]
    assert "changed: README.md, gone" in done.message


@pytest.mark.parametrize(
    ("mine", "kind"),
    [("src/added.py", "untracked"), ("local.env", "ignored"), ("folder", "untracked"), ("folder/deep/er", "untracked")],
)
def test_untracked_and_ignored_files_in_the_way_stay(site: Site, mine: str, kind: str) -> None:
    (site.root / mine).parent.mkdir(parents=True, exist_ok=True)
    (site.root / mine).write_text("mine\n")
    done = site.blocked("in_the_way")
    assert done.paths == [mine]
    assert f"{kind}: {mine}" in done.message


@pytest.mark.parametrize("name", ["local.env", "src/added.py"])
def test_a_folder_where_a_file_is_to_be_is_moved_as_one(site: Site, name: str) -> None:
    (site.root / name).mkdir(parents=True)
    for number in range(500):
        (site.root / name / f"file-{number}").write_text("mine")
    remedy = site.blocked("in_the_way").remedy
    assert len(remedy) < len(str(site.root)) + 100
    subprocess.run(["sh", "-ec", remedy], check=True, capture_output=True)
    assert site.land() == Landed(site.new)
    if name == "local.env":
        assert len(list((site.root / "local.env.mine").iterdir())) == 500


def test_the_remedy_for_what_is_in_the_way_can_be_typed_as_it_stands(site: Site) -> None:
    (site.root / "README.md").write_text("mine\n")
    (site.root / "src" / "added.py").write_text("mine\n")
    (site.root / "local.env").write_text("mine\n")
    subprocess.run(["sh", "-ec", site.blocked("in_the_way").remedy], check=True, capture_output=True)
    assert site.land() == Landed(site.new)
    assert (site.root / "local.env.mine").read_text() == "mine\n"
    assert site.git(site.root, "show", "stash@{0}:README.md") == "mine"
    assert site.git(site.root, "show", "stash@{0}^3:src/added.py") == "mine"


def test_a_rebase_merge_or_bisection_in_progress_is_left_alone(site: Site) -> None:
    git, root = site.git, site.root
    git(root, "bisect", "start", "main")
    assert "git bisect reset" in site.blocked("in_progress").remedy
    git(root, "bisect", "reset")
    git(root, "switch", "-qc", "side")
    (root / "README.md").write_text("side\n")
    git(root, "commit", "-qam", "side")
    git(root, "switch", "-q", "main")
    (root / "README.md").write_text("main\n")
    git(root, "commit", "-qam", "main")
    tip = git(root, "rev-parse", "main")
    site.new = git(root, "commit-tree", f"{site.new}^{{tree}}", "-p", tip, "-m", "on top")
    git(root, "rebase", "side", check=False)
    assert "git rebase --continue" in site.blocked("in_progress").remedy
    git(root, "rebase", "--abort")
    git(root, "merge", "side", check=False)
    assert "git merge --continue" in site.blocked("in_progress").remedy


def test_a_branch_that_two_worktrees_have_is_not_moved_under_either(site: Site, tmp_path: Path) -> None:
    site.git(site.root, "worktree", "add", "-q", "--force", str(tmp_path / "second"), "main")
    assert str(tmp_path / "second") in site.blocked("checked_out_twice").remedy


def test_what_the_user_has_configured_neither_runs_nor_hinders(site: Site, tmp_path: Path) -> None:
    hook = tmp_path / "hooks" / "post-merge"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    hook.chmod(0o755)
    settings = {
        "core.hooksPath": str(hook.parent), "merge.ff": "false", "merge.autoStash": "true",
        "merge.verifySignatures": "true", "branch.main.mergeOptions": "--squash", "commit.gpgsign": "true",
        "core.fsmonitor": f"touch {tmp_path}/ran", "gpg.program": "false", "core.autocrlf": "true",
    }  # fmt: skip
    for name, value in settings.items():
        site.git(site.root, "config", name, value)
    (site.root / "other").write_text("user's edit")
    assert site.land() == Landed(site.new)
    assert (site.root / "other").read_text() == "user's edit"
    assert not (tmp_path / "ran").exists()


# --- what a kill leaves ---


def killed(site: Site, *torn: str) -> None:
    """The work tree after a `git merge` that was killed when it had written the files named, the last one in part."""
    for path in torn:
        (site.root / path).parent.mkdir(exist_ok=True)
        (site.root / path).write_text(site.git(site.root, "show", f"{site.new}:{path}") + "\n")
    (site.root / torn[-1]).write_text((site.root / torn[-1]).read_text()[:3])
    (site.root / ".git" / "index.lock").touch()
    site.journal.clear()
    text = f'{{"branch": "main", "old": "{site.old}", "new": "{site.new}"}}'
    (site.root / ".git" / "relay-landing").write_text(text)


def test_half_written_files_are_rolled_forward_and_the_user_s_stay(site: Site) -> None:
    killed(site, "local.env", "README.md")
    (site.root / "gone").unlink()
    (site.root / "other").write_text("user's edit")
    (site.root / "mine.env").write_text("ignored")
    assert site.land() == Landed(site.new)
    assert site.git(site.root, "status", "--porcelain") == "M other"
    assert (site.root / "mine.env").read_text() == "ignored"
    assert not (site.root / ".git" / "index.lock").exists()


def test_an_edit_made_since_the_kill_stays_and_is_told(site: Site) -> None:
    killed(site, "local.env", "README.md")
    (site.root / "README.md").write_text("user's edit")
    done = site.land()
    assert isinstance(done, Blocked)
    assert done.paths == ["README.md"]
    assert (site.root / "README.md").read_text() == "user's edit"
    assert site.git(site.root, "status", "--porcelain") == "M README.md"
    site.git(site.root, "checkout", "README.md")
    assert site.land() == Landed(site.new)


def test_an_index_that_is_written_already_is_rolled_forward(site: Site) -> None:
    killed(site, "README.md")
    (site.root / ".git" / "index.lock").unlink()
    site.git(site.root, "read-tree", "--reset", "-u", site.new)
    (site.root / "README.md").write_text("edited since")
    assert site.land() == Landed(site.new)
    assert site.git(site.root, "status", "--porcelain") == "M README.md"


def test_without_a_landing_that_was_cut_short_the_beginning_of_a_file_is_the_user_s(site: Site) -> None:
    (site.root / "src" / "added.py").write_text("")
    (site.root / "README.md").write_text("ne")
    assert site.blocked("in_the_way").paths == ["README.md", "src/added.py"]


# --- several at once ---


def test_two_landings_at_the_same_moment_are_as_if_one_after_the_other(site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"touch {gate}.waiting; while [ ! -e {gate} ]; do sleep 0.02; done; cat"
    site.git(site.root, "config", "filter.slow.smudge", waits)
    (site.root / ".git" / "info" / "attributes").write_text("src/added.py filter=slow\n")
    tree = site.git(site.root, "rev-parse", f"{site.new}^{{tree}}")
    later = site.git(site.root, "commit-tree", tree, "-p", site.new, "-m", "another run's work")
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(site.land)
        eventually(Path(f"{gate}.waiting").exists)
        second = threads.submit(land, site.repo, "main", site.old, later, lambda _entry: None)
        with subprocess.Popen(["sh", "-c", f"sleep 0.5; touch {gate}"]):
            assert first.result(60) == Landed(site.new)
        assert second.result(60) == Landed(later)
    assert site.git(site.root, "rev-parse", "main") == later
    assert site.git(site.root, "status", "--porcelain") == ""
    assert not (site.root / ".git" / "relay-landing").exists()


def test_a_landing_that_another_one_keeps_waiting_says_so(site: Site) -> None:
    with alone(site.repo):
        with pytest.raises(RelayError) as caught, alone(site.repo, patience_s=0.1):
            pass
        assert caught.value.code == "landing_busy"
    assert site.land() == Landed(site.new)


def test_the_lock_of_a_killed_landing_is_free(site: Site) -> None:
    holds = "from lib.git.alone import alone\nfrom lib.git.run import Repo\nfrom pathlib import Path\n"
    holds += "root = Path(sys.argv[1])\nwith alone(Repo(root, root / '.git', root / '.git')):\n"
    holds += "    print('held', flush=True)\n    sys.stdin.read()\n"
    with traced(python(holds, site.root)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RelayError), alone(site.repo, patience_s=0):
            pass
        process.kill()
        assert site.land() == Landed(site.new)


def test_only_its_owner_can_hold_the_lock_and_copy_it(site: Site) -> None:
    with alone(site.repo):
        pass
    assert (site.root / ".git" / "relay" / "landing").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("thing", ["folder", "link", "fifo"])
def test_a_lock_that_is_something_else_is_refused_without_hanging(site: Site, tmp_path: Path, thing: str) -> None:
    lock = site.root / ".git" / "relay" / "landing"
    lock.parent.mkdir()
    make = {"folder": lock.mkdir, "link": lambda: lock.symlink_to(tmp_path / "out"), "fifo": lambda: os.mkfifo(lock)}
    make[thing]()
    with pytest.raises(RelayError) as caught:
        site.land()
    assert caught.value.code == "lock_failed"
    assert not (tmp_path / "out").exists()
