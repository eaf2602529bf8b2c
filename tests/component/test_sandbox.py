"""A contained program can do its work, as if nothing were around it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from containing import World

from lib.assistants import Declaring, assistants, safety
from lib.errors import UsageError
from lib.sandbox import Policy, drop_scratch, granted_paths, make_scratch, policy_of, probe, scratch_of, wrap
from lib.sandbox.scratch import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.made_in(tmp_path)
    yield made
    made.end()


def test_it_works_on_this_machine() -> None:
    found = probe()
    assert found.works, f"{found.reason}; {found.remedy}"
    assert found.version.startswith("bubblewrap ")


def test_it_may_write_its_worktree_its_private_folder_and_what_its_builder_keeps(world: World) -> None:
    done = world.run(f"echo a >new && mkdir -p deep/er && mv new deep/er/ && echo b >/tmp/b && echo c >{world.keep}/c")
    assert done.returncode == 0, done
    assert (world.mine / "deep" / "er" / "new").read_text() == "a\n"
    assert (world.scratch / "b").read_text() == "b\n"
    assert (world.keep / "c").read_text() == "c\n"


def test_git_tells_it_what_it_has_changed(world: World) -> None:
    done = world.run("echo more >>README.md; echo new >new; git status --short; git diff --stat; git log --oneline")
    assert done.stderr == ""
    assert " M README.md\n?? new\n" in done.stdout
    assert "1 file changed, 1 insertion(+)" in done.stdout
    assert done.stdout.endswith(" start\n")


def test_a_program_gets_its_arguments_input_and_environment_unchanged(world: World) -> None:
    odd = ("", " a  b", "-n", "$HOME", "`x`", "*", "line\nline", "é")
    script = "import sys; print(sys.argv[1:] == " + repr(list(odd)) + ", sys.stdin.read())"
    command = wrap((sys.executable, "-c", script, *odd), policy_of(world.places()))
    done = subprocess.run(command, cwd=world.mine, input="told", capture_output=True, text=True, check=True)
    assert done.stdout == "True told\n"


@pytest.mark.parametrize(("argv", "status"), [(("no-such-program",), 127), (("/etc/passwd",), 126), (("false",), 1),
                                              (("sh", "-c", "kill -TERM $$"), 143)])  # fmt: skip
def test_its_exit_is_told_as_without(world: World, argv: tuple[str, ...], status: int) -> None:
    done = subprocess.run(wrap(argv, policy_of(world.places())), cwd=world.mine, capture_output=True, check=False)
    assert done.returncode == status


def test_a_reviewer_reads_and_changes_nothing(world: World) -> None:
    done = world.run("git log --oneline && cat README.md && echo scratch >/tmp/notes", reviews=True)
    assert done.returncode == 0, done
    assert world.run("echo x >>README.md", reviews=True).returncode != 0


@pytest.mark.parametrize(("granted", "seen"), [((), False), (("~/.ssh",), True)])
def test_keys_are_hidden_unless_they_are_granted(world: World, granted: tuple[str, ...], *, seen: bool) -> None:
    assert (world.run("cat ~/.ssh/id", granted=granted).returncode == 0) is seen


def test_a_command_does_not_see_the_logins_that_an_assistant_needs(world: World) -> None:
    login = Path.home() / ".codex" / "auth.json"
    login.parent.mkdir()
    login.write_text("token\n")
    assert world.run("cat ~/.codex/auth.json").stdout == "token\n"
    assert world.run("cat ~/.codex/auth.json", hidden=safety().logins).returncode != 0


def test_an_assistant_may_write_its_own_folders_but_not_what_it_starts(world: World) -> None:
    settings = Path.home() / ".claude" / "settings.json"
    own = ("~/.claude", "~/.claude.json", "~/.local/share/opencode")
    (Path.home() / ".claude.json").write_text("{}\n")
    script = "mkdir ~/.claude/projects && echo x >~/.claude/projects/x && touch ~/.local/share/opencode/db"
    assert world.run(script, own=own).returncode == 0
    evil = (
        "echo '{\"hooks\": {}}' >~/.claude/settings.json || mv /tmp/x ~/.claude/settings.json || echo x >~/.claude.json"
    )
    assert world.run(evil, own=own).returncode != 0
    assert settings.read_text() == safety().starters["~/.claude/settings.json"]


def test_variables_that_aider_would_start_with_can_not_be_planted(world: World) -> None:
    world.run("echo 'AIDER_LINT_CMD=evil' >~/.aider/oauth-keys.env", own=("~/.aider",))
    assert (Path.home() / ".aider" / "oauth-keys.env").read_text() == ""


def test_what_protects_a_home_moves_with_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.home() / "elsewhere"
    home.mkdir()
    (home / "auth.json").write_text("token\n")
    monkeypatch.setenv("CODEX_HOME", str(home))
    codex = assistants()["codex"]
    assert isinstance(codex, Declaring)
    world.run(f"echo evil >{home}/config.toml", own=(str(home),), starters=codex.safety.starters)
    assert (home / "config.toml").read_text() == ""
    assert world.run(f"cat {home}/auth.json").stdout == "token\n"
    assert world.run(f"cat {home}/auth.json", hidden=codex.safety.logins).returncode != 0


def test_settings_that_are_there_stay_as_they_are(world: World) -> None:
    settings = Path.home() / ".codex" / "config.toml"
    settings.parent.mkdir()
    settings.write_text('model = "x"\n')
    world.run("echo 'notify = [\"evil\"]' >>~/.codex/config.toml; rm -f ~/.codex/config.toml", own=("~/.codex",))
    assert settings.read_text() == 'model = "x"\n'


def test_what_is_granted_may_be_written_but_for_what_is_relays_in_it(world: World) -> None:
    cache = world.folder / "cache"
    cache.mkdir()
    script = f"echo x >{cache}/x && echo x >$OUTSIDE/new && ! echo x >$ROOT/README.md && ! echo x >$STATE"
    assert world.run(script, granted=(str(world.folder),)).returncode == 0
    inside = world.project.root / "shared"
    inside.mkdir()
    assert world.run("echo x >$ROOT/shared/x", granted=(str(inside),)).returncode == 0


@pytest.mark.parametrize("name", [".git", ".git/hooks", ".project", ".project/runs"])
def test_what_is_relays_can_not_be_granted(world: World, name: str) -> None:
    with pytest.raises(UsageError, match="sandbox_write"):
        granted_paths(world.project, [str(world.project.root / name)], Path.home())


def test_programs_in_a_temporary_folder_are_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = world.folder / "tools" / "bin" / "mine"
    tool.parent.mkdir(parents=True)
    tool.write_text('#!/bin/sh\ncat "${0%/*}/../lib/data"\n')
    tool.chmod(0o755)
    (world.folder / "tools" / "lib").mkdir()
    (world.folder / "tools" / "lib" / "data").write_text("data\n")
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    assert world.run("mine").stdout == "data\n"


def test_names_of_hosts_are_looked_up_as_outside(world: World) -> None:
    script = "cat /etc/resolv.conf /etc/hosts"
    assert world.run(script).stdout == world.run(script, contained=False).stdout


def test_a_project_that_is_itself_a_linked_worktree(world: World, tmp_path: Path) -> None:
    """Its own git directory lies in another repository, which no more may be written."""
    from dataclasses import replace

    from conftest import run_git

    from lib.project.paths import find_project

    run_git(world.project.root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    project = find_project(tmp_path / "side")
    run_git(project.root, "worktree", "add", "-q", "-b", "w", ".project/worktrees/run/mine")
    linked = replace(world, project=project)
    linked.keep.mkdir(parents=True)
    assert linked.run("git status --short && echo x >x").stderr == ""
    assert linked.run("git commit -q --allow-empty -m x").returncode != 0


def test_jobs_that_start_at_once_make_the_same_folders(world: World) -> None:
    for number in range(30):
        home = Path.home() / str(number)
        home.mkdir()
        at_once = Barrier(6)

        def policy(home: Path = home, at_once: Barrier = at_once) -> Policy:
            at_once.wait()
            return policy_of(world.places(home=home, own=("~/.local/share/x", "~/.local/state/x", "~/.claude")))

        with ThreadPoolExecutor(6) as pool:
            made = [turn.result() for turn in [pool.submit(policy) for _ in range(6)]]
        assert all(found.access == made[0].access for found in made)


# --- the private folder ----------------------------------------------------------------------------------------------


def test_the_private_folder_is_its_users_alone_and_known_by_the_records(tmp_path: Path) -> None:
    folder = make_scratch(tmp_path, f"{tmp_path}/1")
    assert make_scratch(tmp_path, f"{tmp_path}/1") == folder == scratch_of(tmp_path)
    assert (folder.stat().st_mode & 0o777, folder.parent.stat().st_mode & 0o777) == (0o700, 0o700)
    assert len(str(folder)) < len(str(Path(os.environ.get("TMPDIR", "/tmp")).resolve())) + 40
    drop_scratch(tmp_path)
    assert not folder.exists()
    assert scratch_of(tmp_path) is None
    drop_scratch(tmp_path)


@pytest.mark.parametrize("torn", ["", "tmp", "FOLDER/kept", "FOLDER/kept/relay", "FOLDER/kept/relay-USER/0123"])
def test_a_record_that_no_whole_write_made_removes_nothing(
    tmp_path: Path, torn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept" / f"relay-{os.geteuid()}" / "0123"
    kept.mkdir(parents=True)
    monkeypatch.chdir(kept)
    (tmp_path / RECORD).write_text(torn.replace("FOLDER", str(tmp_path)).replace("USER", str(os.geteuid())))
    drop_scratch(tmp_path)
    assert kept.is_dir()
    assert scratch_of(tmp_path) is None


@pytest.mark.parametrize(
    "litter",
    [
        "mkdir a; echo x >a/b; chmod 0 a",
        "for i in $(seq 1500); do mkdir d; cd d; done",
        "ln -s / root; ln -s $KEPT kept",
        "cd ..; rm -r $OLDPWD; ln -s $KEPT $OLDPWD",
    ],
)
def test_it_is_removed_whatever_was_made_of_it_and_nothing_else(tmp_path: Path, litter: str) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept\n")
    kept.chmod(0o500)
    folder = make_scratch(tmp_path, f"{tmp_path}/1")
    subprocess.run(["/bin/sh", "-c", litter], cwd=folder, env={**os.environ, "KEPT": str(kept)}, check=True)
    drop_scratch(tmp_path)
    assert not os.path.lexists(folder)
    assert (kept / "file").read_text() == "kept\n"
    assert kept.stat().st_mode & 0o777 == 0o500


@pytest.mark.parametrize("trap", ["link", "file", "open to all", "another user's"])
def test_what_somebody_else_put_in_its_place_is_left_alone_and_costs_nothing(
    tmp_path: Path, trap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    place = tmp_path / f"relay-{os.geteuid()}"
    if trap == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "elsewhere")
    elif trap == "file":
        place.write_text("")
    else:
        place.mkdir(mode=0o700)
        if trap == "open to all":
            place.chmod(0o777)
        elif os.geteuid() == 0:
            os.chown(place, 65534, 65534)
        else:
            place.chmod(0o755)
    before = place.lstat()
    folder = make_scratch(tmp_path, "run/1")
    assert folder.parent != place
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, os.geteuid())
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert make_scratch(tmp_path, "run/1") == scratch_of(tmp_path) == folder
    drop_scratch(tmp_path)
    assert not folder.parent.exists()
    assert place.lstat().st_mode == before.st_mode
    assert not list((tmp_path / "elsewhere").iterdir()) if trap == "link" else True
