"""Worktrees of builders: made, taken from whatever state they are left in, shown another commit, removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import Snapshot, prepare, remove, show, snapshot
from lib.project.paths import find_project

Git = Callable[..., str]
BRANCH = "relay/run/api"


class Site:
    """A project with one builder's worktree."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root = root
        self.git = git
        self.repo = Repo.of(find_project(root))
        self.path = root / ".project" / "worktrees" / "run" / "api"
        self.base = git(root, "rev-parse", "HEAD")
        (root / ".git" / "info" / "exclude").write_text(".project/\n*.log\n.env\n")

    def prepare(self) -> None:
        prepare(self.repo, self.path, BRANCH, self.base, include_from=self.root)

    def snapshot(self) -> Snapshot:
        return snapshot(self.repo, self.path, BRANCH, self.base, author_name="api (relay builder)", message="api")

    def files(self, commit: str) -> list[str]:
        return self.git(self.root, "ls-tree", "-r", "--name-only", commit).splitlines()

    def rescued(self) -> list[str]:
        return [self.git(self.root, "show", f"{item.commit}", "--stat", "--format=%s") for item in rescued(self.repo)]


@pytest.fixture
def site(repo: Path, git: Git) -> Site:
    return Site(repo, git)


@pytest.fixture
def made(site: Site) -> Site:
    site.prepare()
    return site


# --- making ---


def test_a_prepared_worktree_is_on_its_branch_and_clean(made: Site) -> None:
    assert made.git(made.path, "symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert made.git(made.path, "status", "--porcelain") == ""
    assert made.git(made.root, "status", "--porcelain") == ""
    assert made.git(made.path, "rev-parse", "HEAD") == made.base


@pytest.mark.parametrize("settings", ["none", "of one work tree"])
def test_it_is_what_git_would_have_made(site: Site, tmp_path: Path, settings: str) -> None:
    if settings != "none":
        site.git(site.root, "sparse-checkout", "set", "--no-cone", "/*", "!src/")
    site.prepare()
    site.git(site.root, "worktree", "add", "-q", str(tmp_path / "theirs"), "-b", "theirs", site.base)
    ours, theirs = (site.root / ".git" / "worktrees" / name for name in ("api", "theirs"))
    for name, own in (("commondir", ""), ("gitdir", f"{site.path}/.git\n"), ("HEAD", f"ref: refs/heads/{BRANCH}\n")):
        assert (ours / name).read_text() == (own or (theirs / name).read_text())
    assert not {file.name for file in ours.iterdir()} - {file.name for file in theirs.iterdir()}
    for question in (("ls-files", "--stage", "-t"), ("sparse-checkout", "list"), ("config", "--worktree", "--list")):
        said = [site.git(path, *question, check=False) for path in (site.path, tmp_path / "theirs")]
        assert said[0] == said[1]
    assert site.git(site.path, "reflog", "--format=%H").split()[0] == site.base
    site.git(site.root, "worktree", "prune", "-v")
    assert site.git(site.root, "worktree", "list", "--porcelain").count("worktree ") == 3
    (site.path / "new").write_text("new")
    site.git(site.path, "add", "new")
    site.git(site.path, "commit", "-qm", "the builder's own")
    site.git(site.root, "fsck", "--strict")
    assert site.snapshot().commit == site.git(site.path, "rev-parse", "HEAD")


def test_preparing_again_keeps_what_is_there(made: Site) -> None:
    (made.path / "partial.py").write_text("work")
    made.prepare()
    assert (made.path / "partial.py").read_text() == "work"
    assert rescued(made.repo) == []


def test_preparing_again_leaves_what_the_builder_has_staged_and_committed(made: Site) -> None:
    (made.path / "one").write_text("1")
    made.git(made.path, "add", "-A")
    made.git(made.path, "commit", "-qm", "mine")
    (made.path / "two").write_text("2")
    made.git(made.path, "add", "-A")
    made.prepare()
    assert made.git(made.path, "status", "--porcelain") == "A  two"


@pytest.mark.parametrize("damage", ["folder", "record", "pointer", "index", "empty folder"])
def test_what_went_missing_is_made_again(made: Site, damage: str) -> None:
    record = made.root / ".git" / "worktrees" / "api"
    match damage:
        case "folder":
            shutil.rmtree(made.path)
        case "record":
            shutil.rmtree(record)
        case "pointer":
            (made.path / ".git").unlink()
        case "index":
            (record / "index").unlink()
        case _:
            shutil.rmtree(made.path)
            made.path.mkdir()
    made.prepare()
    assert made.git(made.path, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    assert (made.path / "src" / "app.py").read_text() == "print('hello')\n"


def test_a_strange_folder_in_the_place_of_a_worktree_is_rescued(site: Site) -> None:
    site.path.mkdir(parents=True)
    (site.path / "thesis.txt").write_text("years of work")
    site.prepare()
    assert not (site.path / "thesis.txt").exists()
    [kept] = rescued(site.repo)
    assert site.git(site.root, "show", f"{kept.commit}:thesis.txt") == "years of work"


def test_a_link_in_the_place_of_a_worktree_leads_nowhere(site: Site, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("mine")
    site.path.parent.mkdir(parents=True)
    site.path.symlink_to(tmp_path / "elsewhere")
    site.prepare()
    assert (tmp_path / "elsewhere" / "mine").read_text() == "mine"
    assert not site.path.is_symlink()


def test_ignored_files_that_are_named_are_copied_and_nothing_else(site: Site, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    (site.root / ".worktreeinclude").write_text(
        "# what builders need\n.env\nconfig/*.log\nlink.log\nplain.txt\nREADME.md\n"
    )
    (site.root / ".env").write_text("KEY=1")
    (site.root / "config").mkdir()
    (site.root / "config" / "a.log").write_text("a")
    (site.root / "other.log").write_text("not named")
    (site.root / "plain.txt").write_text("untracked, not ignored")
    (site.root / "link.log").symlink_to(tmp_path / "secret")
    (site.root / "README.md").write_text("edited by the user")
    site.prepare()
    assert (site.path / ".env").read_text() == "KEY=1"
    assert (site.path / "config" / "a.log").read_text() == "a"
    assert (site.path / "README.md").read_text() == "# Project\n"
    assert not any(os.path.lexists(site.path / name) for name in ("other.log", "plain.txt", "link.log"))
    assert site.git(site.path, "status", "--porcelain") == ""


# --- taking ---


def test_all_that_a_builder_left_becomes_a_commit_of_its_own_name(made: Site) -> None:
    (made.path / "api.py").write_text("code")
    (made.path / "README.md").unlink()
    (made.path / "noise.log").write_text("ignored")
    taken = made.snapshot()
    assert sorted(taken.changed) == ["README.md", "api.py"]
    assert made.git(made.root, "rev-parse", BRANCH) == taken.commit
    assert made.git(made.root, "log", "-1", "--format=%an|%cn|%P", BRANCH) == f"api (relay builder)|Ada|{made.base}"
    assert made.git(made.path, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    assert taken.intact
    assert made.snapshot() == taken


def test_nothing_left_makes_no_commit(made: Site) -> None:
    taken = made.snapshot()
    assert (taken.commit, taken.changed) == (made.base, [])


def test_commits_of_the_builder_are_kept_below_what_it_did_not_commit(made: Site) -> None:
    (made.path / "one").write_text("1")
    made.git(made.path, "add", "-A")
    made.git(made.path, "commit", "-qm", "mine")
    (made.path / "two").write_text("2")
    made.snapshot()
    assert made.git(made.root, "log", "--format=%s", BRANCH).splitlines() == ["api", "mine", "start"]


@pytest.mark.parametrize("where", [("--detach",), ("-c", "elsewhere")])
def test_commits_made_off_the_branch_come_onto_it(made: Site, where: tuple[str, ...]) -> None:
    made.git(made.path, "switch", "-q", *where)
    (made.path / "one").write_text("1")
    made.git(made.path, "add", "-A")
    made.git(made.path, "commit", "-qm", "aside")
    made.snapshot()
    assert made.git(made.root, "log", "--format=%s", BRANCH).splitlines() == ["aside", "start"]
    assert made.git(made.path, "symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"


def test_commits_that_the_builder_threw_away_are_rescued(made: Site) -> None:
    (made.path / "one").write_text("1")
    first = made.snapshot()
    made.git(made.path, "reset", "-q", "--hard", made.base)
    (made.path / "two").write_text("2")
    made.git(made.path, "add", "-A")
    made.git(made.path, "commit", "-qm", "again")
    made.git(made.root, "update-ref", f"refs/heads/{BRANCH}", first.commit)
    made.git(made.path, "switch", "-q", "--detach", made.git(made.path, "rev-parse", "HEAD"))
    (made.path / "one").unlink(missing_ok=True)
    (made.path / "two").write_text("2")
    made.git(made.path, "checkout", "-q", "--orphan", "lost")
    made.git(made.path, "commit", "-qam", "orphan")
    orphan = made.git(made.path, "rev-parse", "HEAD")
    taken = made.snapshot()
    assert "one" not in made.files(taken.commit)
    assert "two" in made.files(taken.commit)
    assert made.git(made.root, "merge-base", "--is-ancestor", first.commit, taken.commit) == ""
    assert orphan in {item.commit for item in rescued(made.repo)}


def test_a_branch_that_was_deleted_or_moved_away_is_made_again(made: Site) -> None:
    (made.path / "one").write_text("1")
    made.git(made.root, "update-ref", "-d", f"refs/heads/{BRANCH}")
    taken = made.snapshot()
    assert made.git(made.root, "rev-parse", f"{BRANCH}^") == made.base
    assert taken.changed == ["one"]


@pytest.mark.parametrize("committed", [False, True])
def test_a_repository_within_is_taken_as_the_files_it_consists_of(made: Site, committed: bool) -> None:
    inner = made.path / "new" / "web"
    (inner / "deep").mkdir(parents=True)
    (made.path / ".gitignore").write_text("*.secret\n")
    (inner / ".gitignore").write_text("dist/\n")
    for name in ("index.js", "deep/page.js", "key.secret"):
        (inner / name).write_text(name)
    (inner / "dist").mkdir()
    (inner / "dist" / "out.js").write_text("built")
    for folder in (inner / "deep", inner):
        made.git(folder, "init", "-q")
        if committed:
            made.git(folder, "add", "-A")
            made.git(folder, "commit", "-qm", "inner")
    taken = made.snapshot()
    assert sorted(taken.changed) == [".gitignore", "new/web/.gitignore", "new/web/deep/page.js", "new/web/index.js"]
    assert sorted(taken.nested) == ["new/web", "new/web/deep"]
    (inner / "index.js").write_text("changed")
    again = made.snapshot()
    assert made.git(made.root, "show", f"{again.commit}:new/web/index.js") == "changed"


def test_a_folder_with_tracked_files_that_became_a_repository_is_still_taken(made: Site) -> None:
    made.git(made.path / "src", "init", "-q")
    (made.path / "src" / "app.py").write_text("changed")
    (made.path / "src" / "new.py").write_text("new")
    assert sorted(made.snapshot().changed) == ["src/app.py", "src/new.py"]


def test_the_worktree_s_own_git_may_have_been_replaced(made: Site, tmp_path: Path) -> None:
    touched = tmp_path / "ran"
    (made.path / ".git").unlink()
    made.git(made.path, "init", "-q")
    made.git(made.path, "config", "core.fsmonitor", f"touch {touched}")
    made.git(made.path, "config", "filter.evil.clean", f"touch {touched}; cat")
    (made.path / ".gitattributes").write_text("* filter=evil\n")
    (made.path / "api.py").write_text("code")
    taken = made.snapshot()
    assert not taken.intact
    assert not touched.exists()
    assert sorted(taken.changed) == [".gitattributes", "api.py"]
    assert made.git(made.path, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    assert list((made.root / ".git" / "relay" / "indexes" / "run").glob("api-replaced-git-1/config"))


def test_nothing_runs_in_a_submodule_whose_repository_was_replaced(site: Site, tmp_path: Path) -> None:
    library, touched = tmp_path / "library", tmp_path / "ran"
    library.mkdir()
    site.git(library, "init", "-q")
    (library / "f").write_text("f")
    site.git(library, "add", "-A")
    site.git(library, "commit", "-qm", "lib")
    site.git(site.root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    site.git(site.root, "commit", "-qam", "submodule")
    site.base = site.git(site.root, "rev-parse", "HEAD")
    site.prepare()
    assert site.snapshot().changed == []
    evil = site.path / "lib"
    site.git(evil, "init", "-q")
    (evil / ".gitattributes").write_text("* filter=evil\n")
    (evil / "f").write_text("g")
    site.git(evil, "add", "-A")
    site.git(evil, "commit", "-qm", "evil")
    site.git(evil, "config", "filter.evil.clean", f"touch {touched}; cat")
    site.git(evil, "config", "core.fsmonitor", f"touch {touched}")
    (evil / "f").write_text("h")
    for _ in range(2):
        taken = site.snapshot()
        assert taken.changed == []
        assert taken.links == ["lib"]
    assert not touched.exists()


def test_files_put_into_an_empty_submodule_are_not_lost(site: Site) -> None:
    site.git(site.root, "update-index", "--add", "--cacheinfo", f"160000,{site.base},vendor")
    site.git(site.root, "commit", "-qm", "a gitlink")
    site.base = site.git(site.root, "rev-parse", "HEAD")
    site.prepare()
    (site.path / "vendor").mkdir(exist_ok=True)
    (site.path / "vendor" / "patch.c").write_text("x")
    taken = site.snapshot()
    assert taken.nested == ["vendor"]
    assert "vendor/patch.c" in site.files(taken.commit)


def test_names_of_every_kind_are_taken(made: Site) -> None:
    names = ["-d", "--output=F", "two\nlines", "ünï çödé", "tab\there", '"quoted"', ":(exclude)x", "*", " lead"]
    for name in names:
        (made.path / name).write_text(name)
    raw = os.fsencode(made.path) + b"/latin-\xe9"
    Path(os.fsdecode(raw)).write_bytes(b"x")
    assert sorted(made.snapshot().changed) == sorted([*names, "latin-\udce9"])


def test_a_builder_in_the_middle_of_a_merge_is_taken_and_the_merge_ended(made: Site) -> None:
    made.git(made.root, "switch", "-qc", "side")
    (made.root / "README.md").write_text("side\n")
    made.git(made.root, "commit", "-qam", "side")
    (made.path / "README.md").write_text("builder\n")
    made.git(made.path, "commit", "-qam", "builder")
    made.git(made.path, "merge", "side", check=False)
    (made.path / "README.md").write_text("both\n")
    made.snapshot()
    assert made.git(made.root, "show", f"{BRANCH}:README.md") == "both"
    assert made.git(made.path, "status") == f"On branch {BRANCH}\nnothing to commit, working tree clean"


# --- showing, removing ---


def test_another_commit_is_shown_and_what_was_left_is_rescued(site: Site) -> None:
    site.prepare()
    (site.path / "api.py").write_text("code")
    tip = site.snapshot().commit
    place = site.path.with_name("merged")
    show(site.repo, place, site.base)
    (place / "mine").write_text("by hand")
    (place / "build.log").write_text("ignored")
    show(site.repo, place, tip)
    assert sorted(entry.name for entry in place.iterdir()) == [".git", "README.md", "api.py", "build.log", "src"]
    assert site.git(place, "status", "--porcelain") == ""
    assert site.git(place, "rev-parse", "HEAD") == tip
    [kept] = rescued(site.repo)
    assert site.git(site.root, "show", f"{kept.commit}:mine") == "by hand"
    show(site.repo, place, site.base)
    assert not (place / "api.py").exists()
    assert len(rescued(site.repo)) == 1


def test_removing_rescues_uncommitted_and_unlanded_work(made: Site) -> None:
    (made.path / "one").write_text("1")
    tip = made.snapshot().commit
    (made.path / "two").write_text("2")
    remove(made.repo, made.path, BRANCH)
    remove(made.repo, made.path, BRANCH)
    assert not made.path.exists()
    assert made.git(made.root, "branch", "--list", BRANCH) == ""
    assert made.git(made.root, "worktree", "list").count("\n") == 0
    kept = rescued(made.repo)
    assert "two" in {name for item in kept for name in made.files(item.commit)}
    assert all(made.git(made.root, "merge-base", "--is-ancestor", tip, item.commit) == "" for item in kept)


def test_removing_what_another_ref_holds_rescues_nothing(made: Site) -> None:
    (made.path / "one").write_text("1")
    made.git(made.root, "merge", "-q", "--ff-only", made.snapshot().commit)
    (made.path / "readonly").mkdir()
    (made.path / "readonly").chmod(0o500)
    remove(made.repo, made.path, BRANCH)
    assert rescued(made.repo) == []
    assert not made.path.exists()
