"""`keep_artifacts`: copies of files that a step of a workflow has made, with their hashes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lib.design.globs import matcher
from lib.effects import Artifact, KeepArtifacts, KeepArtifactsResult
from lib.files.safe_read import NotPlainError, open_plain
from lib.jobs import JobResult
from lib.names import shown
from lib.scheduling.retries import NO_ARTIFACT
from orchestrator.effects._runner import Runner, done
from orchestrator.work import Work

MAX_FILES: Final = 1_000
MAX_BYTES: Final = 1_000_000_000
_CHUNK: Final = 1 << 20


def run(work: Work, args: KeepArtifacts) -> JobResult:
    folder = work.project.artifacts_dir(work.run, str(work.job.spec.step))
    found = sorted(_matching(work, args.patterns))
    missing = [each for each in args.patterns if not any(map(matcher([each]), found))]
    if missing:
        return _failed(f"it made no file that its artifacts name: {', '.join(missing)}")
    sizes = [(work.worktree / path).lstat().st_size for path in found]
    if len(found) > MAX_FILES or sum(sizes) > MAX_BYTES:
        much = f"{len(found):,} files of {sum(sizes):,} bytes"
        return _failed(f"its artifacts are {much}; the limit is {MAX_FILES:,} files of {MAX_BYTES:,} bytes")
    try:
        kept = tuple(_copied(work.worktree / path, folder / path, path) for path in found)
    except NotPlainError as error:
        return _failed(f"an artifact is {error.what}")
    return done(KeepArtifactsResult(folder=str(folder.relative_to(work.project.root)), files=kept))


def _failed(message: str) -> JobResult:
    return JobResult(ok=False, code=NO_ARTIFACT, message=message)


def _matching(work: Work, patterns: tuple[str, ...]) -> Iterator[str]:
    """Paths in the worktree, links not followed, without what is git's and Relay's own."""
    wanted = matcher(patterns)
    for top, folders, files in os.walk(work.worktree):
        if Path(top) == work.worktree:
            for names in (folders, files):
                names[:] = [name for name in names if name not in {".git", work.project.own}]
        for name in files:
            path = Path(top, name)
            if path.is_file() and not path.is_symlink() and wanted(inner := path.relative_to(work.worktree).as_posix()):
                yield inner


def _copied(source: Path, target: Path, name: str) -> Artifact:
    """Copies a file, and says what it was. Raises `NotPlainError`, `OSError`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name[:200]}.new")
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_plain(source), "rb") as stream, fresh.open("wb") as copy:
        while data := stream.read(_CHUNK):
            digest.update(data)
            size += len(data)
            copy.write(data)
    fresh.replace(target)
    return Artifact(path=shown(name), sha256=digest.hexdigest(), size=size)


effect = Runner(KeepArtifacts, run)
