"""The benchmarks measure what they say: each is run once. How fast anything is, is no matter of tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from eventually import WAIT_S

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("names", "rows"), [(("handback", "status", "start"), 4), (("builders10", "resume"), 3),
                                             (("merge",), 2), (("processes",), 2), (("scale1000",), 5)])  # fmt: skip
def test_each_measures_what_was_really_done(names: tuple[str, ...], rows: int) -> None:
    command = [sys.executable, "-m", "benchmarks", "--json", "--runs", "1", *(f"--only={name}" for name in names)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)["rows"]
    assert len(measured) == rows
    for row in measured:
        assert len(row["measured"]) > 0, row
        assert all(figure > 0 for figure in row["measured"] if row["unit"]), row
        assert all(figure > 0 for figure in row["floors"]), row
