"""Errors that a user can cause, each with the remedy to type.

Anything that is not a `RelayError` is a bug in Relay, and is reported as one.
"""

from __future__ import annotations

from typing import Final

from lib.question import DOCTOR

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_CI_NEEDED: Final = 3
EXIT_REFUSED: Final = 4
EXIT_BUG: Final = 70  # EX_SOFTWARE of sysexits.h


class RelayError(Exception):
    """A condition that the user can mend.

    `code` is a stable snake_case name for machines, `remedy` a command or an edit that can be typed as it is,
    several with `, or: ` between; in one of `relay start` a ` …` is the requirement that was typed. `does` says in a
    few words what the remedy does, if that is known. `exit_code` is what the command line returns.
    """

    exit_code = EXIT_REFUSED

    def __init__(self, message: str, *, remedy: str, code: str, does: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.does = does
        self.code = code


class UsageError(RelayError):
    """Something typed, or written in a configuration file, is wrong."""

    exit_code = EXIT_USAGE


class UnreadableError(RelayError):
    """Data that a decision needs can't be read just now: nothing is decided without them."""

    exit_code = EXIT_FAILED


class GitError(RelayError):
    """A git command failed in a way that nobody expected; its own words are in `message`."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, remedy: str = "", code: str = "git_failed") -> None:
        does = "" if remedy else DOCTOR.does
        super().__init__(message, remedy=remedy or DOCTOR.command, code=code, does=does)
