"""`reuse`: what an equal step of another run gave, and its change as a commit of this run."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from lib.effects import Reuse, ReuseResult
from lib.errors import GitError
from lib.git.inspect import resolve
from lib.git.repeat import message_of, repeat
from lib.git.run import Repo
from lib.git.trees import complete, tree_of
from lib.jobs import JobResult
from lib.model import Step
from lib.names import from_json
from lib.steps import StepKind
from lib.store.queries import Queries
from lib.store.rundb import RunDB
from orchestrator.effects._runner import Runner, done, trailer
from orchestrator.work import Work

#: Equal steps that are looked at, the likeliest first.
_LOOKED_AT: Final = 20
_TRAILER: Final = "Relay-Run: "


def run(work: Work, args: Reuse) -> JobResult:
    if args.head and not work.worktree.exists():
        return done(ReuseResult())
    repo = Repo.of(work.project)
    for name, step in _equal(work, repo, args):
        commit = args.head
        if step.commit not in {"", step.base_commit}:
            commit = repeat(repo, work.worktree, args.branch, args.head, step.commit, _message(work, repo, step.commit))
        taken = {each: getattr(step, each) for each in ("output", "verified", "assistant", "reach")}
        return done(ReuseResult(run=step.reused or name, commit=commit, **taken))
    return done(ReuseResult())


def _equal(work: Work, repo: Repo, args: Reuse) -> Iterator[tuple[str, Step]]:
    """The equal steps whose work is all there, each with its run."""
    db = RunDB.open_readonly(work.project.database)
    own = work.job.spec.step or ""
    if db is None:
        return
    found = db.equal_steps(args.content, besides=work.run, before=work.job.started_at.isoformat(), name=own,
                           limit=_LOOKED_AT)  # fmt: skip
    if not found:
        return
    with db.look(work.run) as look:
        here = _outputs_before(look, own)
    for name, row in found:
        step = from_json(Step, row.data)
        if not (_is_on_tree(repo, step, args.head) and _is_there(repo, step)):
            continue
        with db.look(name) as look:
            if not _outputs_before(look, step.id) - here:
                yield name, step


def _outputs_before(look: Queries, name: str) -> Counter[str]:
    """Digests of how the steps ended that a step needs, or that a box needs which it is in."""
    found: Counter[str] = Counter()
    while name and (row := look.step(name)):
        step = json.loads(row.data)
        for need in step.get("needs", ()):
            if before := look.step(need):
                found[_digest(json.loads(before.data))] += 1
        name = step.get("parent", "")
    return found


def _digest(step: dict[str, Any]) -> str:
    """The digest of how a step ended: of a gate, what was decided and not by whom, nor in which words."""
    output = step.get("output")
    if step.get("kind") == StepKind.GATE and isinstance(output, dict):
        output = [output.get("decision"), output.get("form")]
    text = json.dumps([step["status"], output], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _is_on_tree(repo: Repo, step: Step, head: str) -> bool:
    """True if the step began on the same tree as that of `head`."""
    if not head or not step.base_commit:
        return head == step.base_commit
    return resolve(repo, step.base_commit) is not None and tree_of(repo, step.base_commit) == tree_of(repo, head)


def _is_there(repo: Repo, step: Step) -> bool:
    """True if the commit of the step is in the repository, with all that it changed."""
    if step.commit in {"", step.base_commit}:
        return True
    with suppress(GitError):
        return resolve(repo, step.commit) is not None and complete(repo, step.commit, step.base_commit)
    return False


def _message(work: Work, repo: Repo, commit: str) -> str:
    """The message of a commit, as one of this run."""
    lines = [line for line in message_of(repo, commit).splitlines() if not line.startswith(_TRAILER)]
    return "\n".join(lines).strip() + f"\n\n{trailer(work)}\n"


effect = Runner(Reuse, run)
