"""`cache: true` and `--reuse` by the real command line: assistants that count their calls, in one run after another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import run_git
from driver import QUICK, Relay
from eventually import eventually
from killing import kill, reached

from lib.errors import EXIT_USAGE
from lib.project.paths import SHARED_WORKTREE

#: Each step's prompt, in order; each needs the one before it.
PROMPTS = {
    "draft": "Draft it",
    "judge": "Judge {{ steps.draft.output }}",
    "improve": "Improve: {{ steps.judge.output }}",
    "finish": "Finish: {{ steps.improve.output }}",
}


class Flow:
    """A workflow whose prompts note each of their turns, and write a file of their name but for the judge."""

    def __init__(self, relay: Relay, tmp_path: Path) -> None:
        self.relay, self.log, self.book = relay, tmp_path / "calls", tmp_path / "book" / "flow.yaml"
        self.book.parent.mkdir()
        self.log.touch()

    def write(self, text: str) -> None:
        folder = self.relay.root / ".project" / "workflows"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "flow.yaml").write_text(f"name: flow\n{text}")
        self.relay("trust")

    def prompts(self, prompts: dict[str, str], **options: dict[str, Any]) -> None:
        """The workflow of these prompts, each with its further options, and a gate at the end."""
        steps: list[dict[str, Any]] = []
        for name, prompt in prompts.items():
            needs = [steps[-1]["id"]] if steps else []
            access = "read" if name in {"judge", "first"} else "write"
            steps.append({"id": name, "needs": needs, "access": access, "prompt": prompt, **options.get(name, {})})
        steps.append({"id": "ok", "needs": [steps[-1]["id"]], "gate": {"message": "Good?"}})
        self.write(yaml.safe_dump({"steps": steps}, sort_keys=False))

    def says(self, **words: str) -> None:
        """Sets what the assistant of each prompt says, and writes."""
        told = {name: f"{name} 1" for name in (*PROMPTS, "first")} | words
        readers = {"judge", "first"}
        steps = {name: [{"run": f"echo {name} >> {self.log}"},
                        *([] if name in readers else [{"write": {f"{name}.txt": f"{said}\n"}}]),
                        {"say": said}] for name, said in told.items()}  # fmt: skip
        self.book.write_text(yaml.safe_dump({"name": "flow", "steps": steps}, sort_keys=False))

    def calls(self) -> list[str]:
        """The turns since the last time that it was asked."""
        found = self.log.read_text().split()
        self.log.write_text("")
        return found

    def start(self, *flags: str) -> str:
        """The id of a run that came to its gate, or to its end."""
        known = {row["run"] for row in json.loads(self.relay("runs", "--json"))}
        self.relay("start", "--workflow", "flow", "--assistant", f"scripted:{self.book}", *flags, env=QUICK)
        return self.rest(known)

    def rest(self, known: set[str]) -> str:
        return str(
            self.relay.wait(lambda s: s["run"] not in known and (s["action_owner"] == "ci" or s["outcome"]))["run"]
        )

    def cancel(self) -> None:
        self.relay("cancel")
        self.relay.over("cancelled")

    def lines(self) -> dict[str, dict[str, Any]]:
        return {line["id"]: line for line in self.relay.state()["steps"]}

    def tree(self, run: str) -> str:
        return run_git(self.relay.root, "rev-parse", f"relay/{run}/{SHARED_WORKTREE}^{{tree}}")


@pytest.fixture
def flow(relay: Relay, tmp_path: Path) -> Flow:
    """One run of `PROMPTS` that was cancelled at its gate."""
    made = Flow(relay, tmp_path)
    made.prompts(PROMPTS)
    made.says()
    made.start()
    assert made.calls() == list(PROMPTS)
    made.cancel()
    return made


def test_a_run_of_what_was_done_costs_nothing_and_lands_the_same(flow: Flow) -> None:
    old = str(flow.relay.state()["run"])
    new = flow.start("--reuse")
    assert flow.calls() == []
    assert flow.tree(new) == flow.tree(old)
    for name in PROMPTS:
        line = flow.lines()[name]
        assert (line["status"], line["attempt"], line["note"]) == ("done", 0, f"reused from {old}")
    assert flow.relay.state()["usage"] == {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0}
    assert f"reused from {old}" in " ".join(flow.relay("status").split())
    assert f"draft: done (reused from {old})" in flow.relay("show", new)
    shown = {step["id"]: step["reused"] for step in json.loads(flow.relay("show", new, "--json"))["steps"]}
    assert shown == dict.fromkeys(PROMPTS, old) | {"ok": ""}
    assert f"what it gave is reused from {old}" in flow.relay.refused("logs", "draft")
    flow.relay("approve")
    flow.relay.over()
    assert run_git(flow.relay.root, "show", "main:finish.txt") == "finish 1"
    assert f"Relay-Run: {old}" not in run_git(flow.relay.root, "log", "main")
    assert run_git(flow.relay.root, "fsck", "--no-dangling") == ""


def test_an_edit_of_one_prompt_runs_it_and_what_depends_on_it_and_nothing_else(flow: Flow) -> None:
    flow.prompts(PROMPTS | {"improve": "Improve it well: {{ steps.judge.output }}"})
    flow.says(improve="improve 2")
    flow.start("--reuse")
    assert flow.calls() == ["improve", "finish"]
    assert {name for name, line in flow.lines().items() if line["note"].startswith("reused")} == {"draft", "judge"}
    flow.relay("approve")
    flow.relay.over()
    assert run_git(flow.relay.root, "show", "main:improve.txt") == "improve 2"


def test_what_depends_on_a_prompt_that_gives_the_same_again_is_reused(flow: Flow) -> None:
    flow.prompts(PROMPTS | {"judge": "Judge it well: {{ steps.draft.output }}"})
    flow.start("--reuse")
    assert flow.calls() == ["judge"]


def test_a_step_inserted_at_the_top_makes_no_other_run_again(flow: Flow) -> None:
    flow.prompts({"first": "Read the rules", **PROMPTS})
    flow.start("--reuse")
    assert flow.calls() == ["first"]


def test_a_change_of_a_tracked_file_runs_all_that_is_on_the_tree(flow: Flow) -> None:
    (flow.relay.root / "README.md").write_text("other\n")
    run_git(flow.relay.root, "commit", "-qam", "other")
    flow.start("--reuse")
    assert flow.calls() == list(PROMPTS)


def test_without_the_flag_all_runs_again_but_steps_that_say_so(flow: Flow) -> None:
    flow.start()
    assert flow.calls() == list(PROMPTS)
    flow.cancel()
    flow.prompts(PROMPTS, judge={"cache": True})
    flow.start()
    assert flow.calls() == ["draft", "improve", "finish"]


def test_work_that_is_gone_is_done_again(flow: Flow) -> None:
    old = str(flow.relay.state()["run"])
    flow.relay("clean")
    for ref in run_git(
        flow.relay.root, "for-each-ref", "--format=%(refname)", "refs/relay", "refs/heads/relay"
    ).split():
        run_git(flow.relay.root, "update-ref", "-d", ref)
    run_git(flow.relay.root, "worktree", "remove", "--force", str(flow.relay.dot / "worktrees" / old / SHARED_WORKTREE))
    run_git(flow.relay.root, "reflog", "expire", "--expire=now", "--all")
    run_git(flow.relay.root, "gc", "--quiet", "--prune=now")
    flow.start("--reuse")
    assert flow.calls() == list(PROMPTS)


@pytest.mark.parametrize("moments", [(8, 11, 14), (9, 12, 16), (10, 13, 18)])
def test_a_kill_at_any_moment_changes_nothing(flow: Flow, moments: tuple[int, ...]) -> None:
    old = str(flow.relay.state()["run"])
    relay = flow.relay
    relay("start", "--workflow", "flow", "--assistant", f"scripted:{flow.book}", "--reuse", env=QUICK)
    for count in moments:
        eventually(lambda count=count: reached(relay, count))  # type: ignore[misc]
        kill(relay, "orchestrator")
        relay.process("resume")
    new = flow.rest({old})
    assert flow.calls() == []
    assert flow.tree(new) == flow.tree(old)
    relay("approve")
    relay.over()
    assert "Nothing is kept" in relay("recover")


def test_instances_and_turns_are_reused_one_by_one(relay: Relay, tmp_path: Path) -> None:
    flow = Flow(relay, tmp_path)
    flow.says()
    text = f"""
inputs: {{most: {{type: integer, default: 2}}}}
defaults: {{workspace: none}}
parallel: 1
steps:
  - {{id: each, foreach: {{in: ITEMS}}, run: "echo {{{{ item }}}} >> {flow.log}; echo {{{{ item }}}}"}}
  - id: loop
    loop: {{until: "loop.index >= inputs.most", max_iterations: 5}}
    run: "echo turn >> {flow.log}"
outputs: {{each: "{{{{ steps.each.output }}}}"}}
"""
    flow.write(text.replace("ITEMS", "[x, y]"))
    flow.start()
    assert flow.calls() == ["x", "y", "turn", "turn"]
    flow.write(text.replace("ITEMS", "[x, z, y]"))
    flow.start("--reuse", "--input", "most=3")
    assert flow.calls() == ["z", "turn"]
    assert relay.events("finished")[-1]["outputs"] == {"each": ["x", "z", "y"]}


def test_a_rerun_does_its_first_step_again_and_reuses_what_comes_to_the_same(flow: Flow) -> None:
    old = str(flow.relay.state()["run"])
    flow.relay("rerun", old, "--from", "judge", "--reuse", env=QUICK)
    second = flow.rest({old})
    assert flow.calls() == ["judge"]
    flow.cancel()
    flow.relay("rerun", old, "--from", "judge", env=QUICK)
    flow.rest({old, second})
    assert flow.calls() == ["judge", "improve", "finish"]


def test_a_step_that_makes_what_git_ignores_is_done_again(relay: Relay, tmp_path: Path) -> None:
    (relay.root / ".gitignore").write_text(".project/\nnode_modules/\n")
    run_git(relay.root, "add", ".gitignore")
    run_git(relay.root, "commit", "-qm", "ignore")
    flow = Flow(relay, tmp_path)
    flow.says()
    made = f"mkdir -p node_modules; echo x > node_modules/x.js; echo install >> {flow.log}"
    flow.write(f"""
steps:
  - {{id: install, run: "{made}"}}
  - {{id: use, needs: [install], access: read, run: "echo use >> {flow.log}; cat node_modules/x.js"}}
""")
    for flags, calls in (((), ["install", "use"]), (("--reuse",), ["install"])):
        flow.start(*flags)
        relay.over("done")
        assert flow.calls() == calls


def test_another_skill_runs_what_is_given_it_again(flow: Flow) -> None:
    flow.prompts(PROMPTS, judge={"skills": ["rules"]})
    skill = flow.relay.dot / "skills" / "rules.md"
    skill.parent.mkdir()
    for text, calls in (("Be strict.", ["judge"]), ("Be strict.", []), ("Be kind.", ["judge"])):
        skill.write_text(text)
        flow.relay("trust")
        flow.start("--reuse")
        assert flow.calls() == calls
        flow.cancel()


def test_the_steps_of_a_design_can_not_be_reused(relay: Relay) -> None:
    for more in ((), ("--workflow", "build")):
        said = relay.refused("start", "parts", "--assistant", "scripted:calculator", "--reuse", *more, code=EXIT_USAGE)
        assert "a design makes those of build" in said
    assert not relay.state_file.exists()
