"""A conflict between being found and being resolved: what is noted of it, and the steps of an assistant that has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lib.atomic import replace_file
from lib.errors import RelayError
from lib.git import conflict, merge, resolution, worktrees
from lib.git.inspect import changed_paths
from lib.git.objects import value
from lib.git.run import Repo
from lib.model import JobResult
from lib.names import quote
from lib.plainfile import NotPlainError, read_plain
from lib.resolution import Account, Disputed, Judgement, bounded, judge
from orchestrator.jobs import Work

#: Where a resolution is kept that was judged, and is being verified.
RESOLVED = "refs/relay/resolved/"
PATHS_NOTED = 1000
NOTE_MAX_BYTES = 10_000_000


class Note:
    """The record of a conflict until its resolution: who with whom, the paths, and who has it.

    `staged` says that the worktree holds it. `left` is the tree that git left there for the resolver, as long as an
    assistant has it: nothing in the worktree then is a person's.
    """

    def __init__(self, work: Work) -> None:
        self._file = work.project.record_dir(work.run, "merged") / "conflict.json"

    def read(self) -> dict[str, Any] | None:
        try:
            text = read_plain(self._file, limit=NOTE_MAX_BYTES)
            found: dict[str, Any] | None = None if text is None else json.loads(text)
        except (NotPlainError, ValueError) as error:
            message = f"{self._file}, the note of a conflict, can't be read: {error}"
            raise RelayError(message, remedy=f"rm {quote(str(self._file))}", code="note_unreadable") from error
        return found

    def write(self, what: Mapping[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, json.dumps(what).encode())

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def noted(work: Work) -> dict[str, Any]:
    """The conflict that a job of the resolver's is about."""
    left = Note(work).read()
    if left is None:
        raise AssertionError("a conflict is worked on that was never found")
    return left


def leave(work: Work, builder: str, branch: str, sides: tuple[str, str], found: merge.Conflict) -> dict[str, Any]:
    """Leaves a conflict in the merged worktree; it is noted first: a half-staged one is never taken for resolved."""
    paths = [{"path": path.path, "kind": path.kind} for path in found.paths[:PATHS_NOTED]]
    left = {"builder": builder, "branch": branch, "head": sides[0], "theirs": sides[1], "paths": paths, "staged": False}
    Note(work).write(left)
    stage(work, left)
    return left


def stage(work: Work, left: Mapping[str, Any]) -> None:
    """Leaves a conflict that was noted in the merged worktree, unless it is there."""
    root = work.project.root
    conflict.stage(
        Repo.of(work.project), work.worktree, left["head"], left["theirs"], label=left["branch"], include_from=root
    )
    Note(work).write({**left, "staged": True})


def brief_resolver(work: Work) -> JobResult:
    """Gives the conflict to an assistant. `ours` are the builders, merged before, that changed the same files."""
    repo, left = Repo.of(work.project), noted(work)
    if "left" not in left:
        Note(work).write({**left, "left": worktrees.held(repo, work.worktree, left["head"])})
    disputed = {path["path"] for path in left["paths"]}
    base = work.job.spec.args["base"]
    ours = [
        tip["id"]
        for tip in work.job.spec.args["tips"]
        if tip["tip"] != left["theirs"] and disputed & {path for _, path in changed_paths(repo, base, tip["tip"])}
    ]
    return JobResult(ok=True, data={"ours": ours})


def judge_resolution(work: Work) -> JobResult:
    """Judges what the assistant left, and makes a commit of it unless it has to mend something.

    `questions` are for a person. What it left out or put in by its own account, and may, is reported.
    """
    repo, left, args = Repo.of(work.project), noted(work), work.job.spec.args
    ref, sides = f"{RESOLVED}{work.run}", (left["head"], left["theirs"])
    account = Account.of(args["removed"], args["added"])

    def check(files: list[Disputed]) -> Judgement:
        return judge(files, account, ("what was merged before", left["builder"]))

    found = resolution.judge(repo, work.worktree, sides, ref, args["message"], check)
    data = {name: bounded(getattr(found, name)) for name in ("objections", "questions")}
    told = [] if found.objections or found.questions else bounded(found.told)
    commit = None if found.objections else value(repo, ref)
    return JobResult(ok=True, data={**data, "commit": commit, "told": told})


def reopen_conflict(work: Work) -> JobResult:
    """The conflict for another try: as the assistant left the files, the others as git did.

    With `fresh` it is taken from the assistant, and is for a person as git first left it.
    """
    left = noted(work)
    if work.job.spec.args["fresh"]:
        take_back(work, left)
    else:
        resolution.put_right(Repo.of(work.project), work.worktree, left["head"], left["theirs"])
    return JobResult(ok=True)


def take_back(work: Work, left: Mapping[str, Any]) -> dict[str, Any]:
    """The conflict is in the worktree as git first left it, and no assistant has it any more."""
    repo, head, theirs = Repo.of(work.project), left["head"], left["theirs"]
    if worktrees.held(repo, work.worktree, head) != left.get("left"):
        resolution.stage_again(repo, work.worktree, head, theirs, left["branch"], work.project.root)
    plain = {key: value for key, value in left.items() if key != "left"}
    stage(work, plain)
    return {**plain, "staged": True}
