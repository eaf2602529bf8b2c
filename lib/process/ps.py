"""The table of processes where there is no /proc (macOS, BSD), from one run of ps(1): slower, and by the second.

Sessions are not listed there in a usable way; the process group is used instead.
"""

from __future__ import annotations

import calendar
import os
import re
import subprocess
import time
from collections.abc import Iterator
from typing import Final

from lib.process.table import MARK, Row

_COLUMNS: Final = "pid=,ppid=,pgid=,stat=,lstart=,command="
_LINE: Final = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w{3}\s+\w{3}\s+\d+\s+[\d:]{8}\s+\d{4})\s+(.*)")
_MARK: Final = re.compile(rb"(?:^|\s)(" + MARK + rb"\S+)")


def row(pid: int) -> Row | None:
    return next(_listed("eww", "-p", str(pid)), None)


def rows() -> Iterator[Row]:
    return _listed("axeww")


def _listed(*which: str) -> Iterator[Row]:
    # "e" without a dash appends the environment to the command, on BSD, macOS and Linux alike.
    command = ["ps", *which, "-o", _COLUMNS]
    environ = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    listing = subprocess.run(command, check=False, capture_output=True, env=environ).stdout
    for line in listing.splitlines():
        if found := _LINE.match(line):
            pid, ppid, group = (int(text) for text in found.group(1, 2, 3))
            started = time.strptime(found[5].decode(), "%a %b %d %H:%M:%S %Y")
            mark = _MARK.search(found[6])
            yield Row(pid, ppid, group, group, calendar.timegm(started), found[4].startswith(b"Z"),
                      environ=mark[1] if mark else b"")  # fmt: skip
