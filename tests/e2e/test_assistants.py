"""`relay assistants` and its tiny real turns, with small programs in the place of the real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from driver import Relay

from lib.errors import EXIT_FAILED

CAPTURES = Path(__file__).parent.parent / "captures"
PROGRAM = """\
#!/bin/sh
[ "$1" = --version ] && echo 'codex-cli 0.169.0' && exit
{what}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def install(folder: Path, what: str) -> dict[str, str]:
    """A program called codex that does so; the environment in which it is found, and logged in."""
    file = folder / "codex"
    file.write_text(PROGRAM.format(what=what))
    file.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "OPENAI_API_KEY": "made-up"}


def test_version_and_login_are_listed_and_what_to_type(relay: Relay, path: Path) -> None:
    found = {row["name"]: row for row in json.loads(relay("assistants", "--json", env=install(path, "exit 1")))}
    assert (found["codex"]["ready"], found["codex"]["version"], found["codex"]["logged_in"]) == (True, "0.169.0", True)
    assert (found["claude"]["ready"], found["claude"]["remedy"]) == (False, "npm install -g @anthropic-ai/claude-code")
    told = relay("assistants", env={"PATH": f"{path}:/usr/bin:/bin"})
    assert "codex login" in told


def test_a_tiny_turn_is_judged_like_any_other(relay: Relay, path: Path) -> None:
    good = install(path, f"cat {CAPTURES}/codex-ok.jsonl")
    (trial,) = json.loads(relay("assistants", "--check", "--json", "codex", env=good))
    assert (trial["ok"], trial["text"], trial["input_tokens"]) == (True, "Wrote calc/add.py.", 41300)
    bad = install(path, f"cat {CAPTURES}/codex-api401.jsonl; exit 1")
    told = relay("assistants", "--check", "codex", code=1, env=bad)
    assert "auth: unexpected status 401" in told
    assert "fix: codex login" in told


def test_one_that_hangs_ends_in_time_with_what_it_was_trying(relay: Relay, path: Path) -> None:
    hangs = install(path, f"head -3 {CAPTURES}/codex-api429.jsonl; sleep 300 & sleep 300")
    (trial,) = json.loads(relay("assistants", "--check", "--json", "--timeout", "2", "codex", code=1, env=hangs))
    assert trial["code"] == "rate_limit"


def test_a_program_that_can_not_be_asked_for_its_login_is_tried_too(relay: Relay, path: Path) -> None:
    (path / "ci").write_text("#!/bin/sh\necho ready\n")
    (path / "ci").chmod(0o755)
    trials = json.loads(relay("assistants", "--check", "--json", env={"PATH": f"{path}:/usr/bin:/bin"}))
    assert [(trial["name"], trial["ok"]) for trial in trials] == [("ci", True)]


def test_one_that_is_missing_is_told_in_words_with_what_to_type(relay: Relay, path: Path) -> None:
    told = relay("assistants", "--check", "codex", code=1, env={"PATH": f"{path}:/usr/bin:/bin"})
    assert "not_available: no program called codex is on the PATH" in told
    assert "fix: npm install -g @openai/codex" in told


def test_doctor_is_not_content_without_an_assistant_that_can_be_used(relay: Relay, path: Path) -> None:
    env = {"PATH": f"{path}:/usr/bin:/bin"}
    told = relay("doctor", code=EXIT_FAILED, env=env)
    assert "npm install -g @anthropic-ai/claude-code" in told
    install(path, "exit 1")
    assert "codex: not logged in" in relay("doctor", code=EXIT_FAILED, env=env)
    relay("doctor", env={**env, "OPENAI_API_KEY": "made-up"})


def test_a_budget_that_nothing_counts_towards_is_told_at_the_start_and_in_status(relay: Relay, path: Path) -> None:
    env = {**install(path, f"cat {CAPTURES}/codex-ok.jsonl"), "RELAY_MAX_COST_USD": "1", "RELAY_MAX_TOKENS": "9000"}
    warning = "max_cost_usd: nothing that codex uses counts towards it: it reports no cost"
    assert warning in relay("start", "--assistant", "codex", "a calculator", env=env)
    assert warning in " ".join(relay("status").split())
    relay("cancel")
    assert warning not in " ".join(relay("status").split())


def test_a_command_of_the_configuration_and_an_unknown_name(relay: Relay) -> None:
    file = relay.root / ".project" / "config.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("assistants: {mytool: {command: 'cat; echo done'}}\n")
    assert "done" in relay("assistants", "--check", "mytool", env={"PATH": os.environ["PATH"]})
    assert "there is no assistant called nobody" in relay.refused("assistants", "nobody", code=2)
