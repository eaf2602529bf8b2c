"""Records runs of the version that is checked out, in a checkout of it with Relay's environment, once a release:

    PYTHONPATH=.:tests .venv/bin/python tests/upgrades/record.py VERSION

What it writes beside itself is committed, and never made again.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from conftest import run_git
from driver import Relay
from upgrading import RECORDINGS, record

from lib.project.paths import find_project

#: The assistant: `beta` waits for the file $HOLD to go; both write $SHARED if that is set.
CI = """#!/bin/sh
cat >/dev/null
case $RELAY_ROLE in
architect) echo '{"summary": "two parts", "components": [
   {"id": "alpha", "title": "Alpha"}, {"id": "beta", "title": "Beta"}]}' ;;
*) while test "$RELAY_BUILDER" = beta && test -e "$HOLD"; do sleep 0.1; done
   echo "by $RELAY_BUILDER" >"${SHARED:-$RELAY_BUILDER.txt}"
   echo "wrote ${SHARED:-$RELAY_BUILDER.txt}" ;;
esac
"""


def gate(relay: Relay) -> None:
    relay.begin("ci")
    relay.asked("approve_design")


def executing(relay: Relay) -> None:
    Path(os.environ["HOLD"]).touch()
    relay.begin("ci", "parts", "--yes")
    relay.wait(lambda state: {line["id"]: line["status"] for line in state["builders"]}
               == {"alpha": "built", "beta": "running"})  # fmt: skip


def conflict(relay: Relay) -> None:
    relay.begin("ci", "parts", "--yes", env={"SHARED": "shared.txt", "RELAY_CONFLICTS": "person"})
    relay.asked("resolve_conflict")


def landed(relay: Relay) -> None:
    relay.begin("ci", "parts", "--yes")
    relay.over()


def main(version: str) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="recording-"))
    (scratch / "ci").write_text(CI)
    (scratch / "ci").chmod(0o755)
    settings = "[user]\n\tname = Ada\n\temail = ada@example.org\n"
    os.environ |= {
        "HOME": str(scratch), "PATH": f"{scratch}:{os.environ['PATH']}", "HOLD": str(scratch / "hold"),
        "RELAY_SANDBOX": "off", "RELAY_ENV_PASS": '["HOLD", "SHARED"]',
    }  # fmt: skip
    (scratch / ".gitconfig").write_text(settings)
    for situation in (gate, executing, conflict, landed):
        root = scratch / situation.__name__
        run_git(scratch, "init", "-q", "-b", "main", root.name)
        (root / "README.md").write_text("# Project\n")
        run_git(root, "add", "-A")
        run_git(root, "commit", "-qm", "start")
        relay = Relay(root)
        situation(relay)
        relay.kill()
        found = record(root)
        with closing(sqlite3.connect(find_project(root).database)) as db:
            (found["schema"],) = db.execute("PRAGMA user_version").fetchone()
        (RECORDINGS / f"{version}-{situation.__name__}.json").write_text(json.dumps(found, indent=1) + "\n")
        Path(os.environ["HOLD"]).unlink(missing_ok=True)
        relay.process("stop", "--builders")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main(sys.argv[1])
