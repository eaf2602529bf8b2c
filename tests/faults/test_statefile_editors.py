"""Real editors and tools save state.json while it is watched: each save is taken up once, and whole."""

from __future__ import annotations

import json
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from eventually import WAIT_S, eventually
from states import known, state
from strace import python

from lib.files.replace import Changed, exchange, late_write
from lib.files.watch import Watch
from lib.model import Edit, Owner
from lib.statefile.document import Raw, read_raw, render
from lib.statefile.edits import Edited, Same, Settling, judge

STATE = state(message="x" * 3000)
HANDED_BACK = Edited(Edit(action_owner=Owner.CODE))
OLD, NEW = '"action_owner": "ci"', '"action_owner": "code"'
SWAP = f"s/{OLD}/{NEW}/"
POLL_S = 0.05

IN_PIECES = f"""
import time
with open(sys.argv[1], "r+b") as file:
    data = file.read().replace(b'{OLD}', b'{NEW}')
    file.seek(0)
    if sys.argv[2] == "truncate":
        file.truncate()
    for start in range(0, len(data), 500):
        file.write(data[start:start + 500])
        file.flush()
        time.sleep(0.05)
"""
SAVES: dict[str, Callable[[str], list[str]]] = {
    "vim": lambda file: ["vim", "-es", "-u", "NONE", "-c", f"%{SWAP}", "-c", "wq", file],
    "vim in place": lambda file: [*SAVES["vim"](file), "--cmd", "set backupskip= writebackup backupcopy=yes"],
    "vim by rename": lambda file: [*SAVES["vim"](file), "--cmd", "set backupskip= writebackup backupcopy=no"],
    "ex": lambda file: ["sh", "-c", f"printf '%s\\n' '%{SWAP}' wq | ex -s '{file}'"],
    "sed -i": lambda file: ["sed", "-i", SWAP, file],
    "mv": lambda file: ["sh", "-c", f"sed '{SWAP}' '{file}' > '{file}.new' && mv '{file}.new' '{file}'"],
    "rm, a while later cp": lambda file: [
        "sh", "-c", f"sed '{SWAP}' '{file}' > '{file}.new' && rm '{file}' && sleep 0.3 && cp '{file}.new' '{file}'",
    ],
    "in pieces after truncation": lambda file: python(IN_PIECES, file, "truncate"),
    "in pieces over the old": lambda file: python(IN_PIECES, file, "keep"),
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "state.json"
    exchange(made, render(STATE), None)
    return made


def follow(file: Path, is_busy: Callable[[], bool]) -> list[object]:
    """Verdicts that the orchestrator would get, in order, until the editor is no longer busy."""
    told: list[object] = []
    settling = Settling()
    deadline_mono_s = time.monotonic() + WAIT_S
    with closing(Watch(file.parent)) as watch:
        last_look = False
        while not last_look:
            assert time.monotonic() < deadline_mono_s, told
            last_look = not is_busy()
            select.select([watch.fd], [], [], 0 if last_look else POLL_S)
            watch.drain()
            found = read_raw(file)
            verdict = judge(found.data, known(STATE)) if isinstance(found, Raw) else found
            if isinstance(verdict, Same | Edited):
                settling.good()
            elif settling.bad(found, time.monotonic()) is not None:
                continue
            if verdict != Same() and verdict not in told:
                told.append(verdict)
    return told


@pytest.mark.parametrize("how", SAVES)
def test_a_save_is_taken_up_once_and_nothing_of_it_before(file: Path, how: str) -> None:
    command = SAVES[how](str(file))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as editor:
        told = follow(file, lambda: editor.poll() is None)
    assert told == [HANDED_BACK]
    assert file.read_text() == render(STATE).decode().replace(OLD, NEW)


@contextmanager
def in_terminal(folder: Path, *command: str | Path) -> Iterator[Callable[..., str]]:
    """Runs the command in a terminal of its own; yields a function that passes words to tmux."""
    tmux = ["tmux", "-S", folder / "tmux", "-f", "/dev/null"]

    def say(*words: str) -> str:
        return subprocess.run([*tmux, *words], check=False, capture_output=True, text=True).stdout

    subprocess.run([*tmux, "new-session", "-d", "-c", folder, "-x", "120", "-y", "40", *command], check=True)
    try:
        yield say
    finally:
        say("kill-server")


def test_a_save_with_nano_is_taken_up_once(file: Path) -> None:
    with in_terminal(file.parent, "nano", "--ignorercfiles", file.name) as say:
        eventually(lambda: "GNU nano" in say("capture-pane", "-p"))
        say("send-keys", "C-w")
        eventually(lambda: "Search" in say("capture-pane", "-p"))
        say("send-keys", "-l", '"action_owner"')
        say("send-keys", "Enter", "C-k")
        eventually(lambda: OLD not in say("capture-pane", "-p"))
        say("send-keys", "-l", f"  {NEW},")
        say("send-keys", "Enter", "C-o")
        eventually(lambda: "Write" in say("capture-pane", "-p"))
        say("send-keys", "Enter")
        eventually(lambda: "Wrote" in say("capture-pane", "-p"))
        say("send-keys", "C-x")
        told = follow(file, lambda: bool(say("list-sessions")))
    assert told == [HANDED_BACK]


#: Saves edit after edit, each on what it then reads, and waits until each was taken up.
HAMMER = """
import json, os, time
from pathlib import Path
file, count = Path(sys.argv[1]), int(sys.argv[2])

def read():
    while True:
        try:
            return json.loads(file.read_bytes())
        except (ValueError, FileNotFoundError):
            pass

def save(way, data):
    if way == "rename":
        other = file.with_name("other")
        other.write_bytes(data)
        other.rename(file)
    elif way == "remove":
        file.unlink(missing_ok=True)
        file.write_bytes(data)
    elif way == "truncate":
        with file.open("wb", buffering=0) as handle:
            handle.write(data[:20])
            handle.write(data[20:])
    else:
        with file.open("r+b", buffering=0) as handle:
            handle.write(data)
            handle.truncate()

for number in range(1, count + 1):
    save(("rename", "remove", "truncate", "over")[number % 4], json.dumps(read() | {"edit": number}).encode())
    deadline = time.monotonic() + float(sys.argv[3])
    while read()["taken"] < number:
        if time.monotonic() > deadline:
            sys.exit(f"edit {number} was lost")
"""


def test_no_edit_is_lost_while_it_is_written_without_pause(file: Path) -> None:
    count = 60
    seen: bytes | None = render(STATE)
    taken = rev = 0
    with subprocess.Popen(python(HAMMER, file, str(count), str(WAIT_S)), stderr=subprocess.PIPE, text=True) as editor:
        while editor.poll() is None:
            late = late_write(file)
            if late is not None and (edit := edit_of(late.data)) is not None:
                taken = max(taken, edit)
                late.path.unlink()
            rev += 1
            data = json.dumps({"rev": rev, "taken": taken, "edit": 0, "filler": "x" * 5000}).encode()
            try:
                exchange(file, data, seen)
                seen = data
            except Changed as changed:
                edit = edit_of(changed.actual)
                if edit is not None:
                    taken, seen = max(taken, edit), changed.actual
        _, errors = editor.communicate()
    assert errors == ""
    assert taken == count


def edit_of(data: bytes | None) -> int | None:
    """The edit in a whole file, None if it is not whole."""
    try:
        return int(json.loads(data or b"")["edit"])
    except ValueError:
        return None
