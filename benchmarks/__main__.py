"""`python -m benchmarks`: measures, and prints a table. It promises nothing and fails on nothing that is only slow."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import builders, handback, idle, merging, processes, resuming, scaling, startup
from benchmarks.report import Row, table
from benchmarks.scratch import become_ordinary_user

#: What there is to measure, and how often by default.
BENCHMARKS: Mapping[str, tuple[Callable[[Path, int], list[Row]], int]] = {
    "handback": (handback.measure, 200),
    "status": (startup.status, 30),
    "start": (startup.start, 8),
    "builders10": (builders.ten, 4),
    "builders50": (builders.fifty, 2),
    "builders6of30000": (builders.large, 2),
    "processes": (processes.measure, 1),
    "merge": (merging.measure, 1),
    "idle": (idle.measure, 1),
    "resume": (resuming.measure, 2),
    "scale": (scaling.measure, 1),
    "scale1000": (scaling.thousand, 1),
}


def main() -> None:
    options = _options()
    rows: list[Row] = []
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as folder:
        become_ordinary_user(Path(folder) / "home")
        for name in options.only or BENCHMARKS:
            measure, runs = BENCHMARKS[name]
            print(f"{time.perf_counter() - begun:4.0f} s  {name} …", file=sys.stderr, flush=True)
            made = Path(folder) / name
            made.mkdir()
            rows += measure(made, options.runs or runs)
    print(f"{time.perf_counter() - begun:4.0f} s  done", file=sys.stderr)
    if options.json:
        print(json.dumps({"machine": machine(), "rows": [row.as_dict() for row in rows]}, indent=2))
    else:
        print(f"{machine()}\n\n{table(rows)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME",
                        help=f"one of {', '.join(BENCHMARKS)}; may be given more than once")  # fmt: skip
    parser.add_argument("--runs", type=int, metavar="N", help="measure each so often (merge and idle: once)")
    parser.add_argument("--json", action="store_true", help="all figures, for machines")
    return parser.parse_args()


def machine() -> str:
    version = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, git {version}"
    return f"{os.cpu_count()} cores, {system}, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
