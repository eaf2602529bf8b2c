"""Changes of a run, or of one builder of it: read from the run database and git, with or without an orchestrator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lib.design.globs import matcher
from lib.errors import RelayError
from lib.git.diff import changes, listed, patches
from lib.git.inspect import resolve
from lib.git.run import Repo, git
from lib.steps import StepKind, status_of

if TYPE_CHECKING:
    from lib.project.paths import Project
    from lib.store.queries import Queries
    from lib.store.rows import JobRow, Stored

Record = Mapping[str, Any]

LETTERS: Final = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed"}


class ChangedFile(NamedTuple):
    """One file; lines are None for what has none. `builders` changed it; it is `outside` where one of them did not own
    it.
    """

    path: str
    status: str
    added: int | None
    removed: int | None
    builders: tuple[str, ...]
    outside: bool

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "status": self.status, "added": self.added, "removed": self.removed,
                "builder": self.builders[0] if self.builders else None, "builders": list(self.builders),
                "outside": self.outside}  # fmt: skip


class Comparison(NamedTuple):
    """The change from commit `old` to `new`: of one `builder`, or of all that is merged."""

    run: str
    builder: str
    old: str
    new: str
    files: list[ChangedFile]
    partial: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {"run": self.run, "builder": self.builder or None, "from": self.old, "to": self.new,
                "partial": self.partial, "files": [file.as_dict() for file in self.files]}  # fmt: skip


def compare(project: Project, look: Queries, builder: str) -> Comparison:
    """Raises `RelayError`: `unknown_run`, `unknown_builder`, `no_commits`, `not_merged`, `commits_gone`."""
    repo, stored = Repo.of(project), look.stored
    records = (json.loads(row.data) for row in look.steps())
    run, known = stored.row.id, {each["id"]: each for each in records if each["kind"] != StepKind.WORKSPACE}
    if builder and builder not in known:
        names = ", ".join(known) or "none yet"
        raise RelayError(f"there is no builder {builder}; there are {names}", remedy="relay status",
                         code="unknown_builder")  # fmt: skip
    own = () if builder else look.jobs_of(None)
    old, new, partial = (*_own(repo, known[builder]), False) if builder else _merged(repo, stored, own, known)
    touched = {name: _touched(repo, record) for name, record in known.items() if not builder or name == builder}
    owns = {name: matcher((record["component"] or {}).get("files") or ["**"]) for name, record in known.items()}
    files = []
    for change in listed(repo, old, new):
        by = tuple(name for name, paths in touched.items() if change.path in paths) or ((builder,) if builder else ())
        outside = any(not owns[name](change.path) for name in by)
        files.append(ChangedFile(change.path, change.status, change.added, change.removed, by, outside))
    return Comparison(run, builder, old, new, files, partial)


def patch(project: Project, comparison: Comparison) -> list[tuple[ChangedFile | None, str]]:
    """The patch, file by file; without the files if git's two listings can't be matched."""
    texts = patches(Repo.of(project), comparison.old, comparison.new)
    if len(texts) != len(comparison.files):
        return [(None, text) for text in texts]
    return list(zip(comparison.files, texts, strict=True))


def _own(repo: Repo, record: Record) -> tuple[str, str]:
    """The commits that a builder began at and that it has: as it was collected, else the tip of its branch."""
    base, name = record["base_commit"], record["id"]
    tip = record["commit"] or (resolve(repo, f"refs/heads/{record['branch']}") if base else None)
    if not tip or tip == base:
        message = f"{name} is {status_of(record).value} and has committed nothing yet"
        raise RelayError(message, remedy=f"relay logs {name}", code="no_commits")
    return _there(repo, base, name), _there(repo, tip, name)


def _merged(repo: Repo, stored: Stored, jobs: Sequence[JobRow], known: Mapping[str, Record]) -> tuple[str, str, bool]:
    """The newest merge of the run's branches, and the commit of the user's branch that it was merged with."""
    ended = (json.loads(row.data) for row in reversed(jobs) if row.ended)
    results = (job["result"] for job in ended if job["spec"]["name"] == "merge")
    data = next((result["data"] for result in results if result["ok"]), None)
    start = stored.header["base"]["commit"]
    if data is None or not data["merged"]:
        ready = next((f"relay diff {name}" for name, record in known.items() if record["commit"]), "relay status")
        raise RelayError(f"nothing of {stored.row.id} is merged yet", remedy=ready, code="not_merged")
    new = _there(repo, data["head"], "the run")
    base = data.get("base", start)
    old = start if base == new else _there(repo, base, "the run")
    common = git(repo, "merge-base", old, new, ok=(0, 1)).text
    return common or old, new, bool(data.get("conflict"))


def _there(repo: Repo, commit: str, whose: str) -> str:
    if resolve(repo, commit) is None:
        message = f"the commits of {whose} are no longer in the repository, so its change can't be shown any more"
        raise RelayError(message, remedy="relay recover", code="commits_gone")
    return commit


def _touched(repo: Repo, record: Record) -> set[str]:
    """The paths that a builder changed; none where its commits are gone."""
    base, tip = record["base_commit"], record["commit"]
    if not base or not tip or resolve(repo, base) is None or resolve(repo, tip) is None:
        return set()
    return {path for _, path in changes(repo, base, tip).files}
