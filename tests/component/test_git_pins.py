"""Refs that hold the commits of checkpoints: what they keep, when they go, and what must not rely on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import run_git

from lib.errors import GitError
from lib.git.checkout import Checkout
from lib.git.dropped import keep_dropped
from lib.git.pins import PREFIX, drop_landed, pin
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import prepare, remove, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]


class Site:
    """A project with commits that only the test's own refs hold."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = find_project(root)
        self.repo = Repo.of(self.project)
        (root / ".git" / "info" / "exclude").write_text(".project/\n")
        self.base = self.git("rev-parse", "HEAD")

    def git(self, *args: str) -> str:
        return run_git(self.root, *args)

    def commit(self, name: str) -> str:
        """A commit on the base that adds a file, and that nothing holds."""
        path, branch = self.project.worktree("made", name), f"relay/made/{name}"
        prepare(self.repo, path, branch, self.base)
        (path / name).write_text(f"{name}\n")
        tip = snapshot(self.repo, path, branch, self.base, author_name=name, message=name).commit
        self.git("worktree", "remove", "--force", str(path))
        self.git("branch", "-qD", branch)
        return tip

    def collect(self) -> None:
        self.git("reflog", "expire", "--expire-unreachable=now", "--all")
        self.git("gc", "-q", "--prune=now")

    def pins(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", PREFIX).splitlines()
        return {line.split()[0].removeprefix(PREFIX): line.split()[1] for line in lines}


@pytest.fixture
def site(repo: Path) -> Site:
    return Site(repo)


def test_what_is_pinned_outlives_its_branch_and_the_housekeeping(site: Site) -> None:
    wanted = {"run/1/api": site.commit("api"), "run/1/base": site.base}
    assert pin(site.repo, wanted) == []
    site.collect()
    assert site.git("show", f"{wanted['run/1/api']}:api") == "api"
    assert pin(site.repo, wanted) == []
    assert site.pins() == wanted


def test_any_number_of_commits_takes_one_process(site: Site, tmp_path: Path) -> None:
    wanted = {f"run/{number}/{name}": site.base for number in range(5) for name in ("api", "web", "base")}
    (tmp_path / "trace").mkdir()
    site.git("config", "--global", "trace2.eventTarget", str(tmp_path / "trace"))
    pin(site.repo, wanted)
    assert len(list((tmp_path / "trace").iterdir())) == 1
    pin(site.repo, {})
    assert len(list((tmp_path / "trace").iterdir())) == 1


def test_a_commit_that_is_gone_is_named_and_keeps_no_other_from_being_pinned(site: Site) -> None:
    gone = site.commit("gone")
    site.collect()
    there = site.commit("there")
    assert pin(site.repo, {"run/1/gone": gone, "run/1/there": there}) == ["run/1/gone"]
    assert site.pins() == {"run/1/there": there}


def test_what_can_not_be_pinned_is_an_error_and_leaves_none(site: Site) -> None:
    pin(site.repo, {"run/2": site.base})
    with pytest.raises(GitError):
        pin(site.repo, {"run/1/api": site.base, "run/2/api": site.base})
    assert site.pins() == {"run/2": site.base}


@pytest.mark.parametrize("how", ["merge", "squash"])
def test_pins_are_dropped_once_all_of_their_checkpoint_has_landed(site: Site, how: str) -> None:
    landed, other = site.commit("landed"), site.commit("other")
    early = {"run/1/landed": landed, "run/1/base": site.base}
    late = {"run/2/landed": landed, "run/2/other": other}
    foreign = {"run2/3/base": site.base}
    pin(site.repo, {**early, **late, **foreign})
    assert drop_landed(site.repo, "run", "main") == ([], ["1", "2"])
    if how == "squash":
        site.git("merge", "-q", "--squash", landed)
        site.git("commit", "-qm", "landed")
    else:
        site.git("merge", "-q", landed)
    assert drop_landed(site.repo, "run", "no-such-branch") == ([], ["1", "2"])
    assert drop_landed(site.repo, "run", "main") == (["1"], ["2"])
    assert site.pins() == {**late, **foreign}
    assert drop_landed(site.repo, "run", "main") == ([], ["2"])


def test_work_that_only_a_checkpoint_holds_is_rescued_before_its_branch_goes(site: Site) -> None:
    path, branch = site.project.worktree("run", "api"), "relay/run/api"
    prepare(site.repo, path, branch, site.base)
    (path / "new").write_text("new\n")
    tip = snapshot(site.repo, path, branch, site.base, author_name="api", message="api").commit
    pin(site.repo, {"run/1/api": tip})
    remove(site.repo, path, branch)
    assert [kept.commit for kept in rescued(site.repo)] == [tip]


def test_a_commit_that_a_builder_took_back_is_rescued_although_a_checkpoint_holds_it(site: Site) -> None:
    path, branch = site.project.worktree("run", "api"), "relay/run/api"
    prepare(site.repo, path, branch, site.base)
    (path / "first").write_text("first\n")
    first = snapshot(site.repo, path, branch, site.base, author_name="api", message="first").commit
    pin(site.repo, {"run/1/api": first})
    run_git(path, "reset", "-q", "--hard", site.base)
    (path / "second").write_text("second\n")
    second = snapshot(site.repo, path, branch, site.base, author_name="api", message="second").commit
    keep_dropped(site.repo, Checkout.at(site.repo, path), branch, second, (site.base,))
    assert [kept.commit for kept in rescued(site.repo)] == [first]


def test_a_worktree_inside_of_a_builders_is_rescued_although_a_checkpoint_holds_its_commit(site: Site) -> None:
    path = site.project.worktree("run", "api")
    prepare(site.repo, path, "relay/run/api", site.base)
    run_git(path, "worktree", "add", "-q", "--detach", "inner")
    (path / "inner" / "new").write_text("new\n")
    run_git(path / "inner", "add", "-A")
    run_git(path / "inner", "commit", "-qm", "inner")
    commit = run_git(path / "inner", "rev-parse", "HEAD")
    pin(site.repo, {"run/1/api": commit})
    remove(site.repo, path, "relay/run/api")
    assert commit in [kept.commit for kept in rescued(site.repo)]
