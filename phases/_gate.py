"""Facts for a person before the user's branch moves: why it is asked, and what else to know. Pure.

Each function gives clauses of one sentence; another fact to tell is one more line in `reasons` or `remarks`.
"""

from __future__ import annotations

from lib.contracts import PhaseView
from lib.design.scope import asks, sentence
from lib.design.verification import warning
from lib.effects import MergeResult
from lib.project.paths import author_of
from phases._resolve import SHOWN, by_own_account


def reasons(view: PhaseView, merged: MergeResult, doubt: str) -> list[str]:
    """Reasons why the landing is asked about, whatever `land` says; empty if there are none.

    `doubt` says that the verify commands looked at other code than what was merged, or failed as they did before.
    """
    return [
        *([doubt] if doubt else []),
        *_bounded([f"{author_of(each.builder)} changes {each.path} ({each.kind})" for each in merged.flagged]),
        *_bounded(_outside(view, pressing=True)),
        *_bounded(by_own_account(view)),
    ]


def remarks(view: PhaseView) -> list[str]:
    """Remarks to add where the landing is asked about."""
    return [
        *_bounded(_outside(view, pressing=False)),
        *_unverified(view),
    ]


def _unverified(view: PhaseView) -> list[str]:
    said = warning(view.config, [builder.part for builder in view.steps.values() if builder.has_work])
    return [said] if said else []


def _outside(view: PhaseView, *, pressing: bool) -> list[str]:
    """Builders that changed what is not their component's: those that have to be seen, or the others."""
    return [
        words
        for builder in view.steps.values()
        if builder.has_work and asks(builder.reach, view.config.scope) is pressing
        if (words := sentence(builder.id, builder.reach))
    ]


def _bounded(clauses: list[str]) -> list[str]:
    more = len(clauses) - SHOWN
    return clauses if more <= 0 else [*clauses[:SHOWN], f"and {more} more"]
