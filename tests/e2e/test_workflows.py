"""`relay workflows`: listed, drawn, checked, made, edited, imported; nothing of a person's is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import run_git
from driver import Relay
from workflow_texts import FIXTURES

from lib.errors import EXIT_USAGE

MINE = "name: mine\nsteps:\n  - {id: a, prompt: Do it}\n"


def editor(folder: Path, script: str) -> dict[str, str]:
    """An editor that does what a shell script says; the file is its first argument."""
    file = folder / "editor"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {"EDITOR": str(file)}


def folder_of(relay: Relay) -> Path:
    folder = relay.root / ".project" / "workflows"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_those_that_ship_are_listed_shown_and_drawn(relay: Relay) -> None:
    rows = json.loads(relay("workflows", "list", "--format", "json"))
    assert len(rows) == 8
    assert all(row["origin"] == "built-in" and row["description"] for row in rows)
    assert "critical path: design → " in relay("workflows", "graph", "build")
    assert relay("workflows", "graph", "build", "--format", "mermaid").startswith("flowchart LR")
    relay("workflows", "graph", "build", "--format", "svg", "-o", "build.svg")
    assert (relay.root / "build.svg").read_text().startswith("<svg")
    assert json.loads(relay("workflows", "graph", "build", "--json"))["levels"][0] == ["design"]
    assert "report             string, required" in relay("workflows", "show", "fix_bug")
    assert json.loads(relay("workflows", "show", "fix_bug", "--json"))["definition"]["name"] == "fix_bug"
    assert json.loads(relay("workflows", "schema"))["title"] == "Workflow of Relay"
    assert "fix_bug: valid, 6 steps" in relay("workflows", "validate")
    assert "did you mean fix_bug?" in relay.refused("workflows", "show", "fix_bgu", code=EXIT_USAGE)


def test_what_is_wrong_is_told_with_its_place_and_exit_code(relay: Relay) -> None:
    (folder_of(relay) / "mine.yaml").write_text(
        MINE.replace("prompt", "run: x y, promt") + "  - {id: b, run: x y, needs: [c]}\n"
    )
    said = relay("workflows", "validate", "mine", code=EXIT_USAGE)
    assert said.splitlines() == [
        "mine.yaml:3:23: unknown key promt; did you mean prompt?",
        "mine.yaml:4:31: there is no step c; known are a",
    ]
    [row] = json.loads(relay("workflows", "validate", "mine", "--json", code=EXIT_USAGE))
    assert (row["valid"], row["errors"][1]["line"], row["errors"][1]["column"]) == (False, 4, 31)
    assert "not valid: relay workflows validate mine" in relay("workflows", "list")
    assert "mine.yaml:3:23" in relay.refused("workflows", "graph", "mine", code=EXIT_USAGE)


def test_a_new_one_is_valid_and_never_replaces_another(relay: Relay) -> None:
    steps = ["--step", "plan=Plan it", "--step", "build=Build it", "--verify", "make test"]
    relay("workflows", "new", "mine", "--description", "Plan: build", "--input", "part", *steps)
    file = folder_of(relay) / "mine.yaml"
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=.workflow.schema.json\nname: mine\n")
    assert json.loads((file.parent / ".workflow.schema.json").read_text())["title"] == "Workflow of Relay"
    assert "plan" in relay("workflows", "graph", "mine")
    relay.refused("workflows", "new", "mine", code=EXIT_USAGE)
    assert file.read_text() == text
    relay("workflows", "new", "bug", "--from", "fix_bug", "--description", "Ours")
    assert "Ours" in relay("workflows", "show", "bug")
    assert "can't be the name" in relay.refused("workflows", "new", "A B", code=EXIT_USAGE)
    assert "ID=PROMPT" in relay.refused("workflows", "new", "x", "--step", "plan", code=EXIT_USAGE)
    assert "there is no step" in relay.refused(
        "workflows", "new", "x", "--step", "a={{ steps.b.output }}", code=EXIT_USAGE
    )
    assert not (file.parent / "x.yaml").exists()


def test_an_edit_replaces_the_old_file_only_once_it_is_valid(relay: Relay, tmp_path: Path) -> None:
    file = folder_of(relay) / "mine.yaml"
    file.write_text(MINE)
    wrong = editor(tmp_path, 'sed -i s/prompt/promt/ "$1"')
    assert "did you mean prompt?" in relay.refused("workflows", "edit", "mine", code=EXIT_USAGE, env=wrong)
    assert file.read_text() == MINE
    relay("workflows", "edit", "mine", env=editor(tmp_path, "sed -i 's/promt: Do it/prompt: Done/' \"$1\""))
    assert file.read_text() == MINE.replace("Do it", "Done")
    assert [other.name for other in file.parent.iterdir() if "edit" in other.name] == []
    meanwhile = editor(tmp_path, f"echo '# mine' >> {file}; sed -i 's/Done/Other/' \"$1\"")
    assert "changed meanwhile" in relay.refused("workflows", "edit", "mine", env=meanwhile)
    assert file.read_text().endswith("# mine\n")
    [copy] = file.parent.glob(".mine.edit-*.yaml")
    assert "Other" in copy.read_text()
    relay("workflows", "edit", "mine", env=editor(tmp_path, 'echo "# more" >> "$1"'))
    assert file.read_text().endswith("# mine\n# more\n")
    assert "Other" in copy.read_text()
    assert "status 3" in relay.refused("workflows", "edit", "mine", env=editor(tmp_path, "exit 3"))
    assert "can't be started" in relay.refused("workflows", "edit", "mine", env={"EDITOR": "/none/such"})


def test_a_built_in_one_is_edited_as_a_copy_that_takes_its_place(relay: Relay, tmp_path: Path) -> None:
    relay("workflows", "edit", "refactor", env=editor(tmp_path, "sed -i 's/^description:.*/description: Ours/' \"$1\""))
    assert "Ours" in relay("workflows", "list")
    [row] = [row for row in json.loads(relay("workflows", "list", "--json")) if row["name"] == "refactor"]
    assert (row["origin"], len(row["shadows"])) == ("project", 1)
    said = relay("workflows", "delete", "refactor", "--yes")
    assert "Ours" not in relay("workflows", "list")
    command = said.split("bring it back: ")[1].split()
    Path(command[1]).rename(command[2])
    assert "Ours" in relay("workflows", "list")
    relay("workflows", "delete", "refactor", "--yes")
    assert "ships with Relay" in relay.refused("workflows", "delete", "refactor", "--yes", code=EXIT_USAGE)


@pytest.mark.parametrize("file", sorted(file.name for file in FIXTURES.iterdir() if file.name != "archon.yaml"))
def test_an_imported_one_has_the_graph_of_the_original(relay: Relay, file: str) -> None:
    before = json.loads(relay("workflows", "graph", str(FIXTURES / file), "--json"))
    made = json.loads(relay("workflows", "import", str(FIXTURES / file), "--name", "ours", "--json"))
    assert made["files"] == [str(folder_of(relay) / "ours.yaml")]
    after = json.loads(relay("workflows", "graph", "ours", "--json"))
    for graph in (before, after):
        del graph["name"]
        for node in graph["nodes"]:
            del node["file"], node["line"], node["column"]
    assert after == before
    relay.refused("workflows", "import", str(FIXTURES / file), "--name", "ours", code=EXIT_USAGE)


def test_what_has_no_counterpart_is_told_on_import(relay: Relay) -> None:
    relay("workflows", "import", str(FIXTURES / "child.yaml"))
    made = relay.process("workflows", "import", str(FIXTURES / "archon.yaml"))
    assert made.returncode == 0
    assert "archon.yaml:34:5: allowed_tools has no counterpart; set the tools in" in made.stderr


def test_an_export_is_imported_elsewhere(relay: Relay, tmp_path: Path) -> None:
    (folder_of(relay) / "inner.yaml").write_text(MINE.replace("mine", "inner").replace("Do it", "Do it, role: ours"))
    (folder_of(relay) / "mine.yaml").write_text("name: mine\nsteps: [{id: a, include: inner}]\n")
    (relay.root / ".project" / "prompts").mkdir()
    (relay.root / ".project" / "prompts" / "ours.md.j2").write_text("Ours\n")
    relay("workflows", "export", "mine", "-o", "out.yaml")
    other = tmp_path / "other"
    other.mkdir()
    run_git(other, "init", "-q", "-b", "main")
    there = Relay(other)
    there("workflows", "import", str(relay.root / "out.yaml"))
    assert "a.a" in there("workflows", "graph", "mine")
    assert (other / ".project" / "prompts" / "ours.md.j2").read_text() == "Ours\n"
    assert "all of it is there" in there("workflows", "import", str(relay.root / "out.yaml")).lower()
    (other / ".project" / "workflows" / "inner.yaml").write_text(MINE)
    there.refused("workflows", "import", str(relay.root / "out.yaml"), code=EXIT_USAGE)
    assert (other / ".project" / "workflows" / "inner.yaml").read_text() == MINE


def test_outside_of_a_project_there_are_the_users_own(tmp_path: Path) -> None:
    outside = Relay(tmp_path)
    outside("workflows", "new", "mine", "--user", "--step", "a=Do it")
    assert (Path.home() / ".config" / "relay" / "workflows" / "mine.yaml").is_file()
    rows = {row["name"]: row["origin"] for row in json.loads(outside("workflows", "list", "--json"))}
    assert (rows["mine"], rows["build"]) == ("user", "built-in")
    assert "no project here" in outside.refused("workflows", "new", "other", code=EXIT_USAGE)
