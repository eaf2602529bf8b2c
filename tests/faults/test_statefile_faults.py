"""A write of state.json under `kill -9` at every system call, failing disks, and edits that fall in between."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from small_disk import SmallDisk
from strace import Call, calls_between, output, python, traced

from lib.files.replace import WriteError, exchange, late_write, replace_file, sweep_temporaries

OLD, NEW = b"1" * 9000, b"2" * 9000
#: What changes something on disk, or comes right after; a kill at any other call finds what the next of these does.
TELLING = frozenset({"openat", "write", "fchmod", "fsync", "renameat", "renameat2", "linkat", "unlinkat", "fcntl"})

WRITER = """
import os
from pathlib import Path
from lib.files.replace import Changed, WriteError, exchange, replace_file
file = Path(sys.argv[1])
OLD, NEW = b"1" * 9000, b"2" * 9000
replace_file(file, OLD)
if sys.argv[2] == "create":
    file.unlink()
os.write(1, b"begun\\n")
try:
    if sys.argv[2] == "replace":
        replace_file(file, NEW)
    else:
        exchange(file, NEW, None if sys.argv[2] == "create" else OLD)
    os.write(1, b"done\\n")
except Changed as changed:
    print("changed:", changed.actual)
except WriteError as error:
    print(error.code, error.in_place)
"""
#: Waits for a byte right before each renameat2, which is looked up in the C library each time.
WAITING = f"""
import os
def wait(event, args):
    if event == "ctypes.dlsym" and args[1] == "renameat2":
        os.write(1, b"waiting\\n")
        os.read(0, 1)
sys.addaudithook(wait)
{WRITER}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / ".project"
    folder.mkdir()
    return folder / "state.json"


Calls = Callable[[str], list[Call]]


def hidden(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path != file)


def content(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """System calls of a write between its two lines, by the way in which it is made; each way is traced once."""
    folder = tmp_path_factory.mktemp("calls")

    @cache
    def look(way: str) -> list[Call]:
        command = python(WAITING if way == "waiting" else WRITER, folder / "state.json", way)
        return calls_between(command, folder / "trace", '"begun', '"done')

    return look


def one(found: list[Call], pattern: str) -> Call:
    return next(call for call in found if re.search(pattern, call.text))


# --- kill -9 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["exchange", "create", "replace"])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new(file: Path, calls: Calls, way: str) -> None:
    before = None if way == "create" else OLD
    moments = [call for call in calls(way) if call.name in TELLING]
    seen = set()
    for moment in moments:
        said = output(python(WRITER, file, way), moment.fault("signal=KILL"))
        assert said == "begun\n", moment.text
        seen.add(content(file))
        assert content(file) in {before, NEW}, moment.text
        recovered(file)
    assert seen == {before, NEW}


def recovered(file: Path) -> None:
    """Recovers as the next start does: nothing is left over, and writing goes on."""
    late = late_write(file)
    if late is not None:
        assert late.data == NEW  # was committed to the run database before
        late.path.unlink()
    sweep_temporaries(file.parent)
    now = content(file)
    exchange(file, b"3", now)
    assert content(file) == b"3"
    assert hidden(file) == []
    file.unlink()


# --- disks that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "error", "code"),
    [
        ("O_CREAT", "EROFS", "write_readonly"),
        ("O_CREAT", "ENOSPC", "write_full"),
        ("^write", "ENOSPC", "write_full"),
        ("^fsync", "EIO", "write_failed"),
        ("^(rename|linkat)", "EIO", "write_failed"),
        ("^renameat2", "EIO", "write_failed"),
    ],
)
def test_a_failing_disk_leaves_what_was_there_and_nothing_else(
    file: Path, calls: Calls, step: str, error: str, code: str
) -> None:
    for way, before in (("exchange", OLD), ("create", None)):
        if faults := [call for call in calls(way) if re.search(step, call.text)]:
            said = output(python(WRITER, file, way), faults[0].fault(f"error={error}"))
            assert said == f"begun\n{code} False\n"
            assert (content(file), hidden(file)) == (before, [])


@pytest.mark.parametrize("way", ["exchange", "create", "replace"])
def test_after_a_failing_sync_of_the_folder_it_is_told_what_stands(file: Path, calls: Calls, way: str) -> None:
    *_, last = [call for call in calls(way) if call.name == "fsync"]
    assert output(python(WRITER, file, way), last.fault("error=EIO")) == "begun\nwrite_failed True\n"
    assert (content(file), hidden(file)) == (NEW, [])


@pytest.fixture
def disk(small_disk: SmallDisk) -> Path:
    """The folder of a file system with 64 KB and 5 inodes."""
    return small_disk("size=64k,nr_inodes=5")


def refused(file: Path, data: bytes, expected: bytes) -> str:
    with pytest.raises(WriteError) as caught:
        exchange(file, data, expected)
    with pytest.raises(WriteError):
        replace_file(file, data)
    assert not caught.value.in_place
    assert file.read_bytes() == expected
    return caught.value.code


def test_a_full_disk_keeps_the_old_state_and_goes_on_when_mended(disk: Path) -> None:
    file = disk / "state.json"
    exchange(file, b"1" * 40_000, None)
    assert refused(file, b"2" * 40_000, b"1" * 40_000) == "write_full"
    assert hidden(file) == []
    exchange(file, b"2" * 20_000, b"1" * 40_000)
    assert file.read_bytes() == b"2" * 20_000


def test_a_disk_without_inodes_keeps_the_old_state_and_goes_on_when_mended(disk: Path) -> None:
    file = disk / "state.json"
    exchange(file, b"1", None)
    ballast = [disk / str(number) for number in range(3)]
    for path in ballast:
        path.touch()
    assert refused(file, b"2", b"1") == "write_full"
    assert hidden(file) == ["0", "1", "2"]
    ballast[0].unlink()
    exchange(file, b"2", b"1")
    assert file.read_bytes() == b"2"


def test_a_read_only_disk_keeps_the_old_state_and_goes_on_when_mended(disk: Path) -> None:
    file = disk / "state.json"
    exchange(file, b"1", None)
    subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
    assert refused(file, b"2", b"1") == "write_readonly"
    subprocess.run(["mount", "-o", "remount,bind,rw", disk], check=True)
    exchange(file, b"2", b"1")
    assert hidden(file) == []


# --- file systems that can do less -----------------------------------------------------------------------------------


def test_without_an_exchange_in_one_step_it_is_written_all_the_same(file: Path) -> None:
    for faults in (("renameat2:error=EINVAL",), ("renameat2:error=EINVAL", "linkat:error=EPERM")):
        assert output(python(WRITER, file, "exchange"), *faults) == "begun\ndone\n"
        assert (content(file), hidden(file)) == (NEW, [])
        file.unlink()


def test_without_links_a_file_is_made_all_the_same(file: Path) -> None:
    assert output(python(WRITER, file, "create"), "linkat:error=EPERM") == "begun\ndone\n"
    assert (content(file), hidden(file)) == (NEW, [])


def test_where_nobody_can_tell_who_has_it_open_the_displaced_file_stays_until_the_next_write(
    file: Path, calls: Calls
) -> None:
    lease = one(calls("exchange"), "F_SETLEASE")
    assert output(python(WRITER, file, "exchange"), lease.fault("error=EINVAL")) == "begun\ndone\n"
    assert [file.with_name(name).read_bytes() for name in hidden(file)] == [OLD]
    assert late_write(file) is None
    exchange(file, b"3", NEW)
    assert hidden(file) == []


# --- edits in between ------------------------------------------------------------------------------------------------


def in_place(file: Path) -> None:
    file.write_bytes(b"edit")


def in_place_without_truncation(file: Path) -> None:
    with file.open("r+b") as editor:
        editor.write(b"edit")
        editor.truncate()


def by_rename(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"edit")
    other.rename(file)


def by_removal_and_creation(file: Path) -> None:
    file.unlink()
    file.write_bytes(b"edit")


def by_removal(file: Path) -> None:
    file.unlink()


SAVES = [in_place, in_place_without_truncation, by_rename, by_removal_and_creation, by_removal]


class Waiting:
    """The writer, which says when it is about to exchange, and waits for the word."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        assert self._stdout.readline() == "begun\n"
        assert self._stdout.readline() == "waiting\n"

    def go_on(self) -> str:
        self._stdin.write("x")
        self._stdin.flush()
        return self._stdout.readline()


@contextmanager
def about_to_exchange(file: Path, *faults: str) -> Iterator[Waiting]:
    with traced(python(WAITING, file, "waiting"), *faults) as process:
        yield Waiting(process)
        process.communicate()


@pytest.mark.parametrize("faults", [(), ("renameat2:error=EINVAL",)])
@pytest.mark.parametrize("save", SAVES)
def test_an_edit_right_before_the_exchange_survives(
    file: Path, save: Callable[[Path], None], faults: tuple[str, ...]
) -> None:
    with about_to_exchange(file, *faults) as writer:
        save(file)
        said = writer.go_on()
        while said == "waiting\n":
            said = writer.go_on()
    assert said == f"changed: {content(file)!r}\n"
    assert content(file) == (None if save is by_removal else b"edit")
    assert hidden(file) == []


@pytest.mark.parametrize("save", [in_place, by_rename])
def test_an_edit_right_before_the_exchange_survives_a_kill_right_after_it(
    file: Path, calls: Calls, save: Callable[[Path], None]
) -> None:
    found = calls("waiting")
    look = next(call for call in found[found.index(one(found, "^renameat2")) :] if call.name == "newfstatat")
    with about_to_exchange(file, look.fault("signal=KILL")) as writer:
        save(file)
        assert writer.go_on() == ""
    late = late_write(file)
    assert late is not None
    assert (content(file), late.data) == (NEW, b"edit")


def test_what_becomes_a_fifo_meanwhile_is_put_back(file: Path) -> None:
    with about_to_exchange(file) as writer:
        file.unlink()
        os.mkfifo(file)
        assert writer.go_on() == "waiting\n"
        writer.go_on()
    assert file.is_fifo()
    assert hidden(file) == []


@pytest.mark.parametrize("later", [by_rename, by_removal])
def test_an_edit_while_another_one_is_put_back_survives(file: Path, later: Callable[[Path], None]) -> None:
    with about_to_exchange(file) as writer:
        file.write_bytes(b"first")
        assert writer.go_on() == "waiting\n"
        assert content(file) == NEW
        later(file)
        while (said := writer.go_on()) == "waiting\n":
            pass
    assert content(file) == (b"edit" if later is by_rename else b"first")
    assert said == f"changed: {content(file)!r}\n"


def test_a_save_into_our_own_file_while_an_edit_is_put_back_is_found(file: Path) -> None:
    with about_to_exchange(file) as writer:
        file.write_bytes(b"first")
        writer.go_on()
        in_place(file)
        assert writer.go_on() == "changed: b'first'\n"
    late = late_write(file)
    assert late is not None
    assert (content(file), late.data) == (b"first", b"edit")


# --- no events -------------------------------------------------------------------------------------------------------

WATCHER = """
from pathlib import Path
from lib.files.watch import Watch
watch = Watch(Path(sys.argv[1]))
print(watch.fd, watch.reason, watch.drain())
"""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("inotify_init1:error=EMFILE", "no inotify instance to be had: Too many open files"),
        ("inotify_add_watch:error=ENOSPC", "can't be watched: No space left on device"),
    ],
)
def test_without_inotify_there_is_a_reason_and_nothing_to_wait_for(tmp_path: Path, fault: str, words: str) -> None:
    said = output(python(WATCHER, tmp_path), fault)
    assert said.startswith("None ")
    assert words in said
    assert said.endswith(" False\n")
