"""state.json as a file: read without hanging, replaced as a whole, and never over somebody's save."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lib.errors import RelayError
from lib.files.replace import Changed, exchange, late_write, replace_file, sweep_temporaries
from lib.statefile.document import Missing, Raw, Refused, read_raw, set_aside


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / ".project"
    folder.mkdir()
    return folder / "state.json"


def hidden(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_bytes_are_given_as_they_are(file: Path) -> None:
    file.write_bytes(b"\xff\0{")
    assert read_raw(file) == Raw(b"\xff\0{")


def test_no_file_and_no_folder_is_missing(file: Path, tmp_path: Path) -> None:
    assert read_raw(file) == Missing()
    assert read_raw(tmp_path / "nowhere" / "state.json") == Missing()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "a FIFO"),
        (os.mkdir, "a folder"),
        (_socket, "a socket"),
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 50_000_000), "more than 1,000,000 bytes"),
    ],
)
def test_what_is_no_plain_file_is_refused_without_hanging(
    file: Path, make: Callable[[Path], object], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)  # a socket's path is short
    make(Path(file.name))
    found = read_raw(file)
    assert isinstance(found, Refused)
    assert what in found.problem.message
    assert found.problem.remedy == "relay resume --discard-edit"


def test_a_device_is_refused() -> None:
    assert isinstance(read_raw(Path("/dev/zero")), Refused)


def test_a_folder_that_is_a_link_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"{}")
    link = tmp_path / "link"
    link.symlink_to(file.parent)
    found = read_raw(link / "state.json")
    assert isinstance(found, Refused)
    assert found.problem.remedy == f"rm {link}"
    with pytest.raises(RelayError) as caught:
        replace_file(link / "state.json", b"new")
    assert caught.value.code == "state_path_refused"
    assert file.read_bytes() == b"{}"


def test_a_file_that_may_not_be_read_is_told(file: Path) -> None:
    file.write_bytes(b"{}")
    file.chmod(0)
    script = (
        f"import os, sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r}); from pathlib import Path\n"
        "from lib.statefile.document import read_raw\nimport lib.model\n"
        f"os.chdir({str(file.parent)!r})\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print(read_raw(Path('state.json')).problem)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Permission denied" in done.stdout
    assert "chmod u+rwX state.json" in done.stdout


def test_what_is_set_aside_keeps_its_content_under_a_free_name(file: Path) -> None:
    for number in (1, 2, 3):
        file.write_bytes(b"bad %d" % number)
        assert set_aside(file) == file.with_name(f"state.json.rejected-{number}")
    assert file.with_name("state.json.rejected-2").read_bytes() == b"bad 2"
    os.mkfifo(file)
    assert set_aside(file).is_fifo()


# --- replacing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_made_and_replaced_and_nothing_else_is_left(file: Path, durable: bool) -> None:
    for content in (b"one", b"two" * 100_000, b""):
        replace_file(file, content, durable=durable)
        assert file.read_bytes() == content
        assert hidden(file) == []


def test_a_link_at_the_place_is_replaced_not_followed(file: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    file.symlink_to(precious)
    replace_file(file, b"new")
    assert (file.read_bytes(), precious.read_bytes(), file.is_symlink()) == (b"new", b"precious", False)


# --- exchanging ------------------------------------------------------------------------------------------------------


def test_it_is_written_when_it_holds_what_is_expected(file: Path) -> None:
    exchange(file, b"1", None)
    exchange(file, b"2", b"1")
    exchange(file, b"3", b"2")
    assert file.read_bytes() == b"3"
    assert late_write(file) is None
    assert hidden(file) == []


def test_its_permissions_are_kept(file: Path) -> None:
    exchange(file, b"1", None)
    file.chmod(0o640)
    exchange(file, b"2", b"1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("there", "expected"), [(b"edit", b"1"), (b"edit", None), (None, b"1"), (b"", b"1"), (b"", None)]
)
def test_anything_else_stays_and_is_told(file: Path, there: bytes | None, expected: bytes | None) -> None:
    if there is not None:
        file.write_bytes(there)
    with pytest.raises(Changed) as caught:
        exchange(file, b"2", expected)
    assert caught.value.actual == there
    assert (file.read_bytes() if file.exists() else None) == there
    assert hidden(file) == []


def test_it_is_not_written_over_what_is_no_plain_file(file: Path) -> None:
    os.mkfifo(file)
    for expected in (None, b"1"):
        with pytest.raises(RelayError) as caught:
            exchange(file, b"2", expected)
        assert caught.value.code == "state_path_refused"
    assert file.is_fifo()


def test_a_save_into_the_displaced_file_is_found_and_kept_until_it_is_taken_up(file: Path) -> None:
    exchange(file, b"1", None)
    with file.open("r+b") as editor:
        for number in range(2, 9):
            exchange(file, b"%d" % number, b"%d" % (number - 1))
            assert late_write(file) is None
        editor.write(b"an edit")
    late = late_write(file)
    assert late is not None
    assert late.data == b"an edit"
    exchange(file, b"9", b"8")
    assert late_write(file) == late
    late.path.unlink()
    assert late_write(file) is None
    assert hidden(file) == []


def test_an_editor_that_saves_nothing_leaves_nothing(file: Path) -> None:
    exchange(file, b"1", None)
    with file.open("r+b"):
        exchange(file, b"2", b"1")
        assert len(hidden(file)) == 1
    exchange(file, b"3", b"2")
    assert hidden(file) == []


def test_a_late_save_by_truncation_is_seen_as_it_is(file: Path) -> None:
    exchange(file, b"1", None)
    with file.open("r+b") as editor:
        exchange(file, b"2", b"1")
        editor.truncate(0)
        late = late_write(file)
        assert late is not None
        assert late.data == b""


def test_there_is_no_late_save_without_a_folder(tmp_path: Path) -> None:
    assert late_write(tmp_path / "nowhere" / "state.json") is None


def test_what_killed_writers_left_is_swept_and_that_of_live_ones_is_not(file: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    dead = file.with_name(f".state.json.{ended.pid}-0a1b2c3d.tmp")
    live = file.with_name(f".state.json.{os.getppid()}-0a1b2c3d.tmp")
    others = [file.with_name(name) for name in (".state.json.swp", "notes.tmp", ".x.12.tmp")]
    for path in (dead, live, *others):
        path.touch()
    sweep_temporaries(file.parent)
    assert set(file.parent.iterdir()) == {live, *others}
