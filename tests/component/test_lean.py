"""Each process of Relay does without what its packages would load for nothing."""

import hashlib
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import orchestrator
from lib.lean import load_structlog
import hashlib
load_structlog()
loaded = sorted({"_hashlib", "asyncio", "rich"} & set(sys.modules))
print(loaded, hashlib.new("sha1", b"x").hexdigest(), hashlib.sha256(b"x").hexdigest())
"""


def test_neither_openssl_nor_asyncio_nor_rich_is_loaded_and_hashes_are_right() -> None:
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", CODE, root], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", hashlib.sha1(b"x").hexdigest(), hashlib.sha256(b"x").hexdigest()]  # noqa: S324


def test_a_python_whose_hashes_are_all_of_openssl_keeps_them() -> None:
    root = str(Path(__file__).resolve().parents[2])
    code = f"import sys; sys.modules['_sha3'] = None\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "['_hashlib']"
    assert not done.stderr
