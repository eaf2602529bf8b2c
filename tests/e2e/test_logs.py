"""`relay logs NAME`: attempts, what failed, and following a run to its end."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from driver import COMMAND, QUICK, Relay, environ, playbook
from eventually import WAIT_S

from lib.errors import EXIT_REFUSED, EXIT_USAGE


@pytest.fixture
def failed(relay: Relay, tmp_path: Path) -> Relay:
    """A run whose only builder fails its verification twice."""
    steps = [{"say": "writing it"}, {"write": {"a.txt": "a\n"}}]
    book = playbook(tmp_path / "book", {"a": steps}, verify="seq 40; echo no such thing; exit 3")
    relay.begin(book, "parts", "--yes", env=QUICK | {"RELAY_ATTEMPTS": "2"})
    relay.asked("fix_failure")
    return relay


def test_attempts_and_failures_can_be_read(failed: Relay) -> None:
    newest = failed("logs", "a")
    assert "attempt 2 ──" in newest
    assert "attempt 1 ──" not in newest
    assert failed("logs", "a", "--all").count("writing it") == 2
    assert "attempt 1 ──" in failed("logs", "a/1")
    shown = failed("logs", "a/2", "--failed").splitlines()
    assert "── failed: " in shown[-1]
    assert "no such thing" in shown[-2]
    assert len(shown) == 22
    assert "$ seq 40; echo no such thing; exit 3" in failed("logs", "a", "--verify", "-n", "100")
    assert "writing it" not in failed("logs", "a", "--verify")
    assert "── " not in failed("logs", "a", "--raw")
    assert "design" in failed("logs", "design")
    assert "attempt is a number" in failed.refused("logs", "a/x", code=EXIT_USAGE)
    assert "printed nothing" in failed.refused("logs", "merged", code=EXIT_REFUSED)


def test_following_goes_on_over_attempts_and_ends_with_the_run(failed: Relay) -> None:
    for name in ("a", ""):
        with subprocess.Popen(
            [*COMMAND, "logs", "-f", *([name] if name else [])], cwd=failed.root, env=environ(None),
            stdout=subprocess.PIPE, text=True,
        ) as following:  # fmt: skip
            if name:
                assert following.stdout is not None
                assert "attempt 2" in following.stdout.readline()
                failed("retry", "a hint")
                failed.asked("fix_failure", times=2)
                failed("cancel")
            rest = following.communicate(timeout=WAIT_S)[0]
            assert following.returncode == 0
    assert "cancelled" in rest


def test_the_story_is_short_and_all_of_it_can_be_had(failed: Relay) -> None:
    story, every = failed("show"), failed("show", "-v")
    assert "a: retrying" in story
    assert "[0001-" not in story
    assert "[0001-" in every
    assert len(every.splitlines()) > len(story.splitlines())
