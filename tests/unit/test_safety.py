"""Declarations of assistants for safety: each is complete, and together they protect no less than ever."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from lib.assistants import Declaring, assistants, safety
from lib.assistants._program import Program
from lib.contracts import Safety, Turn
from lib.design.sensitive_files import kind_of
from lib.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = {name: program for name, program in assistants().items() if isinstance(program, Program)}

#: The protection that there was before each assistant declared its own: nothing of it may be lost.
HIDDEN = {
    *("~/.claude", "~/.claude.json", "~/.codex", "~/.gemini", "~/.qwen", "~/.copilot", "~/.config/github-copilot"),
    *("~/.local/share/opencode", "~/.aider", "~/.aider.conf.yml"),
}
READ_ONLY = {
    *("settings.json", "settings.local.json", "config.toml", "opencode.json", "opencode.jsonc", "mcp.json"),
    *("mcp-config.json", "hooks.json", "hooks", "commands", "command", "agents", "agent", "plugins", "plugin"),
    *("skills", "extensions", "rules", "prompts", "tool", "tools", "bin", "local", ".env"),
    *("CLAUDE.md", "AGENTS.md", "GEMINI.md", "QWEN.md"),
}
MADE = {
    "~/.claude/settings.json": "{}\n",
    "~/.codex/config.toml": "",
    "~/.gemini/settings.json": "{}\n",
    "~/.gemini/.env": "",
    "~/.qwen/settings.json": "{}\n",
    "~/.qwen/.env": "",
    "~/.copilot/mcp-config.json": '{"mcpServers": {}}\n',
    "~/.config/opencode/opencode.json": "{}\n",
}
INSTRUCTIONS = (
    *("CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", "AGENTS.override.md", "GEMINI.md", "QWEN.md", ".mcp.json"),
    *(".claude/x", ".codex/x", ".gemini/x", ".qwen/x", ".cursor/x", ".opencode/x", ".copilot/x", ".windsurf/x"),
    *(".cursorrules", ".windsurfrules", ".clinerules", ".clinerules-code", ".aider.conf.yml", ".aiderignore"),
    *("opencode.json", "opencode.jsonc", ".agents/x", ".github/copilot-instructions.md", ".github/instructions/x"),
    *(".github/prompts/x", ".github/agents/x"),
)


@pytest.mark.parametrize(
    ("declared", "before"),
    [
        (set(safety().logins), HIDDEN),
        (set(safety().guarded), READ_ONLY),
        (set(safety().starters.items()), set(MADE.items())),
    ],
    ids=["hidden", "read-only", "made"],
)
def test_together_they_protect_what_was_protected_before(declared: set[object], before: set[object]) -> None:
    assert before <= declared


@pytest.mark.parametrize("path", INSTRUCTIONS)
def test_instructions_are_pointed_out_as_before(path: str) -> None:
    assert kind_of(path, safety().steering) == "instructions to assistants"


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
class TestProgram:
    """Every program that Relay drives, and so each new one on its arrival."""

    def test_one_with_a_login_declares_what_must_be_known_of_it(self, program: Program) -> None:
        declared = program.declared
        assert declared.steering
        assert declared.logins
        assert declared.guarded or not program.login

    def test_its_credentials_are_among_its_logins(self, program: Program) -> None:
        files = [PurePosixPath(name) for name in program.credentials if name.startswith("~/")]
        assert all(any(file.is_relative_to(login) for login in program.declared.logins) for file in files)

    def test_what_is_made_lies_in_its_own_folders_and_is_guarded_there(self, program: Program) -> None:
        own = program.launch(Turn(role="builder", prompt="", worktree="/w", scratch="/s")).folders
        made = [PurePosixPath(name) for name in program.declared.starters]
        assert {str(file.parent) for file in made} <= set(own)
        assert {file.name for file in made} <= set(program.declared.guarded)


@pytest.mark.parametrize("home", ["/elsewhere", "/elsewhere/", "//else/../elsewhere/."])
def test_what_protects_a_home_moves_with_it(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", home)
    codex = PROGRAMS["codex"]
    assert set(codex.safety.logins) - set(codex.declared.logins) == {"/elsewhere/auth.json"}
    assert codex.safety.starters == {"~/.codex/config.toml": "", "/elsewhere/config.toml": ""}


@pytest.mark.parametrize("home", ["", "elsewhere"])
def test_a_home_without_an_absolute_path_moves_nothing(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", home)
    assert PROGRAMS["codex"].safety == PROGRAMS["codex"].declared


@pytest.mark.parametrize("name", ["", "~", "~/", "/", ".x", "x/y", "~x/y", "~/../x", "~/./x", "~/x/", "//x"])
def test_the_home_directory_as_a_whole_can_not_be_declared(name: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        Safety(logins=(name,))
    with pytest.raises(ValueError, match="is no path"):
        Safety(starters={name: ""})


class TestOtherPackages:
    @pytest.fixture
    def install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
        """Installs a package whose assistant `other` has a file with that text."""

        def install(text: str) -> None:
            info = tmp_path / "other-1.dist-info"
            info.mkdir()
            (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
            (info / "entry_points.txt").write_text(f"[relay.assistants]\nother = {tmp_path.name}_other\n")
            (tmp_path / f"{tmp_path.name}_other.py").write_text(text)
            monkeypatch.syspath_prepend(str(tmp_path))
            safety.cache_clear()

        yield install
        safety.cache_clear()

    def test_an_assistant_of_theirs_declares_its_own(self, install: Callable[[str], None]) -> None:
        before = safety()
        install(
            "from lib.assistants.ci import Ci\nfrom lib.contracts import Safety\n\n"
            "class Other(Ci):\n    name = 'other'\n"
            "    safety = Safety(logins=('~/.other',), guarded=('other.toml',), steering=('OTHER.md',))\n\n"
            "assistant = Other()\n"
        )
        found = safety()
        assert set(found.logins) == {*before.logins, "~/.other"}
        assert set(found.guarded) == {*before.guarded, "other.toml"}
        assert kind_of("docs/OTHER.md", found.steering) == "instructions to assistants"

    def test_one_that_declares_nothing_takes_nothing_from_the_others(self, install: Callable[[str], None]) -> None:
        before = safety()
        install("from lib.assistants.ci import Ci\n\nclass Other(Ci):\n    name = 'other'\n\nassistant = Other()\n")
        assert not isinstance(assistants()["other"], Declaring)
        assert safety() == before

    @pytest.mark.parametrize("text", ["import nothing", "from lib.contracts import Safety; Safety(logins='~/.x')"])
    def test_what_can_not_be_imported_is_not_left_unprotected(self, install: Callable[[str], None], text: str) -> None:
        install(text)
        with pytest.raises(RelayError, match="can't be imported"):
            safety()
