"""`kill -9` while work is reviewed and a conflict is resolved: it ends as if nothing had been.

More rounds: KILL_RUNS=40 python -m pytest tests/faults/test_review_kills.py
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually
from killing import disturbed

RUNS = int(os.environ.get("KILL_RUNS", "3"))
KILLS = 3
#: Events before the first review, and about how many there are in all.
FIRST, LAST = 25, 110
BOTH = "# Project\n\nleft\nright\n"


def begin(relay: Relay, folder: Path, pause_s: float) -> None:
    builders = {name: [{"write": {"README.md": f"# Project\n\n{name}\n"}}] for name in ("left", "right")}
    bad = [{"sleep": pause_s}, {"write": {"README.md": "# Project\n\nleft\n", "extra.txt": "x\n"}}, {"say": "{}"}]
    good = [{"sleep": pause_s}, {"write": {"README.md": BOTH}}, {"say": '{"removed": []}'}]
    accept = [{"sleep": pause_s}, {"say": '{"verdict": "accept", "comments": []}'}]
    book = playbook(folder / "book", builders, verify="test -e README.md", reviewer=accept,
                    resolver={"attempts": {1: bad, 2: good}})  # fmt: skip
    relay.begin(book, "parts", "--yes", env={"RELAY_REVIEW": "true"})


def check(relay: Relay) -> None:
    assert run_git(relay.root, "show", "main:README.md") == BOTH.strip()
    assert (relay.root / "README.md").read_text() == BOTH
    assert not (relay.root / "extra.txt").exists()
    assert run_git(relay.root, "status", "--porcelain") == ""
    assert run_git(relay.root, "for-each-ref", "refs/heads/relay", "refs/relay/resolved", "refs/relay/starts") == ""
    assert run_git(relay.root, "fsck", "--no-dangling") == ""
    assert relay.events("asked") == []


@pytest.mark.parametrize("seed", range(RUNS))
def test_it_lands_both_sides_whenever_it_is_killed(relay: Relay, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - moments of a kill
    moments = sorted(chance.randrange(FIRST, LAST) for _ in range(KILLS))
    begin(relay, tmp_path, 0.05)
    disturbed(relay, [(moment, chance.choice(["orchestrator", "both"])) for moment in moments])
    check(relay)


def test_a_resolver_that_still_runs_is_adopted(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, 1.0)
    eventually(lambda: any(event["job"].endswith("-resolve") for event in relay.events("job_spawned")))
    relay.kill()
    relay("resume")
    relay.over()
    check(relay)
    resolved = [
        event["job"]["id"] for event in relay.events("job_started") if event["job"]["spec"]["name"] == "resolve"
    ]
    assert len(resolved) == 2
