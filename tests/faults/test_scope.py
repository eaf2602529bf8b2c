"""Builders that reach beyond their component: told, asked about or sent back; an emptied tree is never taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook

DOCUMENTS = [f"docs/{number}.md" for number in range(5)]
ONE = {"write": {"one.txt": "1\n"}}


@pytest.fixture
def project(relay: Relay) -> Relay:
    """The project with a licence and five documents more."""
    for name in ("LICENSE", *DOCUMENTS):
        (relay.root / name).parent.mkdir(exist_ok=True)
        (relay.root / name).write_text(f"{name}\n")
    run_git(relay.root, "add", "-A")
    run_git(relay.root, "commit", "-qm", "documents")
    return relay


def begin(
    relay: Relay, folder: Path, steps: Any, *flags: str, files: tuple[str, ...] = ("one.txt",), **settings: str
) -> None:
    design = {"components": [{"id": "one", "files": list(files)}, {"id": "two", "files": ["two.txt"]}]}
    book = playbook(folder / "book", {"one": steps, "two": [{"write": {"two.txt": "2\n"}}]},
                    architect={"say": "Parts.", "design": design})  # fmt: skip
    relay.begin(book, "parts", "--yes", *flags, env={f"RELAY_{name.upper()}": text for name, text in settings.items()})


def failures(relay: Relay, name: str) -> list[str]:
    return [event["result"]["code"] for event in relay.events("job_ended")
            if f"-{name}-" in f"-{event['job']}-" and not event["result"]["ok"]]  # fmt: skip


def files(relay: Relay, commit: str) -> list[str]:
    return run_git(relay.root, "ls-tree", "-r", "--name-only", commit).splitlines()


def test_deleted_files_of_nobody_are_asked_about_before_they_land(project: Relay, tmp_path: Path) -> None:
    begin(project, tmp_path, [ONE, {"delete": ["LICENSE", *DOCUMENTS]}])
    state = project.asked("approve_landing")
    assert "one changed 6 files outside its own, 6 of them deleted (D LICENSE" in state["message"]
    assert "two" not in state["message"].replace("two.txt", "")
    assert project.head() == state["base"]["commit"]
    assert "6 files outside its own" in " ".join(project("status").split())
    assert "6 files outside its own" in project("show")
    project("approve")
    project.over()
    assert "LICENSE" not in files(project, "main")


def test_hundreds_of_files_that_the_design_does_not_name_are_asked_about(project: Relay, tmp_path: Path) -> None:
    begin(project, tmp_path, [ONE, {"write": {f"more/{number}.txt": "x\n" for number in range(307)}}])
    state = project.asked("approve_landing")
    assert "one changed 307 files outside its own" in state["message"]
    assert len(project.state_file.read_bytes()) < 20_000


def test_a_few_new_files_land_and_are_told(project: Relay, tmp_path: Path) -> None:
    begin(project, tmp_path, [ONE, {"write": {"tests/test_one.py": "\n"}}])
    project.over()
    assert "one changed 1 file outside its own (A tests/test_one.py)" in project("show")


def test_refused_changes_go_back_to_the_builder(project: Relay, tmp_path: Path) -> None:
    back = {"run": "git show HEAD~1:LICENSE > LICENSE && rm -r more"}
    steps = {"attempts": {1: [ONE, {"delete": ["LICENSE"]}, {"write": {"more/x.txt": "x\n"}}], 2: [back]}}
    begin(project, tmp_path, steps, scope="refuse")
    state = project.over()
    assert next(line for line in state["builders"] if line["id"] == "one")["attempt"] == 2
    assert files(project, "main") == sorted([*files(project, state["base"]["commit"]), "one.txt", "two.txt"])


@pytest.mark.parametrize(
    ("sandbox", "owned", "how"),
    [
        ("auto", ("one.txt",), "git worktree remove --force . ; rm -rf ./*"),
        ("off", ("**",), "git worktree remove --force . ; true"),
        ("off", ("one.txt",), "git rm -rqf ."),
        ("auto", ("**",), "rm -rf ./* && echo 1 > one.txt"),
    ],
)
def test_an_emptied_tree_is_no_work_and_the_next_attempt_has_a_whole_one(
    project: Relay, tmp_path: Path, sandbox: str, owned: tuple[str, ...], how: str
) -> None:
    steps = {"attempts": {1: [{"write": {"early.txt": "e\n"}}, {"run": how}], 2: [ONE]}}
    begin(project, tmp_path, steps, files=owned, sandbox=sandbox)
    state = project.over()
    assert failures(project, "one-collect") == ["tree_emptied"]
    base = files(project, state["base"]["commit"])
    assert files(project, "main") == sorted([*base, "one.txt", "two.txt"])


def test_what_was_committed_before_the_tree_was_emptied_goes_on(project: Relay, tmp_path: Path) -> None:
    commit = {"run": "echo 1 > one.txt && git add one.txt && git commit -qm mine && rm -rf ./*"}
    begin(project, tmp_path, {"attempts": {1: [commit], 2: [{"append": {"one.txt": "2\n"}}]}}, sandbox="off")
    project.over()
    assert (project.root / "one.txt").read_text() == "1\n2\n"
    assert "emptied" in project("recover")


def test_a_builder_that_empties_its_tree_each_time_is_given_up(project: Relay, tmp_path: Path) -> None:
    begin(project, tmp_path, [{"run": "rm -rf ./*"}], attempts="2")
    state = project.asked("fix_failure")
    assert state["error"]["code"] == "tree_emptied"
    project("skip", "one")
    project.over()
    assert "LICENSE" in files(project, "main")
