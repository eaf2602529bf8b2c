"""Edits are noticed through events of the folder, and without them nothing breaks."""

from __future__ import annotations

import selectors
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from eventually import WAIT_S

from lib.files.replace import exchange, replace_file
from lib.files.watch import Watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / ".project"
    made.mkdir()
    return made


@pytest.fixture
def watch(folder: Path) -> Iterator[Watch]:
    with closing(Watch(folder)) as made:
        yield made


def ready(watch: Watch) -> bool:
    assert watch.fd is not None
    with selectors.DefaultSelector() as selector:
        selector.register(watch.fd, selectors.EVENT_READ)
        return bool(selector.select(WAIT_S))


def noticed(watch: Watch) -> bool:
    """True if the watch becomes ready, tells of a change, and then of no more."""
    return ready(watch) and watch.drain() and not watch.drain()


def test_nothing_happened(watch: Watch) -> None:
    assert not watch.drain()
    assert watch.reason == ""


def test_every_way_of_saving_is_noticed_again_and_again(watch: Watch, folder: Path) -> None:
    file = folder / "state.json"
    for number in range(3):
        file.write_bytes(b"%d" % number)
        assert noticed(watch)
        replace_file(file, b"replaced")
        assert noticed(watch)
        exchange(file, b"exchanged", b"replaced")
        assert noticed(watch)
        with file.open("r+b") as editor:
            editor.write(b"in place")
        assert noticed(watch)
        file.unlink()
        assert noticed(watch)


def test_a_folder_that_is_removed_and_made_again_is_watched_again(watch: Watch, folder: Path) -> None:
    for _ in range(3):
        shutil.rmtree(folder)
        assert ready(watch)
        assert watch.drain()
        assert "can't be watched" in watch.reason
        folder.mkdir()
        assert watch.drain()
        assert not watch.drain()
        (folder / "state.json").touch()
        assert noticed(watch)


def test_a_folder_that_is_moved_away_and_replaced_is_no_longer_watched(watch: Watch, folder: Path) -> None:
    old = folder.rename(folder.with_name("old"))
    folder.mkdir()
    assert ready(watch)
    assert watch.drain()
    (old / "state.json").touch()
    watch.drain()
    assert not watch.drain()
    (folder / "state.json").touch()
    assert noticed(watch)


def test_a_parent_that_is_replaced_is_noticed_at_the_next_poll(folder: Path) -> None:
    inner = folder / "instances"
    inner.mkdir()
    with closing(Watch(inner)) as watch:
        folder.rename(folder.with_name("old"))
        inner.mkdir(parents=True)
        assert watch.drain()
        (inner / "state.json").touch()
        assert noticed(watch)


def test_a_folder_that_comes_later_is_watched_from_then_on(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with closing(Watch(folder)) as watch:
        assert not watch.drain()
        folder.mkdir()
        assert watch.drain()
        (folder / "state.json").touch()
        assert noticed(watch)


def test_a_link_is_not_followed(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    with closing(Watch(link)) as watch:
        (folder / "state.json").touch()
        assert not watch.drain()


def test_a_child_does_not_inherit_it(watch: Watch) -> None:
    done = subprocess.run(["test", "-e", f"/proc/self/fd/{watch.fd}"], check=False, close_fds=False)
    assert done.returncode == 1
