"""Starting a workflow: its skills must be there, and its budget counts where it is the smaller one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.config.model import Config
from lib.errors import UsageError
from lib.project.paths import Project, find_project
from orchestrator.commands.start_workflow import definition_of, with_aids, within_limits


def written(repo: Path, text: str) -> Project:
    folder = repo / ".project" / "workflows"
    folder.mkdir(parents=True)
    (folder / "flow.yaml").write_text(f"name: flow\n{text}")
    return find_project(repo)


def test_a_skill_that_is_not_there_is_told_before_anything_starts(repo: Path) -> None:
    project = written(repo, "steps:\n  - {id: a, prompt: x, skills: [house-style]}\n")
    with pytest.raises(UsageError, match="there is no skill house-style"):
        definition_of(project, "flow", {}, "")
    (project.dot / "skills").mkdir()
    (project.dot / "skills" / "house-style.md").write_text("Tabs.")
    assert definition_of(project, "flow", {}, "").name == "flow"


@pytest.mark.parametrize(("own", "expected"), [
    ({}, (2.0, None)), ({"max_cost_usd": 1.0, "max_tokens": 5}, (1.0, 5)), ({"max_cost_usd": 3.0}, (2.0, None)),
])  # fmt: skip
def test_the_smaller_budget_counts(repo: Path, own: dict[str, float], expected: tuple[float, int | None]) -> None:
    project = written(repo, "budget: {max_cost_usd: 2.0}\nsteps:\n  - {id: a, prompt: x}\n")
    config = within_limits(Config.model_validate(own), definition_of(project, "flow", {}, ""))
    assert (config.max_cost_usd, config.max_tokens) == expected


def aids(project: Project, requirement: str = "do it", **settings: object) -> dict[str, str]:
    config = Config.model_validate(settings)
    return dict(with_aids(project, definition_of(project, "flow", {}, ""), config, requirement).aids)


def test_the_texts_that_prompts_are_made_of_have_digests(repo: Path) -> None:
    project = written(repo, "steps:\n  - {id: a, prompt: x, skills: [style]}\n")
    skills, prompts = project.dot / "skills", project.dot / "prompts"
    skills.mkdir()
    for name in ("style", "house"):
        (skills / f"{name}.md").write_text("Tabs.")
    first = aids(project, skills=["house"])
    assert first.keys() == {"style", "house", "step.md.j2"}
    (skills / "style.md").write_text("Spaces.")
    second = aids(project, "do that", skills=["house"])
    assert {name for name in first if first[name] != second[name]} == {"style"}
    prompts.mkdir()
    (prompts / "step.md.j2").write_text("{{ requirement }}")
    third = aids(project, skills=["house"])
    assert {name for name in second if second[name] != third[name]} == {"step.md.j2"}
    assert aids(project, "do that")["step.md.j2"] != third["step.md.j2"]
