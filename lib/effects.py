"""The data of effects, the jobs that Relay does itself with git and files: what each takes, and what comes of it.

Phases ask for effects and read their results, but import nothing that acts; so the data is here, and what is done in
`orchestrator`. A class of arguments names its effect; the result of one that has more to say than that it ended well
has a class of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict

from lib.model import Reach

if TYPE_CHECKING:
    from lib.jobs import Job, JobResult

#: The classes of arguments, by the names of their effects.
KNOWN: Final[dict[str, type[EffectArgs]]] = {}


class Data(BaseModel):
    """A frozen value; keys of other versions are ignored, as a run goes on when Relay is upgraded."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EffectArgs(Data):
    """The arguments of an effect."""

    effect: ClassVar[str]

    def __init_subclass__(cls, effect: str) -> None:
        cls.effect = effect
        KNOWN[effect] = cls


class EffectResult(Data):
    """The data of an effect's result, stored as JSON in `JobResult.data`."""

    @classmethod
    def of(cls, result: JobResult) -> Self:
        return cls.model_validate(result.data)

    @classmethod
    def of_job(cls, job: Job | None) -> Self | None:
        """The data of a job that ended well; None without such a job."""
        return cls.of(job.result) if job is not None and job.result is not None and job.result.ok else None


class Tip(Data):
    """The commit of a builder that is to be merged, and the builder's title."""

    id: str
    tip: str
    title: str


# --- the architect and the tree that a run starts from ---------------------------------------------------------------


class Survey(EffectArgs, effect="survey"):
    """A worktree of `base` for the architect, and what the repository looks like."""

    base: str


class SurveyResult(EffectResult):
    survey: str = ""


class Vacate(EffectArgs, effect="vacate"):
    """The architect's worktree is made free for merges."""

    base: str


class WriteFiles(EffectArgs, effect="write_files"):
    """Text files of the run's folder, by their names."""

    files: Mapping[str, str]


class CheckoutBase(EffectArgs, effect="checkout_base"):
    """The commit that the run starts from, in a worktree of its own."""

    base: str


class DropBase(EffectArgs, effect="drop_base"):
    """Removal of that worktree."""


# --- builders --------------------------------------------------------------------------------------------------------


class Prepare(EffectArgs, effect="prepare"):
    """A builder's branch and worktree, from `base` merged with `tips`; `set_up` says that setup need not run again."""

    branch: str
    base: str
    tips: tuple[Tip, ...] = ()
    set_up: bool = True


class PrepareResult(EffectResult):
    """`base` is the commit that it starts from; `made` that its worktree is new; `emptied` names of files that a power
    cut had left empty.
    """

    base: str
    made: bool = False
    emptied: tuple[str, ...] = ()


class Collect(EffectArgs, effect="collect"):
    """All that a builder left becomes a commit on its branch."""

    branch: str
    base: str
    title: str
    report: str = ""
    questions: tuple[str, ...] = ()


class CollectResult(EffectResult):
    """`ignored` are files that git ignores, in words; `left_out` paths that are Relay's own. `partial` says that others
    may need more of the worktree than the commit has: files that git ignores, caches aside.
    """

    commit: str
    changed: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    ignored: str = ""
    partial: bool = False
    reach: Reach = Reach()


class GatherDiff(EffectArgs, effect="gather_diff"):
    """The diff of a builder's work for its reviewer."""

    base: str
    tip: str


class GatherDiffResult(EffectResult):
    """`tree` is what the worktree holds before the review."""

    diff: str = ""
    summary: str = ""
    is_cut: bool = False
    tree: str = ""


class SettleReview(EffectArgs, effect="settle_review"):
    """Restoring the worktree as it was before its review."""

    branch: str
    tip: str
    tree: str


class SettleReviewResult(EffectResult):
    changed: bool = False


# --- steps of workflows ----------------------------------------------------------------------------------------------


class Reuse(EffectArgs, effect="reuse"):
    """A look for a step of another run whose work was decided by the same `content`, on the same tree as that of the
    commit `head`, after the same outputs. What it changed becomes a commit on `branch`.

    `head` is empty for a step without a worktree.
    """

    content: str
    head: str = ""
    branch: str = ""


class ReuseResult(EffectResult):
    """All that was taken of the step, and the `run` that did its work; empty if there is none. `commit` is that of this
    run, `head` where nothing was changed.
    """

    run: str = ""
    output: Any = None
    commit: str = ""
    verified: bool = False
    assistant: str = ""
    reach: Reach = Reach()


class KeepArtifacts(EffectArgs, effect="keep_artifacts"):
    """Copies of the files in the worktree that the patterns name, in the run's folder."""

    patterns: tuple[str, ...]


class Artifact(Data):
    """A file that was copied: its path in the worktree, and the SHA-256 of its content in hex."""

    path: str
    sha256: str
    size: int


class KeepArtifactsResult(EffectResult):
    """`folder` is relative to the project's root."""

    folder: str
    files: tuple[Artifact, ...] = ()


# --- merging ---------------------------------------------------------------------------------------------------------


class ConflictPath(Data):
    """A path in conflict, and git's kind of it."""

    path: str
    kind: str


class NotedConflict(Data):
    """A conflict from the time that it was found to its resolution: who (`builder`, at `theirs`) with what is merged.

    `staged` says that the merged worktree holds it, where the job `by` left it. `left` is the tree that git left there
    for the resolver, as long as an assistant has it: nothing in the worktree then is a person's. `open` are lines on
    what is not resolved yet.
    """

    builder: str
    branch: str
    head: str
    theirs: str
    paths: tuple[ConflictPath, ...]
    staged: bool = False
    by: str = ""
    left: str | None = None
    open: tuple[str, ...] = ()


class Flagged(Data):
    """A changed file that steers what is run, and the builder that changed it, whose component does not name it."""

    path: str
    kind: str
    builder: str


class Merge(EffectArgs, effect="merge"):
    """The tips are merged on the run's branch, after `base_branch` if that has moved on from `base`.

    `owned` are patterns of the files that the design gave each builder. `landed` says that some of it is on that branch
    already. What the branch had at `before` is no doing of the run's builders: the run that this one goes on from may
    have landed. `believed` are commits that a person knows to be there. `resolved` is a judged resolution of the
    conflict that was found before.
    """

    branch: str
    base_branch: str
    base: str
    tips: tuple[Tip, ...]
    owned: Mapping[str, tuple[str, ...]] = {}
    landed: bool = False
    believed: tuple[str, ...] = ()
    before: str = ""
    resolved: str | None = None


class MergeResult(EffectResult):
    base: str = ""
    head: str
    merged: tuple[str, ...] = ()
    conflict: NotedConflict | None = None
    flagged: tuple[Flagged, ...] = ()


class BranchTaken(EffectResult):
    """The failure of a merge whose `base_branch` has builders' commits that Relay did not land, and is at `tip`."""

    tip: str


class BriefResolver(EffectArgs, effect="brief_resolver"):
    """The conflict goes to an assistant."""

    base: str
    tips: tuple[Tip, ...]


class BriefResolverResult(EffectResult):
    """The builders, merged before, that changed the same files."""

    ours: tuple[str, ...] = ()


class JudgeResolution(EffectArgs, effect="judge_resolution"):
    """Judging what the assistant left against its account: lines by path, with the reason for each."""

    removed: Mapping[str, Mapping[str, str]] = {}
    added: Mapping[str, Mapping[str, str]] = {}
    message: str


class JudgeResolutionResult(EffectResult):
    """`objections` go back to the assistant, `questions` to a person; without objections there is a `commit`."""

    objections: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    commit: str | None = None


class ReopenConflict(EffectArgs, effect="reopen_conflict"):
    """The conflict for another try of the assistant, or `fresh`, as git first left it, for a person."""

    fresh: bool


class CheckoutMerged(EffectArgs, effect="checkout_merged"):
    """The merged worktree shows what was merged."""

    branch: str


class Land(EffectArgs, effect="land"):
    """The user's `branch` moves from `base` on to `head`."""

    branch: str
    base: str
    head: str


class Clean(EffectArgs, effect="clean"):
    """Worktrees and branches whose work is on `branch` are removed."""

    branch: str
