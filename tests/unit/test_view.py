"""Views of a run: who acts next, with which command, and how far the builders are."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from situations import PID, RUN, SMALL, SPENT, builder, job, state, step, view_of, waiting

from lib.jobs import JobKind
from lib.model import Problem, Reach, State
from lib.process import now
from lib.question import APPROVE, HINT, REDESIGN, Answer
from lib.statefile.document import DISCARD
from lib.steps import BuilderStatus, StepKind, StepStatus
from orchestrator.status.view import View, as_data, stage

CONFLICT = Problem(code="conflict", message="a conflicts", remedy="cd merged && git status")


def texts(view: View) -> list[str]:
    return [command.text for command in view.commands]


def stops(view: View) -> dict[str, str]:
    return {stop.name: stop.state for stop in view.track}


def test_a_design_that_waits_names_the_commands_and_the_edit_that_answer() -> None:
    message = "The design has 1 component: a. Read design.md"
    asked = waiting("approve_design", message, phase="design", next_action="design_build", answers=(APPROVE, REDESIGN))
    view = view_of(asked)
    assert view.headline == "Waiting for you: approve the design"
    assert view.message == message
    assert texts(view) == ["relay approve", 'relay reject "what to change"', '"action_owner": "code"']
    assert view.commands[1].what == "asks for a new design"
    assert ".project/state.json" in view.commands[-1].what
    assert view_of(asked.model_copy(update={"message": "Then: relay cancel"})).commands == view.commands
    assert (stops(view)["design"], stops(view)["design_build"]) == ("done", "now")


def test_commands_of_another_instance_name_it_and_its_state_file() -> None:
    view = view_of(waiting("approve_design", "", phase="design", instance="web"))
    assert texts(view)[0] == "relay approve --instance web"
    assert view.state_file == ".project/instances/web/state.json"
    assert view.state_file in view.commands[-1].what


def test_a_failure_is_told_once_with_what_it_offers() -> None:
    error = Problem(code="exit_nonzero", message="b: it broke", remedy="relay logs b --failed")
    asked = waiting("fix_failure", "b: it broke (3 attempts)", next_action="execution", error=error, answers=(HINT,))
    view = view_of(asked, [builder("a", BuilderStatus.BUILT), builder("b", BuilderStatus.FAILED)])
    assert texts(view) == ['relay retry "a hint"', '"action_owner": "code"']
    assert view.troubles == ()  # the message tells it


@pytest.mark.parametrize(("action", "last"), [("resolve_conflict", "relay approve"), ("fix_failure", "relay retry")])
def test_a_question_that_version_01_put_offers_its_remedy_and_to_go_on(action: str, last: str) -> None:
    view = view_of(waiting(action, "a conflicts. Then: …", next_action="merge_build", error=CONFLICT))
    assert view.message == "a conflicts. Then: …"
    assert texts(view)[:2] == [CONFLICT.remedy, last]


def test_a_problem_comes_before_whatever_the_run_waits_for() -> None:
    broken = Problem(code="x", message="not JSON", remedy="$EDITOR state.json", others=(DISCARD,))
    view = view_of(waiting("approve_design", "?"), problem=broken)
    assert view.mood == "held"
    assert [trouble.message for trouble in view.troubles] == ["not JSON"]
    assert texts(view) == ["$EDITOR state.json", "relay resume --discard-edit"]
    assert view_of(state(paused=True), problem=broken).mood == "held"


@pytest.mark.parametrize(
    ("stands", "pid", "mood", "first"),
    [
        (state(), None, "down", "relay resume"),
        (state(), 0, "work", "relay status --watch"),
        (state(paused=True), PID, "paused", "relay resume"),
        (waiting("approve_design", "?"), None, "ask", "relay approve"),
        (waiting("approve_design", "?", paused=True), PID, "paused", "relay resume"),
        (state(outcome="landed", message="Landed on main"), None, "done", "relay show 20260101-120000"),
        (state(outcome="stored"), None, "done", f"git merge relay/{RUN}/merged"),
        (state(outcome="cancelled"), None, "failed", f"git branch --list 'relay/{RUN}/*'"),
    ],
)
def test_each_situation_has_its_mood_and_its_next_command(
    stands: State, pid: int | None, mood: str, first: str
) -> None:
    view = view_of(stands, pid=pid)
    assert (view.mood, texts(view)[0]) == (mood, first)


def test_the_track_tells_what_is_done_where_the_run_is_and_what_is_ahead() -> None:
    assert stops(view_of(state())) == {
        "design": "done", "design_build": "done", "execution": "now", "merge_build": "ahead", "landed": "ahead",
    }  # fmt: skip
    assert set(stops(view_of(state(outcome="landed", phase="storage"))).values()) == {"done"}
    assert list(stops(view_of(state(outcome="stored", phase="storage"))))[-1] == "stored"


def test_the_track_of_another_workflow_is_its_phase() -> None:
    assert stops(view_of(state(phase="steps", action_needed="run_steps"))) == {"steps": "now"}


def test_a_verb_that_is_being_carried_out_leaves_the_track_where_it_is() -> None:
    assert stops(view_of(state(action_needed="retry a")))["execution"] == "now"


def test_the_headline_counts_what_is_built_and_what_is_at_work() -> None:
    statuses = ["built", "merged", "running", "verifying", "pending"]
    view = view_of(state(), [builder(name, BuilderStatus(name)) for name in statuses])
    assert view.headline == "Building: 2 of 5 built, 2 at work"
    assert (view.built, view.active, view.progress["pending"]) == (2, 2, 1)


def test_the_headline_names_the_job_of_the_run_and_who_does_it() -> None:
    design = job("design", assistant="claude")
    view = view_of(state(phase="init", action_needed="design"), jobs=[design], lines={design.id: "thinking"})
    assert (view.headline, view.line) == ("Designing by claude", "thinking")
    assert view.doing_s is not None


def test_a_job_that_is_being_stopped_says_why() -> None:
    verify = job("verify", kind=JobKind.COMMAND).model_copy(update={"stopping": "timeout"})
    view = view_of(state(phase="merge_build", action_needed="merge_build"), jobs=[verify])
    assert view.headline == "Verifying the merged tree, being stopped: timeout"


def test_a_builder_at_work_shows_what_it_printed_and_any_other_its_error_or_note() -> None:
    error = Problem(code="no_changes", message="b: build: nothing changed", remedy="relay logs b")
    parts = [
        builder("a", job="j", note="an old note"),
        builder("b", BuilderStatus.FAILED, job="j", error=error, note="nothing changed"),
        builder("c", BuilderStatus.BUILT, job="j", note="three tests"),
        builder("d", BuilderStatus.SKIPPED, note="skipped"),
    ]
    view = view_of(state(), parts, lines={"j": "writing tests"})
    assert [part.line for part in view.builders] == ["writing tests", "build: nothing changed", "three tests", ""]


def test_a_builder_that_changed_what_is_not_its_own_says_so() -> None:
    part = builder("a", BuilderStatus.BUILT, note="three tests", reach=Reach(outside=6, deleted=2))
    assert view_of(state(), [part]).builders[0].line == "6 files outside its own, 2 deleted; three tests"


def test_the_steps_behind_a_builder_are_those_that_its_record_proves() -> None:
    parts = [
        builder("a", BuilderStatus.PENDING),
        builder("b", BuilderStatus.RETRYING, commit=""),
        builder("c", BuilderStatus.FAILED, commit="d" * 40),
        builder("d", BuilderStatus.LANDED),
    ]
    assert [part.steps for part in view_of(state(), parts).builders] == [0, 1, 2, 5]


def test_usage_is_that_of_the_run_and_of_its_builders() -> None:
    view = view_of(state(usage=SPENT), [builder("a", usage=SPENT), builder("b")])
    assert view.tokens == 2 * (SPENT.input_tokens + SPENT.output_tokens)
    assert view.cost_usd == pytest.approx(2 * SPENT.cost_usd)


def test_an_age_is_never_negative_when_the_clock_was_set_back() -> None:
    tomorrow = now().wall + timedelta(days=1)
    view = view_of(state(created_at=tomorrow), [builder("a", started_at=tomorrow)])
    assert (view.age_s, view.builders[0].age_s) == (0.0, 0.0)


def test_a_view_is_json_with_the_names_of_its_fields() -> None:
    data = json.loads(json.dumps(as_data(view_of(state(), [builder("a")]))))
    assert data["builders"][0]["id"] == "a"
    assert data["track"][0] == {"name": "design", "state": "done"}
    assert data.keys() == set(View._fields)


# --- workflows of steps ----------------------------------------------------------------------------------------------


def test_the_headline_of_a_workflow_counts_its_steps_a_box_by_what_is_in_it() -> None:
    view = view_of(state(workflow="small"), SMALL)
    assert view.headline == "2 of 4 steps done, 1 at work"
    assert (view.built, view.active, view.asks, view.progress) == (2, 1, 0, {"done": 2, "running": 1, "pending": 1})
    assert view.builders == ()
    assert view.assistants == ("claude",)


def test_a_step_in_a_box_comes_behind_it_and_the_shared_worktree_is_not_shown() -> None:
    view = view_of(state(workflow="small"), SMALL)
    assert [(each.id, each.parent) for each in view.steps] == [
        ("list", ""), ("look", ""), ("look:a", "look"), ("look:b", "look"), ("ok", ""),
    ]  # fmt: skip
    assert (view.steps[1].done, view.steps[1].members) == (1, 2)
    assert view_of(state(workflow="small"), SMALL[:5]).steps[1].done is None  # one of them is not known


def test_a_gate_that_asks_is_not_at_work() -> None:
    asked = waiting("answer_gate", "ok asks: Ship it?", workflow="small", next_action="execution")
    view = view_of(asked, [*SMALL[:3], step("ok", StepKind.GATE), *SMALL[4:]])
    assert (view.active, view.asks) == (1, 1)
    assert view.headline.endswith("; 1 step goes on meanwhile")


def test_without_an_orchestrator_only_steps_of_which_something_runs_are_halted() -> None:
    view = view_of(state(workflow="small"), SMALL, pid=None)
    assert (view.halted, view.active) == ({"stopped": 1}, 0)


def test_a_worktree_that_is_made_ready_is_told_until_a_step_is_at_work() -> None:
    prepare = job("prepare", "_shared", kind=JobKind.EFFECT)
    waits = [each.model_copy(update={"status": StepStatus.PENDING}) for each in SMALL[1:4]]
    assert view_of(state(workflow="small"), [SMALL[0], *waits], [prepare]).doing_s is not None


@pytest.mark.parametrize(
    ("stands", "shared", "way"),
    [
        (state(workflow="small"), True, {"execution": "now", "merge_build": "ahead", "landed": "ahead"}),
        (state(workflow="small"), False, {"execution": "now"}),
        (state(workflow="small", phase="merge_build", action_needed="merge_build"), True,
         {"execution": "done", "merge_build": "now", "landed": "ahead"}),
        (state(workflow="small", outcome="done", action_needed="none"), True, {"execution": "done"}),
        (state(workflow="small", outcome="failed", action_needed="none"), True, {"execution": "now"}),
        (state(workflow="small", outcome="failed", phase="storage", action_needed="none"), True, {"execution": "now"}),
        (state(workflow="small", phase="merge_build", outcome="landed", action_needed="none"), True,
         {"execution": "done", "merge_build": "done", "landed": "done"}),
    ],
)  # fmt: skip
def test_the_track_of_a_workflow_of_steps_has_a_merge_only_where_there_may_be_one(
    stands: State, way: dict[str, str], *, shared: bool
) -> None:
    assert stops(view_of(stands, SMALL if shared else SMALL[1:])) == way


@pytest.mark.parametrize(
    ("outcome", "message", "mood", "headline"),
    [
        ("done", "4 of 4 steps done; no file was changed", "done", "4 of 4 steps done; no file was changed"),
        ("failed", "the review refused it", "failed", "the review refused it"),
        ("cancelled", "nothing to do", "failed", "nothing to do"),
        ("cancelled", "Cancelled; branches are kept. See: relay recover", "failed", "Cancelled; branches are kept"),
    ],
)
def test_the_end_of_a_workflow_is_told_in_its_own_words(outcome: str, message: str, mood: str, headline: str) -> None:
    over = state(workflow="small", outcome=outcome, message=message, action_needed="none")
    view = view_of(over, SMALL, engine={"outputs": {"n": 3}})
    assert (view.mood, view.headline, view.outputs) == (mood, headline, {"n": 3})
    assert ("relay diff" in texts(view)) is False


def test_the_stage_of_a_workflow_in_a_list_is_not_building() -> None:
    assert stage(None, "execution", "ci", "small") == "at its steps; waiting for you"
    assert stage(None, "execution", "code") == "building"


@pytest.mark.parametrize(
    ("decisions", "same"), [(["approve", "reject"], "approve"), (["ship", "hold"], "decide ship"), ([], "approve")]
)
def test_the_edit_that_answers_a_gate_takes_the_first_of_its_decisions(decisions: list[str], same: str) -> None:
    asked = waiting("answer_gate", "ok asks: Ship it?", workflow="small", next_action="execution")
    view = view_of(asked, SMALL, engine={"decisions": decisions})
    assert view.headline.startswith("Waiting for you: make a decision")
    assert view.commands[-1].what == f"in .project/state.json does what {same} does"


def test_the_edit_that_answers_a_gate_with_a_form_has_its_values() -> None:
    typed = Answer("relay answer 'n=…'", "goes on with these values")
    asked = waiting("answer_gate", "ok asks: Which?", workflow="small", next_action="execution", answers=(typed,))
    told = view_of(asked, SMALL, engine={"decisions": ["approve", "reject"]}).commands[-1].what
    assert told == "in .project/state.json does what answer does, with the values as feedback"
