"""Answers to a workflow's gate as commands give them: the edits of state.json that they make, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import World, new_workflow

from lib.errors import RelayError
from lib.files.replace import replace_file
from lib.process import now
from lib.project.paths import Project, find_project
from lib.statefile.document import render
from lib.store.rundb import RunDB
from orchestrator.commands import gates, run_control
from orchestrator.persistence.presenting import present
from orchestrator.persistence.project_folders import make_home
from orchestrator.persistence.run_store import save

PLAIN = '{message: "Ship it?", decisions: [approve, hold, reject]}'
OTHER = '{message: "Now?", decisions: [ship, hold]}'
FORM = '{message: "Which?", form: {properties: {n: {type: integer}}}}'

Ask = Callable[[str], Project]


@pytest.fixture
def ask(repo: Path) -> Ask:
    """Stores a run whose gate asks."""

    def store(gate: str) -> Project:
        project = find_project(repo)
        world = World(new_workflow(f"name: small\nsteps: [{{id: ok, gate: {gate}}}]"))
        world.settle()
        make_home(project)
        data = render(present(world.run))
        with RunDB.open(project) as db:
            save(db, None, world.run, [], now(), file_bytes=data)
        replace_file(project.state_file, data)
        return project

    return store


def edited(project: Project) -> dict[str, Any]:
    found = json.loads(project.state_file.read_bytes())
    return {name: found[name] for name in ("action_owner", "action_needed", "feedback")}


def refused(project: Project, call: Callable[[], object]) -> RelayError:
    before = project.state_file.read_bytes()
    with pytest.raises(RelayError) as caught:
        call()
    assert project.state_file.read_bytes() == before
    return caught.value


@pytest.mark.parametrize("decision", ["approve", "hold", "reject"])
def test_a_decision_hands_back_with_the_words(ask: Ask, decision: str) -> None:
    project = ask(PLAIN)
    assert gates.is_asking(run_control.current(project))
    gates.decide(project, decision, "some words")
    assert edited(project) == {"action_owner": "code", "action_needed": decision, "feedback": "some words"}
    assert refused(project, lambda: gates.decide(project, decision)).code == "not_asked"


def test_a_decision_that_the_gate_does_not_take_is_refused_with_those_that_it_takes(ask: Ask) -> None:
    project = ask(OTHER)
    error = refused(project, lambda: gates.decide(project, "approve"))
    assert (error.code, error.message) == ("unknown_decision", "ok does not take approve; it takes ship, hold")
    assert error.remedy == "relay decide ship, or: relay decide hold"
    assert "did you mean ship?" in refused(project, lambda: gates.decide(project, "shp")).message


def test_values_are_the_answer_to_a_gate_with_a_form_alone(ask: Ask) -> None:
    project = ask(FORM)
    assert refused(project, lambda: gates.decide(project, "approve")).code == "needs_values"
    gates.answer(project, "n=3")
    assert edited(project) == {"action_owner": "code", "action_needed": "approve", "feedback": "n=3"}


def test_words_are_no_answer_to_a_gate_without_a_form(ask: Ask) -> None:
    project = ask(PLAIN)
    error = refused(project, lambda: gates.answer(project, "no!"))
    assert (error.code, error.message) == ("no_form", "ok asks for a decision, not for an answer in words")


def test_a_step_that_there_is_not_is_told_with_those_that_there_are(ask: Ask) -> None:
    project = ask(PLAIN)
    error = refused(project, lambda: run_control.verb(project, "skip", ["_shared"]))
    assert (error.code, error.message) == ("unknown_step", "there is no step _shared; there are: ok")
    assert run_control.named(project, ["ok", "try", "again"]) == (["ok"], "try again")
