"""Judgement of state.json as somebody else left it: an edit to take up, or what is wrong with it. Pure.

Of an edit only the fields in `EDITABLE` count, compared with the revision that its author had before them, by the `rev`
in the file. On an older revision it still means what its author meant if the run has the same phase, owner and action
ever since, and ci is asked the same; then it is taken as if made on the newest. Control can be handed back, not taken:
who wants to hold a run that code has, sets `paused`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lib.model import EDITABLE, Edit, Owner, Problem, State
from lib.project.paths import SHARED_WORKTREE
from lib.question import Answer
from lib.statefile.document import (
    DISCARD,
    NAME,
    StateProblem,
    did_you_mean,
    parse,
    problem_at,
    shown_feedback,
)
from lib.statefile.strict_json import locate
from lib.steps import BUILD

SETTLE_S: Final = 1.0
_START: Final = Answer('relay start "what you want built"', "starts another run")
#: Fields that never change while phase, owner and action stay, so those of an older revision are checked too.
_LASTING: Final = ("phase", "workflow", "instance", "requirement", "base", "created_at")
#: Verbs that ids of steps may follow, and whether one must.
_NEEDS_STEPS: Final = {"retry": False, "skip": True}


@dataclass(frozen=True, slots=True)
class EarlierRevision:
    """The parts of an older revision of the file by which an edit of it is judged."""

    sha256: str
    phase: str
    action_owner: str
    action_needed: str
    feedback: str
    paused: bool

    @classmethod
    def of(cls, state: State, data: bytes) -> EarlierRevision:
        """Of the revision that `render` made `data` of."""
        digest = hashlib.sha256(data).hexdigest()
        return cls(digest, state.phase, state.action_owner, state.action_needed, state.feedback, state.paused)

    @property
    def standing(self) -> tuple[str, str, str]:
        return self.phase, self.action_owner, self.action_needed


def asked_with(action: str | None) -> str:
    """The key of an action in `Known.wordless`: a verb has ` ID` where steps follow, and "" is no action."""
    verb, _, names = (action or "").partition(" ")
    return f"{verb} ID" if names else verb


@dataclass(frozen=True, slots=True)
class Known:
    """The facts by which an edit is judged.

    `written` are the bytes of the newest revision, `published` says whether they ever stood in the file (a crash or a
    full disk comes between). `earlier` has recent older revisions by `rev`, `actions` those that code can be asked for
    now, verbs included, `steps` the ids of all steps; `name` is what messages call the file. `wordless` are
    actions with which nobody would read words, and what to type for each: "" for the one that follows, and for none at
    all while code has the run.
    """

    written: bytes
    published: bool
    earlier: Mapping[int, EarlierRevision]
    actions: Collection[str]
    steps: Collection[str]
    name: str = NAME
    wordless: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Same:
    """It says what we wrote, perhaps laid out in another way."""


@dataclass(frozen=True, slots=True)
class Behind:
    """It is our own revision `rev`, which the newest one was to replace."""

    rev: int


@dataclass(frozen=True, slots=True)
class Edited:
    """`rebased` says that it was made on an older revision."""

    edit: Edit
    rebased: bool = False


@dataclass(frozen=True, slots=True)
class Bad:
    """It can't be used; nothing is done, and the file stays as it is."""

    problem: Problem


Verdict = Same | Behind | Edited | Bad


def judge(raw: bytes, known: Known) -> Verdict:
    """The verdict on the file when it holds `raw`."""
    if raw == known.written:
        return Same()
    try:
        return _Judging(raw, known).verdict()
    except StateProblem as error:
        return Bad(error.problem)


class _Judging:
    """Each step raises `StateProblem` when it is not content."""

    def __init__(self, raw: bytes, known: Known) -> None:
        self.raw = raw
        self.known = known
        self.file = parse(raw, known.name)
        self.newest = parse(known.written, known.name)

    def verdict(self) -> Verdict:
        file, newest = self.file, self.newest
        if file.run != newest.run:
            raise self.refused("run", "stale_edit", f"this is the file of another run; now it is {newest.run}")
        if file.rev > newest.rev:
            message = f"rev {file.rev} was never written; the newest is {newest.rev}"
            raise self.refused("rev", "rev_from_future", message)
        if file.rev < newest.rev:
            return self._on_older()
        self._refuse_changes_of(name for name in State.model_fields if name not in {*EDITABLE, "schema_ref"})
        before = {name: getattr(newest, name) for name in EDITABLE}
        return self._edited(before, rebased=False) or Same()

    def _on_older(self) -> Verdict:
        rev = self.file.rev
        base = self.known.earlier.get(rev)
        if base is None:
            raise self._stale()
        if hashlib.sha256(self.raw).hexdigest() == base.sha256:
            return self._behind()
        newest = self.newest
        since = {other.standing for number, other in self.known.earlier.items() if rev <= number < newest.rev}
        asked_else = newest.action_owner is Owner.CI and self.file.message != newest.message
        if asked_else or since != {(newest.phase, newest.action_owner, newest.action_needed)}:
            raise self._stale()
        self._refuse_changes_of(_LASTING)
        before = {
            "action_owner": base.action_owner,
            "action_needed": base.action_needed,
            "feedback": shown_feedback(base.feedback),
            "paused": base.paused,
        }
        return self._edited(before, rebased=True) or self._behind()

    def _behind(self) -> Behind:
        """It is as we wrote it once. Unless the newest was still to replace it, somebody put an old copy back."""
        if self.known.published:
            raise self._stale()
        return Behind(self.file.rev)

    def _stale(self) -> StateProblem:
        newest = self.newest
        now = "you are asked for" if newest.action_owner is Owner.CI else "Relay is at"
        message = (
            f"the run moved on while you edited (rev {self.file.rev} → {newest.rev}): in phase {newest.phase}, {now} "
            f"{newest.action_needed}. Nothing of your edit was used: restore the newest, then redo what still applies"
        )
        return self.refused("rev", "stale_edit", message, DISCARD)

    def _refuse_changes_of(self, names: Iterable[str]) -> None:
        changed = [name for name in names if getattr(self.file, name) != getattr(self.newest, name)]
        if changed:
            message = f"{', '.join(changed)} can't be edited; only {', '.join(EDITABLE)} can"
            raise self.refused(changed[0], "not_editable", message)

    def _edited(self, before: Mapping[str, Any], *, rebased: bool) -> Edited | None:
        """The edit against what its author had before them, None if nothing was changed."""
        values = {name: getattr(self.file, name) for name in EDITABLE if getattr(self.file, name) != before[name]}
        if not values:
            return None
        if self.newest.outcome is not None:
            message = f"the run is over ({self.newest.outcome.value})"
            raise self.refused(next(iter(values)), "run_over", message, _START)
        self._check_owner(values)
        if "action_needed" in values:
            self._check_action(values["action_needed"])
        self._check_words(values)
        return Edited(Edit(**values), rebased)

    def _check_owner(self, values: Mapping[str, Any]) -> None:
        if values.get("action_owner") is Owner.CI:
            message = "Relay is at work, and the run can't be taken from it; to hold it, set paused to true"
            raise self.refused("action_owner", "not_yours", message)
        if self.file.action_owner is Owner.CI and "action_needed" in values:
            message = (
                f'{self.file.action_needed} is asked for, but action_owner is still "ci": set it to "code" to go on'
            )
            raise self.refused("action_owner", "not_handed_back", message)

    def _check_action(self, action: str) -> None:
        verb, *steps = action.split(" ")
        what = "builder" if self.newest.workflow == BUILD else "step"
        possible = sorted({*self.known.actions, self.newest.next_action} - {"none"})
        if verb not in possible:
            message = f"there is no action {verb} now{did_you_mean(verb, possible)}; there are {', '.join(possible)}"
            raise self.refused("action_needed", "unknown_action", message)
        if steps and verb not in _NEEDS_STEPS:
            raise self.refused("action_needed", "unknown_action", f"nothing can follow {verb}")
        if not steps and _NEEDS_STEPS.get(verb):
            raise self.refused("action_needed", "unknown_action", f"{verb} needs the id of a {what}: {verb} ID")
        for unknown in (step for step in steps if step not in self.known.steps):
            hint = did_you_mean(unknown, [name for name in self.known.steps if name != SHARED_WORKTREE])
            raise self.refused("action_needed", f"unknown_{what}", f"there is no {what} {unknown}{hint}")

    def _check_words(self, values: Mapping[str, Any]) -> None:
        """Refuses words with an action that reads none; they stay in the file."""
        if self.file.action_owner is Owner.CI or not self.file.feedback or values.keys() <= {"paused"}:
            return
        remedy = self.known.wordless.get(asked_with(values.get("action_needed")))
        if remedy is not None:
            message = f"nobody would read the feedback now: remove it, or type: {remedy}"
            raise self.refused("feedback", "unread_words", message)

    def refused(self, field: str, code: str, message: str, way: Answer | None = None) -> StateProblem:
        return problem_at(self.known.name, message, code, locate(self.raw.decode(), (field,)), way)


class Settling:
    """Leaves a file that is missing or can't be used alone until it has not changed for `settle_s`.

    An editor may be in the middle of saving it. One that can be used is acted on at once. Pure: the time is passed in.
    """

    def __init__(self, settle_s: float = SETTLE_S) -> None:
        self._settle_s = settle_s
        self._found: object = None
        self._until_mono_s: float | None = None

    def good(self) -> None:
        """The file can be used."""
        self._until_mono_s = None

    def bad(self, found: object, now_mono_s: float) -> float | None:
        """The file is `found` (its bytes, say) and can't be used: when to look again, None to report that."""
        if self._until_mono_s is None or found != self._found:
            self._found, self._until_mono_s = found, now_mono_s + self._settle_s
        return self._until_mono_s if now_mono_s < self._until_mono_s else None
