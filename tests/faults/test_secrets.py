"""Keys that builders have, and print: masked in all that is shown or kept, and in no command line."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from driver import COMMAND, Relay, environ, playbook
from eventually import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "hunter2-and-a-half"
CONFIGURED = "correct-horse-battery"
#: Printed in two writes, the second only when it may go on, then whole and in an error.
SAY = """\
python3 -c "
import os, sys, time
key = os.environ['{name}']
sys.stdout.write('half: ' + key[:9]); sys.stdout.flush()
while not os.path.exists('go'): time.sleep(0.02)
print(key[9:])
print('whole: ' + key, flush=True)
print('error: ' + key, file=sys.stderr)
" && rm go
"""


@pytest.fixture(params=["auto", "off"])
def begun(relay: Relay, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """A run whose builders have a key of the user's and one of the configuration, and have printed half of each."""
    monkeypatch.setenv("SOME_API_KEY", KEY)
    tell = {"one": "SOME_API_KEY", "two": "CONFIGURED_TOKEN"}
    builders = {name: [{"run": SAY.format(name=key)}, {"fail": {"status": 1, "say": f"failed with {secret}"}}]
                for (name, key), secret in zip(tell.items(), (KEY, CONFIGURED), strict=True)}  # fmt: skip
    book = playbook(tmp_path / "book", builders)
    relay.begin(book, "parts", "--yes", env={"RELAY_SANDBOX": request.param, "RELAY_ATTEMPTS": "1",
                                             "RELAY_ENV_PASS": '["SOME_API_KEY"]', "RELAY_SETUP": f"echo {CONFIGURED}",
                                             "RELAY_ENV": json.dumps({"CONFIGURED_TOKEN": CONFIGURED})})  # fmt: skip
    eventually(lambda: len(list(relay.root.glob(".project/runs/*/builders/*/*-build/output.log"))) == 2)
    for name in tell:
        eventually(lambda name=name: "half: " in printed(relay, name))  # type: ignore[misc]
    return relay


def printed(relay: Relay, name: str) -> str:
    (file,) = relay.root.glob(f".project/runs/*/builders/{name}/*-build/output.log")
    return file.read_text()


@pytest.fixture
def followed(begun: Relay, tmp_path: Path) -> Iterator[Path]:
    """The file to which `relay logs -f one` prints."""
    file = tmp_path / "followed"
    with file.open("w") as stream:
        shown = subprocess.Popen([*COMMAND, "logs", "-f", "one"], cwd=begun.root, env=environ(None), stdout=stream)
        yield file
        shown.kill()
        shown.wait()


def secrets_in(text: str) -> list[str]:
    return [part for secret in (KEY, CONFIGURED) for part in (secret, secret[:9]) if part in text]


def test_secrets_show_nowhere(begun: Relay, followed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_API_KEY")  # another shell reads
    for shown in (begun("status"), begun("status", "--json"), begun("logs", "one"), begun("logs", "two")):
        assert secrets_in(shown) == []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        assert secrets_in(_read(file)) == []
    for worktree in begun.root.glob(".project/worktrees/*/*"):
        (worktree / "go").touch()
    begun.asked("fix_failure")
    eventually(lambda: "whole: " in followed.read_text())
    texts = [begun("logs", "one"), begun("logs", "two"), begun("logs"), begun("status"), begun("status", "--json"),
             begun("show"), followed.read_text(), begun.state_file.read_text(),
             *(file.read_text() for file in (begun.home / "logs").iterdir() if file.is_file())]  # fmt: skip
    assert [secrets_in(text) for text in texts] == [[]] * len(texts)
    kept = [*begun.root.glob(".project/[!w]*/**/*"), *begun.root.glob(".git/relay/jobs/**/*")]
    assert [file for file in kept if file.is_file() and secrets_in(_read(file))] == []
    assert [file for file in begun.root.glob(".git/relay/*.db*") if KEY.encode() in file.read_bytes()] == []
    assert "[masked SOME_API_KEY]" in begun("logs", "one")
    assert "[masked CONFIGURED_TOKEN]" in begun("logs", "two")


def _read(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except OSError:  # it has ended
        return ""
