"""Removal of what was renamed aside, later, by whoever sweeps; and of nothing but that."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from apart import NAMESPACES, refused
from eventually import WAIT_S, eventually
from strace import output, python

from lib.files.rubbish import set_aside, sweep, sweep_quietly, waiting

SWEEP = "from pathlib import Path\nfrom lib.files.rubbish import sweep\nprint('\\n'.join(sweep(Path(sys.argv[1]))))"
ASIDE = """from pathlib import Path
from lib.files.rubbish import set_aside
set_aside(Path(sys.argv[2]), Path(sys.argv[1]))
"""
QUIETLY = (
    "from pathlib import Path\nfrom lib.files.rubbish import sweep_quietly\nsweep_quietly(*map(Path, sys.argv[1:]))"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "worktrees"
    made.mkdir()
    return made


def rubbish(folder: Path, name: str = "api") -> Path:
    """A worktree that was renamed aside."""
    tree = folder / "run" / name
    (tree / "deep" / "er").mkdir(parents=True)
    for file in (tree / "one", tree / "deep" / "two", tree / "deep" / "er" / "three"):
        file.write_text("x")
    return set_aside(tree, folder)


def test_only_what_was_set_aside_is_removed(folder: Path) -> None:
    rubbish(folder)
    mine = [folder / name for name in (".removed-api", ".removed-0123456789abcdef.txt", "removed-0123456789abcdef")]
    for file in mine:
        file.write_text("mine")
    assert len(waiting(folder)) == 1
    assert sweep(folder) == []
    assert sorted(folder.iterdir()) == sorted([*mine, folder / "run"])
    assert sweep(folder / "nowhere") == []


def test_two_of_one_name_do_not_collide(folder: Path) -> None:
    assert rubbish(folder) != rubbish(folder)
    assert len(waiting(folder)) == 2


def test_no_link_is_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    inside = rubbish(folder)
    (inside / "deep" / "link").symlink_to(outside)
    set_aside(inside / "deep" / "link", inside)
    (folder / ".removed-0123456789abcdef").symlink_to(outside)
    assert sweep(folder) == []
    assert (outside / "mine").read_text() == "mine"
    assert waiting(folder) == []


def test_what_is_mounted_inside_is_left_and_told(folder: Path, tmp_path: Path) -> None:
    mounted, other = rubbish(folder), rubbish(folder, "web")
    outside = tmp_path / "out side"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    place = mounted / "deep" / "a place"
    place.mkdir()
    done = subprocess.run(
        [*NAMESPACES, "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"',
         "sh", outside, place, *python(SWEEP, folder)],
        capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert not refused(done.stderr)
    assert f"umount {place}" in done.stdout
    assert (outside / "mine").read_text() == "mine"
    assert (mounted / "one").exists()
    assert not other.exists()
    assert sweep(folder) == []
    assert not mounted.exists()
    assert (outside / "mine").read_text() == "mine"


#: Refuses to remove a file of this name, also to what the command starts, as if the file was immutable.
FIXED = ["strace", "-f", "-o", "/dev/null", "-P", "two", "-e", "inject=unlink,unlinkat:error=EPERM", "--"]


def test_a_file_that_cannot_be_removed_is_told_and_keeps_nothing_else(folder: Path) -> None:
    others = [rubbish(folder, name) for name in ("web", "zoo")]
    for other in others:
        (other / "deep" / "two").unlink()
    fixed = rubbish(folder) / "deep" / "two"
    assert str(fixed) in output([*FIXED, *python(SWEEP, folder)])
    assert [file for file in others if file.exists()] == []
    assert not (fixed.parent / "er").exists()
    assert fixed.read_text() == "x"


def test_the_quiet_process_tells_it_in_the_log(folder: Path, tmp_path: Path) -> None:
    fixed = rubbish(folder) / "deep" / "two"
    output([*FIXED, *python(QUIETLY, folder, tmp_path / "log")])  # ends when all that it traces has ended
    assert str(fixed) in (tmp_path / "log").read_text()


def test_folders_that_may_not_be_written_are_removed(folder: Path) -> None:
    closed = folder / "run" / "closed"
    (closed / "node_modules" / "x").mkdir(parents=True)
    for path in (closed / "node_modules", closed):
        path.chmod(0o500)
    # In a user namespace of its own, as modes don't hold root back.
    done = subprocess.run(["unshare", "--user", *python(f"{ASIDE}{SWEEP}", folder, closed)], capture_output=True,
                          text=True, timeout=WAIT_S, check=False)  # fmt: skip
    assert not refused(done.stderr)
    assert done.stdout == "\n"
    assert [path.name for path in folder.rglob("*")] == ["run"]


@pytest.mark.parametrize("call", [1, 3])
def test_what_a_killed_sweeper_leaves_is_swept_by_the_next(folder: Path, call: int) -> None:
    rubbish(folder)
    output(python(SWEEP, folder), f"unlink,unlinkat:signal=KILL:when={call}")
    assert len(waiting(folder)) == 1
    assert sweep(folder) == []
    assert [path.name for path in folder.iterdir()] == ["run"]


def test_the_quiet_process_outlives_its_starter(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs"
    aside = rubbish(folder)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        subprocess.run(python(QUIETLY, folder, log), check=True, timeout=WAIT_S, start_new_session=True)
        assert aside.exists()
    finally:
        os.close(held)
    eventually(lambda: not aside.exists())
    assert log.read_text() == ""


def test_no_process_is_started_for_nothing(folder: Path, tmp_path: Path) -> None:
    sweep_quietly(folder, tmp_path / "log")
    sweep_quietly(folder / "nowhere", tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_one_sweeps_at_a_time(folder: Path) -> None:
    aside = rubbish(folder)
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert (waiting(folder), sweep(folder)) == ([], [])
        assert aside.exists()
    finally:
        os.close(held)
    assert waiting(folder) == [aside]
    shutil.rmtree(aside)
