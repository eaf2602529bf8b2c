"""The shipped workflows, the published schema, and the examples of the documentation are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT
from workflow_texts import SHIPPED, library, loaded

from lib.workflow.bundles import bundle, parts_of
from lib.workflow.cases import Case, Cases, Decided, Expect, Gives
from lib.workflow.definition import OPTIONS, Kind, Settings, Step, Workflow
from lib.workflow.library import BUILT_IN, Shelf
from lib.workflow.loading import load
from lib.workflow.located import read
from lib.workflow.schema import schema, schema_text
from lib.workflow.writing import SCHEMA_NAME, as_yaml
from orchestrator.commands.workflow_tests import results, suites

NAMES = [
    "build", "code_review", "create_proposal", "feature_integration", "fix_bug", "hotfix_deployment", "pr_processing",
    "refactor",
]  # fmt: skip
PAGE = ROOT / "docs" / "workflows.md"
FENCED = re.compile(r"^```(yaml|json) \.project/workflows/(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = {match[2]: match[3] for match in FENCED.finditer(PAGE.read_text())}
EXAMPLES = {name: text for name, text in FILES.items() if ".test." not in name}


def test_eight_workflows_ship() -> None:
    assert Shelf([(BUILT_IN, SHIPPED)]).names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_valid_by_itself_and_by_the_schema(name: str) -> None:
    file = SHIPPED / f"{name}.yaml"
    assert file.read_text().startswith(f"# yaml-language-server: $schema=../{SCHEMA_NAME}\n")
    plan = load(file).plan(library())
    assert plan.workflow.description
    assert plan.leaves
    jsonschema.validate(json.loads(json.dumps(read(file.read_text()).data)), schema())


def test_the_published_schema_is_that_of_the_models() -> None:
    assert (ROOT / "templates" / SCHEMA_NAME).read_text() == schema_text(), "make schema"
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("file", ["x: 1", "steps: []", "steps: [{id: 1}]", "steps: [{id: a, timeout_s: x, run: y}]"])
def test_the_schema_refuses_what_the_models_refuse(file: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(read(f"name: w\n{file}\n").data, schema())


def test_every_option_has_a_kind_of_step_and_a_description() -> None:
    used = {option for options in OPTIONS.values() for option in options} | set(Kind)
    assert used == set(Step.model_fields)
    for model in (Step, Settings, Workflow):
        assert all(field.description or name == "name" for name, field in model.model_fields.items())


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_of_the_page_is_valid(name: str, tmp_path: Path) -> None:
    for other, text in EXAMPLES.items():
        (tmp_path / other).write_text(text)
    found = loaded(EXAMPLES[name], name)
    assert found.plan(library(tmp_path)).nodes
    assert (found.dialect != "") == name.startswith("their-")


def test_the_cases_of_the_page_are_told_as_it_shows(tmp_path: Path) -> None:
    for name in ("fix.yaml", "fix.test.yaml"):
        (tmp_path / name).write_text(FILES[name])
    [found] = suites([str(tmp_path / "fix.yaml")], library())
    played = list(results(found, library()))
    assert [result.passed for result in played] == [True, True, True, False]
    page = " ".join(PAGE.read_text().split())
    assert all(difference in page for result in played for difference in result.differences)
    used = [*Cases.model_fields, *Case.model_fields, *Expect.model_fields, *Gives.model_fields, *Decided.model_fields]
    assert [name for name in used if name not in page] == []


def test_the_page_names_every_option_and_every_kind() -> None:
    page = PAGE.read_text()
    names = {*Workflow.model_fields, *Step.model_fields} - {"final", "source"}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_the_page_has_the_grammar_of_the_parser() -> None:
    from lib.workflow import expressions

    grammar = re.findall(r"^    (\w+ +=.*)$", str(expressions.__doc__), re.MULTILINE)
    assert len(grammar) > 8
    assert [rule for rule in grammar if rule not in PAGE.read_text()] == []


def test_a_bundle_has_all_that_a_workflow_needs_elsewhere(tmp_path: Path) -> None:
    own = tmp_path / "workflows"
    own.mkdir()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "reviewer.md.j2").write_text("Review\n")
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "ours.md").write_text("Ours\n")
    (own / "inner.yaml").write_text(
        "name: inner\nsteps: [{id: a, prompt: x, role: reviewer, skills: [ours, tests-first]}]\n"
    )
    text = "name: outer\nsteps:\n  - {id: a, include: inner}\n  - {id: b, include: code_review}\n"
    (own / "outer.yaml").write_text(text)
    shelf = Shelf([("project", own), (BUILT_IN, SHIPPED)])
    made: dict[str, Any] = read(as_yaml(bundle("outer", shelf, tmp_path))).data
    parts = {(part.folder, part.name): part.text for part in parts_of(made, Path("x.yaml"))}
    assert parts == {
        ("workflows", "outer.yaml"): text, ("workflows", "inner.yaml"): (own / "inner.yaml").read_text(),
        ("prompts", "reviewer.md.j2"): "Review\n", ("skills", "ours.md"): "Ours\n",
    }  # fmt: skip
    with pytest.raises(Exception, match="without folders"):
        parts_of({"workflows": {"../x.yaml": ""}}, Path("x.yaml"))
