"""Leftovers of setup and verify in a worktree are kept apart from what was built there, and never block anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.clean import clean_run
from lib.git.conflict import adopt, stage
from lib.git.look import look, look_before
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import Snapshot, prepare, remove, show, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/api"
RUN_REF = "refs/heads/relay/run/merged"


class Site:
    """A project with one builder's worktree, and that of the merged tree."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        self.project = find_project(root)
        self.repo = Repo.of(self.project)
        self.path = self.project.worktree("run", "api")
        self.merged = self.project.worktree("run", "merged")
        (root / ".git" / "info" / "exclude").write_text(".project/\n*.log\n")
        (root / "lock.json").write_text("{}\n")
        self.commit("lock")

    def commit(self, message: str) -> None:
        self.git(self.root, "add", "-A")
        self.git(self.root, "commit", "-qm", message)
        self.base = self.git(self.root, "rev-parse", "HEAD")

    def prepare(self) -> None:
        prepare(self.repo, self.path, BRANCH, self.base)

    def look(self) -> None:
        look(self.repo, self.path)

    def snapshot(self) -> Snapshot:
        return snapshot(self.repo, self.path, BRANCH, self.base, author_name="api", message="api")

    def show(self, tip: str) -> None:
        self.git(self.root, "update-ref", RUN_REF, tip)
        show(self.repo, self.merged, tip)

    def files(self, commit: str) -> list[str]:
        return self.git(self.root, "ls-tree", "-r", "--name-only", commit).splitlines()

    def clean(self) -> tuple[list[str], dict[str, str]]:
        done = clean_run(self.repo, self.project, "run", "main")
        return [Path(what).name for what in done.removed], {Path(what).name: why for what, why in done.kept}


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


@pytest.fixture
def made(site: Site) -> Site:
    site.prepare()
    return site


def set_up(path: Path) -> None:
    """Of every kind: a link, new files, a tracked file changed, one removed, one replaced by a folder."""
    (path / "node_modules").symlink_to("/usr/share")
    (path / "reports").mkdir(exist_ok=True)
    (path / "reports" / "setup.xml").write_text("<ok/>")
    (path / "lock.json").write_text('{"generated": true}\n')
    (path / "README.md").unlink()
    (path / "src" / "app.py").unlink()
    (path / "src" / "app.py").mkdir()
    (path / "src" / "app.py" / "out").write_text("generated")
    (path / os.fsdecode(b"latin-\xe9\nline")).write_text("name")


def test_what_a_command_left_is_not_the_builders(made: Site) -> None:
    set_up(made.path)
    made.look()
    made.look()
    for name in ("one", "two"):
        (made.path / name).write_text(name)
        taken = made.snapshot()
    assert sorted(taken.changed) == ["one", "two"]
    assert taken.taken_out == []
    assert (made.path / "node_modules").is_symlink()
    assert (made.path / "lock.json").read_text() == '{"generated": true}\n'
    assert made.git(made.root, "diff", "--name-only", made.base, taken.commit).split() == ["one", "two"]


def test_with_nothing_built_there_is_no_commit(made: Site) -> None:
    set_up(made.path)
    made.look()
    assert made.snapshot().commit == made.base


def test_what_the_builder_changed_since_is_its_own(made: Site) -> None:
    set_up(made.path)
    made.look()
    (made.path / "node_modules").unlink()
    (made.path / "node_modules").mkdir()
    (made.path / "node_modules" / "mine.js").write_text("mine")
    (made.path / "lock.json").write_text('{"mine": true}\n')
    (made.path / "reports" / "setup.xml").unlink()
    (made.path / "src" / "app.py" / "mine").write_text("mine")
    taken = made.snapshot()
    assert sorted(taken.changed) == ["lock.json", "node_modules/mine.js", "src/app.py", "src/app.py/mine"]
    (made.path / "lock.json").write_text('{"generated": true}\n')
    assert "lock.json" in made.snapshot().changed  # by now it is the builder's, whatever it holds


def test_what_the_builder_committed_with_all_the_rest_is_taken_out_again(made: Site) -> None:
    set_up(made.path)
    made.look()
    (made.path / "one").write_text("one")
    made.git(made.path, "add", "-A")
    made.git(made.path, "commit", "-qm", "everything")
    taken = made.snapshot()
    assert taken.changed == ["one"]
    assert {"node_modules", "lock.json", "reports/setup.xml"} <= set(taken.taken_out)
    assert made.git(made.root, "log", "--format=%s", f"{made.base}..{taken.commit}").split() == ["api", "everything"]


def test_verifying_leaves_nothing_for_the_next_turn(made: Site) -> None:
    (made.path / "one").write_text("one")
    made.snapshot()
    (made.path / "coverage.xml").write_text("1")
    (made.path / "one").write_text("formatted")
    made.look()
    (made.path / "two").write_text("two")
    taken = made.snapshot()
    assert taken.changed == ["one", "two"]
    assert made.git(made.root, "show", f"{taken.commit}:one") == "one"


def test_a_command_that_cleans_up_leaves_nothing_noted(made: Site) -> None:
    (made.path / "coverage.xml").write_text("1")
    made.look()
    (made.path / "coverage.xml").unlink()
    made.look()
    (made.path / "coverage.xml").write_text("1")
    assert made.snapshot().changed == ["coverage.xml"]


def test_objects_of_a_look_may_be_pruned(made: Site) -> None:
    set_up(made.path)
    made.look()
    made.git(made.root, "gc", "-q", "--prune=now")
    (made.path / "one").write_text("one")
    assert made.snapshot().changed == ["one"]
    made.git(made.root, "fsck", "--strict")


def test_a_worktree_with_leftovers_is_cleaned_away(made: Site) -> None:
    (made.path / "one").write_text("one")
    tip = made.snapshot().commit
    set_up(made.path)
    made.look()
    made.git(made.root, "merge", "-q", "--ff-only", tip)
    made.show(tip)
    (made.merged / "coverage.xml").write_text("1")
    look(made.repo, made.merged)
    assert made.clean() == (["api", "merged", "api", "merged"], {})
    assert rescued(made.repo) == []
    assert not list(made.repo.common_dir.glob("relay/indexes/run/*"))


@pytest.mark.parametrize("change", ["coverage.xml", "lock.json", "new"])
def test_what_somebody_changed_since_keeps_the_worktree(made: Site, change: str) -> None:
    (made.path / "one").write_text("one")
    tip = made.snapshot().commit
    (made.path / "coverage.xml").write_text("1")
    made.look()
    (made.path / change).write_text("mine")
    made.git(made.root, "merge", "-q", "--ff-only", tip)
    removed, kept = made.clean()
    assert removed == []
    assert kept["api"] == "its worktree is kept"
    assert (made.path / change).read_text() == "mine"


def test_only_what_a_person_changed_is_a_mend(made: Site) -> None:
    made.show(made.base)
    set_up(made.merged)
    look(made.repo, made.merged)
    assert adopt(made.repo, made.merged, RUN_REF, "mend") == made.base
    (made.merged / "mended").write_text("by a person")
    (made.merged / "lock.json").write_text("by a person")
    head = adopt(made.repo, made.merged, RUN_REF, "mend")
    assert isinstance(head, str)
    assert sorted(made.git(made.root, "diff", "--name-only", made.base, head).split()) == ["lock.json", "mended"]


def test_what_a_person_commits_is_a_mend_in_any_case(made: Site) -> None:
    made.show(made.base)
    (made.merged / "generated.txt").write_text("1")
    look(made.repo, made.merged)
    made.git(made.merged, "add", "-A")
    made.git(made.merged, "commit", "-qm", "I want this")
    head = adopt(made.repo, made.merged, RUN_REF, "mend")
    assert isinstance(head, str)
    assert "generated.txt" in made.files(head)


def test_leftovers_are_not_rescued_where_another_commit_is_shown(made: Site) -> None:
    made.show(made.base)
    set_up(made.merged)
    look(made.repo, made.merged)
    made.show(made.base)
    assert rescued(made.repo) == []
    assert made.git(made.merged, "status", "--porcelain") == ""
    (made.merged / "node_modules").symlink_to("/usr/share")  # what was noted is over with what was left
    head = adopt(made.repo, made.merged, RUN_REF, "mend")
    assert isinstance(head, str)
    assert "node_modules" in made.files(head)


def test_in_the_middle_of_a_merge_nothing_is_a_leftover(made: Site) -> None:
    (made.path / "lock.json").write_text("theirs")
    theirs = made.snapshot().commit
    (made.root / "lock.json").write_text("ours")
    made.commit("ours")
    stage(made.repo, made.merged, made.base, theirs)
    (made.merged / "lock.json").write_text("resolved")
    look(made.repo, made.merged)
    show(made.repo, made.merged, made.base)
    assert any("lock.json" in made.git(made.root, "show", "--stat", item.commit) for item in rescued(made.repo))


def test_what_a_person_mended_for_setup_to_succeed_is_work(made: Site) -> None:
    set_up(made.path)
    made.look()  # setup failed
    (made.path / "lock.json").write_text("mended")
    (made.path / "mended").write_text("by a person")
    for _ in range(2):
        look_before(made.repo, made.path)
        (made.path / "reports" / "setup.xml").write_text("other")
        made.look()
    assert sorted(made.snapshot().changed) == ["lock.json", "mended"]
    (made.path / "mended").write_text("by verify")
    made.look()
    assert sorted(made.snapshot().changed) == ["lock.json", "mended"]
    assert made.git(made.root, "show", f"{BRANCH}:mended") == "by a person"


# --- worktrees inside of a worktree ---


def test_a_worktree_that_a_tool_made_inside_is_left_out(made: Site) -> None:
    inner = made.path / ".agents" / "one"
    made.git(made.path, "worktree", "add", "-q", "-b", "agent", str(inner))
    (inner / "sub").write_text("committed")
    made.git(inner, "add", "-A")
    made.git(inner, "commit", "-qm", "sub")
    (inner / "open").write_text("not committed")
    (made.path / "one").write_text("one")
    taken = made.snapshot()
    assert taken.changed == ["one"]
    assert taken.nested == []
    made.git(made.root, "merge", "-q", "--ff-only", taken.commit)
    assert made.clean() == (["api", "api"], {})
    assert made.git(made.root, "worktree", "list").count("\n") == 0
    assert "sub" in made.files("agent")
    (kept,) = rescued(made.repo)
    assert ".agents/one" in kept.reason
    assert "open" in made.files(kept.commit)


def test_commits_on_no_branch_of_a_worktree_inside_are_rescued(made: Site) -> None:
    inner = made.path / "inner"
    made.git(made.path, "worktree", "add", "-q", "--detach", str(inner))
    (inner / "sub").write_text("committed")
    made.git(inner, "add", "-A")
    made.git(inner, "commit", "-qm", "sub")
    tip = made.git(inner, "rev-parse", "HEAD")
    remove(made.repo, made.path, BRANCH)
    assert [item.commit for item in rescued(made.repo)] == [tip]
