"""Every question that phases put offers answers which can be typed, whatever its message says."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from conftest import ROOT
from world import HANDLERS, World, bad, new_run, new_workflow, ok

from lib.contracts import AskCi, Outcome, PhaseView
from lib.events import JobEnded
from lib.jobs import Job
from lib.model import Owner, Usage
from lib.project.paths import find_project
from lib.question import QUESTIONS, Answer, told
from lib.store.upgrades import Kind, upgraded
from orchestrator.cli.app import app
from orchestrator.engine.decide import ACTION, decide
from orchestrator.engine.decision import Seen
from orchestrator.engine.run import Run
from orchestrator.handlers import ProgramHandler
from orchestrator.persistence.presenting import present

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
#: A command of Relay that hands something back.
HANDING = re.compile(r"relay (?:approve|reject|decide|answer|retry|skip|cancel|resume)")
CONFLICT = {
    "builder": "two", "branch": "b", "head": "h", "theirs": "c-two", "paths": [{"path": "a.py", "kind": "content"}],
}  # fmt: skip
IN_CONFLICT = ok(head="h", merged=["one"], conflict=CONFLICT)
FLAGGED = ok(head="h", merged=["one", "two"], flagged=[{"path": ".env", "kind": "settings", "builder": "one"}])
UNMERGED = ok(head="h", merged=[], conflict=CONFLICT)
ASKS = ok(text="STUCK: which currency?")
LOGIN = bad("auth", "401").model_copy(update={"remedy": "claude /login"})
PUT_BACK = bad("branch_taken", remedy="git update-ref refs/heads/main 0 1", does="puts the branch back", tip="c")
STASH = bad("in_the_way", remedy="cd /p && git stash push -- a", does="sets those files aside")
SPENT = ok(text="done").model_copy(update={"usage": Usage(cost_usd=1.0)})
UNREADABLE = ok(text='{"components": []}')


def builders(result: Any) -> Callable[[Job], Any]:
    """An answer for jobs of builders; those of the run end well."""
    return lambda job: result if job.spec.step else ok()


def of_run(result: Any) -> Callable[[Job], Any]:
    return lambda job: ok() if job.spec.step else result


def skipped(world: World) -> None:
    world.settle()
    world.edit(action_owner=Owner.CODE, action_needed="skip one two")


def in_time(world: World) -> None:
    world.settle()
    world.mono_s += 1000
    world.settle()


def cut_off(world: World) -> None:
    world.settle()
    world.files["design.json"] = "{"
    world.edit(action_owner=Owner.CODE)


#: Ways to each question: what jobs answer, settings, and what else is done.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[World], None]]] = {
    "the gate": ({}, {"gates": {"design": "person"}}, World.settle),
    "no survey": ({"survey": bad("git_failed")}, {}, World.settle),
    "no architect": ({"design": bad("exit_nonzero")}, {}, World.settle),
    "nobody to design": ({"design": LOGIN}, {}, World.settle),
    "an architect that asks": ({"design": ASKS}, {}, World.settle),
    "no valid design": ({"design": UNREADABLE}, {}, World.settle),
    "a design that can't be written": ({"write_files": bad("system")}, {}, World.settle),
    "a design that was broken": ({}, {"gates": {"design": "person"}}, cut_off),
    "a builder that asks": ({"build": ASKS}, {}, World.settle),
    "a builder that failed": ({"build": bad("exit_nonzero")}, {}, World.settle),
    "a builder that printed nothing": ({"build": bad("no_changes", printed=False)}, {}, World.settle),
    "a builder that can't be prepared": ({"prepare": bad("conflict", remedy="relay skip one")}, {}, World.settle),
    "nobody to build": ({"build": LOGIN}, {}, World.settle),
    "a builder without a budget": ({"build": SPENT, "verify": builders(bad("exit_nonzero"))},
                                   {"builder_max_cost_usd": 0.5, "attempts": 2, "verify": "t"}, in_time),
    "a run without a budget": ({"build": SPENT}, {"max_cost_usd": 0.5}, World.settle),
    "no review": ({"review": bad("exit_nonzero")}, {"review": True}, World.settle),
    "all skipped": ({"build": bad("exit_nonzero")}, {}, skipped),
    "nothing to land": ({"merge": UNMERGED}, {"conflicts": "person"}, skipped),
    "no worktree to merge in": ({"vacate": bad("git_failed")}, {}, World.settle),
    "no merge": ({"merge": bad("git_failed")}, {}, World.settle),
    "a branch that was moved": ({"merge": PUT_BACK}, {}, World.settle),
    "a conflict": ({"merge": IN_CONFLICT}, {"conflicts": "person"}, World.settle),
    "a conflict without a brief": ({"merge": IN_CONFLICT, "brief_resolver": bad("git_failed")}, {}, World.settle),
    "a conflict that was tried": ({"merge": IN_CONFLICT, "resolve": lambda _: bad("exit_nonzero")}, {}, World.settle),
    "a conflict to decide": ({"merge": IN_CONFLICT, "judge_resolution": ok(questions=["a: 1"], commit="c-resolved")},
                             {}, World.settle),
    "a merged tree that fails": ({"verify": of_run(bad("exit_nonzero"))}, {"verify": "t"}, World.settle),
    "files in the way": ({"land": STASH}, {}, World.settle),
    "a landing": ({}, {"land": "ask"}, World.settle),
    "a branch to keep": ({"merge": FLAGGED}, {"land": "branch"}, World.settle),
}  # fmt: skip


#: The workflows of those cases that are no runs of `build`.
WORKFLOWS: Final = {
    "a gate of a workflow": 'steps: [{id: ok, gate: {message: "Ship it?", decisions: [approve, hold, reject]}}]',
    "a gate with a form": 'steps: [{id: ok, gate: {message: "Which?", form: {properties: {n: {type: integer}}}}}]',
    "a loop that ran out": "steps: [{id: a, prompt: x, loop: {until: loop.index > 1, max_iterations: 1}}]",
}
CASES |= {name: ({}, {"gates": {"design": "person"}}, World.settle) for name in WORKFLOWS}


def reached(name: str) -> World:
    """The world of a case, where ci is asked."""
    answers, settings, reach = CASES[name]
    settings = {"gates": {"design": "none"}, "attempts": 1, "assistant": "claude", **settings}
    run = new_workflow(f"name: small\n{WORKFLOWS[name]}", **settings) if name in WORKFLOWS else new_run(**settings)
    run.state = run.state.model_copy(update={"instance": "second"})
    world = World(run, answers=dict(answers))
    reach(world)
    assert world.run.state.action_owner is Owner.CI
    return world


@pytest.fixture(params=CASES)
def asked(request: pytest.FixtureRequest) -> World:
    return reached(request.param)


def parsed(command: str) -> list[str]:
    """The verbs of Relay's commands in it, each parsed as the command line does."""
    verbs = []
    for part in command.split(" && "):
        program, *words = shlex.split(part)
        if program == "relay":
            COMMANDS[words[0]].make_context(words[0], words[1:])
            verbs.append(words[0])
    return verbs


def test_each_answer_can_be_typed_for_its_instance(asked: World) -> None:
    answers = asked.run.state.answers
    assert len({answer.command for answer in answers}) == len({answer.does for answer in answers}) == len(answers)
    assert [verb for answer in answers for verb in parsed(answer.command)]
    for answer in answers:
        assert answer.does
        assert "relay" not in answer.command or "--instance second" in answer.command or "recover" in answer.command


def test_no_message_names_what_hands_it_back_but_that_of_state_json(asked: World) -> None:
    assert not HANDING.search(asked.run.state.message)
    shown = present(asked.run)
    assert all(f"{answer.command} ({answer.does})" in shown.message for answer in asked.run.state.answers)
    assert shown.answers == asked.run.state.answers


def test_a_builder_that_was_skipped_with_all_others_can_be_built_after_all() -> None:
    world = reached("all skipped")
    assert world.offers() == ["relay retry --instance second one", "relay cancel --instance second"]
    world.answers.clear()
    world.edit(action_owner=Owner.CODE, action_needed="retry one")
    assert world.statuses() == {"one": "landed", "two": "skipped"}


def test_one_answer_skips_no_more_builders_than_an_action_may_name() -> None:
    names = [f"a{number:061}" for number in range(40)]
    design = {"components": [{"id": name} for name in names]}
    world = World(new_run(gates={"design": "none"}, attempts=1, parallel=40), design=design)
    world.answers["build"] = bad("exit_nonzero")
    world.settle()
    skip = world.offers()[-1].removeprefix("relay ")
    assert skip.startswith("skip a")
    assert ACTION.validate_python(skip) == skip


def test_the_cases_reach_every_question() -> None:
    calls = [
        node.args[0]
        for folder in ("phases", "lib", "orchestrator")
        for file in Path(ROOT, folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AskCi"
    ]
    literal = {node.value for node in calls if isinstance(node, ast.Constant)}
    assert literal <= set(QUESTIONS)
    assert {reached(name).run.state.action_needed for name in CASES} == set(QUESTIONS)


class Asking:
    """A handler of somebody else's."""

    name = "design"
    phases = ("init",)

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def step(self, _view: PhaseView) -> Outcome:
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "typed"),
    [
        (AskCi("review_copy", "Read copy.md", "publish"), ["relay approve"]),
        (AskCi("fix_failure", "It broke", "publish"), ["relay retry"]),
        (AskCi("ship", "Ship it?", "publish", answers=(Answer("relay approve", "ships it"),)), ["relay approve"]),
    ],
)
def test_a_handler_that_names_no_answers_has_the_usual_ones(outcome: Outcome, typed: list[str]) -> None:
    run: Run = decide(new_run(), Seen(), {**HANDLERS, "design": Asking(outcome)}, World(new_run()).now(), {}.get).run
    assert [answer.command for answer in run.state.answers] == typed


@pytest.mark.parametrize(
    ("message", "whole"), [("Ship it?", "Ship it? Then: x (ships)"), ("Read it", "Read it. Then: x (ships)")]
)
def test_a_message_is_told_with_what_to_type_then(message: str, whole: str) -> None:
    assert told(message, [Answer("x", "ships")]) == whole
    assert told(message, []) == message


def test_what_was_answered_before_answers_were_data_is_known_by_its_new_name() -> None:
    header = {"engine": {"answers": ["check_branch"], "dispatch": 2}}
    assert upgraded(Kind.HEADER, header, written=2) == {"engine": {"answered": ["check_branch"], "dispatch": 2}}


@pytest.mark.parametrize(
    ("answers", "typed"),
    [
        ([{"command": "relay approve", "does": "ships it"}], ["relay approve"]),
        ([], ["relay approve"]),
        ([{"command": "relay approve"}], ["$EDITOR ask", "relay retry"]),
        (None, ["$EDITOR ask", "relay retry"]),
    ],
)
def test_a_program_names_its_answers_and_ones_that_can_not_be_read_are_its_failure(
    repo: Path, answers: object, typed: list[str]
) -> None:
    handlers = {**HANDLERS, "design": ProgramHandler("design", Path("ask"), find_project(repo))}
    world = World(new_run())
    started = decide(world.run, Seen(), handlers, world.now(), {}.get)
    said = {"ask": {"action": "ship", "message": "Ship it?", "answers": answers}}
    ended = JobEnded(job=started.start[0].id, result=ok(text=json.dumps(said)))
    asked = decide(started.run, Seen((ended,)), handlers, world.now(), {}.get)
    assert [answer.command for answer in asked.run.state.answers] == typed
