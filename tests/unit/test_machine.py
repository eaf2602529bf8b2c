"""Histories replayed through the real machine and the real handlers, in a world that is pure."""

from __future__ import annotations

import pytest
from world import HANDLERS, World, bad, new_run, ok

from lib.contracts import Advance, Proceed
from lib.effects import Tip
from lib.events import Advanced, Asked, JobEnded, Noted, StepChanged
from lib.model import Owner, RunOutcome
from lib.steps import StepStatus
from orchestrator.engine.decide import decide
from orchestrator.engine.decision import Output, Seen
from orchestrator.engine.handing_back import legal_actions
from orchestrator.engine.run import IllegalTransitionError, apply
from orchestrator.persistence.presenting import present


def approved(**settings: object) -> World:
    world = World(new_run(gates={"design": "none"}, **settings))
    world.settle()
    return world


def test_the_design_waits_for_a_person_and_names_the_action_that_follows() -> None:
    world = World(new_run())
    world.settle()
    state = world.run.state
    assert (state.phase, state.action_owner, state.action_needed) == ("design", Owner.CI, "approve_design")
    assert state.next_action == "design_build"
    assert world.offers() == ["relay approve", 'relay reject "what to change"']
    assert "design.json" in world.files


def test_handing_back_with_the_owner_alone_runs_to_the_end() -> None:
    world = World(new_run())
    world.settle()
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert world.run.state.phase == "storage"
    assert world.statuses() == {"one": "landed", "two": "landed"}


def test_another_design_gets_the_words_and_consumes_them() -> None:
    world = World(new_run())
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed="design", feedback="split it in two")
    turns = [job for job in world.started if job.spec.name == "design"]
    assert [turn.spec.prompt["feedback"] for turn in turns] == ["", "split it in two"]
    assert world.run.state.feedback == ""
    assert world.run.state.action_needed == "approve_design"


def test_an_invalid_design_goes_back_with_its_errors_and_then_to_ci() -> None:
    world = World(new_run(design_repairs=2))
    world.answers["design"] = ok(
        text='{"components": [{"id": "a", "depends_on": ["b"]}, {"id": "b", "depends_on": ["a"]}]}'
    )
    world.settle()
    turns = [job for job in world.started if job.spec.name == "design"]
    assert len(turns) == 3
    assert "a" in str(turns[1].spec.prompt["errors"])
    assert world.run.state.action_needed == "fix_failure"
    assert world.run.state.error is not None
    assert world.run.state.error.code == "design_invalid"


def test_an_edited_design_is_validated_again() -> None:
    world = World(new_run())
    world.settle()
    world.files["design.json"] = "{"
    world.edit(action_owner=Owner.CODE)
    assert (world.run.state.action_owner, world.run.state.action_needed) == (Owner.CI, "fix_failure")
    assert not world.run.steps


def test_a_dependent_starts_from_what_it_depends_on_and_not_before() -> None:
    world = approved()
    order = world.names()
    assert order.index("one:collect") < order.index("two:prepare")
    prepare = next(job for job in world.started if job.spec.name == "prepare" and job.spec.step == "two")
    assert prepare.spec.args.tips == (Tip(id="one", tip="c-one", title="One"),)


def test_no_more_builders_than_parallel_are_at_work() -> None:
    world = World(new_run(gates={"design": "none"}, parallel=2))
    world.design = {"components": [{"id": f"b{n}"} for n in range(5)]}
    world.answers["build"] = None
    world.settle()
    assert list(world.statuses().values()).count("running") == 2
    assert list(world.statuses().values()).count("pending") == 3


def test_a_failure_is_retried_after_a_pause_with_what_it_printed() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=2))
    world.answers["build"] = lambda job: bad("exit_nonzero", tail="no such module") if job.attempt == 1 else ok()
    world.settle()
    assert world.statuses()["one"] == "retrying"
    assert world.last is not None
    assert world.last.wake_at_mono_s is not None
    assert world.last.wake_at_mono_s > world.mono_s
    world.mono_s = world.last.wake_at_mono_s
    world.settle()
    turns = [job for job in world.started if job.spec.name == "build" and job.spec.step == "one"]
    assert "no such module" in turns[1].spec.prompt["feedback"]
    assert turns[1].attempt == 2


def test_attempts_are_bounded_and_ci_is_told_which_builder_failed() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1))
    world.answers["build"] = lambda job: bad("exit_nonzero") if job.spec.step == "one" else ok()
    world.settle()
    assert world.statuses() == {"one": "failed", "two": "pending"}
    assert world.run.state.action_needed == "fix_failure"
    assert "relay skip one" in world.offers()


def test_a_hand_back_after_a_failure_gives_another_round_with_the_words() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1))
    world.answers["build"] = lambda job: bad("exit_nonzero") if job.attempt == 1 and job.spec.step == "one" else ok()
    world.settle()
    world.edit(action_owner=Owner.CODE, feedback="use the other module")
    again = [job for job in world.started if job.spec.name == "build" and job.spec.step == "one"][-1]
    assert "use the other module" in again.spec.prompt["feedback"]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_skipping_goes_on_without_the_builder() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1))
    world.answers["build"] = lambda job: bad("exit_nonzero") if job.spec.step == "one" else ok()
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed="skip one")
    assert world.statuses() == {"one": "skipped", "two": "landed"}


def test_skipping_one_at_work_stops_it_and_the_action_goes_on() -> None:
    world = World(new_run(gates={"design": "none"}))
    world.answers["build"] = lambda job: None if job.spec.step == "one" else ok()
    world.settle()
    world.edit(action_needed="skip one")
    assert [job.spec.step for job in world.stopped] == ["one"]
    assert world.run.state.action_needed in {"execution", "none"}
    assert world.statuses()["one"] == "skipped"


def test_a_retry_of_one_at_work_waits_for_the_old_copy_to_end() -> None:
    world = World(new_run(gates={"design": "none"}))
    world.answers["build"] = None
    world.settle()
    world.edit(action_needed="retry one")
    builds = [job for job in world.started if job.spec.name == "build"]
    assert len(builds) == 1, "a second copy must not start while the first is alive"
    world.answers["build"] = ok()
    world.settle(JobEnded(job=builds[0].id, result=bad("retry")))
    assert [job.attempt for job in world.started if job.spec.name == "build" and job.spec.step == "one"] == [1, 2]


def test_cancel_stops_what_runs_and_ends_the_run() -> None:
    world = World(new_run(gates={"design": "none"}))
    world.answers["build"] = None
    world.settle()
    world.edit(action_needed="cancel")
    assert world.run.state.outcome is RunOutcome.CANCELLED
    assert set(world.statuses().values()) == {"cancelled"}
    assert len(world.stopped) == 1


def test_nothing_starts_while_paused_and_ends_are_still_recorded() -> None:
    world = World(new_run(gates={"design": "none"}))
    world.answers["build"] = None
    world.settle()
    world.edit(paused=True)
    build = next(job for job in world.started if job.spec.name == "build")
    count = len(world.started)
    world.settle(JobEnded(job=build.id, result=ok()))
    assert len(world.started) == count
    world.answers["build"] = ok()
    world.edit(paused=False)
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_pause_does_not_count_against_a_time_limit() -> None:
    world = World(new_run(gates={"design": "none"}, timeout_s=100.0))
    world.answers["build"] = None
    world.settle()
    world.edit(paused=True)
    world.mono_s += 1000
    world.settle()
    assert not world.stopped
    world.edit(paused=False)
    assert not world.stopped
    world.mono_s += 101
    world.settle()
    assert [job.stopping for job in world.stopped] == ["timeout"]


@pytest.mark.parametrize(
    ("silence", "reason"),
    [(Output(901.0, 10), "idle"), (Output(1.0, 300_000_000), "output_limit"), (Output(1.0, 10), None)],
)
def test_limits_end_a_job_with_the_reason_recorded_first(silence: Output, reason: str | None) -> None:
    world = World(new_run(gates={"design": "none"}, idle_timeout_s=900.0, output_max_mb=200.0))
    world.answers["build"] = None
    world.settle()
    build = next(job for job in world.started if job.spec.name == "build")
    world.tick(output={build.id: silence})
    assert [job.stopping for job in world.stopped] == ([reason] if reason else [])


def test_no_change_at_all_is_a_failure() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1))
    world.answers["collect"] = lambda job: ok(commit=job.spec.args.base)
    world.settle()
    assert world.run.steps["one"].error is not None
    assert world.run.steps["one"].error.code == "no_changes"


def test_a_red_verification_is_not_built() -> None:
    world = World(new_run(gates={"design": "none"}, attempts=1, verify="make check"))
    world.answers["verify"] = bad("exit_nonzero", tail="1 failed")
    world.settle()
    assert world.statuses()["one"] == "failed"


def test_a_conflict_goes_to_ci_and_the_hand_back_goes_on() -> None:
    world = World(new_run(gates={"design": "none"}, conflicts="person"))
    conflict = {
        "builder": "two",
        "branch": "b",
        "head": "h1",
        "theirs": "c-two",
        "paths": [{"path": "a.py", "kind": "content"}],
    }
    world.answers["merge"] = ok(head="h1", merged=["one"], conflict=conflict)
    world.settle()
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "resolve_conflict")
    assert "a.py" in state.message
    assert ".project/worktrees/r1/merged" in state.message
    assert world.statuses() == {"one": "merged", "two": "built"}
    del world.answers["merge"]
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED


def commands(world: World, builder: str | None) -> list[str]:
    return [job.spec.command for job in world.started if job.spec.name == "verify" and job.spec.step == builder]


def test_the_merged_tree_is_verified_by_the_components_commands_where_the_run_has_none() -> None:
    world = World(new_run(gates={"design": "none"}))
    world.design = {"components": [{"id": "a", "verify": "test a"}, {"id": "b", "verify": "test b"}]}
    world.settle()
    assert commands(world, None) == ["(test a) && (test b)"]
    assert world.run.state.message.endswith(", verified")


def test_a_components_command_comes_on_top_of_the_configured_one() -> None:
    world = World(new_run(gates={"design": "none"}, verify="make check"))
    world.design = {"components": [{"id": "a", "verify": "test a"}, {"id": "b"}]}
    world.settle()
    assert commands(world, "a") == ["(make check) && (test a)"]
    assert commands(world, "b") == ["make check"]
    assert commands(world, None) == ["make check", "(make check) && (test a)"]


def test_what_nothing_verifies_is_never_called_verified() -> None:
    world = World(new_run(land="ask"), design={"components": [{"id": "a"}, {"id": "b"}]})
    world.settle()
    said = [world.run.state.message]
    world.edit(action_owner=Owner.CODE)
    said.append(world.run.state.message)
    world.edit(action_owner=Owner.CODE)
    said.append(world.run.state.message)
    assert all("relay init" in words for words in said)
    assert "nothing verifies this" in said[0]
    assert "merged and not verified" in said[1]
    assert ", not verified: " in said[2]
    assert any(isinstance(event, Advanced) and event.message == "2 of 2 builders built, none verified"
               for event in world.events)  # fmt: skip
    assert not any(line.verified for line in present(world.run).builders)


def test_a_part_that_nothing_verifies_is_named() -> None:
    world = World(new_run(), design={"components": [{"id": "a", "verify": "test a"}, {"id": "b"}]})
    world.settle()
    assert "nothing verifies b: " in world.run.state.message
    world.edit(action_owner=Owner.CODE)
    assert ", verified in part: " in world.run.state.message
    assert [line.verified for line in present(world.run).builders] == [True, False]


def test_an_attempt_that_is_not_verified_yet_is_not_verified_by_the_last_one() -> None:
    world = World(new_run(gates={"design": "none"}, verify="make check", review=True))
    answers = iter(['{"verdict": "send_back", "comments": ["no"]}'])
    world.answers["review"] = lambda _: ok(text=next(answers, '{"verdict": "accept"}'))
    world.design = {"components": [{"id": "a"}]}
    world.settle()
    assert world.run.steps["a"].verified
    world.answers["verify"] = None
    world.mono_s += 100
    world.settle()
    assert (world.statuses(), world.run.steps["a"].verified) == ({"a": "verifying"}, False)


@pytest.mark.parametrize("code", ["stopped", "not_started", "rebooted", "lost"])
@pytest.mark.parametrize("name", ["survey", "design", "merge", "verify", "land"])
def test_a_job_of_the_run_whose_end_says_nothing_is_started_again(name: str, code: str) -> None:
    world = World(new_run(gates={"design": "none"}, verify="true"))
    ends = iter([bad(code)])
    world.answers[name] = lambda job: next(ends, None) or world.usual(job) if job.spec.step is None else ok()
    world.settle()
    assert world.run.state.outcome is RunOutcome.LANDED


def test_what_is_killed_again_and_again_goes_to_ci() -> None:
    world = World(new_run(gates={"design": "none"}, verify="true", attempts=2))
    world.answers["verify"] = lambda job: bad("lost") if job.spec.step is None else ok()
    world.settle()
    assert world.run.state.action_needed == "fix_failure"
    assert [job.spec.worktree for job in world.started if job.spec.name == "verify"][-2:] == ["merged", "merged"]


def test_a_base_that_moved_on_is_merged_again_and_verified_again() -> None:
    world = World(new_run(gates={"design": "none"}, verify="true"))
    landings = iter([bad("moved_on"), ok()])
    world.answers["land"] = lambda _job: next(landings)
    world.settle()
    assert world.run.state.outcome is RunOutcome.LANDED
    merging = [job.spec.name for job in world.started if job.spec.worktree == "merged"]
    assert merging.count("merge") == 2
    assert merging.count("verify") == 2


def test_what_stands_in_the_way_of_landing_is_asked_about() -> None:
    world = World(new_run(gates={"design": "none"}))
    world.answers["land"] = bad("checkout_dirty", "a.py has changes of yours")
    world.settle()
    assert world.run.state.action_needed == "clear_the_way"
    assert "a.py" in world.run.state.message
    del world.answers["land"]
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED


def test_land_ask_asks_once() -> None:
    world = World(new_run(gates={"design": "none"}, land="ask"))
    world.settle()
    assert world.run.state.action_needed == "approve_landing"
    world.edit(action_owner=Owner.CODE)
    assert world.run.state.outcome is RunOutcome.LANDED
    assert sum(isinstance(event, Asked) for event in world.events) == 1


def test_land_branch_stores_and_leaves_the_users_branch_alone() -> None:
    world = World(new_run(gates={"design": "none"}, land="branch"))
    world.settle()
    assert world.run.state.outcome is RunOutcome.STORED
    assert "run:land" not in world.names()


class Broken:
    name = "design"
    phases = ("init",)

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    def step(self, _view: object) -> object:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    "outcome", [ValueError("oops"), Advance("init", "nowhere"), Advance("init", "Not An Action!"), Proceed(), 42]
)
def test_a_broken_handler_is_told_and_does_not_end_the_loop(outcome: object) -> None:
    world = World(new_run())
    decision = decide(world.run, Seen(), {"design": Broken(outcome)}, world.now(), lambda _name: None)  # type: ignore[dict-item]
    assert (decision.run.state.action_owner, decision.run.state.action_needed) == (Owner.CI, "fix_failure")
    assert decision.run.state.error is not None
    assert decision.run.state.error.code == "handler_failed"


def test_only_actions_of_the_phase_are_legal() -> None:
    world = World(new_run())
    assert set(legal_actions(world.run, HANDLERS)) == {"design", "retry", "skip", "cancel"}


def test_an_edge_that_is_not_in_the_table_is_a_bug() -> None:
    world = World(new_run())
    world.settle()
    world.edit(action_owner=Owner.CODE)
    event = StepChanged(step="one", changes={"status": StepStatus.RUNNING})
    with pytest.raises(IllegalTransitionError, match="done → running"):
        apply(world.run, event, world.now())


def test_every_job_of_an_assistant_has_limits() -> None:
    world = approved()
    jobs = [job for job in world.started if job.turn]
    assert jobs
    assert all(job.spec.timeout_s and job.spec.idle_timeout_s for job in jobs)


def warnings_of(world: World) -> list[str]:
    return [event.message for event in world.events if isinstance(event, Noted) and event.level == "warning"]


def test_what_a_builder_changed_of_anothers_files_is_told() -> None:
    parts = [{"id": "one", "files": ["one/**"]}, {"id": "two", "files": ["two.py", "shared.py"]}]
    world = World(new_run(gates={"design": "none"}), design={"components": parts})
    changed = {"one": ["one/a.py", "two.py", "free.txt"], "two": ["two.py"]}
    world.answers["collect"] = lambda job: ok(commit=f"c-{job.spec.step}", changed=changed[job.spec.step or ""])
    world.settle()
    assert warnings_of(world) == ["one changed files of two: two.py"]


@pytest.mark.parametrize(("sandbox", "told"), [("off", 1), ("auto", 1), ("require", 0)])
def test_an_edit_that_a_builder_without_a_sandbox_may_have_made_is_told(sandbox: str, told: int) -> None:
    world = World(new_run(gates={"design": "none"}, sandbox=sandbox))
    world.answers["build"] = None
    world.settle()
    world.edit(paused=True)
    assert len(warnings_of(world)) == told
    assert all("one worked without a sandbox" in words for words in warnings_of(world))


def test_a_decision_on_one_builder_gives_the_others_no_new_attempts() -> None:
    design = {"summary": "", "components": [{"id": "one", "title": "One"}, {"id": "two", "title": "Two"}]}
    for edit, statuses in (
        ("skip one", {"one": "skipped", "two": "failed"}),
        ("retry one", dict.fromkeys(("one", "two"), "failed")),
    ):
        world = World(new_run(gates={"design": "none"}, attempts=1), design=design)
        world.answers["build"] = bad("exit_nonzero")
        world.settle()
        world.edit(action_owner=Owner.CODE, action_needed=edit)
        assert world.statuses() == statuses
        assert world.run.state.action_needed == "fix_failure"
        assert world.run.state.action_owner is Owner.CI
        attempts = [job.spec.step for job in world.started if job.spec.name == "build"]
        assert attempts.count("two") == 1
    world.edit(action_owner=Owner.CODE)
    assert [job.spec.step for job in world.started if job.spec.name == "build"].count("two") == 2
