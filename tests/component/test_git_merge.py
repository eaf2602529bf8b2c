"""Merging in memory: conflicts told by path and kind, clean merges in order, the same again after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lib.errors import GitError
from lib.git.merge import Clean, Conflict, absorb, combine, merge, merge_builders
from lib.git.run import Repo
from lib.project.paths import find_project

Git = Callable[..., str]
RUN = "refs/heads/relay/run/merged"


class Line:
    """Commits made side by side on one base, without a work tree being touched."""

    def __init__(self, root: Path, git: Git) -> None:
        self.root, self.git = root, git
        self.repo = Repo.of(find_project(root))
        self.base = git(root, "rev-parse", "HEAD")

    def commit(self, change: Callable[[Path], None], start: str = "") -> str:
        """The commit of a work tree at `start` that `change` was let loose on."""
        place = self.root.parent / f"tree-{len(list(self.root.parent.iterdir()))}"
        self.git(self.root, "worktree", "add", "-q", "--detach", str(place), start or self.base)
        change(place)
        self.git(place, "add", "-A")
        self.git(place, "commit", "-q", "--allow-empty", "-m", "change")
        return self.git(place, "rev-parse", "HEAD")

    def write(self, files: Mapping[str, str], start: str = "") -> str:
        def change(place: Path) -> None:
            for name, text in files.items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(text)

        return self.commit(change, start)

    def kinds(self, ours: str, theirs: str) -> dict[str, str]:
        found = merge(self.repo, ours, theirs)
        assert isinstance(found, Conflict)
        return {item.path: item.kind for item in found.paths}


@pytest.fixture
def line(repo: Path, git: Git) -> Line:
    body = "".join(f"line {number}\n" for number in range(30))
    (repo / "text").write_text(body)
    (repo / "old").write_text(body + "old\n")
    (repo / "image").write_bytes(bytes(range(256)))
    (repo / "link").symlink_to("a")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "base")
    return Line(repo, git)


def test_a_clean_merge_gives_the_tree_that_git_merge_gives(line: Line) -> None:
    ours, theirs = line.write({"a": "1"}), line.write({"b": "2"})
    found = merge(line.repo, ours, theirs)
    line.git(line.root, "switch", "-q", "--detach", ours)
    line.git(line.root, "merge", "-q", "--no-edit", theirs)
    assert found == Clean(line.git(line.root, "rev-parse", "HEAD^{tree}"))


def test_text_that_both_changed(line: Line) -> None:
    assert line.kinds(line.write({"text": "ours"}), line.write({"text": "theirs"})) == {"text": "content"}


def test_a_file_that_both_added_with_a_newline_in_its_name(line: Line) -> None:
    name = "new\nline\tü"
    assert line.kinds(line.write({name: "1"}), line.write({name: "2"})) == {name: "add/add"}


def test_a_file_that_one_changed_and_one_deleted(line: Line) -> None:
    deleted = line.commit(lambda place: (place / "text").unlink())
    assert line.kinds(line.write({"text": "x"}), deleted) == {"text": "modify/delete"}


def test_a_file_that_both_renamed(line: Line) -> None:
    one = line.commit(lambda place: (place / "old").replace(place / "one"))
    two = line.commit(lambda place: (place / "old").replace(place / "two"))
    assert line.kinds(one, two) == dict.fromkeys(["old", "one", "two"], "rename/rename")


def test_a_file_that_one_renamed_and_one_deleted(line: Line) -> None:
    renamed = line.commit(lambda place: (place / "old").replace(place / "new"))
    deleted = line.commit(lambda place: (place / "old").unlink())
    assert set(line.kinds(renamed, deleted).values()) == {"rename/delete"}


def test_a_binary_file(line: Line) -> None:
    one = line.commit(lambda place: (place / "image").write_bytes(b"\0one") and None)
    two = line.commit(lambda place: (place / "image").write_bytes(b"\0two") and None)
    assert line.kinds(one, two) == {"image": "binary"}


def test_a_symbolic_link(line: Line) -> None:
    def pointing(target: str) -> Callable[[Path], None]:
        def change(place: Path) -> None:
            (place / "link").unlink()
            (place / "link").symlink_to(target)

        return change

    assert line.kinds(line.commit(pointing("b")), line.commit(pointing("c"))) == {"link": "symlink"}


def test_the_mode_of_a_file_that_both_added(line: Line) -> None:
    def executable(place: Path) -> None:
        (place / "tool").write_text("same")
        (place / "tool").chmod(0o755)

    found = merge(line.repo, line.write({"tool": "same"}), line.commit(executable))
    assert isinstance(found, Conflict)
    assert [(item.kind, item.modes) for item in found.paths] == [("mode", ("000000", "100644", "100755"))]


def test_a_file_against_a_folder(line: Line) -> None:
    kinds = line.kinds(line.write({"thing": "file"}), line.write({"thing/part": "folder"}))
    assert set(kinds.values()) == {"file/directory"}
    assert "thing" in kinds


def test_a_submodule(line: Line) -> None:
    def pinned(commit: str) -> Callable[[Path], None]:
        def change(place: Path) -> None:
            (place / "sub").mkdir()
            line.git(place, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")

        return change

    def on_index(change: Callable[[Path], None]) -> str:
        tree = line.root.parent / f"tree-{len(list(line.root.parent.iterdir()))}"
        line.git(line.root, "worktree", "add", "-q", "--detach", str(tree), line.base)
        change(tree)
        line.git(tree, "commit", "-qm", "pin")
        return line.git(tree, "rev-parse", "HEAD")

    one, two = line.write({"x": "1"}), line.write({"x": "2"})
    assert line.kinds(on_index(pinned(one)), on_index(pinned(two))) == {"sub": "submodule"}


def test_neither_the_user_s_tree_nor_a_ref_is_touched_by_a_prediction(line: Line) -> None:
    ours, theirs = line.write({"text": "ours"}), line.write({"text": "theirs"})
    (line.root / "text").write_text("user")
    before = line.git(line.root, "for-each-ref"), line.git(line.root, "status", "--porcelain")
    merge(line.repo, ours, theirs)
    assert (line.git(line.root, "for-each-ref"), line.git(line.root, "status", "--porcelain")) == before


def test_a_commit_that_is_not_there_is_an_error_and_no_conflict(line: Line) -> None:
    for name in ("nope", "-d", "--output=F"):
        with pytest.raises(GitError):
            merge(line.repo, line.base, name)


# --- many ---


def test_builders_are_merged_in_order_and_again_is_nothing_new(line: Line) -> None:
    tips = [(f"b{n}", line.write({f"dir{n}/file": str(n)}), f"part {n}") for n in range(12)]
    done = merge_builders(line.repo, RUN, line.base, tips, trailer="Relay-Run: r")
    assert (done.merged, done.conflict) == ([name for name, *_ in tips], None)
    assert done.head == line.git(line.root, "rev-parse", RUN)
    subjects = line.git(line.root, "log", "--first-parent", "--format=%s", f"{line.base}..{RUN}").splitlines()
    assert subjects[::-1] == [f"Merge {name}: {title}" for name, _, title in tips]
    assert line.git(line.root, "log", "-1", "--format=%(trailers:key=Relay-Run,valueonly)", RUN).strip() == "r"
    assert merge_builders(line.repo, RUN, line.base, tips).head == done.head


def test_merging_after_a_kill_gives_the_same_commits(line: Line) -> None:
    tips = [(f"b{n}", line.write({f"dir{n}/file": str(n)}), "") for n in range(3)]
    first = merge_builders(line.repo, RUN, line.base, tips).head
    line.git(line.root, "update-ref", RUN, f"{first}^^")
    assert merge_builders(line.repo, RUN, line.base, tips).head == first


def test_merging_stops_at_a_conflict_and_goes_on_when_it_is_resolved(line: Line) -> None:
    one, two = line.write({"text": "1"}), line.write({"text": "2"})
    three = line.write({"three": "3"}, two)
    tips = [("one", one, ""), ("two", two, ""), ("three", three, "")]
    done = merge_builders(line.repo, RUN, line.base, tips)
    assert done.merged == ["one"]
    assert done.conflict is not None
    assert done.conflict[0] == "two"
    resolved = line.git(line.root, "commit-tree", f"{two}^{{tree}}", "-p", done.head, "-p", two, "-m", "resolved")
    line.git(line.root, "update-ref", RUN, resolved)
    done = merge_builders(line.repo, RUN, line.base, tips)
    assert (done.merged, done.conflict) == (["one", "two", "three"], None)


def test_dependencies_are_combined_the_same_way_each_time(line: Line) -> None:
    one, two = line.write({"one": "1"}), line.write({"two": "2"})
    both = combine(line.repo, [line.base, one, two], "needs")
    assert isinstance(both, str)
    assert both == combine(line.repo, [line.base, one, two], "needs")
    assert combine(line.repo, [line.base, one], "needs") == one
    assert combine(line.repo, [both, one, line.base], "needs") == both
    assert isinstance(combine(line.repo, [line.write({"text": "1"}), line.write({"text": "2"})], ""), Conflict)


def test_a_base_that_moved_on_is_absorbed(line: Line) -> None:
    tip = line.write({"one": "1"})
    head = merge_builders(line.repo, RUN, line.base, [("one", tip, "")]).head
    later = line.write({"later": "x"})
    merged = absorb(line.repo, RUN, later, "Merge main")
    assert isinstance(merged, str)
    assert line.git(line.root, "rev-parse", f"{RUN}^1", f"{RUN}^2").split() == [head, later]
    assert absorb(line.repo, RUN, later, "Merge main") == merged
    assert isinstance(absorb(line.repo, RUN, line.write({"one": "2"}), "Merge main"), Conflict)
    assert line.git(line.root, "rev-parse", RUN) == merged
