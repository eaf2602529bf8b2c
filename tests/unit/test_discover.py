"""Adding a plug-in is one file; a broken one is named with its fix."""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest

import phases
from lib.contracts import PhaseHandler
from lib.errors import RelayError
from lib.project.plugins import Source, discover, executables, load, sources

GOOD = """\
from dataclasses import dataclass

@dataclass
class Tool:
    name: str = "{name}"
    def work(self) -> int:
        return 7

tool = Tool()
"""


@runtime_checkable
class Named(Protocol):
    name: str


@runtime_checkable
class Tool(Named, Protocol):
    def work(self) -> int: ...


def broken(folder: Path) -> str:
    with pytest.raises(RelayError) as caught:
        discover(folder, Tool, "tool")
    assert caught.value.remedy
    return caught.value.message


class TestFolder:
    def test_one_file_is_a_plugin(self, tmp_path: Path) -> None:
        (tmp_path / "saw.py").write_text(GOOD.format(name="saw"))
        (tmp_path / "_shared.py").write_text("raise SystemExit")
        (tmp_path / "notes.md").write_text("no plug-in")
        found = discover(tmp_path, Tool, "tool")
        assert [(name, tool.work()) for name, tool in found.items()] == [("saw", 7)]
        assert sorted(file.name for file in tmp_path.iterdir()) == ["_shared.py", "notes.md", "saw.py"]

    def test_names_are_known_without_importing(self, tmp_path: Path) -> None:
        (tmp_path / "bomb.py").write_text("raise SystemExit(9)")
        assert list(sources(tmp_path)) == ["bomb"]
        assert sources(tmp_path / "missing") == {}

    def test_bytecode_beside_the_source_is_not_run(self, tmp_path: Path) -> None:
        source = tmp_path / "saw.py"
        source.write_text("raise SystemExit('the bytecode ran')")
        py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        source.write_text(GOOD.format(name="saw"))
        assert list((tmp_path / "__pycache__").iterdir())
        assert discover(tmp_path, Tool, "tool")["saw"].work() == 7

    def test_two_folders_may_hold_files_of_one_name_only_once(self, tmp_path: Path) -> None:
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "saw.py").write_text(GOOD.format(name="saw"))
        with pytest.raises(RelayError) as caught:
            discover([tmp_path / "a", tmp_path / "b"], Tool, "tool")
        assert str(tmp_path / "a" / "saw.py") in caught.value.message
        assert str(tmp_path / "b" / "saw.py") in caught.value.message

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("x = 1\n\n1 / 0\n", "can't be imported: ZeroDivisionError: division by zero (line 3)"),
            ("def f(:\n", "can't be imported: SyntaxError"),
            ("raise SystemExit(3)\n", "can't be imported: SystemExit: 3 (line 1)"),
            ("x = 1\n", "has no `tool`; add a line: tool = YourClass()"),
            ("class T:\n    name = 'saw'\ntool = T()\n", "`tool` has no `work`; add `def work(self, …)`"),
            ("class T:\n    def work(self): ...\ntool = T()\n", "`tool` has no `name`; add `name = …`"),
            ("class T:\n    name = 'saw'\n    work = 7\ntool = T()\n", "`tool.work` can't be called"),
            ("class T:\n    name = 'saw'\n    def work(self): ...\ntool = T\n", "make it an object: tool = T()"),
            (GOOD.format(name="axe"), "`tool.name` is 'axe', but the file is called saw"),
        ],
    )
    def test_a_broken_one_is_named_with_what_to_do(self, tmp_path: Path, text: str, problem: str) -> None:
        file = tmp_path / "saw.py"
        file.write_text(text)
        before = set(sys.modules)
        message = broken(tmp_path)
        assert message.startswith(f"{file}: ")
        assert problem in message
        if "imported" in problem:
            assert set(sys.modules) == before


class TestEntryPoints:
    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The file of a plug-in of the installed package `extra`."""
        info = tmp_path / "extra-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[test.tools]\nsaw = extra_tool_for_tests\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path / "extra_tool_for_tests.py"

    def test_another_package_adds_one(self, module: Path) -> None:
        module.write_text(GOOD.format(name="saw"))
        found = discover("test.tools", Tool, "tool")
        assert found["saw"].work() == 7
        del sys.modules["extra_tool_for_tests"]

    def test_a_broken_one_or_a_second_of_its_name_is_mended_by_removing_its_package(
        self, module: Path, tmp_path: Path
    ) -> None:
        module.write_text("import nothing")
        (tmp_path / "own").mkdir()
        (tmp_path / "own" / "saw.py").write_text(GOOD.format(name="saw"))
        for places, code in (("test.tools", "plugin_broken"), ([tmp_path / "own", "test.tools"], "plugin_duplicate")):
            with pytest.raises(RelayError) as caught:
                discover(places, Tool, "tool")
            assert (caught.value.code, caught.value.remedy) == (code, f"{sys.executable} -m pip uninstall extra")

    def test_a_group_that_nobody_fills_is_empty(self) -> None:
        assert discover("test.nobody", Tool, "tool") == {}


def test_executables_in_any_language(tmp_path: Path) -> None:
    for name, mode in [("deploy.sh", 0o755), ("check", 0o755), ("data.json", 0o644), ("saw.py", 0o755), (".x", 0o755)]:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()
    assert executables(tmp_path) == {"check": tmp_path / "check", "deploy": tmp_path / "deploy.sh"}
    assert executables(tmp_path / "missing") == {}


@pytest.mark.parametrize(("name", "source"), sources(phases).items())
def test_every_phase_handler_keeps_its_contract(name: str, source: Source) -> None:
    """Every built-in one, and so each new one on its arrival; assistants have a test file of their own."""
    handler = load(source, PhaseHandler, "handler")
    assert isinstance(handler, PhaseHandler)
    assert handler.name == name
    assert all(isinstance(phase, str) for phase in handler.phases)
    assert handler.phases
