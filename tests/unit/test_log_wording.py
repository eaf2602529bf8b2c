"""Words in which people read events."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import get_args

import pytest

from lib import events as said
from lib.effects import Clean
from lib.jobs import AssistantTurn, Condition, Cooldown, Delay, Job, JobResult, ProcessIdentity, Progress, effect
from lib.logs.sentences import is_story, sentence
from lib.model import Base, Component, Edit, Owner, Problem, RunOutcome, Step, Usage
from lib.origin import Origin
from lib.project.paths import SHARED_WORKTREE
from lib.question import APPROVE
from lib.steps import Stage, StepKind, StepStatus

AT = datetime(2026, 1, 2, 10, 2, 11, tzinfo=UTC)
BUILDER = Step(
    id="add", component=Component(id="add", title="Addition"), branch="b", worktree="w", assistant="claude", attempts=3
)
JOB = Job(
    id="j7",
    spec=AssistantTurn(name="build", step="add", assistant="claude"),
    attempt=2,
    dispatch=1,
    started_at=AT,
    started_mono_s=1.0,
)
PROBLEM = Problem(code="bad_json", message="line 3 is not JSON", remedy="$EDITOR .project/state.json")

CASES: list[tuple[said.Event, str | None]] = [
    (
        said.RunStarted(
            run="r1",
            workflow="build",
            instance="default",
            requirement="A calculator",
            base=Base(branch="main", commit="c0ffee" * 6),
            phase="init",
            action="design",
        ),
        "run r1 started on main at c0ffeec0ff (build): A calculator",
    ),
    (
        said.RunStarted(
            run="r2",
            workflow="build",
            instance="default",
            requirement="A calculator",
            base=Base(branch="main", commit="c0ffee" * 6),
            phase="execution",
            action="execution",
            origin=Origin(run="r1", checkpoint=7, label="by hand"),
        ),
        "run r2 started on main at c0ffeec0ff (build): A calculator, going on from checkpoint 7 (by hand) of r1",
    ),
    (said.ForkMade(branches=("relay/r2/one", "relay/r2/merged")), "branches made: relay/r2/one, relay/r2/merged"),
    (said.ForkMade(), None),
    (said.CheckpointMade(label="interval"), None),
    (said.OrchestratorStarted(pid=7), "orchestrator 7 started"),
    (said.OrchestratorStarted(pid=7, adopted=("j1", "j2")), "orchestrator 7 started, adopted j1, j2"),
    (said.OrchestratorStopped(reason="SIGTERM"), "orchestrator stopped: SIGTERM"),
    (
        said.StateEdited(edit=Edit(action_owner=Owner.CODE, feedback="split it", paused=False), rebased=True),
        'state.json was edited: action_owner="code", feedback="split it", paused=false (made on an older revision)',
    ),
    (said.StateRestored(reason="it was deleted"), "state.json was restored: it was deleted"),
    (
        said.ProblemFound(problem=PROBLEM),
        "on hold: line 3 is not JSON; to fix it: $EDITOR .project/state.json",
    ),
    (said.ProblemMended(code="bad_json"), "fixed: bad json"),
    (said.ActionStarted(action="design"), "designing begins"),
    (said.ActionStarted(action="design", feedback="smaller"), "designing begins, with feedback: smaller"),
    (
        said.Asked(action="approve_design", message="Read design.md", answers=(APPROVE,), next_action="design_build"),
        "you are asked to approve the design: Read design.md. Then: relay approve (goes on)",
    ),
    (
        said.Advanced(phase="execution", action="design_build", message="approved"),
        "next: making builders: approved",
    ),
    (said.VerbDone(verb="skip add", action="execution"), "skip add is done, building goes on"),
    (said.Finished(outcome=RunOutcome.LANDED, message="main is at c0ffee"), "finished, landed: main is at c0ffee"),
    (said.StepAdded(step=BUILDER), "add: added for claude: Addition"),
    (
        said.StepChanged(step="add", changes={"status": StepStatus.DONE, "verified": True, "note": "3 files"}),
        "add: built (3 files, verified)",
    ),
    (
        said.StepChanged(step="add", changes={"status": StepStatus.FAILED, "error": PROBLEM}),
        "add: failed: line 3 is not JSON",
    ),
    (said.StepChanged(step="add", changes={"stage": Stage.VERIFYING, "note": ""}), "add: verifying"),
    (said.StepChanged(step="add", changes={"merged": True}), "add: merged"),
    (said.StepChanged(step="add", changes={"session": "s", "error": None}), None),
    (said.ActionStarted(action="execution"), "building begins"),
    (said.ActionStarted(action="execution", workflow="small"), "the steps begin"),
    (said.ActionStarted(action="merge_build", workflow="small"), "merging begins"),
    (said.Advanced(phase="merge_build", action="merge_build", workflow="small"), "next: merging"),
    (said.Advanced(phase="execution", action="execution", workflow="small"), "next: the steps"),
    (said.VerbDone(verb="reject", action="execution", workflow="small"), "reject is done, the steps go on"),
    (said.VerbDone(verb="retry", action="merge_build", workflow="small"), "retry is done, merging goes on"),
    (said.StepAdded(step=Step(id="look:a", kind=StepKind.PROMPT)), "look:a: added"),
    (said.StepAdded(step=Step(id=SHARED_WORKTREE, kind=StepKind.WORKSPACE)), None),
    (
        said.StepChanged(step="look:a", of=StepKind.PROMPT, changes={"status": StepStatus.DONE, "verified": True}),
        "look:a: done (verified)",
    ),
    (
        said.StepChanged(step=SHARED_WORKTREE, of=StepKind.WORKSPACE, changes={"status": StepStatus.DONE}),
        None,
    ),
    (
        said.StepChanged(
            step=SHARED_WORKTREE, of=StepKind.WORKSPACE, changes={"status": StepStatus.FAILED, "error": PROBLEM}
        ),
        "the worktree: failed: line 3 is not JSON",
    ),
    (
        said.JobStarted(job=JOB.model_copy(update={"id": "j8", "spec": effect(Clean(branch="b"), step="_shared")})),
        "the worktree: clean started, attempt 2 [j8]",
    ),
    (said.JobStarted(job=JOB), "add: build started by claude, attempt 2 [j7]"),
    (said.JobSpawned(job="j7", process=ProcessIdentity(pid=1, start_ticks=2, boot_id="b")), None),
    (said.JobProgressed(job="j7", progress=Progress(usage=Usage(input_tokens=7))), None),
    (
        said.JobProgressed(job="j7", progress=Progress(condition=Condition.RATE_LIMITED, reason="429")),
        "job j7 is rate limited: 429",
    ),
    (
        said.AssistantHeld(
            assistant="codex", hold=Cooldown(code="auth", reason="logged out", since_mono_s=1.0, boot_id="b")
        ),
        "codex is on hold: logged out",
    ),
    (
        said.AssistantHeld(
            assistant="codex",
            hold=Cooldown(code="rate_limit", reason="rate limited", since_mono_s=1.0, boot_id="b", until=AT),
        ),
        "codex is on hold: rate limited, until 2026-01-02T10:02:11Z",
    ),
    (said.AssistantFreed(assistant="codex"), "codex is no longer on hold"),
    (said.JobStopping(job="j7", reason="timeout"), "job j7 is being stopped: timeout"),
    (
        said.JobDelayed(job="j7", delay=Delay(problem=PROBLEM, tries=1)),
        "job j7 waits: line 3 is not JSON; to fix it: $EDITOR .project/state.json; it is retried by itself",
    ),
    (said.JobDelayed(job="j7", delay=Delay(problem=PROBLEM, tries=2)), None),
    (said.JobResumed(job="j7"), None),
    (said.JobEnded(job="j7", result=JobResult(ok=True)), "job j7 succeeded"),
    (
        said.JobEnded(job="j7", result=JobResult(ok=False, code="exit_nonzero", message="exit status 2")),
        "job j7 failed: exit_nonzero, exit status 2",
    ),
    (said.Noted(message="hello"), "hello"),
    (said.Noted(message="slow disk", level="warning"), "warning: slow disk"),
]


@pytest.mark.parametrize(("event", "words"), CASES, ids=lambda case: getattr(case, "kind", ""))
def test_every_event_is_told_in_plain_words(event: said.Event, words: str | None) -> None:
    assert sentence(event.kind, json.loads(event.model_dump_json())) == words


def test_no_kind_of_event_is_left_without_words() -> None:
    union = get_args(get_args(said.Event)[0])
    assert {event.kind for event, _ in CASES} == {kind.model_fields["kind"].default for kind in union}


@pytest.mark.parametrize("kind", sorted({event.kind for event, _ in CASES}))
def test_a_record_of_another_version_with_fields_missing_does_no_harm(kind: str) -> None:
    sentence(kind, {})


def test_an_unknown_kind_is_named() -> None:
    assert sentence("moon_landed", {"x": 1}) == "moon landed"


def test_no_field_can_forge_a_line_or_drive_the_terminal() -> None:
    shown = sentence("noted", {"message": "fine\n10:00:00Z finished\x1b[2J\r"})
    assert shown == r"fine\n10:00:00Z finished\x1b[2J\r"


def test_a_long_text_is_clipped() -> None:
    shown = sentence("noted", {"message": "x" * 10_000})
    assert shown is not None
    assert shown.endswith("…")
    assert len(shown) == 500


def test_the_story_of_a_workflow_has_the_ends_of_its_steps_and_nothing_of_the_worktree() -> None:
    done = {"step": "look:a", "of": "prompt", "changes": {"status": "done"}}
    assert is_story("step_changed", done)
    assert not is_story("step_changed", {**done, "of": "workspace"})
    assert is_story("step_changed", {**done, "of": "workspace", "changes": {"status": "failed"}})
