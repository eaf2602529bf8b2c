"""The description of a repository that the architect gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lib.git.outline import tree
from lib.git.run import Repo
from lib.git.survey import survey
from lib.project.paths import find_project


def test_a_repository_is_told_in_a_page(repo: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (repo / "src" / f"module{number}.py").write_text("x")
    (repo / "ü\n").write_text("odd")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "many modules")
    (repo / "README.md").write_text("not committed")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    found = survey(Repo.of(find_project(repo)), "HEAD", max_files=5)
    assert found.files_total == 33
    assert found.suffixes[".py"] == 31
    assert found.subjects == ["many modules", "start"]
    assert found.readme == "# Project"
    assert "src/ (31 files)" in found.tree
    assert "… and 31 more files" in found.tree
    assert "many modules" in str(found)


def test_it_tells_how_the_repository_tests_itself_and_what_the_user_has_not_committed(
    repo: Path, git: Callable[..., str]
) -> None:
    (repo / "README.md").write_text("[![build](https://ci/b.svg)](https://ci)\n<img src=x>\n\n# Shop\nSells things.\n")
    (repo / "package.json").write_text('{"scripts": {"test:unit": "jest", "start": "node ."}}')
    (repo / "Makefile").write_text("CC := gcc\nlint:\n\truff\nbuild:\n\tcc\n")
    (repo / ".github" / "workflows").mkdir(parents=True)
    (repo / ".github" / "workflows" / "ci.yml").write_text(
        "jobs:\n  a:\n    steps:\n      - run: pytest -q\n      - run: ls\n"
    )
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "manifests")
    git(repo, "switch", "-qc", "side")
    git(repo, "commit", "-qm", "side work", "--allow-empty")
    git(repo, "switch", "-q", "-")
    git(repo, "merge", "-q", "--no-ff", "-m", "Merge branch side", "side")
    (repo / "draft.txt").write_text("mine")
    found = survey(Repo.of(find_project(repo)), "HEAD")
    assert found.readme == "# Shop\nSells things."
    assert found.checks == [
        "npm run test:unit (package.json)",
        "make lint (Makefile)",
        "pytest -q (.github/workflows/ci.yml)",
    ]
    assert found.uncommitted == ["draft.txt"]
    assert "Merge branch side" not in found.subjects
    assert "side work" in found.subjects


def test_of_a_large_repository_the_folders_by_size_and_the_files_that_the_requirement_names() -> None:
    paths = ["setup.py", *(f"docs/a{number}.md" for number in range(50))]
    paths += [f"src/shop/{part}/m{number}.py" for part in ("cart", "stock") for number in range(300)]
    told = tree(paths, "Let the Cart forget what is in setup.py", 400)
    assert "src/ (600 files)\n  src/shop/ (600 files)\n    src/shop/cart/ (300 files)" in told
    assert "docs/ (50 files)" in told
    assert "src/shop/cart/m1.py" in told
    assert "src/shop/stock/m1.py" not in told
    assert "\nsetup.py\n" in told


def test_what_few_files_are_named_by_comes_first() -> None:
    paths = [f"src/mypy/m{number}.py" for number in range(300)] + ["src/mypy/build.py"]
    paths += [f"web/app/{part}/f{number}.ts" for part in ("carts", "admin", "user") for number in range(60)]
    told = tree(paths, "Codes in the cart of the web shop, seen by the admin. src/mypy/build.py stays.", 400)
    named = told.split("What the requirement names:\n")[1].splitlines()
    assert named[0] == "src/mypy/build.py"
    assert named[1].startswith("web/app/admin/")
    assert "web/app/carts/f0.ts" in named
    assert named.index("web/app/user/f0.ts") > named.index("web/app/carts/f9.ts")
    assert not [path for path in named if path.startswith("src/mypy/m")]
