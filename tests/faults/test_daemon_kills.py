"""`kill -9` at any moment, over and over: each run ends as if nothing had been, and nothing finished is done twice.

More rounds: KILL_RUNS=40 python -m pytest tests/faults/test_daemon_kills.py
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually
from killing import disturbed

RUNS = int(os.environ.get("KILL_RUNS", "2"))
BUILDERS = 10
#: How many kills a run is put through.
KILLS = 3
#: About how many events an undisturbed run has, and how many of them are merging, landing and cleaning.
EVENTS, ENDING = 150, 45


def turns(name: str, log: Path) -> list[dict[str, object]]:
    """Steps of a builder that write its start and its end into a file outside of its worktree."""
    return [
        {"run": f"echo {name} start >> {log}"},
        {"write": {f"parts/{name}.txt": f"half of {name}\n"}},
        {"sleep": 0.1},
        {"write": {f"parts/{name}.txt": f"all of {name}\n"}},
        {"run": f"echo {name} end >> {log}"},
    ]


def begin(relay: Relay, tmp_path: Path) -> Path:
    log = tmp_path / "turns"
    names = [f"b{number}" for number in range(BUILDERS)]
    book = playbook(tmp_path / "book", {name: turns(name, log) for name in names}, depends={"b9": ["b0", "b1"]},
                    verify="test -d parts")  # fmt: skip
    relay.begin(book, "parts", "--yes", "--parallel", "4")
    return log


@pytest.fixture
def expected() -> str:
    """The repository's tree after an undisturbed run."""
    lines = [f"parts/b{number}.txt all of b{number}" for number in range(BUILDERS)]
    return "\n".join(lines)


def landed_tree(relay: Relay) -> str:
    files = run_git(relay.root, "ls-tree", "-r", "--name-only", "main", "parts/").splitlines()
    return "\n".join(f"{file} {run_git(relay.root, 'show', f'main:{file}')}" for file in files)


def check(relay: Relay, expected: str) -> None:
    assert landed_tree(relay) == expected
    assert (relay.root / "parts" / "b0.txt").read_text() == "all of b0\n"
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert run_git(relay.root, "branch", "--list", "--format=%(refname:short)") == "main"
    assert run_git(relay.root, "worktree", "list", "--porcelain").count("worktree ") == 1
    assert run_git(relay.root, "fsck", "--no-dangling") == ""
    well_ended = Counter(e["job"].split("-", 1)[1] for e in relay.events("job_ended") if e["result"]["ok"])
    twice = {job: count for job, count in well_ended.items() if job.endswith("-build") and count > 1}
    assert not twice
    assert relay("start", "--dry-run", "--assistant", "scripted:calculator", "the lock is free")


@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_anywhere_a_run_ends_as_if_nothing_had_been(
    relay: Relay, tmp_path: Path, expected: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable is what it must be
    moments = sorted((chance.randrange(2, EVENTS), chance.choice(("orchestrator", "builders", "both")))
                     for _ in range(KILLS))  # fmt: skip
    begin(relay, tmp_path)
    disturbed(relay, moments)
    check(relay, expected)


@pytest.mark.parametrize("seed", range(RUNS))
def test_killed_while_it_merges_lands_and_cleans_it_ends_as_if_nothing_had_been(
    relay: Relay, tmp_path: Path, expected: str, seed: int
) -> None:
    chance = random.Random(1000 + seed)  # noqa: S311 - repeatable is what it must be
    log = begin(relay, tmp_path)
    eventually(lambda: relay.state()["phase"] == "merge_build")
    base = len(relay.events())
    moments = sorted((base + chance.randrange(ENDING), "orchestrator") for _ in range(KILLS))
    disturbed(relay, moments)
    check(relay, expected)
    # no builder was killed, so each turn was taken once
    assert sorted(log.read_text().splitlines()) == sorted(
        f"b{number} {what}" for number in range(BUILDERS) for what in ("start", "end")
    )


@pytest.mark.parametrize("seed", range(RUNS))
def test_builders_outlive_the_orchestrator_and_no_turn_is_taken_twice(
    relay: Relay, tmp_path: Path, expected: str, seed: int
) -> None:
    chance = random.Random(2000 + seed)  # noqa: S311 - repeatable is what it must be
    log = begin(relay, tmp_path)
    disturbed(relay, sorted((chance.randrange(25, EVENTS - ENDING), "orchestrator") for _ in range(KILLS)))
    check(relay, expected)
    assert set(Counter(log.read_text().splitlines()).values()) == {1}
