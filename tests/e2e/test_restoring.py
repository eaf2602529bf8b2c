"""`relay checkpoints` and `relay restore` as a person types them: state and code of earlier moments, in new runs."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import COMMAND, QUICK, Relay, environ, playbook
from eventually import eventually

from lib.errors import EXIT_USAGE
from lib.git.pins import PREFIX
from lib.project.paths import find_project

TWO = {"one": [{"write": {"one.txt": "1\n"}}], "two": [{"write": {"two.txt": "2\n"}}, {"hang": True}]}
FLOW = """
name: flow
checkpoint_interval_s: 0.05
steps:
  - {{id: a, run: "echo a >> {log}; echo 1 > a.txt; echo made"}}
  - {{id: b, needs: [a], run: "echo b >> {log}; echo {{{{ steps.a.output }}}} > b.txt"}}
  - {{id: ok, needs: [b], gate: {{message: "Good?"}}}}
  - {{id: c, needs: [ok], run: "echo c >> {log}; test -e {go} || sleep 600; cat a.txt b.txt > c.txt; cat c.txt"}}
outputs:
  c: "{{{{ steps.c.output }}}}"
"""


def listed(relay: Relay, run: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(relay("checkpoints", *([run] if run else []), "--json"))
    return found


def number(relay: Relay, run: str, label: str) -> str:
    """The newest checkpoint of a run with that label."""
    return str([line["number"] for line in listed(relay, run) if line["label"] == label][-1])


def rows(relay: Relay, run: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of a run in the run database."""
    tables = ("steps", "jobs", "events", "revisions", "checkpoints")
    with closing(sqlite3.connect(find_project(relay.root).database)) as db:
        found = {name: db.execute(f"SELECT * FROM {name} WHERE run = ?", (run,)).fetchall() for name in tables}  # noqa: S608
        return found | {"runs": db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchall()}


def refs(relay: Relay, run: str) -> list[str]:
    return [line for line in run_git(relay.root, "for-each-ref").splitlines() if run in line]


def over(relay: Relay, old: str, outcome: str = "landed") -> dict[str, Any]:
    """state.json of the newer run once that is over and its orchestrator has gone."""
    state = relay.wait(lambda state: state["run"] != old and (state["outcome"] or state["action_owner"] == "ci"))
    assert state["outcome"] == outcome, relay.told()
    eventually(lambda: relay.pid() is None)
    return state


def collected(relay: Relay) -> None:
    """Git removes what no ref holds."""
    run_git(relay.root, "reflog", "expire", "--expire-unreachable=now", "--all")
    run_git(relay.root, "gc", "-q", "--prune=now")


def builds(relay: Relay) -> list[str]:
    """The builders whose turns were started in the newest run."""
    specs = (event["job"]["spec"] for event in relay.events("job_started"))
    return [spec["step"] for spec in specs if spec["name"] == "build"]


def half_built(relay: Relay, tmp_path: Path) -> str:
    """A cancelled run of which one builder is built and the other one was at work."""
    old = relay.begin(playbook(tmp_path / "book", TWO), "parts", "--yes")
    relay.wait(lambda state: state["progress"].get("built") and state["progress"].get("running"))
    relay("checkpoints", "--create", "half built")
    relay("cancel")
    relay.over("cancelled")
    return old


def mended(tmp_path: Path) -> None:
    """From now on, no builder hangs."""
    playbook(tmp_path / "book", {**TWO, "two": TWO["two"][:1]})


def test_a_run_restored_at_the_gate_asks_again_and_the_old_one_stays_byte_for_byte(
    relay: Relay, tmp_path: Path
) -> None:
    old = relay.begin(playbook(tmp_path / "book", {"one": TWO["one"]}), "parts")
    relay.asked("approve_design")
    [gate] = listed(relay)
    assert (gate["label"], gate["phase"], gate["run"]) == ("asked: approve_design", "design", old)
    said = relay.refused("restore", str(gate["number"]))
    assert f"relay cancel, or: relay restore {gate['number']} --instance second" in said
    relay("cancel")
    relay.over("cancelled")
    before = rows(relay, old), refs(relay, old), (relay.home / "runs" / old / "design.json").read_bytes()
    collected(relay)

    told = relay("restore", str(gate["number"]), env=QUICK)
    assert f"from checkpoint {gate['number']} (asked: approve_design) of {old}" in told
    state = relay.wait(lambda state: state["run"] != old and state["action_owner"] == "ci")
    assert state["action_needed"] == "approve_design"
    assert old not in state["message"]
    folder = relay.home / "runs" / state["run"]
    assert (folder / "design.json").read_bytes() == before[2]
    assert (folder / "design.md").exists()
    assert old in relay("show", state["run"])
    relay("approve")
    over(relay, old)
    assert (relay.root / "one.txt").read_text() == "1\n"
    assert (rows(relay, old), refs(relay, old), (relay.home / "runs" / old / "design.json").read_bytes()) == before


def test_what_was_built_is_not_built_again_although_git_collected_what_no_ref_holds(
    relay: Relay, tmp_path: Path
) -> None:
    old = half_built(relay, tmp_path)
    tip = relay.head(f"relay/{old}/one")
    for name in ("one", "two", "merged"):
        run_git(relay.root, "worktree", "remove", "--force", f".project/worktrees/{old}/{name}", check=False)
    for branch in run_git(relay.root, "branch", "--list", "--format=%(refname:short)", f"relay/{old}/*").split():
        run_git(relay.root, "branch", "-qD", branch)
    collected(relay)
    mended(tmp_path)
    (relay.root / "later.txt").write_text("mine\n")
    run_git(relay.root, "add", "later.txt")
    run_git(relay.root, "commit", "-qm", "later")

    plan = json.loads(relay("restore", "half built", "--dry-run", "--json"))
    assert plan["kept"] == ["one: built"]
    assert plan["to be done"] == ["two: pending"]
    assert plan["branches"] == [f"relay/NEW/one at {tip[:10]}"]
    assert "it is at" in plan["base"]
    relay("restore", "half built", env=QUICK)
    state = over(relay, old)
    assert builds(relay) == ["two"]
    assert relay.head(f"{PREFIX}{state['run']}/{listed(relay)[0]['number']}/one") == tip
    landed = {name: (relay.root / name).read_text() for name in ("one.txt", "two.txt", "later.txt")}
    assert landed == {"one.txt": "1\n", "two.txt": "2\n", "later.txt": "mine\n"}
    run_git(relay.root, "merge-base", "--is-ancestor", tip, "main")


@pytest.mark.parametrize("again", [False, True])
def test_a_landed_run_is_restored_whether_the_user_took_it_back_or_not(
    relay: Relay, tmp_path: Path, *, again: bool
) -> None:
    start = relay.head()
    old = relay.begin(playbook(tmp_path / "book", {"one": TWO["one"]}), "parts", "--yes")
    relay.over()
    if again:
        run_git(relay.root, "reset", "-q", "--hard", start)
    relay("restore", number(relay, old, "merge_build: merge_build"), env=QUICK)
    over(relay, old)
    assert (relay.root / "one.txt").read_text() == "1\n"
    assert builds(relay) == []
    assert run_git(relay.root, "status", "--porcelain") == ""


def test_a_workflow_restored_in_its_middle_comes_to_the_same_end_and_does_nothing_again(
    relay: Relay, tmp_path: Path
) -> None:
    log, go = tmp_path / "effects", tmp_path / "go"
    folder = relay.root / ".project" / "workflows"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(FLOW.format(log=log, go=go))
    relay("trust")
    relay("start", "--workflow", "flow", "--assistant", "scripted:calculator", env=QUICK)
    old = relay.asked("answer_gate")["run"]
    relay("approve")
    relay.wait(lambda state: state["progress"].get("running"))
    relay("checkpoints", "--create", "at c")
    assert "interval" in {line["label"] for line in eventually(lambda: listed(relay)) if line["cause"] == "interval"}
    relay("cancel")
    relay.over("cancelled")
    before = rows(relay, old)
    collected(relay)
    go.touch()

    relay("restore", "at c", env=QUICK)
    over(relay, old)
    assert log.read_text().split() == ["a", "b", "c", "c"]
    assert (relay.root / "c.txt").read_text() == "1\nmade\n"
    assert json.loads(relay("show", "--json"))["outputs"] == {"c": "1\nmade"}
    assert rows(relay, old) == before


def test_a_workflow_restored_at_its_gate_asks_there_again(relay: Relay, tmp_path: Path) -> None:
    log, go = tmp_path / "effects", tmp_path / "go"
    go.touch()
    folder = relay.root / ".project" / "workflows"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(FLOW.format(log=log, go=go))
    relay("trust")
    relay("start", "--workflow", "flow", "--assistant", "scripted:calculator", env=QUICK)
    old = relay.asked("answer_gate")["run"]
    relay("approve")
    relay.over()
    run_git(relay.root, "reset", "-q", "--hard", "HEAD^")
    relay("restore", number(relay, old, "asked: answer_gate"), env=QUICK)
    state = relay.wait(lambda state: state["run"] != old and state["action_owner"] == "ci")
    assert "ok asks: Good?" in state["message"]
    assert {line["id"]: line["status"] for line in state["steps"]} == {
        "a": "done", "b": "done", "ok": "running", "c": "pending",
    }  # fmt: skip
    relay("approve")
    over(relay, old)
    assert log.read_text().split() == ["a", "b", "c", "c"]


#: System calls of a restore in order: SQLite's writes and its commit, state.json, what is taken over, then the run.
MOMENTS = (
    *(("pwrite64", 20), ("fdatasync", 2), ("fdatasync", 3), ("fsync", 1), ("renameat2", 1), ("fsync", 2)),
    *(("renameat2", 2), ("fsync", 4), ("fsync", 6)),
)


def cut_short(relay: Relay, old: str, chosen: str, call: str, count: int) -> None:
    """A restore that is killed as it enters that system call, or at the latest when its builder is at work."""
    fault = f"inject={call}:signal=SIGKILL:when={count}"
    strace = ["strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", fault, "--"]
    command = [*strace, *COMMAND, "restore", chosen, "--foreground"]
    env = environ({**QUICK, "RELAY_SANDBOX_WRITE": json.dumps([str(relay.root.parent)])})
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=relay.root, env=env, stdin=nowhere, stdout=nowhere, stderr=nowhere) as process:
        eventually(lambda: process.poll() is not None or _is_at_work(relay, old))
        relay.kill()
        process.wait()


def _is_at_work(relay: Relay, old: str) -> bool:
    state = relay.state()
    return state["run"] != old and bool(state["progress"].get("running"))


def test_a_kill_at_any_moment_of_a_restore_leaves_no_run_or_a_whole_one(relay: Relay, tmp_path: Path) -> None:
    old = half_built(relay, tmp_path)
    tip, chosen = relay.head(f"relay/{old}/one"), number(relay, old, "half built")
    known, outcomes = {old}, set()
    for call, count in MOMENTS:
        before = run_git(relay.root, "for-each-ref")
        cut_short(relay, old, chosen, call, count)
        fresh = {row["run"] for row in json.loads(relay("runs", "--json"))} - known
        outcomes.add(len(fresh))
        if not fresh:
            assert run_git(relay.root, "for-each-ref") == before
            continue
        [new] = fresh
        relay("resume")
        state = relay.wait(lambda state, new=new: state["run"] == new and state["progress"].get("running"))
        assert state["progress"]["built"] == 1
        assert relay.head(f"relay/{new}/one") == tip
        assert (relay.home / "runs" / new / "design.json").exists()
        assert builds(relay).count("one") == 0
        known.add(new)
        relay("cancel")
        relay.over("cancelled")
    assert outcomes == {0, 1}


def test_what_can_not_be_restored_is_refused(relay: Relay, tmp_path: Path) -> None:
    old = half_built(relay, tmp_path)
    chosen = number(relay, old, "half built")
    assert "has no checkpoint with the label 'nothing'" in relay.refused("restore", "nothing")
    assert "there is no checkpoint 999" in relay.refused("restore", "999")
    with closing(sqlite3.connect(find_project(relay.root).database)) as db:
        db.execute(
            "UPDATE checkpoints SET commits = replace(commits, ?, ?)", (relay.head(f"relay/{old}/one"), "1" * 40)
        )
        db.commit()
    said = relay.refused("restore", chosen)
    assert "are no longer in the repository: one (1111111111)" in said
    assert "commits are gone: one" in relay.refused("checkpoints", "--check", code=1)


def test_checkpoints_are_pruned_as_told(relay: Relay, tmp_path: Path) -> None:
    old = half_built(relay, tmp_path)
    before = [line["number"] for line in listed(relay)]
    kept = number(relay, old, "half built")
    assert "go one at a time" in relay.refused("checkpoints", "--check", "--prune", code=EXIT_USAGE)
    assert "Nothing to prune." in relay("checkpoints", "--prune", "--older-than", "7d")
    assert "Nothing was removed" in relay("checkpoints", "--prune", "--keep", "0", "--dry-run")
    assert [line["number"] for line in listed(relay)] == before
    assert f"Removed {len(before) - 1} checkpoints of {old}" in relay("checkpoints", "--prune", "--keep", "0")
    assert [str(line["number"]) for line in listed(relay)] == [kept]
    held = run_git(relay.root, "for-each-ref", "--format=%(refname)", f"{PREFIX}{old}/").splitlines()
    assert {ref.removeprefix(f"{PREFIX}{old}/").partition("/")[0] for ref in held} == {kept}
