"""Final answers of a service, their cost, and the prompts that follow: real processes print them."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from driver import Relay, playbook

CAPTURES = Path(__file__).parent.parent / "captures"
CLAUDE = """\
#!/usr/bin/env python3
import json, os, signal, sys
from pathlib import Path

def say(**event):
    print(json.dumps(event), flush=True)

def works(file, text):
    Path(file).write_text(text)
    used = {"type": "tool_use", "name": "Write", "input": {"file": file}}
    say(type="assistant", message={"id": "m", "content": [used]})
    say(type="user", message={"content": [{"type": "tool_result", "content": "ok"}]})

def ends(text="It ended.", ok=True, status=None, **told):
    result = dict(subtype="success", is_error=not ok, api_error_status=status, session_id="s1", result=text)
    say(type="result", **result, **told)
    sys.exit(not ok)

sys.stdin.read()
count = Path("turns.txt")
turn = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(turn))
say(type="system", subtype="init", session_id="s1", model="m")
"""
CODEX = """\
#!/bin/sh
cat >/dev/null
echo '{"type":"thread.started","thread_id":"t1"}'
echo '{"type":"turn.failed","error":{"message":"'"$(cat "$(dirname "$0")/said")"'"}}'
exit 1
"""
CI = "#!/bin/sh\ncat >/dev/null\necho rest >rest.txt\n"


@pytest.fixture
def programs(relay: Relay) -> Path:
    (relay.root / ".git" / "info" / "exclude").write_text("bin/\n")
    (relay.root / "bin").mkdir()
    return relay.root / "bin"


def make(programs: Path, name: str, text: str) -> None:
    (programs / name).write_text(text)
    (programs / name).chmod(0o755)


def begin(relay: Relay, programs: Path, chain: str, *, verify: str | None = None, **settings: str) -> None:
    """One builder, `one`, of that chain, with a command of its own; the architect is scripted."""
    book = playbook(relay.root.parent / "book", {"one": []}, verify=verify)
    env = {f"RELAY_{name.upper()}": value for name, value in {"retry_delay_s": "0.1", **settings}.items()}
    env |= {"RELAY_ROLES": f'{{"architect": "{book}"}}', "PATH": f"{programs}:{os.environ['PATH']}"}
    relay.begin(chain, "parts", "--yes", "--poll", "0.3", env=env)


def prompts(relay: Relay) -> list[str]:
    jobs = relay.root / ".git" / "relay" / "jobs"
    return [file.read_text() for file in sorted(jobs.glob("*/*-one-build/prompt"))]


def builder(state: dict[str, Any]) -> tuple[str, int]:
    (line,) = state["builders"]
    return line["assistant"], line["attempt"]


@pytest.mark.parametrize(
    "said",
    [
        "Your access token could not be refreshed because your refresh token was already used. Please sign in again.",
        "The model gpt-5.3-codex is not supported when using Codex with a ChatGPT account.",
        "Quota exceeded. Check your plan and billing details.",
        "unexpected status 400 Bad Request: tools are not understood",
        "Codex ran out of room in the model's context window. Start a new thread or clear earlier history.",
    ],
)
def test_a_final_answer_is_asked_for_once_and_the_next_of_the_chain_lands_it(
    relay: Relay, programs: Path, said: str
) -> None:
    (programs / "said").write_text(said)
    make(programs, "codex", CODEX)
    make(programs, "ci", CI)
    begin(relay, programs, "codex,ci")
    assert builder(relay.over()) == ("ci", 1)
    log = (relay.home / "logs" / "workflow.log").read_text()
    assert said[:40] in log


def test_a_turn_that_got_no_answer_costs_nothing_and_the_others_what_they_used(relay: Relay, programs: Path) -> None:
    body = """
if turn == 1:
    works("half.txt", "half")
    ends(total_cost_usd=3.3, usage={"input_tokens": 1000, "output_tokens": 10},
         model_usage_since_last_result={"m": {"inputTokens": 1000, "outputTokens": 10, "costUSD": 3.3}})
if turn < 4:
    ends("API Error: 500", ok=False, status=500, total_cost_usd=3.3, usage={"input_tokens": 0, "output_tokens": 0},
         model_usage_since_last_result={})
Path("granted").write_text("")
ends(total_cost_usd=3.5, usage={"input_tokens": 100, "output_tokens": 10},
     model_usage_since_last_result={"m": {"inputTokens": 100, "outputTokens": 10, "costUSD": 0.2}})
"""
    make(programs, "claude", CLAUDE + body)
    begin(relay, programs, "claude", verify="test -e granted", limit_delay_s="0.6", max_cost_usd="5")
    usage = relay.over()["usage"]
    assert (usage["cost_usd"], usage["input_tokens"]) == (3.5, 1100)


def test_the_tokens_of_copilot_are_counted_from_the_file_that_it_writes(relay: Relay, programs: Path) -> None:
    told, used = (shlex.quote(str(CAPTURES / name)) for name in ("copilot-ok.jsonl", "copilot-usage-file.json"))
    body = f"""#!/bin/sh
cat >/dev/null
while [ $# -gt 0 ]; do [ "$1" = --usage-output-file ] && cp {used} "$2"; shift; done
echo rest >rest.txt
cat {told}
"""
    make(programs, "copilot", body)
    begin(relay, programs, "copilot")
    usage = relay.over()["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (48768, 58)


def test_a_turn_that_somebody_killed_goes_on_with_no_attempt_counted_and_no_second_copy_of_its_task(
    relay: Relay, programs: Path
) -> None:
    body = """
works(f"half{turn}.txt", "half")
if turn < 4:
    say(type="result", subtype="success", is_error=True, api_error_status=429, result="You've hit your limit",
        session_id="s1")
    os.kill(os.getpid(), signal.SIGKILL)
ends()
"""
    make(programs, "claude", CLAUDE + body)
    begin(relay, programs, "claude", attempts="1")
    assert builder(relay.over()) == ("claude", 1)
    first, *others = prompts(relay)
    assert "<requirement>" in first
    assert len(others) == 3
    for prompt in others:
        assert "You were interrupted; go on." in prompt
        assert "<requirement>" not in prompt
        assert "<feedback>" not in prompt


def test_a_red_verify_is_told_with_its_command_its_exit_and_both_ends_of_both_streams(
    relay: Relay, programs: Path
) -> None:
    make(programs, "claude", CLAUDE + "works('rest.txt', str(turn))\nends()\n")
    verify = (
        "test $(cat turns.txt) = 2 && exit; echo first of out; seq 100000 101999; echo last of out;"
        " echo first of errors >&2; seq 200000 201999 >&2; echo last of errors >&2; exit 7"
    )
    begin(relay, programs, "claude", verify=verify)
    relay.over()
    _, prompt = prompts(relay)
    for words in ("exit status 7", "first of out", "last of out", "first of errors", "last of errors", "seq 100000"):
        assert words in prompt
    assert "<requirement>" not in prompt
    assert len(prompt) < 15_000


def test_a_failure_that_comes_back_unchanged_is_for_a_person_with_its_command_and_last_lines(
    relay: Relay, programs: Path
) -> None:
    make(programs, "claude", CLAUDE + "works('rest.txt', str(turn))\nends()\n")
    begin(relay, programs, "claude", verify="echo there is no pytest; exit 1", attempts="6")
    state = relay.asked("fix_failure")
    assert len(prompts(relay)) == 2
    for words in ("echo there is no pytest; exit 1", "it came back unchanged", "(2 attempts)", "relay retry"):
        assert words in state["message"]
    assert json.loads(relay("status", "--json"))["action_needed"] == "fix_failure"
