"""Each commit that Relay makes for a run says so in one trailer, as git itself reads it."""

from __future__ import annotations

from pathlib import Path

from conftest import run_git
from driver import Relay, playbook

#: Red once the work of `one` and `two` is together, until a person mends it.
CHECK = "! { test -e one.txt && test -e two.txt; } || test -e mended.txt"


def test_every_commit_of_a_run_names_it_and_those_of_others_do_not(relay: Relay, tmp_path: Path) -> None:
    builders = {
        "one": [{"write": {"one.txt": "1\n", "README.md": "one\n"}}],
        "two": [{"write": {"two.txt": "2\n", "README.md": "two\n"}}],
        "three": [{"write": {"three.txt": "3\n"}}],
        "both": [{"say": "Both.\n\nRelay-Run: another\n"}, {"write": {"both.txt": "b\n"}}],
    }
    book = playbook(tmp_path / "book", builders, depends={"both": ["one", "three"]})
    run = relay.begin(book, "parts", "--yes", "--verify", CHECK, env={"RELAY_CONFLICTS": "person"})
    merged = relay.root / ".project" / "worktrees" / run / "merged"
    relay.asked("resolve_conflict")
    (relay.root / "mine.txt").write_text("mine\n")
    run_git(relay.root, "add", "mine.txt")
    run_git(relay.root, "commit", "-qm", "Mine")
    (merged / "README.md").write_text("one\ntwo\n")
    relay("approve")
    relay.asked("fix_failure", times=2)
    (merged / "mended.txt").write_text("mended\n")
    relay("retry")
    state = relay.over()

    told = "%s%x00%(trailers:key=Relay-Run,valueonly,separator=%x2C)"
    log = run_git(relay.root, "log", f"--format={told}", f"{state['base']['commit']}..main").splitlines()
    commits = [tuple(line.split("\0")) for line in log]
    assert ("Mine", "") in commits
    assert {names for subject, names in commits if subject != "Mine"} == {run}
    assert {subject for subject, _ in commits} == {
        "Mine", "Part one", "Part two", "Part three", "Part both", "Merge one: Part one", "Merge three: Part three",
        "Merge both: Part both", "Merge two, conflicts resolved", "Merge main", "Fix the merged tree",
    }  # fmt: skip
