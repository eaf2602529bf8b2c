"""Readers of a person's words, by what is asked for with them; and what to type where nobody reads them. Pure."""

from __future__ import annotations

from typing import Final

from lib.config.model import Conflicts
from lib.conflicts.account import RESOLVABLE
from lib.design.document import DESIGN_INVALID
from lib.effects import Merge, MergeResult
from lib.model import Edit, Owner
from lib.statefile.edits import asked_with
from lib.steps import AT_WORK, BuilderStatus, StepKind
from orchestrator.engine.handing_back import action_of
from orchestrator.engine.run import Run

#: In what is to be typed, the place of the words themselves.
WORDS: Final = '"words"'
#: Builders whose work is in the merged tree, or about to be, and those that words of a retry reach otherwise.
_REOPENED: Final = (BuilderStatus.BUILT, BuilderStatus.MERGED)
_TAKES_WORDS: Final = (*AT_WORK, BuilderStatus.RETRYING, BuilderStatus.FAILED)
#: The kinds of steps that words can be given to.
_TAKERS: Final = frozenset({StepKind.BUILDER, StepKind.PROMPT})
_REJECT: Final = f"relay reject {WORDS}"


def wordless(run: Run) -> dict[str, str]:
    """Actions with which nobody reads words, as an edit of state.json would name them, and what to type for each.

    The keys are those of `lib.statefile.edits.asked_with`: "" is the hand-back that names no action, or an edit of
    the words alone while code has the run.
    """
    if run.state.outcome is not None:
        return {}
    asked = run.state.action_owner is Owner.CI
    if run.engine.decisions:  # a gate reads words with any of them
        return dict.fromkeys(("retry", "skip ID"), _remedy(run))
    follows = action_of(run)
    found = {action: _remedy(run) for action in ("design_build", "execution", "merge_build") if not _reads(run, action)}
    if not asked or follows in found:
        found[""] = _remedy(run)
        found["retry"] = _remedy(run)
    return {**found, "skip ID": _remedy(run)}


def refused(run: Run) -> dict[str, str]:
    """As `wordless`, where words in state.json hold the run: at the gate of the design they ask for another one."""
    found = wordless(run)
    return found if found.get("") == _REJECT else {}


def unread(run: Run, edit: Edit) -> str:
    """A warning about words in an edit of state.json that nobody reads; empty if there are none."""
    words = run.state.feedback if edit.feedback is None else edit.feedback
    owner = edit.action_owner or run.state.action_owner
    if not words or owner is Owner.CI or not edit.changes().keys() - {"paused"}:
        return ""
    remedy = wordless(run).get(asked_with(edit.action_needed))
    return "" if remedy is None else f"nobody reads the feedback; type instead: {remedy}"


def _reads(run: Run, action: str) -> bool:
    """True if the built-in action takes words up in the run's present state."""
    if action == "merge_build":
        return run.state.action_needed == "resolve_conflict" and _is_for_resolver(run)
    return action == "execution" and bool(run.ledger.count(BuilderStatus.FAILED))


def _is_for_resolver(run: Run) -> bool:
    """True if the conflict that ci is asked to resolve may go to an assistant."""
    merges = [job for job in run.ledger.jobs_of(None) if job.spec.name == Merge.effect and job.result]
    found = MergeResult.of_job(merges[-1]) if merges else None
    paths = found.conflict.paths if found and found.conflict else ()
    return run.config.conflicts is Conflicts.ASSISTANT and all(path.kind in RESOLVABLE for path in paths)


def _remedy(run: Run) -> str:
    """The command that takes words up in the run's present state; else how to go on without."""
    state = run.state
    is_invalid = state.error is not None and state.error.code == DESIGN_INVALID
    if state.action_needed == "approve_design" or is_invalid:
        return _REJECT
    if decisions := run.engine.decisions:
        return f"relay approve {WORDS}" if "approve" in decisions else f"relay decide {decisions[0]} {WORDS}"
    is_red = state.phase == "merge_build" and state.action_needed == "fix_failure"
    takers = _REOPENED if is_red else _TAKES_WORDS
    if name := next((step.id for step in run.ledger.within(*takers) if step.kind in _TAKERS), ""):
        return f"relay retry {name} {WORDS}"
    if state.action_owner is Owner.CI:
        return "relay retry" if state.action_needed == "fix_failure" else "relay approve"
    return "relay status"
