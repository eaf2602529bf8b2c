"""Reports of builders reach the prompts of those that depend on them, and are stored once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay

#: The assistant: it keeps the prompts of builders beside itself.
CI = """#!/bin/sh
cat >"$(dirname "$0")/prompt-$RELAY_BUILDER"
case $RELAY_ROLE in
architect) echo '{"summary": "parts", "components": [{"id": "one"}, {"id": "two", "depends_on": ["one"]},
   {"id": "three", "depends_on": ["two"]}, {"id": "four"}]}' ;;
*) echo "by $RELAY_BUILDER" >"$RELAY_BUILDER.txt"; echo "$RELAY_BUILDER rounds down." ;;
esac
"""


def test_the_closing_words_reach_dependents(relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ci").write_text(CI)
    (tmp_path / "ci").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    relay.begin("ci", "parts", "--yes")
    relay.over()
    names = ("one", "two", "three", "four")
    prompts = {name: (tmp_path / f"prompt-{name}").read_text() for name in names}
    told = {name: [other for other in names if f"{other} rounds down." in prompts[name]] for name in names}
    assert told == {"one": [], "two": ["one"], "three": ["one", "two"], "four": []}
    started = {event["job"]["spec"]["step"]: event["job"]["spec"] for event in relay.events("job_started")
               if event["job"]["spec"]["name"] == "build"}  # fmt: skip
    assert "rounds down" not in str(started["three"])
    assert "two rounds down." in run_git(relay.root, "log", "--format=%B", "main")
