"""Overview of a repository, in a page, for the architect's prompt."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from lib.display import counted
from lib.errors import RelayError
from lib.git.outline import commands, tree, without_badges
from lib.git.run import Repo, git
from lib.git.trees import blob
from lib.names import shown

README_CHARS: Final = 3_000
_SUFFIXES: Final = 12
_COMMITS: Final = 15
_UNCOMMITTED: Final = 40
_UNSEEN: Final = (
    "Changed by the user and not committed, so that no worktree has it, and what is built must not depend on it:"
)


@dataclass(frozen=True, slots=True)
class Survey:
    """`tree` has the folders with their counts of files, and the files that are shown; `checks` are commands by which
    the repository tests itself, `uncommitted` paths that the user has changed and nobody else can see.
    """

    files_total: int
    tree: str
    suffixes: dict[str, int]
    subjects: list[str]
    readme: str
    checks: list[str] = field(default_factory=list)
    uncommitted: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in self.suffixes.items())
        total = f"{counted(self.files_total, 'file')} ({kinds})"
        parts = {"": [total, self.tree], "Commands by which it checks itself:": self.checks}
        parts |= {"Recent commits:": self.subjects, _UNSEEN: self.uncommitted, "README:": [self.readme]}
        filled = {head: lines for head, lines in parts.items() if any(lines)}
        return "\n\n".join("\n".join([head, *lines]).lstrip("\n") for head, lines in filled.items())


def survey(repo: Repo, commit: str, max_files: int = 400, requirement: str = "") -> Survey:
    """Reads `commit`, and no file of the work tree but by git's status. What the `requirement` names is shown first.

    Raises `GitError`.
    """
    paths = git(repo, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit).fields()
    subjects = git(repo, "log", f"-{_COMMITS}", "--format=%s", "--no-merges", commit).lines()
    readme = next((name for name in paths if PurePath(name).stem.lower() == "readme" and "/" not in name), None)

    def read(path: str) -> str:
        return shown(os.fsdecode(blob(repo, f"{commit}:{path}")))

    text = without_badges(read(readme)) if readme else ""
    checks = commands(paths, read)
    paths = [*map(shown, paths)]
    suffixes = Counter(PurePath(path).suffix or PurePath(path).name for path in paths)
    kinds = dict(suffixes.most_common(_SUFFIXES))
    outline = tree(paths, requirement, max_files)
    return Survey(len(paths), outline, kinds, [*map(shown, subjects)], text[:README_CHARS], checks, _uncommitted(repo))


def _uncommitted(repo: Repo) -> list[str]:
    """The paths that the user's checkout has beyond its commit, Relay's own aside."""
    told: list[str] = []
    with suppress(RelayError):  # a filter that is missing, say: what is landed over is looked at again by then
        told = git(repo, "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--no-renames").fields()
    paths = [shown(line[3:]) for line in told if not line[3:].startswith(f"{repo.own}/")]
    return [*paths[:_UNCOMMITTED], *([f"… and {len(paths) - _UNCOMMITTED} more"] if len(paths) > _UNCOMMITTED else [])]
