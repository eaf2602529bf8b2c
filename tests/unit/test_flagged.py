"""Files that steer what is run are known from those of the project."""

from __future__ import annotations

import pytest

from lib.assistants import safety
from lib.design.sensitive_files import flagged, kind_of, runs_programs

DECLARED = safety().steering

STEERING = [
    ".env", "web/.env.local", ".husky/pre-commit", ".githooks/post-merge", ".pre-commit-config.yaml", ".gitattributes",
    ".gitmodules", ".github/workflows/ci.yml", ".gitlab-ci.yml", "CLAUDE.md", "docs/AGENTS.md", "claude.md",
    ".claude/settings.json", "sub/.claude/hooks/x.sh", ".codex/config.toml", ".gemini/settings.json", ".cursor/rules",
    ".mcp.json", "opencode.json", ".aider.conf.yml", ".vscode/tasks.json", ".github/copilot-instructions.md",
    ".worktreeinclude",
]  # fmt: skip
ORDINARY = [
    "src/app.py", "README.md", ".env.example", "docs/env.md", "environment", ".github/ISSUE_TEMPLATE/bug.md",
    "claude/x", "src/.github/workflows/x.yml", ".vscode/extensions.json", ".gitignore", "agents.py",
]  # fmt: skip


@pytest.mark.parametrize("path", STEERING)
def test_what_steers_is_flagged(path: str) -> None:
    assert list(flagged([path, "src/app.py"], ["src/**"], DECLARED)) == [path]


@pytest.mark.parametrize("path", ORDINARY)
def test_what_does_not_is_left_alone(path: str) -> None:
    assert kind_of(path, DECLARED) is None


@pytest.mark.parametrize("pattern", ["**", "*", ".*", "."])
def test_owning_everything_approves_nothing_in_particular(pattern: str) -> None:
    assert flagged([".claude/settings.json"], [pattern], DECLARED)


@pytest.mark.parametrize("pattern", [".claude/settings.json", ".claude/*.json", ".claude/**", ".claude/"])
def test_what_a_component_names_was_approved_with_the_design(pattern: str) -> None:
    assert flagged([".claude/settings.json"], [pattern], DECLARED) == {}
    assert flagged([".github/workflows/ci.yml"], [pattern], DECLARED)


@pytest.mark.parametrize(
    ("text", "runs"),
    [("*.png binary\n", False), ("* text=auto\n", False), ("# *.x filter=lfs\n", False), ("*.x filter=evil\n", True),
     ("a\n*.x\tmerge=evil", True)],
)  # fmt: skip
def test_attributes_count_where_they_make_git_run_something(text: str, runs: bool) -> None:
    assert runs_programs(text) is runs


def test_what_no_assistant_declares_is_flagged_if_it_is_of_a_tool_without_an_adapter() -> None:
    assert kind_of("CLAUDE.md", ()) is None
    assert kind_of(".cursor/rules/x.mdc", ()) == "instructions to assistants"
