"""Builders that fail, hang, flood, fork or do nothing: contained, retried, told, and handed back with a way on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from driver import Relay, playbook
from eventually import eventually

GOOD = [{"write": {"good.txt": "good\n"}}]
FLAKY = [{"fail": {"times": 1, "say": "the network was away"}}, {"write": {"bad.txt": "mended\n"}}]
#: Seconds in which a builder that means no harm comes to its end, however busy the machine.
PATIENCE_S = "15"
BROKEN = [{"fail": {"status": 7, "say": "no such compiler"}}]


def begin(relay: Relay, bad: Any, *flags: str, attempts: int = 2, verify: str | None = None, **limits: str) -> str:
    """Starts a run with a good builder and a `bad` one; `limits` are settings by their names."""
    env = {"RELAY_ATTEMPTS": str(attempts), **{f"RELAY_{name.upper()}": value for name, value in limits.items()}}
    book = playbook(relay.root.parent / "book", {"good": GOOD, "bad": bad}, verify=verify)
    return relay.begin(book, "parts", "--yes", "--poll", "0.3", *flags, env=env)


def builder(state: dict[str, Any], name: str = "bad") -> dict[str, Any]:
    return next(line for line in state["builders"] if line["id"] == name)


def failures(relay: Relay, name: str) -> list[str]:
    """The codes of the failed turns of a builder."""
    ended = relay.events("job_ended")
    return [event["result"]["code"] for event in ended if event["job"].endswith(name) and not event["result"]["ok"]]


def feedback(relay: Relay) -> list[str]:
    """The feedback that each turn of the builder `bad` was given on those before."""
    turns = [event["job"]["spec"] for event in relay.events("job_started")]
    return [turn["prompt"]["feedback"] for turn in turns if (turn["step"], turn["name"]) == ("bad", "build")]


def test_a_builder_that_fails_once_is_tried_again_and_lands(relay: Relay) -> None:
    begin(relay, FLAKY)
    state = relay.over()
    assert builder(state)["attempt"] == 2
    assert builder(state, "good")["attempt"] == 1
    assert (relay.root / "bad.txt").read_text() == "mended\n"


def test_one_that_always_fails_stops_at_ci_with_reason_output_and_commands(relay: Relay) -> None:
    begin(relay, BROKEN)
    state = relay.asked("fix_failure")
    assert builder(state)["status"] == "failed"
    assert builder(state, "good")["status"] == "built"
    assert failures(relay, "bad-build") == ["exit_nonzero"] * 2
    for words in ("no such compiler", "relay retry", "relay skip bad"):
        assert words in state["message"]
    assert "relay logs bad" in relay("status")
    assert "no such compiler" in relay("logs", "bad")


def test_a_hint_reaches_the_next_attempt(relay: Relay) -> None:
    steps = [{"run": 'test "$RELAY_ATTEMPT" -gt 1'}, {"write": {"bad.txt": "with the hint\n"}}]
    begin(relay, steps, attempts=1)
    relay.asked("fix_failure")
    relay("retry", "install the compiler first")
    relay.over()
    first, second = feedback(relay)
    assert first == ""
    assert "install the compiler first" in second


def test_skipping_lands_without_it_and_keeps_its_work(relay: Relay) -> None:
    begin(relay, [{"write": {"half.txt": "half\n"}}, *BROKEN], attempts=1)
    state = relay.asked("fix_failure")
    relay("skip", "bad")
    after = relay.over()
    assert builder(after)["status"] == "skipped"
    assert (relay.root / "good.txt").exists()
    assert not (relay.root / "half.txt").exists()
    assert (relay.root / builder(state)["worktree"] / "half.txt").read_text() == "half\n"


def test_one_that_hangs_silently_is_stopped_and_tried_again(relay: Relay) -> None:
    begin(relay, {"attempts": {1: [{"hang": True}], 2: GOOD}}, idle_timeout_s=PATIENCE_S)
    relay.over()
    assert failures(relay, "bad-build") == ["idle"]


def test_one_that_works_too_long_is_stopped_although_it_talks(relay: Relay) -> None:
    talk = [{"run": "while :; do echo still at it; sleep 0.1; done"}]
    begin(relay, {"attempts": {1: talk, 2: GOOD}}, timeout_s=PATIENCE_S, idle_timeout_s="60")
    relay.over()
    assert failures(relay, "bad-build") == ["timeout"]


def test_one_that_ignores_term_is_killed(relay: Relay) -> None:
    begin(relay, {"attempts": {1: [{"ignore_term": True}, {"hang": True}], 2: GOOD}}, idle_timeout_s=PATIENCE_S)
    relay.over()
    assert failures(relay, "bad-build") == ["idle"]


def test_what_it_forked_away_is_gone_when_its_turn_is_over_though_it_holds_the_output(relay: Relay) -> None:
    begin(relay, [{"fork_away": 300}, {"write": {"bad.txt": "done\n"}}])
    relay.over()
    assert (relay.root / "bad.txt").exists()
    assert builder(relay.state())["attempt"] == 1
    # that nothing is left running is checked after every test


def test_one_that_prints_without_end_is_stopped_with_the_reason(relay: Relay) -> None:
    begin(relay, [{"flood": 3}, {"hang": True}], attempts=1, output_max_mb="1")
    state = relay.asked("fix_failure")
    assert failures(relay, "bad-build") == ["output_limit"]
    assert "output_max_mb" in state["message"]


def test_a_failed_turn_that_printed_much_sends_both_ends_of_it_back(relay: Relay, tmp_path: Path) -> None:
    steps = [{"run": "echo first of all; seq 100000 119999; echo last of all; exit 1"}]
    relay.begin(playbook(tmp_path / "book", {"one": steps}), "parts", "--yes", env={"RELAY_ATTEMPTS": "2"})
    relay.asked("fix_failure")
    _, again = [event["job"]["spec"]["prompt"] for event in relay.events("job_started")
                if event["job"]["spec"]["name"] == "build"]  # fmt: skip
    assert "first of all" in again["feedback"]
    assert "last of all" in again["feedback"]
    assert len(again["feedback"]) < 10_000


def test_one_that_says_done_and_changed_nothing_is_not_done(relay: Relay) -> None:
    begin(relay, [{"say": "All done, everything works!"}], attempts=1)
    state = relay.asked("fix_failure")
    assert state["error"]["code"] == "no_changes"
    assert builder(state)["status"] == "failed"


def test_one_that_deletes_its_own_worktree_gets_another(relay: Relay) -> None:
    begin(relay, {"attempts": {1: [{"run": 'rm -rf "$RELAY_WORKTREE"'}], 2: GOOD}}, sandbox="off")
    relay.over()
    assert failures(relay, "bad-collect") == ["tree_emptied"]


def test_one_that_commits_and_leaves_its_branch_loses_nothing(relay: Relay) -> None:
    away = "git switch -qc elsewhere && echo on > bad.txt && git add . && git commit -qm mine && git switch -q --detach"
    begin(relay, [{"run": away}, {"write": {"more.txt": "more\n"}}], sandbox="off")
    relay.over()
    assert (relay.root / "bad.txt").read_text() == "on\n"
    assert (relay.root / "more.txt").exists()


def test_doing_nothing_can_be_allowed(relay: Relay) -> None:
    begin(relay, [{"say": "Nothing to do."}], allow_no_changes="true")
    relay.over()


def test_a_red_verify_goes_back_to_the_builder_with_what_it_printed(relay: Relay) -> None:
    rounds = {"attempts": {1: [{"write": {"bad.txt": "wrong\n"}}], 2: [{"write": {"bad.txt": "right\n"}}]}}
    check = "test ! -e bad.txt || grep right bad.txt || { echo 'bad.txt says nothing right'; exit 3; }"
    begin(relay, rounds, verify=check)
    state = relay.over()
    assert builder(state)["attempt"] == 2
    assert "bad.txt says nothing right" in feedback(relay)[1]
    assert (relay.root / "bad.txt").read_text() == "right\n"


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_verify_that_somebody_killed_says_nothing_of_the_work_and_alone_is_run_again(
    relay: Relay, tmp_path: Path, signal: str
) -> None:
    """As when the machine is out of memory, or shuts down: its shim lives to record the exit."""
    killed_once = f"mkdir {tmp_path}/tried 2>&- && kill -{signal} $$; true"
    begin(relay, [{"write": {"bad.txt": "good\n"}}], verify=killed_once)
    assert {line["attempt"] for line in relay.over()["builders"]} == {1}
    assert failures(relay, "verify") == ["lost"]


def test_builders_that_are_green_alone_and_red_together_do_not_land(relay: Relay) -> None:
    head = relay.head()
    check = "! { test -e good.txt && test -e bad.txt; } || { echo 'both at once'; exit 1; }"
    begin(relay, [{"write": {"bad.txt": "alone\n"}}], "--verify", check)
    state = relay.asked("fix_failure")
    assert relay.head() == head
    assert {line["status"] for line in state["builders"]} == {"merged"}
    assert "both at once" in state["message"]
    merged = next((relay.home / "worktrees").glob("*/merged"))
    (merged / "bad.txt").unlink()
    relay("retry")
    relay.over()
    assert (relay.root / "good.txt").exists()
    assert not (relay.root / "bad.txt").exists()


def test_what_depends_on_another_starts_from_its_work(relay: Relay, tmp_path: Path) -> None:
    steps = {"base": GOOD, "top": [{"run": "cat good.txt"}, {"append": {"good.txt": "and more\n"}}]}
    relay.begin(playbook(tmp_path / "book", steps, depends={"top": ["base"]}), "parts", "--yes")
    relay.over()
    assert (relay.root / "good.txt").read_text() == "good\nand more\n"


def test_no_more_builders_are_at_work_than_allowed(relay: Relay, tmp_path: Path) -> None:
    count = tmp_path / "count"
    both = f"for i in $(seq 400); do test $(wc -l < {count}) -ge 2 && break; sleep 0.05; done"
    line = f"echo + >> {count}; {both}; echo - >> {count}"
    builders = {f"b{n}": [{"run": line}, {"write": {f"{n}.txt": "x\n"}}] for n in range(5)}
    relay.begin(playbook(tmp_path / "book", builders), "parts", "--yes", "--parallel", "2")
    relay.over()
    at_once, most = 0, 0
    for sign in count.read_text().split():
        at_once += 1 if sign == "+" else -1
        most = max(most, at_once)
    assert most == 2


def test_a_setup_that_fails_is_told_with_its_words(relay: Relay) -> None:
    begin(relay, GOOD, "--setup", "echo 'no package index'; exit 4", attempts=1)
    state = relay.asked("fix_failure")
    assert "no package index" in state["message"]


def test_a_setup_that_failed_is_run_again_before_its_builder_starts(relay: Relay, tmp_path: Path) -> None:
    flaked = f"test -e {tmp_path}/flaked-$RELAY_BUILDER || {{ touch {tmp_path}/flaked-$RELAY_BUILDER; exit 4; }}"
    begin(relay, [{"run": "test -e deps"}, *GOOD], "--setup", f"{flaked}; mkdir -p deps; touch deps/one", attempts=3)
    relay.over()
    names = [event["job"]["spec"]["name"] for event in relay.events("job_started")
             if event["job"]["spec"]["step"] == "bad"]  # fmt: skip
    assert names == ["prepare", "setup", "prepare", "setup", "build", "collect"]
    assert feedback(relay) == [""]
    assert not (relay.root / "deps").exists()


def test_what_a_person_mended_for_setup_lands(relay: Relay, tmp_path: Path) -> None:
    setup = f"echo report > report.txt; test -e mended.txt || test -e {tmp_path}/all-right"
    begin(relay, [{"write": {"bad.txt": "bad\n"}}], "--setup", setup, attempts=1)
    state = relay.asked("fix_failure")
    (relay.root / builder(state)["worktree"] / "mended.txt").write_text("by a person\n")
    (tmp_path / "all-right").touch()
    relay("retry")
    relay.over()
    assert (relay.root / "mended.txt").read_text() == "by a person\n"
    assert not (relay.root / "report.txt").exists()


@pytest.mark.parametrize("code", ["3", "0"])
def test_an_architect_that_gives_no_design_is_asked_again_and_then_ci(relay: Relay, tmp_path: Path, code: str) -> None:
    silent = {"say": "I would rather not.", "steps": [{"exit": int(code)}]}
    relay.begin(playbook(tmp_path / "book", {"good": GOOD}, architect=silent), "parts", "--yes")
    state = relay.asked("fix_failure")
    assert state["phase"] == "init"
    assert "relay " in state["error"]["remedy"]
    turns = [event for event in relay.events("job_started") if event["job"]["spec"]["name"] == "design"]
    assert len(turns) == 3


def test_an_architect_that_is_not_installed_is_not_asked_again_before_ci_has_mended_it(
    relay: Relay, tmp_path: Path
) -> None:
    gone = {"say": "", "steps": [{"exit": 127}]}
    relay.begin(playbook(tmp_path / "book", {"good": GOOD}, architect=gone), "parts", "--yes")
    state = relay.asked("fix_failure")
    assert "scripted: not installed" in state["message"]
    relay("retry")
    eventually(lambda: [e["job"]["spec"]["name"] for e in relay.events("job_started")].count("design") == 2)
    relay.asked("fix_failure")


def test_a_design_with_a_cycle_goes_back_with_the_cycle_named(relay: Relay, tmp_path: Path) -> None:
    def design(**needs: list[str]) -> dict[str, Any]:
        return {"components": [{"id": name, "depends_on": on} for name, on in needs.items()]}

    architect = [
        {"say": "first", "design": design(good=["bad"], bad=["good"])},
        {"say": "mended", "on_errors": True, "design": design(good=[], bad=["good"])},
    ]
    book = playbook(tmp_path / "book", {"good": GOOD, "bad": [{"write": {"b": "b\n"}}]}, architect=architect)
    relay.begin(book, "parts", "--yes")
    relay.over()
    assert any("good → bad → good" in note["message"] or "bad → good → bad" in note["message"]
               for note in relay.events("noted"))  # fmt: skip


def test_an_assistant_that_is_logged_out_or_gone_is_named(relay: Relay) -> None:
    book = playbook(relay.root.parent / "book", {"good": GOOD})
    relay.begin(book, "parts")
    relay.asked("approve_design")
    Path(book.partition(":")[2]).unlink()
    relay("approve")
    state = relay.asked("fix_failure")
    assert "there is no playbook" in state["message"]
    eventually(lambda: "there is no playbook" in relay("status"))


def test_status_and_state_show_the_command_that_failed_its_exit_and_its_last_lines_without_secrets(
    relay: Relay,
) -> None:
    check = "seq 40 | sed s/^/line/; echo $DB_PASSWORD >&2; exit 3"
    secret = {"RELAY_ENV": json.dumps({"DB_PASSWORD": "correct-horse"})}
    relay.begin(playbook(relay.root.parent / "book", {"bad": GOOD}, verify=check), "parts", "--yes",
                env={"RELAY_ATTEMPTS": "1", **secret})  # fmt: skip
    report = relay.asked("fix_failure")["error"]["report"]
    assert report[:2] == [f"$ {check}", "exit status 3"]
    assert report[2:] == [*(f"line{n}" for n in range(23, 41)), "--- standard error", "[masked DB_PASSWORD]"]
    shown = relay("status")
    assert all(f"\n   {line}\n" in shown for line in report)
    assert "relay logs bad --failed" in shown


def test_a_merged_tree_that_fails_shows_how_and_where_the_rest_is(relay: Relay) -> None:
    check = "! test -e bad.txt || ! test -e good.txt || { echo both are there; exit 1; }"
    begin(relay, [{"write": {"bad.txt": "1\n"}}], "--verify", check)
    relay.asked("fix_failure")
    shown = relay("status")
    assert "\n   both are there\n" in shown
    assert "relay logs merged --failed" in shown
    assert "both are there" in relay("logs", "merged", "--failed")
