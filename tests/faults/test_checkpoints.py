"""Commits of checkpoints are held whatever happens: branches that go, a kill first, refs that can't be made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import run_git
from driver import Relay, playbook
from eventually import eventually

from lib.git.pins import PREFIX
from lib.project.paths import find_project
from lib.store.rundb import RunDB, StoredCheckpoint

ONE = [{"write": {"one.txt": "1\n"}}]
OBSTACLE = PREFIX.rstrip("/")
TOLD = "the commits of a checkpoint can't be pinned yet"


def checkpoints(relay: Relay, run: str) -> list[StoredCheckpoint]:
    db = RunDB.open_readonly(find_project(relay.root).database)
    return db.checkpoints(run) if db else []


def pins(relay: Relay, run: str) -> dict[str, str]:
    """The commits by checkpoint and name."""
    lines = run_git(relay.root, "for-each-ref", "--format=%(refname) %(objectname)", f"{PREFIX}{run}/").splitlines()
    return {ref.removeprefix(f"{PREFIX}{run}/"): commit for ref, commit in (line.split() for line in lines)}


def warnings(relay: Relay) -> list[str]:
    return [event["message"] for event in relay.events("noted") if event["message"].startswith(TOLD)]


def begin(relay: Relay, tmp_path: Path, *flags: str, **builders: Any) -> str:
    return relay.begin(playbook(tmp_path / "book", {"one": ONE, **builders}), "parts", *flags)


def obstructed(relay: Relay, ref: str = OBSTACLE) -> None:
    """While there is such a ref, none can be made below it."""
    run_git(relay.root, "update-ref", ref, "HEAD")


def cleared(relay: Relay, ref: str = OBSTACLE) -> None:
    run_git(relay.root, "update-ref", "-d", ref)


def cancelled(relay: Relay, tmp_path: Path) -> tuple[str, str]:
    """A cancelled run of which one builder is built, and that one's commit."""
    run = begin(relay, tmp_path, "--yes", two=[{"hang": True}])
    relay.wait(lambda state: state["progress"].get("built"))
    tip = relay.head(f"relay/{run}/one")
    relay("cancel")
    relay.over("cancelled")
    return run, tip


def forgotten(relay: Relay, run: str) -> None:
    """The user removes all that is seen of a run, and git what nothing holds."""
    for name in ("one", "two", "merged"):
        run_git(relay.root, "worktree", "remove", "--force", f".project/worktrees/{run}/{name}", check=False)
    for branch in run_git(relay.root, "branch", "--list", "--format=%(refname:short)", f"relay/{run}/*").split():
        run_git(relay.root, "branch", "-qD", branch)
    run_git(relay.root, "reflog", "expire", "--expire-unreachable=now", "--all")
    run_git(relay.root, "gc", "-q", "--prune=now")


def test_a_cancel_makes_a_checkpoint_of_what_is_built_which_outlives_the_branches(relay: Relay, tmp_path: Path) -> None:
    run, tip = cancelled(relay, tmp_path)
    made = checkpoints(relay, run)[-1]
    assert made.label == "cancelled"
    assert made.commits == {"one": tip, "_base": relay.head()}
    assert made.config is not None
    assert made.config["retry_delay_s"] == 0.05
    assert made.design == (relay.home / "runs" / run / "design.json").read_text()
    assert [json.loads(row.data)["status"] for row in made.steps] == ["done", "cancelled"]
    forgotten(relay, run)
    assert run_git(relay.root, "show", f"{PREFIX}{run}/{made.id}/one:one.txt") == "1"


def test_each_checkpoint_of_a_landed_run_is_pinned_until_it_is_cleaned(relay: Relay, tmp_path: Path) -> None:
    run = begin(relay, tmp_path, "--yes")
    relay.over()
    made = checkpoints(relay, run)
    assert [each.label for each in made] == ["execution: execution", "merge_build: merge_build", "landed"]
    first, second, last = made
    assert second.commits == {**first.commits, "one": relay.head("HEAD^2")}
    assert last.commits == {**second.commits, "merged": relay.head()}
    held = {name: commit for name, commit in last.commits.items() if name != "one"}  # merged holds it
    names = ((each.id, commits) for each, commits in zip(made, (first.commits, second.commits, held), strict=True))
    assert pins(relay, run) == {f"{number}/{name}": commit for number, commits in names
                                for name, commit in commits.items()}  # fmt: skip
    assert f"removed the refs of 3 checkpoints of {run}" in relay("clean")
    assert pins(relay, run) == {}
    assert "Nothing to clean" in relay("clean")


def test_what_has_not_landed_stays_pinned_when_it_is_cleaned(relay: Relay, tmp_path: Path) -> None:
    run, tip = cancelled(relay, tmp_path)
    before = pins(relay, run)
    said = relay("clean")
    assert f"removed the refs of 1 checkpoint of {run}" in said
    assert f"kept    the refs of 1 checkpoint of {run}: not in main" in said
    assert tip in pins(relay, run).values()
    assert pins(relay, run).items() < before.items()


def test_what_can_not_be_pinned_is_told_and_pinned_as_soon_as_it_can_be(relay: Relay, tmp_path: Path) -> None:
    obstructed(relay)
    run = begin(relay, tmp_path, "--poll", "600")
    relay.asked("approve_design")
    eventually(lambda: warnings(relay))
    cleared(relay)
    eventually(lambda: pins(relay, run) == {"1/_base": relay.head()})
    relay("approve")
    relay.over()


def test_a_kill_before_the_refs_are_made_is_made_good_by_the_next_start(relay: Relay, tmp_path: Path) -> None:
    obstructed(relay)
    run = begin(relay, tmp_path)
    relay.asked("approve_design")
    relay.kill()
    cleared(relay)
    assert pins(relay, run) == {}
    relay("resume")
    eventually(lambda: pins(relay, run) == {"1/_base": relay.head()})
    relay("cancel")


def test_a_run_ends_although_its_last_checkpoint_can_not_be_pinned_and_another_run_pins_it(
    relay: Relay, tmp_path: Path
) -> None:
    run = begin(relay, tmp_path)
    relay.asked("approve_design")
    eventually(lambda: pins(relay, run))
    obstructed(relay, f"{PREFIX}{run}/2")
    relay("cancel")
    relay.over("cancelled")
    assert len(warnings(relay)) == 1
    cleared(relay, f"{PREFIX}{run}/2")
    begin(relay, tmp_path)
    eventually(lambda: "2/_base" in pins(relay, run))
    relay("cancel")


def test_nothing_is_cleaned_before_all_is_pinned(relay: Relay, tmp_path: Path) -> None:
    obstructed(relay)
    run = begin(relay, tmp_path, "--yes")
    relay.over()
    assert f"relay/{run}/one" in run_git(relay.root, "branch", "--list", "--format=%(refname:short)")
    assert OBSTACLE in relay.refused("clean", code=1)
    cleared(relay)
    assert f"removed relay/{run}/one" in relay("clean")
    assert run_git(relay.root, "branch", "--list", "--format=%(refname:short)") == "main"
