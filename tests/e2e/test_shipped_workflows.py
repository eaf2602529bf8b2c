"""Rehearsals of the workflows that ship: a scripted assistant, real commands and git, from the start to what lands.

`build` is rehearsed by the demonstration, in test_calculator.py.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import yaml
from conftest import run_git
from driver import QUICK, Relay

#: A test suite without a test runner: it fails unless every assertion holds.
VERIFY = "python3 -B check.py"


def said(value: Any) -> dict[str, str]:
    """An action that ends a turn with a value as JSON."""
    return {"say": f"Here it is.\n```json\n{json.dumps(value)}\n```"}


def commit(relay: Relay, message: str, **files: str) -> None:
    """A commit of files on the branch that is checked out; `_` in a name is a point."""
    for name, text in files.items():
        (relay.root / name.replace("_", ".")).write_text(text)
    run_git(relay.root, "add", "-A")
    run_git(relay.root, "commit", "-qm", message)


def begin(relay: Relay, name: str, steps: dict[str, Any], env: dict[str, str] | None = None, **inputs: str) -> None:
    """Starts a shipped workflow, whose prompts play these steps by their ids."""
    folder = relay.root.parent / "book"
    folder.mkdir(exist_ok=True)
    book = folder / f"{name}.yaml"
    book.write_text(yaml.safe_dump({"name": name, "steps": steps}, sort_keys=False))
    flags = [part for key, value in inputs.items() for part in ("--input", f"{key}={value}")]
    relay("start", "--workflow", name, "--assistant", f"scripted:{book}", *flags, env={**QUICK, **(env or {})})


def outputs(relay: Relay) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(relay("show", "--json"))["outputs"]
    return found


def shown(relay: Relay, file: str, branch: str = "main") -> str:
    return run_git(relay.root, "show", f"{branch}:{file}")


def test_fix_bug(relay: Relay) -> None:
    commit(
        relay,
        "a bug",
        calc_py="def add(a, b):\n    return a - b\n",
        check_py="import calc\nassert calc.add(2, 0) == 2\n",
    )
    right = "def add(a, b):\n    return a + b\n"
    steps = {
        "reproduce": [
            {"append": {"check.py": "assert calc.add(2, 2) == 4, calc.add(2, 2)\n"}},
            said({"reproduced": True, "test": "check.py", "command": VERIFY, "observed": "0"}),
        ],
        "cause": [said({"cause": "add subtracts", "files": ["calc.py:2"], "fix": "add"})],
        "fix": {"attempts": {
            1: [{"write": {"calc.py": right}}, {"say": "It adds now."}],
            2: [{"write": {"calc.py": f'"""Sums."""\n\n\n{right}'}}, {"say": "With a docstring."}],
        }},
    }  # fmt: skip
    begin(relay, "fix_bug", steps, report="add(2, 2) gives 0", verify=VERIFY)
    assert "Ship this fix?" in relay.asked("answer_gate")["message"]
    relay("reject", "say what the module is")
    relay.asked("answer_gate", times=2)
    relay("approve")
    relay.over()
    assert shown(relay, "calc.py").startswith('"""Sums."""')
    assert outputs(relay) == {"cause": "add subtracts", "test": "check.py"}


def test_fix_bug_does_not_believe_a_test_that_passes(relay: Relay) -> None:
    commit(relay, "sound", check_py="assert True\n")
    claim = said({"reproduced": True, "command": VERIFY, "observed": "it failed, really"})
    begin(relay, "fix_bug", {"reproduce": [claim], "cause": [{"say": "x"}], "fix": [{"say": "x"}]}, report="none")
    assert "could not be reproduced" in relay.over("failed")["message"]


def test_code_review(relay: Relay) -> None:
    run_git(relay.root, "tag", "before")
    commit(relay, "pay", pay_py="def refund(amount):\n    return 1 / amount\n")
    finding = {"where": "pay.py:2", "severity": "high", "failure": "refund(0) divides by zero"}
    none = [said({"findings": []})]
    steps = {
        "look": none, "look:correctness": [said({"findings": [finding]})], "confirm": [said({"findings": [finding]})],
        "report": [{"say": "Not yet: pay.py:2"}],
    }  # fmt: skip
    head = relay.head()
    begin(relay, "code_review", steps, base="before")
    relay.over("done")
    assert outputs(relay) == {"findings": [finding], "comment": "Not yet: pay.py:2"}
    assert relay.head() == head


def test_create_proposal(relay: Relay) -> None:
    steps = {
        "research": [{"say": "Two queues."}], "options": [{"say": "One."}], "critique": [{"say": "Mind the order."}],
        "write": {"attempts": {
            1: [{"write": {"docs/proposal.md": "# One queue, at length\n"}}, {"say": "Written."}],
            2: [{"write": {"docs/proposal.md": "# One queue\n"}}, {"say": "Shorter."}],
        }},
    }  # fmt: skip
    begin(relay, "create_proposal", steps, topic="one queue for all jobs")
    relay.asked("answer_gate")
    relay("reject", "too long")
    relay.asked("answer_gate", times=2)
    relay("approve")
    state = relay.over()
    assert shown(relay, "docs/proposal.md") == "# One queue"
    kept = relay.root / ".project" / "runs" / state["run"] / "artifacts" / "write" / "docs" / "proposal.md"
    assert kept.read_text() == "# One queue\n"


def test_refactor(relay: Relay) -> None:
    commit(relay, "a program", cli_py="def parse(text):\n    return text.split()\n", check_py="import cli\n")
    moves = [{"id": "move", "what": "Move parse()"}, {"id": "callers", "what": "Import it"}]
    wrong = {"where": "parser.py:2", "problem": "an empty text gave [] before"}
    steps = {
        "pin": [{"write": {"check.py": "from cli import parse\nassert parse('a b') == ['a', 'b'] and not parse('')\n"}},
                {"say": "Pinned: parse."}],
        "plan": [said({"steps": moves, "risk": "empty texts"})],
        "work:move": [{"write": {"parsing.py": "def parse(text):\n    return text.split()\n"}}, {"say": "Moved."}],
        "work:callers": [{"write": {"cli.py": "from parsing import parse\n"}}, {"say": "Imported."}],
        "review": [said({"ok": False, "findings": [wrong]})],
        "fix": [{"say": "It gives [] still: the check says so."}],
    }  # fmt: skip
    begin(relay, "refactor", steps, goal="split the parser from cli.py", verify=VERIFY)
    assert "Move parse()" in relay.asked("answer_gate")["message"]
    relay("approve")
    relay.over()
    assert "from parsing import parse" in shown(relay, "cli.py")
    assert outputs(relay) == {"findings": [wrong]}


def test_hotfix_deployment(relay: Relay, tmp_path: Path) -> None:
    commit(relay, "a bad price", price_txt="null\n")
    guess = {"cause": "a null price", "evidence": "HEAD", "action": "fix", "plan": "set it", "confidence": "low"}
    steps = {
        "assess": [said(guess)],
        "repair": [{"write": {"price.txt": "1\n"}}, {"say": "Set."}],
        "second-look": [said({"safe": True, "reason": "one line"})],
    }  # fmt: skip
    live = tmp_path / "live"
    begin(
        relay, "hotfix_deployment", steps, incident="checkout gives 500", verify="grep -q 1 price.txt",
        deploy=f"cat price.txt >> {live}", check=f"grep -q 1 {live}", rollback=f"echo old > {live}",
    )  # fmt: skip
    assert "The cause is not certain: a null price" in relay.asked("answer_gate")["message"]
    relay("approve")
    assert "one line" in relay.asked("answer_gate", times=2)["message"]
    assert not live.exists()
    relay("approve")
    relay.over()
    assert (live.read_text(), shown(relay, "price.txt")) == ("1\n", "1")
    assert outputs(relay)["deployed"] == "done"


def test_feature_integration(relay: Relay) -> None:
    commit(relay, "greet", greet_py="GREETING = 'hello'\n", check_py="import greet\n")
    run_git(relay.root, "switch", "-qc", "polite")
    commit(relay, "politely", greet_py="GREETING = 'good day'\n", names_py="NAMES = ['you']\n")
    run_git(relay.root, "switch", "-q", "main")
    commit(relay, "loudly", greet_py="GREETING = 'HELLO'\n")
    none = [said({"findings": []})]
    steps = {
        "understand": [said({"intent": "it greets politely", "meetings": [{"where": "greet.py", "resolve": "both"}]})],
        "integrate": [{"write": {"greet.py": "GREETING = 'GOOD DAY'\n"}}, {"say": "Both."}],
        "prove": [{"append": {"check.py": "assert greet.GREETING == 'GOOD DAY'\n"}}, {"say": "Proved."}],
        "document": [{"write": {"README.md": "# Greets politely\n"}}, {"say": "Documented."}],
        "look": none, "confirm": none, "report": [{"say": "It can be merged."}],
        "review.look": none, "review.confirm": none, "review.report": [{"say": "It can be merged."}],
    }  # fmt: skip
    begin(relay, "feature_integration", steps, feature="polite", purpose="polite greetings", verify=VERIFY)
    assert "Land polite? Findings: []" in relay.asked("answer_gate")["message"]
    relay("approve")
    relay.over()
    assert shown(relay, "greet.py") == "GREETING = 'GOOD DAY'"
    assert shown(relay, "names.py") == "NAMES = ['you']"


def test_pr_processing(relay: Relay, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    run_git(tmp_path, "clone", "-q", "--bare", str(relay.root), str(origin))
    run_git(relay.root, "remote", "add", "origin", str(origin))
    run_git(relay.root, "tag", "base")
    run_git(relay.root, "switch", "-qc", "faster")
    commit(
        relay,
        "faster",
        total_py="def total(items):\n    return max(items)\n",
        check_py="import total\nassert total.total([1, 2]) == 3\n",
    )
    run_git(relay.root, "push", "-q", "origin", "faster")
    programs = tmp_path / "bin"
    programs.mkdir()
    request = {"title": "Faster totals", "headRefName": "faster", "headRefOid": relay.head("faster")}
    (programs / "gh").write_text(f"#!/bin/sh\ncat <<'EOF'\n{json.dumps(request)}\nEOF\n")
    (programs / "gh").chmod(0o755)
    none = [said({"findings": []})]
    steps = {
        "fix": [{"write": {"total.py": "def total(items):\n    return sum(items)\n"}}, {"say": "It sums."}],
        "review.look": none, "review.confirm": none, "review.report": [{"say": "The tests fail."}],
    }  # fmt: skip

    begin(
        relay, "pr_processing", steps, {"PATH": f"{programs}:{os.environ['PATH']}"}, pr="7", verify=VERIFY, base="base"
    )
    assert "Push the result to pull request 7?" in relay.asked("answer_gate")["message"]
    relay("approve")
    relay.over()
    assert "sum(items)" in run_git(origin, "show", "faster:total.py")
    assert "sum(items)" in shown(relay, "total.py", "faster")
    assert relay.head("main") == run_git(relay.root, "rev-parse", "base")
