"""A conflict between being found and being resolved: what is noted of it, and where it is left."""

from __future__ import annotations

from lib.effects import ConflictPath, NotedConflict
from lib.errors import RelayError
from lib.files.replace import replace_file
from lib.files.safe_read import NotPlainError, read_plain
from lib.git import conflict, merge, resolution, worktrees
from lib.git.run import Repo
from lib.names import from_json, quote, to_json
from orchestrator.work import Work

PATHS_NOTED = 1000
NOTE_MAX_BYTES = 10_000_000


class Note:
    """The record of a run's conflict until its resolution."""

    def __init__(self, work: Work) -> None:
        self._file = work.project.record_dir(work.run, "merged") / "conflict.json"

    def read(self) -> NotedConflict | None:
        """The conflict that is noted. Raises `RelayError` (`note_unreadable`)."""
        try:
            text = read_plain(self._file, limit=NOTE_MAX_BYTES)
            return None if text is None else from_json(NotedConflict, text.decode())
        except (NotPlainError, ValueError) as error:
            message = f"{self._file}, the note of a conflict, can't be read: {error}"
            raise RelayError(message, remedy=f"rm {quote(str(self._file))}", code="note_unreadable") from error

    def known(self) -> NotedConflict:
        """The conflict that a job of the resolver's is about."""
        left = self.read()
        if left is None:
            raise AssertionError("a conflict is worked on that was never found")
        return left

    def write(self, what: NotedConflict) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._file, to_json(what).encode())

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def leave(work: Work, builder: str, branch: str, sides: tuple[str, str], found: merge.Conflict) -> NotedConflict:
    """Leaves a conflict in the merged worktree; it is noted first: a half-staged one is never taken for resolved."""
    paths = tuple(ConflictPath(path=path.path, kind=path.kind) for path in found.paths[:PATHS_NOTED])
    left = NotedConflict(builder=builder, branch=branch, head=sides[0], theirs=sides[1], paths=paths)
    Note(work).write(left)
    stage(work, left)
    return left


def stage(work: Work, left: NotedConflict) -> None:
    """Leaves a conflict that was noted in the merged worktree, unless it is there."""
    root = work.project.root
    conflict.stage(Repo.of(work.project), work.worktree, left.head, left.theirs, label=left.branch, include_from=root)
    Note(work).write(left.model_copy(update={"staged": True, "by": work.job.id}))


def take_back(work: Work, left: NotedConflict) -> NotedConflict:
    """The conflict is in the worktree as git first left it, and no assistant has it any more."""
    repo = Repo.of(work.project)
    if worktrees.held(repo, work.worktree, left.head) != left.left:
        resolution.stage_again(repo, work.worktree, left.head, left.theirs, left.branch, work.project.root)
    plain = left.model_copy(update={"left": None})
    stage(work, plain)
    return plain.model_copy(update={"staged": True})
