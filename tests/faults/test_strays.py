"""A builder outside a sandbox that moves branches which are not its own: told, put back, and never believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook

UNCONTAINED = {"RELAY_SANDBOX": "off"}
TWO = [{"write": {"two.txt": "2\n"}}]
COMMIT = "git add -A && git commit -qm sneaky"


def begin(relay: Relay, folder: Path, one: Any, two: Any = TWO, **more: Any) -> str:
    book = playbook(folder / "book", {"one": one, "two": two}, **more)
    return relay.begin(book, "parts", "--yes", env=UNCONTAINED)


def after(*commands: str) -> list[dict[str, Any]]:
    """Writes its file, commits, and does what it has no business to."""
    return [{"write": {"one.txt": "1\n"}}, {"run": "; ".join([COMMIT, *commands])}]


def told(relay: Relay) -> str:
    return " ".join(event["message"] for event in relay.events("noted"))


@pytest.mark.parametrize(
    "commands",
    [
        ("git update-ref refs/heads/main HEAD",),
        ("git update-ref refs/heads/main HEAD", "git commit -q --amend -m other"),
        ("git fetch -q --update-head-ok . HEAD:main",),
        ("git update-ref refs/heads/main HEAD", "git reset -q --hard HEAD~1", "echo 1 > one.txt"),
    ],
    ids=["update-ref", "amended since", "fetched", "reset since"],
)
def test_work_put_on_the_users_branch_is_told_with_what_puts_it_back(
    relay: Relay, tmp_path: Path, commands: tuple[str, ...]
) -> None:
    begin(relay, tmp_path, after(*commands))
    state = relay.asked("check_branch")
    assert "main has 1 commits of this run's builders" in state["message"]
    base = state["base"]["commit"]
    assert state["error"]["remedy"].startswith("git update-ref refs/heads/main " + base)
    stray = relay.head()
    assert stray != base
    relay("approve")  # without a look: taken for the user's own
    relay.over()
    assert (relay.root / "one.txt").exists()
    assert (relay.root / "two.txt").exists()
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert stray in run_git(relay.root, "for-each-ref", "refs/relay/rescue", "--format=%(*objectname)")


def test_what_was_put_back_as_told_lands_by_relay(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, after("git update-ref refs/heads/main HEAD"))
    state = relay.asked("check_branch")
    assert run_git(relay.root, "status", "--porcelain") == "D  one.txt"
    run_git(relay.root, *state["error"]["remedy"].split()[1:])
    assert run_git(relay.root, "status", "--porcelain") == ""
    relay("approve")
    relay.over()
    assert (relay.root / "one.txt").exists()


def test_a_commit_made_in_the_users_checkout_is_told(relay: Relay, tmp_path: Path) -> None:
    into = f"git -C {relay.root} -c advice.detachedHead=false merge -q --ff-only $(git rev-parse HEAD)"
    begin(relay, tmp_path, after(into))
    state = relay.asked("check_branch")
    assert f"reset --keep {state['base']['commit']}" in state["error"]["remedy"]
    assert (relay.root / "one.txt").exists()
    run_git(relay.root, "reset", "--keep", state["base"]["commit"])
    relay("approve")
    relay.over()


def test_the_users_own_commits_are_not_taken_for_a_builders(relay: Relay, tmp_path: Path) -> None:
    relay.begin(playbook(tmp_path / "book", {"one": after(), "two": TWO}), env=UNCONTAINED)
    relay.asked("approve_design")
    for name in ("mine", "mine too"):
        run_git(relay.root, "commit", "--allow-empty", "-qm", name)
    relay("approve")
    relay.over()
    assert relay.events("asked")[-1]["action"] == "approve_design"


def test_a_branch_that_another_builder_moved_is_what_its_own_left(relay: Relay, tmp_path: Path) -> None:
    gone = f"while ! test -e {tmp_path}/built; do sleep 0.02; done"
    one = after(gone, "git update-ref refs/heads/relay/$RELAY_RUN/two HEAD")
    two = [*TWO, {"run": f"{COMMIT}; touch {tmp_path}/built"}]
    begin(relay, tmp_path, [{"run": "true"}, *one], two)
    relay.over()
    assert (relay.root / "two.txt").read_text() == "2\n"
    assert (relay.root / "one.txt").exists()


def test_a_branch_moved_under_a_builder_at_work_keeps_its_own_commits(relay: Relay, tmp_path: Path) -> None:
    one = after("git update-ref refs/heads/relay/$RELAY_RUN/two HEAD", f"touch {tmp_path}/moved")
    two = [{"run": f"while ! test -e {tmp_path}/moved; do sleep 0.02; done"}, *TWO]
    begin(relay, tmp_path, one, two)
    relay.over()
    assert {path.name for path in relay.root.glob("*.txt")} == {"one.txt", "two.txt"}
    assert "two was moved by somebody else" in told(relay)
    assert "moved there by somebody else" in relay("recover")


def test_a_branch_made_for_one_that_has_not_begun_is_not_its_start(relay: Relay, tmp_path: Path) -> None:
    one = after("git update-ref refs/heads/relay/$RELAY_RUN/two $(git commit-tree -m x HEAD^{tree})")
    begin(relay, tmp_path, one, depends={"two": ["one"]})
    relay.over()
    assert "two was moved by somebody else" in told(relay)
    assert (
        run_git(relay.root, "merge-base", "--is-ancestor", relay.events("run_started")[0]["base"]["commit"], "main")
        == ""
    )


def test_the_runs_own_branch_is_only_what_relay_made_of_it(relay: Relay, tmp_path: Path) -> None:
    junk = (
        "git update-ref refs/heads/relay/$RELAY_RUN/merged $(git commit-tree -p HEAD -m junk $(git mktree </dev/null))"
    )
    builders = {"one": after(), "two": TWO}
    resolver = {"run": junk}
    conflict = {name: [*steps, {"write": {"README.md": f"{name}\n"}}] for name, steps in builders.items()}
    both = [resolver, {"write": {"README.md": "one\ntwo\n"}}, {"say": '{"removed": [], "added": []}'}]
    book = playbook(tmp_path / "book", conflict, resolver=both)
    relay.begin(book, "parts", "--yes", env=UNCONTAINED)
    relay.over()
    assert "junk" not in run_git(relay.root, "log", "--format=%s", "main")
    assert (relay.root / "README.md").read_text() == "one\ntwo\n"
    assert "merged was moved by somebody else" in told(relay)


def test_work_that_a_builder_reset_or_stashed_is_kept_and_told(relay: Relay, tmp_path: Path) -> None:
    one = after("git reset -q --hard HEAD~1", "echo 2 > one.txt")
    two = [*TWO, {"write": {"more.txt": "m\n"}}, {"run": "git stash -q -u"}, *TWO]
    begin(relay, tmp_path, one, two)
    relay.over()
    assert "one took back commits of its own; they are kept as refs/relay/rescue/" in told(relay)
    assert "two stashed work, which does not land; it is kept as refs/relay/rescue/" in told(relay)
    assert run_git(relay.root, "stash", "list").count("\n") == 0
    assert run_git(relay.root, "show", f"refs/relay/rescue/{relay.state()['run']}/one/1:one.txt") == "1"
    assert "stashed on relay/" in relay("recover")
