"""Differences between two commits, file by file, whatever the files are and are called."""

from __future__ import annotations

import os
from pathlib import Path

from conftest import run_git

from lib.git.diff import FileChange, changes, count_files, listed, patches
from lib.git.run import Repo
from lib.project.paths import find_project

STRANGE = ["a\nb", ":x", '"q"', "-d", "tab\there", os.fsdecode(b"latin-\xe9"), "diff --git a"]


def commit(folder: Path) -> str:
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "more")
    return run_git(folder, "rev-parse", "HEAD")


def test_each_file_has_its_status_its_lines_and_its_own_patch(repo: Path) -> None:
    (repo / "binary").write_bytes(b"\0\1")
    (repo / "was-a-file").write_text("diff --git a/x b/x\n")
    (repo / "run.sh").write_text("x\n")
    old = commit(repo)
    (repo / "README.md").unlink()
    (repo / "binary").write_bytes(b"\0\2")
    (repo / "was-a-file").unlink()
    (repo / "was-a-file").symlink_to("README.md")
    (repo / "run.sh").chmod(0o755)
    (repo / "text").write_text("-- one\n++ two\ndiff --git a/x b/x\n")
    for name in STRANGE:
        (repo / name).write_text("1\n2")
    new = commit(repo)
    handle = Repo.of(find_project(repo))
    found = {change.path: change for change in listed(handle, old, new)}
    assert found["README.md"] == FileChange("D", "README.md", 0, 1)
    assert found["binary"] == FileChange("M", "binary", None, None)
    assert found["was-a-file"].status == "T"
    assert (found["run.sh"].added, found["text"].added) == (0, 3)
    assert all(found[name] == FileChange("A", name, 2, 0) for name in STRANGE)
    texts = patches(handle, old, new)
    assert len(texts) == len(found)
    shown = dict(zip(found, texts, strict=True))
    assert "+-- one\n+++ two\n+diff --git a/x b/x" in shown["text"]
    assert "deleted file" in shown["was-a-file"]
    assert "new file mode 120000" in shown["was-a-file"]
    assert "new mode 100755" in shown["run.sh"]
    assert sorted(changes(handle, old, new).files) == sorted((change.status, name) for name, change in found.items())


def test_what_is_still_there_under_another_name_is_counted_as_moved(repo: Path) -> None:
    old = run_git(repo, "rev-parse", "HEAD")
    (repo / "README.md").rename(repo / "READ.md")
    (repo / "src" / "app.py").unlink()
    (repo / ".project").mkdir()
    (repo / ".project" / "config.yaml").write_text("# ours\n")
    run_git(repo, "add", "-f", ".project/config.yaml")
    new = commit(repo)
    handle = Repo.of(find_project(repo))
    assert changes(handle, old, new).moved == 1
    assert count_files(handle, new, ".project") == 1


def test_nothing_differs_from_itself(repo: Path) -> None:
    handle, head = Repo.of(find_project(repo)), run_git(repo, "rev-parse", "HEAD")
    assert (listed(handle, head, head), patches(handle, head, head), changes(handle, head, head).files) == ([], [], [])
