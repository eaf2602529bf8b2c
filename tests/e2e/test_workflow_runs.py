"""Runs of workflows by the real command line: what lands, what is asked, what a kill leaves, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import run_git
from driver import QUICK, Relay
from eventually import eventually
from killing import disturbed, kill

from lib.errors import EXIT_USAGE

#: The fan-out's items, in the order in which they are found.
ITEMS = ("one", "two", "three")


def workflow(relay: Relay, name: str, text: str) -> Path:
    """A workflow of the project, whose text lacks only the name."""
    folder = relay.root / ".project" / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\n{text}")
    return file


def book(folder: Path, **steps: Any) -> str:
    """An `--assistant` that plays these steps, by the ids of a workflow's prompts."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "flow.yaml"
    file.write_text(yaml.safe_dump({"name": "flow", "steps": steps}, sort_keys=False))
    return f"scripted:{file}"


def begin(relay: Relay, name: str, assistant: str, *flags: str) -> str:
    """The id of the run that was started."""
    relay("trust")
    relay("start", "--workflow", name, "--assistant", assistant, *flags, env=QUICK)
    return str(relay.state()["run"])


def commits(relay: Relay) -> list[str]:
    """The first lines of the commits on main, the oldest first, without the one that was there."""
    return run_git(relay.root, "log", "--reverse", "--topo-order", "--format=%s", "main").splitlines()[1:]


WHOLE = """
inputs: {{greeting: {{type: string, default: hello}}}}
parallel: 4
steps:
  - id: plan
    prompt: "Say which parts there are"
    access: read
    output_schema: {{type: object, required: [parts], properties: {{parts: {{type: array, items: {{type: string}}}}}}}}
  - id: part
    needs: [plan]
    description: Write a part
    foreach: {{in: "{{{{ steps.plan.output.parts }}}}", as: name}}
    run: |
      mkdir -p parts
      echo "{{{{ inputs.greeting }}}} "{{{{ name }}}} > "parts/"{{{{ name }}}}
      echo {{{{ name }}}} >> {log}
  - id: finish
    needs: [part]
    prompt: "Finish it"
    verify: test -f done.txt
  - id: ok
    needs: [finish]
    gate: {{message: "Ship {{{{ steps.plan.output.parts }}}}?", on_reject: {{back_to: finish}}}}
  - id: count
    needs: [ok, finish]
    workspace: none
    run: |
      echo '{{"count": 3}}' > "$RELAY_OUTPUT"
outputs:
  parts: "{{{{ steps.plan.output.parts }}}}"
  count: "{{{{ steps.count.output.count }}}}"
"""


def whole(relay: Relay, tmp_path: Path) -> str:
    """The assistant of a run of `whole`, a workflow of each kind of step; it notes each effect in a log."""
    log = tmp_path / "effects"
    workflow(relay, "whole", WHOLE.format(log=log))
    plan = f"Three parts.\n```json\n{json.dumps({'parts': list(ITEMS)})}\n```"
    finish = [{"write": {"done.txt": "done\n"}}, {"run": f"echo finish >> {log}"}, {"say": "All done."}]
    return book(tmp_path / "book", plan=[{"run": f"echo plan >> {log}"}, {"say": plan}], finish=finish)


def effects(tmp_path: Path) -> Counter[str]:
    return Counter((tmp_path / "effects").read_text().split())


def landed(relay: Relay) -> dict[str, str]:
    files = run_git(relay.root, "ls-tree", "-r", "--name-only", "main").splitlines()
    return {
        file: run_git(relay.root, "show", f"main:{file}") for file in files if file not in {"README.md", "src/app.py"}
    }


LANDED = {**{f"parts/{name}": f"hello {name}" for name in ITEMS}, "done.txt": "done"}


def test_a_workflow_of_each_kind_lands_its_change(relay: Relay, tmp_path: Path) -> None:
    begin(relay, "whole", whole(relay, tmp_path))
    asked = relay.asked("answer_gate")
    assert 'ok asks: Ship ["one", "two", "three"]?' in asked["message"]
    assert "relay approve" in relay("status")
    relay("approve")
    relay.over()
    assert landed(relay) == LANDED
    assert run_git(relay.root, "status", "--porcelain", "--untracked-files=no") == ""
    assert effects(tmp_path) == dict.fromkeys(("plan", *ITEMS, "finish"), 1)
    said = commits(relay)
    assert said.count("Write a part") == 3
    assert said.count("finish") == 1
    assert len(said) in {4, 5}  # and the merge, if there is one
    [finished] = relay.events("finished")
    assert finished["outputs"] == {"parts": list(ITEMS), "count": 3}
    assert json.loads(relay("show", "--json"))["outputs"] == finished["outputs"]
    assert "count: 3" in " ".join(relay("status").split())
    assert json.loads(relay("status", "--json"))["outcome"] == "landed"
    relay("clean")
    assert run_git(relay.root, "branch", "--list", "--format=%(refname:short)") == "main"


def test_inputs_are_taken_from_the_command_line_and_from_a_file(relay: Relay, tmp_path: Path) -> None:
    assistant = whole(relay, tmp_path)
    (tmp_path / "inputs.yaml").write_text("greeting: good day\n")
    begin(relay, "whole", assistant, "--yes", "--inputs", str(tmp_path / "inputs.yaml"))
    relay.over()
    assert landed(relay)["parts/one"] == "good day one"
    begin(
        relay, "whole", assistant, "--yes", "--inputs", str(tmp_path / "inputs.yaml"), "--input", "greeting=$(id) 'x'"
    )
    relay.over()
    assert landed(relay)["parts/one"] == "$(id) 'x' one"


@pytest.mark.parametrize("moments", [(4, 9, 15), (12, 22, 31), (27, 38, 47), (41, 52, 60), (55, 66, 75)])
def test_each_effect_happens_once_however_often_the_orchestrator_is_killed(
    relay: Relay, tmp_path: Path, moments: tuple[int, ...]
) -> None:
    begin(relay, "whole", whole(relay, tmp_path), "--yes")
    disturbed(relay, [(moment, "orchestrator") for moment in moments])
    assert landed(relay) == LANDED
    assert effects(tmp_path) == dict.fromkeys(("plan", *ITEMS, "finish"), 1)
    ended = Counter(event["job"].split("-", 1)[1] for event in relay.events("job_ended") if event["result"]["ok"])
    assert {name: count for name, count in ended.items() if count > 1 and name.endswith(("-run", "-turn"))} == {}
    assert commits(relay).count("Write a part") == 3
    assert run_git(relay.root, "fsck", "--no-dangling") == ""


def test_a_kill_while_a_gate_asks_leaves_the_question(relay: Relay, tmp_path: Path) -> None:
    begin(relay, "whole", whole(relay, tmp_path))
    relay.asked("answer_gate")
    relay.kill()
    relay("resume")
    relay.asked("answer_gate")
    relay("approve")
    relay.over()
    assert effects(tmp_path) == dict.fromkeys(("plan", *ITEMS, "finish"), 1)


def test_what_the_jobs_of_a_step_are_killed_in_is_done_again(relay: Relay, tmp_path: Path) -> None:
    log, go = tmp_path / "effects", tmp_path / "go"
    workflow(
        relay,
        "slow",
        f"""
steps:
  - id: a
    run: 'echo begun >> {log}; until test -e {go}; do sleep 0.05; done; echo x > a.txt; echo ended >> {log}'
""",
    )
    begin(relay, "slow", book(tmp_path / "book", a=[{"say": "x"}]))
    eventually(log.exists)
    kill(relay, "builders")
    eventually(lambda: effects(tmp_path)["begun"] == 2)
    go.touch()
    relay.over()
    assert effects(tmp_path) == {"begun": 2, "ended": 1}
    assert landed(relay) == {"a.txt": "x"}


@pytest.mark.parametrize(("option", "action"), [("ask", "fix_failure"), ("skip", "")])
def test_a_step_that_is_not_to_be_done_again_is_not(relay: Relay, tmp_path: Path, option: str, action: str) -> None:
    log = tmp_path / "effects"
    workflow(
        relay,
        "once",
        f"""
steps:
  - {{id: a, workspace: none, on_interrupt: {option}, run: 'echo begun >> {log}; sleep 1000'}}
  - {{id: b, needs: [a], workspace: none, run: 'echo after >> {log}'}}
""",
    )
    begin(relay, "once", book(tmp_path / "book", a=[{"say": "x"}]))
    eventually(log.exists)
    kill(relay, "both")
    relay("resume")
    if action:
        relay.asked(action)
        relay("skip", "a")
    relay.over("done")
    assert effects(tmp_path) == {"begun": 1, "after": 1}


def test_a_workflow_that_changes_nothing_is_done(relay: Relay, tmp_path: Path) -> None:
    workflow(
        relay,
        "look",
        """
steps:
  - {id: read, access: read, prompt: "Look at it"}
  - {id: list, run: "git ls-files"}
  - {id: tell, needs: [read, list], workspace: none, run: "echo {{ steps.read.output }}, {{ steps.list.output }}"}
outputs: {told: "{{ steps.tell.output }}"}
""",
    )
    head = relay.head()
    begin(relay, "look", book(tmp_path / "book", read=[{"say": "It is fine"}]))
    relay.over("done")
    assert relay.head() == head
    [finished] = relay.events("finished")
    assert finished["outputs"]["told"].split() == ["It", "is", "fine,", "README.md", "src/app.py"]
    assert "no file was changed" in relay.state()["message"]


def test_a_rejection_by_hand_in_state_json_sends_back_with_its_words(relay: Relay, tmp_path: Path) -> None:
    workflow(
        relay,
        "make",
        """
steps:
  - {id: make, prompt: "Make it"}
  - {id: ok, needs: [make], gate: {message: "{{ steps.make.output }}?", on_reject: {back_to: make, max_rounds: 1}}}
""",
    )
    first = [{"write": {"a.txt": "first\n"}}, {"say": "The first"}]
    second = [{"write": {"a.txt": "second\n"}}, {"say": "The second"}]
    begin(relay, "make", book(tmp_path / "book", make={"attempts": {1: first, 2: second}}))
    assert "The first?" in relay.asked("answer_gate")["message"]
    relay.edit(action_owner="code", action_needed="reject", feedback="not like this")
    assert "The second?" in relay.asked("answer_gate", times=2)["message"]
    started = [
        event["job"]["spec"]["prompt"]
        for event in relay.events("job_started")
        if event["job"]["spec"]["name"] == "turn"
    ]
    assert [prompt["feedback"] for prompt in started] == ["", "not like this"]
    relay.edit(action_owner="code", action_needed="reject", feedback="still not")
    relay.asked("fix_failure", times=3)
    assert "still not" in relay.state()["message"]
    relay("skip", "ok")
    relay.over()
    assert landed(relay) == {"a.txt": "second"}


def test_an_action_in_state_json_that_the_gate_does_not_know_is_refused(relay: Relay, tmp_path: Path) -> None:
    workflow(relay, "ask", "steps:\n  - {id: ok, gate: {message: Go on?}}\n")
    begin(relay, "ask", book(tmp_path / "book", none=[{"say": "x"}]))
    relay.asked("answer_gate")
    relay.edit(action_owner="code", action_needed="perhaps")
    eventually(lambda: "perhaps" in relay("status", code=None))
    assert relay.state()["outcome"] is None
    relay.edit(action_owner="ci", action_needed="answer_gate")
    relay.edit(action_owner="code", action_needed="approve")
    relay.over("done")


def test_a_failure_is_told_and_a_retry_goes_on(relay: Relay, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    workflow(
        relay,
        "fail",
        f"""
steps:
  - {{id: a, run: "test -e {flag} && echo x > a.txt"}}
  - {{id: b, needs: [a], when: "steps.a.status == 'done'", end: {{status: failed, reason: "as it should"}}}}
""",
    )
    begin(relay, "fail", book(tmp_path / "book", none=[{"say": "x"}]))
    assert "a: run" in relay.asked("fix_failure")["message"]
    flag.touch()
    relay("retry", "a")
    state = relay.over("failed")
    assert state["message"] == "as it should"
    assert landed(relay) == {}


def test_a_run_that_takes_too_long_ends_with_its_last_steps(relay: Relay, tmp_path: Path) -> None:
    log = tmp_path / "effects"
    workflow(
        relay,
        "long",
        f"""
timeout_s: 4.0
steps:
  - {{id: a, run: "echo begun >> {log}; sleep 600; echo woken >> {log}"}}
  - {{id: b, needs: [a], run: "echo never >> {log}"}}
finally:
  - {{id: last, workspace: none, run: "echo {{{{ steps.a.status }}}} >> {log}"}}
""",
    )
    begin(relay, "long", book(tmp_path / "book", none=[{"say": "x"}]))
    assert relay.over("failed")["message"] == "its steps took longer than 4 s"
    assert effects(tmp_path) == {"begun": 1, "failed": 1}


def test_an_effort_that_an_assistant_does_not_take_is_warned_of(relay: Relay, tmp_path: Path) -> None:
    workflow(relay, "think", "steps:\n  - {id: a, prompt: Think, effort: high, access: read}\n")
    begin(relay, "think", book(tmp_path / "book", a=[{"say": "x"}]))
    relay.over("done")
    assert "scripted takes no effort, so a went without high" in relay("logs")


def test_a_step_that_prints_more_than_its_limit_is_stopped(relay: Relay, tmp_path: Path) -> None:
    workflow(relay, "loud", 'steps:\n  - {id: a, run: "yes; true", limits: {output_max_mb: 0.1}}\n')
    begin(relay, "loud", book(tmp_path / "book", none=[{"say": "x"}]))
    assert "output_max_mb" in relay.asked("fix_failure")["message"]


def test_values_that_no_process_can_take_fail_their_step(relay: Relay, tmp_path: Path) -> None:
    workflow(
        relay,
        "odd",
        """
steps:
  - {id: nul, workspace: none, run: "printf '{\\"x\\": \\"a\\\\u0000b\\"}' > $RELAY_OUTPUT"}
  - {id: long, workspace: none, run: "head -c 400000 /dev/zero | tr '\\\\0' x > $RELAY_OUTPUT"}
  - {id: a, needs: [nul], workspace: none, on_failure: continue, run: "echo {{ steps.nul.output.x }}"}
  - {id: b, needs: [long], workspace: none, on_failure: continue, run: "echo {{ steps.long.output }}"}
  - {id: c, workspace: none, run: "echo fine"}
""",
    )
    begin(relay, "odd", book(tmp_path / "book", none=[{"say": "x"}]))
    relay.over("done")
    ends = {
        event["step"]: event["changes"]["status"]
        for event in relay.events("step_changed")
        if "status" in event["changes"]
    }
    assert ends == {"nul": "done", "long": "done", "c": "done", "a": "failed", "b": "failed"}
    assert "3 of 5 steps done" in relay.state()["message"]


WRONG = {
    "unknown key": ("steps:\n  - {id: a, promt: x}\n", "wrong.yaml:3:"),
    "unknown step": ("steps:\n  - {id: a, run: x y, needs: [b]}\n", "wrong.yaml:3:"),
    "cycle": ("steps:\n  - {id: a, run: x y, needs: [b]}\n  - {id: b, run: x y, needs: [a]}\n", "wrong.yaml:"),
    "unsupported": (
        "steps:\n  - {id: a, prompt: x, review: true}\n",
        "wrong.yaml:3:5: a: review is not carried out yet",
    ),
    "unsupported workspace": (
        "steps:\n  - {id: a, run: x y, workspace: own}\n",
        "a: workspace: own is not carried out yet",
    ),
    "unsupported run": ("priority: 5\nsteps:\n  - {id: a, run: x y}\n", "wrong.yaml:"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_can_not_be_run_is_refused_with_its_place(relay: Relay, tmp_path: Path, what: str) -> None:
    text, place = WRONG[what]
    workflow(relay, "wrong", text)
    said = relay.refused(
        "start", "--workflow", "wrong", "--assistant", book(tmp_path / "book", a=[{"say": "x"}]), code=EXIT_USAGE
    )
    assert place in said
    assert not relay.state_file.exists()


INPUTS = (
    "inputs: {n: {type: integer, required: true, description: How many}, word: {}}\nsteps:\n  - {id: a, run: x y}\n"
)


@pytest.mark.parametrize(("flags", "words"), [
    ((), "n is missing: How many"),
    (("--input", "n=many"), 'n must be integer, not "many"'),
    (("--input", "n=1", "--input", "wrod=x"), "has no input wrod; did you mean word?"),
    (("--input", "n"), "is no NAME=VALUE"),
    (("--input", "n=1", "--inputs", "missing.yaml"), "there is no file"),
    (("--inputs", "broken.yaml"), "broken.yaml:3:1: it is not YAML"),
])  # fmt: skip
def test_inputs_that_do_not_fit_are_refused(relay: Relay, tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    workflow(relay, "counted", INPUTS)
    (relay.root / "broken.yaml").write_text("n: 1\nword: [x\n")
    assistant = book(tmp_path / "book", a=[{"say": "x"}])
    said = relay.refused("start", "--workflow", "counted", "--assistant", assistant, *flags, code=EXIT_USAGE)
    assert words in said
    assert not relay.state_file.exists()


def test_a_workflow_that_nobody_has_read_is_not_run(relay: Relay, tmp_path: Path) -> None:
    workflow(relay, "new", "steps:\n  - {id: a, run: x y}\n")
    said = relay.refused("start", "--workflow", "new", "--assistant", book(tmp_path / "book", a=[{"say": "x"}]))
    assert "new.yaml is new and decides what is run" in said
    assert not relay.state_file.exists()


def test_a_workflow_that_there_is_not_is_refused_with_the_nearest(relay: Relay) -> None:
    said = relay.refused("start", "--workflow", "fix_bgu", "--assistant", "scripted:calculator", code=EXIT_USAGE)
    assert "did you mean fix_bug?" in said
    assert not relay.state_file.exists()


def test_a_dry_run_shows_the_graph_and_makes_nothing(relay: Relay, tmp_path: Path) -> None:
    assistant = whole(relay, tmp_path)
    relay("trust")
    said = relay("start", "--workflow", "whole", "--dry-run", "--assistant", assistant)
    assert "plan" in said
    assert not relay.state_file.exists()


def test_a_change_of_the_file_does_not_change_the_run(relay: Relay, tmp_path: Path) -> None:
    assistant = whole(relay, tmp_path)
    begin(relay, "whole", assistant)
    relay.asked("answer_gate")
    file = relay.root / ".project" / "workflows" / "whole.yaml"
    relay.kill()
    file.write_text("name: whole\nsteps: [{id: other, run: rm -rf x}]\n")
    relay("resume")
    relay("approve")
    relay.over()
    assert landed(relay) == LANDED


def test_a_loop_goes_on_in_one_conversation_until_its_command_says_so_and_finally_comes_last(
    relay: Relay, tmp_path: Path
) -> None:
    log = tmp_path / "effects"
    workflow(
        relay,
        "green",
        f"""
steps:
  - id: green
    loop: {{until_run: "test $(wc -l < lines.txt) -ge 3", max_iterations: 5}}
    group:
      - {{id: add, prompt: "Add a line. Last time: {{{{ loop.check else 'nothing' }}}}"}}
      - {{id: note, needs: [add], access: read, run: "echo {{{{ loop.index }}}} >> {log}; wc -l < lines.txt"}}
finally:
  - {{id: last, workspace: none, run: "echo last >> {log}"}}
outputs:
  lines: "{{{{ steps.green.output.note }}}}"
""",
    )
    turns = {f"green:{turn}.add": [{"append": {"lines.txt": f"{turn}\n"}}, {"say": "more"}] for turn in (1, 2, 3)}
    assistant = book(tmp_path / "book", **turns)
    begin(relay, "green", assistant)
    relay.over()
    assert log.read_text().split() == ["1", "2", "3", "last"]
    assert landed(relay) == {"lines.txt": "1\n2\n3"}
    prompts = [event["job"]["spec"]["prompt"] for event in relay.events("job_started")
               if event["job"]["spec"]["name"] == "turn"]  # fmt: skip
    assert [prompt["task"].partition("$ test")[0] for prompt in prompts][:2] == [
        "Add a line. Last time: nothing", "Add a line. Last time: "
    ]  # fmt: skip


def test_a_rerun_begins_with_the_tree_and_the_outputs_that_its_step_saw(relay: Relay, tmp_path: Path) -> None:
    log = tmp_path / "effects"
    workflow(
        relay,
        "again",
        f"""
steps:
  - {{id: a, run: "echo a >> {log}; echo 1 > a.txt; echo made"}}
  - {{id: b, needs: [a], prompt: "After {{{{ steps.a.output }}}}"}}
  - {{id: c, needs: [b], access: read, run: "cat a.txt b.txt | tr '\\\\n' ' '"}}
  - {{id: ok, needs: [c], gate: {{message: "Good? {{{{ steps.c.output }}}}"}}}}
""",
    )
    assistant = book(tmp_path / "book", b=[{"write": {"b.txt": "first\n"}}, {"say": "x"}])
    old = begin(relay, "again", assistant)
    assert "1 first" in relay.wait(lambda state: state["action_owner"] == "ci")["message"]
    relay("cancel")
    relay.over("cancelled")

    book(tmp_path / "book", b=[{"write": {"b.txt": "second\n"}}, {"say": "x"}])
    relay("rerun", old, "--from", "b", env=QUICK)
    state = relay.wait(lambda state: state["run"] != old and state["action_owner"] == "ci")
    assert "1 second" in state["message"]
    assert log.read_text().split() == ["a"]
    assert {line["id"]: line["attempt"] for line in state["steps"]} == {"a": 1, "b": 1, "c": 1, "ok": 1}
    [task] = [event["job"]["spec"]["prompt"]["task"] for event in relay.events("job_started")
              if event["job"]["id"].endswith("b-turn")][-1:]  # fmt: skip
    assert task == "After made"
    relay("approve")
    relay.over()
    assert landed(relay) == {"a.txt": "1", "b.txt": "second"}
    assert json.loads(relay("show", old, "--json"))["outcome"] == "cancelled"


@pytest.mark.parametrize(
    ("step", "words"), [("nothing", "is no step"), ("_shared", "is no step"), ("ok", "has not begun")]
)
def test_a_rerun_from_what_has_not_begun_is_refused(relay: Relay, tmp_path: Path, step: str, words: str) -> None:
    workflow(relay, "two", "steps:\n  - {id: a, run: 'false'}\n  - {id: ok, needs: [a], run: x}\n")
    run = begin(relay, "two", book(tmp_path / "book", a=[{"say": "x"}]))
    relay.wait(lambda state: state["action_owner"] == "ci")
    relay("cancel")
    relay.over("cancelled")
    said = relay.refused("rerun", run, "--from", step, code=EXIT_USAGE)
    assert words in said
    assert "can go on from: a" in said
