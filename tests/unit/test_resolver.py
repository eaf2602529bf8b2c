"""Histories of conflicts that an assistant has, through the real machine and handlers."""

from __future__ import annotations

from typing import Any

import pytest
from world import World, bad, new_run, ok

from lib.effects import ReopenConflict
from lib.events import Noted
from lib.jobs import Job
from lib.model import Owner, RunOutcome

CONFLICT = {
    "builder": "two",
    "branch": "relay/r1/two",
    "head": "h1",
    "theirs": "c-two",
    "paths": [{"path": "a.py", "kind": "content"}],
}


def conflicting(**settings: Any) -> World:
    """A run whose merge meets a conflict until a resolution is given to it."""
    world = World(new_run(gates={"design": "none"}, **settings))

    def merge(job: Job) -> Any:
        if job.spec.args.resolved:
            return world.usual(job)
        return ok(head="h1", merged=["one"], conflict=CONFLICT)

    world.answers["merge"] = merge
    return world


def turns(world: World) -> list[Job]:
    return [job for job in world.started if job.spec.name == "resolve"]


def last_steps(world: World) -> list[str]:
    names = [job.spec.name for job in world.started]
    return names[names.index("brief_resolver") :]


def test_a_resolution_is_judged_and_verified_before_it_is_merged() -> None:
    world = conflicting(verify="make check")
    world.settle()
    assert last_steps(world)[:5] == ["brief_resolver", "resolve", "judge_resolution", "verify", "merge"]
    assert world.run.state.outcome is RunOutcome.LANDED
    merges = [job.spec.args.resolved for job in world.started if job.spec.name == "merge"]
    assert merges == [None, "c-resolved"]
    prompt = turns(world)[0].spec.prompt
    assert prompt["theirs"]["id"] == "two"
    assert [side["id"] for side in prompt["ours"]] == ["one"]


def test_reasons_go_back_into_the_same_session() -> None:
    world = conflicting()
    world.answers["resolve"] = ok(text="done").model_copy(update={"session": "s1"})
    world.answers["judge_resolution"] = lambda job: (
        ok(objections=["a.py: lines are missing"], commit=None) if len(turns(world)) == 1 else world.usual(job)
    )
    world.settle()
    assert [turn.spec.session for turn in turns(world)] == [None, "s1"]
    assert turns(world)[1].spec.prompt["reasons"] == ["a.py: lines are missing"]
    assert [turn.attempt for turn in turns(world)] == [1, 2]
    assert world.run.state.outcome is RunOutcome.LANDED


@pytest.mark.parametrize("step", ["resolve", "judge_resolution", "verify"])
def test_after_as_many_attempts_a_person_has_it_and_is_told_what_was_tried(step: str) -> None:
    world = conflicting(attempts=2, verify="make check")
    usual = world.usual

    def failing(job: Job) -> Any:
        if job.spec.step:
            return usual(job)
        return ok(objections=["a.py is torn"]) if step == "judge_resolution" else bad("exit_nonzero", "a.py is torn")

    world.answers[step] = failing
    world.settle()
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "resolve_conflict")
    assert len(turns(world)) == 2
    assert "tried 2 times" in state.message
    assert "a.py is torn" in state.message
    assert last_steps(world)[-1] == "reopen_conflict"
    assert world.started[-1].spec.args.fresh is True


def test_a_limit_passes_the_conflict_to_the_next_of_the_chain() -> None:
    world = conflicting(roles={"resolver": ["claude", "codex"]})
    world.answers["resolve"] = lambda job: bad("auth", "logged out") if job.spec.assistant == "claude" else ok(text="")
    world.settle()
    assert [turn.spec.assistant for turn in turns(world)] == ["claude", "codex"]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_when_nobody_of_the_chain_can_be_had_a_person_is_asked_and_told_why() -> None:
    world = conflicting(roles={"resolver": ["claude"]})
    world.answers["resolve"] = bad("auth", "logged out")
    world.settle()
    assert world.run.state.action_needed == "resolve_conflict"
    assert "logged out" in world.run.state.message


@pytest.mark.parametrize("kind", ["binary", "submodule", "mode", "file/directory", "symlink", "distinct modes"])
def test_kinds_without_lines_are_for_a_person(kind: str) -> None:
    world = conflicting()
    world.answers["merge"] = ok(
        head="h1", merged=["one"], conflict={**CONFLICT, "paths": [{"path": "a", "kind": kind}]}
    )
    world.settle()
    assert world.run.state.action_needed == "resolve_conflict"
    assert turns(world) == []


def test_nothing_lands_when_every_builder_was_skipped() -> None:
    world = World(new_run(gates={"design": "none"}, conflicts="person"))
    world.answers["merge"] = ok(head="h1", merged=[], conflict=CONFLICT)
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed="skip one two")
    assert world.run.state.outcome is None
    assert world.run.state.action_needed == "fix_failure"
    assert "nothing to land" in world.run.state.message


LEFT_OUT = 'a.py: left out "x = 1", which two has ("n/a")'


def test_what_only_a_person_can_decide_is_asked_at_once_with_the_lines_and_the_reasons() -> None:
    world = conflicting(attempts=3)
    world.answers["judge_resolution"] = ok(objections=[], questions=[LEFT_OUT], commit="c-resolved", warnings=[])
    world.settle()
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "resolve_conflict")
    assert len(turns(world)) == 1
    assert world.started[-1].spec.args == ReopenConflict(fresh=True)
    assert LEFT_OUT in state.message
    taking = world.offers()[-1]
    assert taking == "git -C .project/worktrees/r1/merged read-tree -u --reset c-resolved && relay approve"


def test_many_lines_for_a_person_fit_a_screen() -> None:
    world = conflicting()
    questions = [LEFT_OUT.replace("x", f"x{number}") for number in range(40)]
    world.answers["judge_resolution"] = ok(objections=[], questions=questions, commit="c-resolved", warnings=[])
    world.settle()
    assert "and 32 more" in world.run.state.message
    assert len(world.run.state.message) < 2000


def test_what_an_accepted_resolution_explains_is_asked_before_it_lands_and_logged() -> None:
    world = conflicting(land="auto")
    world.answers["judge_resolution"] = ok(objections=[], questions=[], commit="c-resolved", warnings=[LEFT_OUT])
    world.settle()
    state = world.run.state
    assert (state.action_owner, state.action_needed) == (Owner.CI, "approve_landing")
    assert LEFT_OUT in state.message
    assert LEFT_OUT in [event.message for event in world.events if isinstance(event, Noted)]
    del world.answers["merge"]  # it is merged now
    world.edit(action_owner=Owner.CODE, action_needed="merge_build")
    assert world.run.state.outcome is RunOutcome.LANDED


def test_what_a_refused_resolution_explained_is_not_asked() -> None:
    world = conflicting()

    def judge(job: Job) -> Any:
        if len(turns(world)) == 1:
            return ok(objections=["a.py is torn"], questions=[], commit=None, warnings=[LEFT_OUT])
        return world.usual(job)

    world.answers["judge_resolution"] = judge
    world.settle()
    assert world.run.state.outcome is RunOutcome.LANDED


def test_what_is_explained_after_the_landing_was_approved_is_asked_again() -> None:
    world = World(new_run(gates={"design": "none"}, land="ask"))
    landings = iter([bad("moved_on"), ok(commit="h")])
    world.answers["land"] = lambda _job: next(landings)
    world.settle()
    assert world.run.state.action_needed == "approve_landing"
    conflicts = iter([None, CONFLICT, None])
    world.answers["judge_resolution"] = ok(objections=[], questions=[], commit="c-resolved", warnings=[LEFT_OUT])
    world.answers["merge"] = lambda job: (
        world.usual(job) if job.spec.args.resolved else ok(head="h1", merged=["one"], conflict=next(conflicts))
    )
    world.edit(action_owner=Owner.CODE, action_needed="merge_build")
    assert (world.run.state.action_owner, world.run.state.action_needed) == (Owner.CI, "approve_landing")
    assert LEFT_OUT in world.run.state.message
    world.edit(action_owner=Owner.CODE, action_needed="merge_build")
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_judgement_that_fails_is_made_again_and_no_turn_is_taken_for_it() -> None:
    answers = iter([bad("git_failed")] * 4)
    world = conflicting(attempts=3, verify="make check")
    world.answers["judge_resolution"] = lambda job: next(answers, None) or world.usual(job)
    world.settle()
    while world.last is not None and world.last.wake_at_mono_s:
        world.mono_s = world.last.wake_at_mono_s
        world.settle()
    assert world.run.state.action_needed == "fix_failure"
    assert last_steps(world) == ["brief_resolver", "resolve", *["judge_resolution"] * 3]
    world.edit(action_owner=Owner.CODE)
    while world.run.state.outcome is None and world.last.wake_at_mono_s:
        world.mono_s = world.last.wake_at_mono_s
        world.settle()
    assert last_steps(world)[:8] == [
        *("brief_resolver", "resolve"), *["judge_resolution"] * 5, "verify",
    ]  # fmt: skip
    assert len(turns(world)) == 1
    assert world.run.state.outcome is RunOutcome.LANDED
