"""Chains, limits and budgets with real processes: programs called `claude` and `ci` that print what real ones print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from driver import Relay, playbook
from eventually import eventually

CLAUDE = """\
#!/usr/bin/env python3
import json, sys, time
from pathlib import Path

def say(**event):
    print(json.dumps(event), flush=True)

def retries(status, error, delay_ms=60_000):
    say(type="system", subtype="api_retry", error_status=status, error=error, retry_delay_ms=delay_ms)

def ends(ok=True, status=None, cost=0.0):
    say(type="result", subtype="success", is_error=not ok, api_error_status=status, result="It ended.",
        session_id="s1", total_cost_usd=cost, usage={"input_tokens": 1000, "output_tokens": 10})
    sys.exit(not ok)

sys.stdin.read()
say(type="system", subtype="init", session_id="s1", model="m")
"""
CI = """\
#!/bin/sh
cat >/dev/null
"""
WRITES = "echo rest >rest.txt"


class Programs:
    """Programs of the user's, in a folder of the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def make(self, name: str, start: str, body: str) -> None:
        (self.folder / name).write_text(start + body + "\n")
        (self.folder / name).chmod(0o755)

    @property
    def path(self) -> str:
        return f"{self.folder}:{os.environ['PATH']}"


@pytest.fixture
def programs(relay: Relay) -> Programs:
    (relay.root / ".git" / "info" / "exclude").write_text("bin/\n")
    return Programs(relay.root / "bin")


def begin(
    relay: Relay, programs: Programs, chain: str, *flags: str, verify: str | None = None, **settings: str
) -> None:
    """One builder, `one`, of that chain, with a command of its own; the architect is scripted."""
    book = playbook(relay.root.parent / "book", {"one": []}, verify=verify)
    env = {f"RELAY_{name.upper()}": value for name, value in settings.items()}
    roles = f'{{"architect": "{book}"}}'
    relay.begin(
        chain, "parts", "--yes", "--poll", "0.3", *flags, env={"RELAY_ROLES": roles, "PATH": programs.path, **env}
    )


def turns(relay: Relay) -> list[dict[str, Any]]:
    jobs = [event["job"] for event in relay.events("job_started")]
    return [job["spec"] for job in jobs if job["spec"]["name"] == "build"]


def ends(relay: Relay) -> list[str]:
    return [event["result"]["code"] for event in relay.events("job_ended") if event["job"].endswith("-build")]


def test_at_a_limit_the_next_of_the_chain_goes_on_with_what_the_first_one_left(
    relay: Relay, programs: Programs
) -> None:
    programs.make(
        "claude", CLAUDE, "Path('half.txt').write_text('half')\nretries(429, 'rate_limit', 10)\nends(False, 429)"
    )
    programs.make("ci", CI, f"test -e half.txt && {WRITES}")
    begin(relay, programs, "claude,ci")
    state = relay.over()
    assert [turn["assistant"] for turn in turns(relay)] == ["claude", "ci"]
    assert [turn["prompt"]["resumed"] for turn in turns(relay)] == [False, True]
    assert {line["attempt"] for line in state["builders"]} == {1}
    assert state["usage"]["input_tokens"] == 1000
    assert (relay.root / "half.txt").read_text() == "half"
    assert (relay.root / "rest.txt").read_text() == "rest\n"
    assert "claude is on hold: rate limited" in (relay.home / "logs" / "workflow.log").read_text()


def test_a_limit_without_another_assistant_is_waited_for_and_a_person_can_lift_it(
    relay: Relay, programs: Programs
) -> None:
    programs.make("claude", CLAUDE, "ends(False, 429)")
    begin(relay, programs, "claude")
    eventually(lambda: "claude: rate limited" in relay("status"))
    assert "retried in" in relay("status")
    assert "waits for claude: rate limited" in relay.state()["builders"][0]["note"]
    assert relay.state()["action_owner"] == "code"
    programs.make("claude", CLAUDE, "Path('rest.txt').write_text('rest')\nends()")
    relay("retry")
    state = relay.over()
    assert state["builders"][0]["attempt"] == 1
    assert len(turns(relay)) == 2


def test_a_turn_whose_service_goes_on_failing_is_ended_and_the_next_assistant_takes_it(
    relay: Relay, programs: Programs
) -> None:
    programs.make("claude", CLAUDE, "while True:\n    retries(None, 'unknown')\n    time.sleep(0.2)")
    programs.make("ci", CI, WRITES)
    begin(relay, programs, "claude,ci", stuck_timeout_s="15", limit_delay_s="600")
    eventually(lambda: "retrying" in relay("status"))
    assert relay.over()["builders"][0]["attempt"] == 1
    assert ends(relay) == ["network", ""]


def test_a_turn_that_waits_for_a_permission_is_told_and_ended(relay: Relay, programs: Programs) -> None:
    programs.make("ci", CI, "echo looking; printf 'Allow writing rest.txt? [y/N] '; sleep 600")
    begin(relay, programs, "ci", stuck_timeout_s="15", attempts="1")
    eventually(lambda: "asks: Allow writing rest.txt? [y/N]" in relay("status"))
    state = relay.asked("fix_failure")
    assert ends(relay) == ["asking"]
    assert "it waited for an answer" in state["message"]


def test_one_that_is_logged_out_is_told_with_its_remedy_and_goes_on_when_that_was_done(
    relay: Relay, programs: Programs
) -> None:
    programs.make("claude", CLAUDE, "ends(False, 401)")
    begin(relay, programs, "claude")
    state = relay.asked("fix_failure")
    assert "claude: logged out" in state["message"]
    assert state["error"]["remedy"] == "claude /login"
    programs.make("claude", CLAUDE, "Path('rest.txt').write_text('rest')\nends()")
    relay("retry")
    assert relay.over()["builders"][0]["attempt"] == 1


def test_a_builder_that_has_used_its_budget_is_not_launched_again_until_a_person_grants_more(
    relay: Relay, programs: Programs
) -> None:
    programs.make("claude", CLAUDE, "Path('rest.txt').write_text(str(time.time()))\nends(cost=0.6)")
    begin(relay, programs, "claude", builder_max_cost_usd="0.5", verify="test -e granted")
    state = relay.asked("fix_failure")
    assert len(turns(relay)) == 1
    assert "$0.60 of $0.50" in state["message"]
    assert "$0.60" in relay("status", "--json") or '"cost_usd": 0.6' in relay("status", "--json")
    programs.make("claude", CLAUDE, "Path('granted').write_text('')\nends(cost=0.1)")
    relay("retry")
    relay.over()


def test_a_turn_that_passes_its_budget_in_its_middle_is_ended_within_an_event_of_it(
    relay: Relay, programs: Programs
) -> None:
    programs.make(
        "claude",
        CLAUDE,
        """
for number in range(1, 60):
    Path('said.txt').write_text(str(number))
    say(type="assistant", message={"id": f"m{number}", "content": [{"type": "text", "text": "more"}],
                                   "usage": {"input_tokens": 1000, "output_tokens": 1}})
    time.sleep(0.1 if number < 4 else 30)
ends()""",
    )
    begin(relay, programs, "claude", builder_max_tokens="3000")
    state = relay.asked("fix_failure")
    assert ends(relay) == ["budget"]
    assert "of 3,000 tokens" in state["message"]
    said = next((relay.home / "worktrees").glob("*/one/said.txt")).read_text()
    assert said in {"3", "4"}


def test_a_run_that_has_used_its_budget_asks_before_it_spends_more(relay: Relay, programs: Programs) -> None:
    programs.make("claude", CLAUDE, "Path('rest.txt').write_text('rest')\nends(cost=0.6)")
    begin(relay, programs, "claude", max_cost_usd="0.5", verify="test -e granted")
    state = relay.asked("extend_budget")
    assert "$0.60 of $0.50" in state["message"]
    assert "relay approve" in relay("status")
    programs.make("claude", CLAUDE, "Path('granted').write_text('')\nends(cost=0.1)")
    relay("approve")
    relay.over()
