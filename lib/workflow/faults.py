"""Faults in a workflow's file: each with its file, line and column, all of them told at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lib.config.origins import editing, nearest
from lib.display import clip, escaped
from lib.errors import UsageError

#: More than a person reads in one go; what is beyond is counted.
MAX_TOLD: Final = 200
#: Beyond so many a file is looked at no further.
MAX_FAULTS: Final = 500
#: Names that are compared one by one with an unknown one.
_MAX_COMPARED: Final = 200
#: Begins the ids of steps that stand for those that could not be read.
LEFT_OUT: Final = "left-out-"
_SHOWN_VALUE: Final = 60
_SHOWN_NAMES: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong. `line` and `column` count from 1, in characters; 0 is the file as a whole."""

    file: str
    line: int
    column: int
    message: str

    @property
    def told(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return escaped(f"{where}: {self.message}")


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """A part of a file in a dialect that has no counterpart here, and a proposal. The places are those of `Fault`."""

    file: str
    line: int
    column: int
    what: str
    proposal: str

    @property
    def told(self) -> str:
        return escaped(f"{self.file}:{self.line}:{self.column}: {self.what} has no counterpart; {self.proposal}")


class EnoughError(Exception):
    """So much is wrong that nothing is gained by looking further."""


class Faults(list[Fault]):
    """Faults as they are found. Raises `EnoughError` at the last one that is taken."""

    def append(self, fault: Fault) -> None:
        super().append(fault)
        if len(self) >= MAX_FAULTS:
            raise EnoughError

    def extend(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.append(fault)


class WorkflowError(UsageError):
    """A workflow that can't be used. `faults` are in the order of the file; each is a line of the message."""

    def __init__(self, faults: Iterable[Fault], file: Path) -> None:
        """`file` is the one to edit."""
        self.faults = tuple(sorted(set(faults)))
        self.file = file
        told = [fault.told for fault in self.faults[:MAX_TOLD]]
        if len(self.faults) > MAX_TOLD:
            told.append(f"… and {len(self.faults) - MAX_TOLD} more")
        super().__init__("\n".join(told), remedy=editing(file), code="workflow_invalid")

    def as_data(self) -> list[dict[str, object]]:
        """The faults as machines read them."""
        return [asdict(fault) for fault in self.faults]


def hint(name: str, known: Collection[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, or all of them if they are few."""
    known = [each for each in known if not each.startswith(LEFT_OUT)]
    alike = [each for each in known if each[:2] == name[:2] and abs(len(each) - len(name)) <= 2]  # noqa: PLR2004
    if near := nearest(name, known if len(known) <= _MAX_COMPARED else alike[:_MAX_COMPARED]):
        return f"; did you mean {near}?"
    if not known:
        return "; there is none"
    names = sorted(known)
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"; known are {', '.join(names[:_SHOWN_NAMES])}{more}"


def shown(value: object) -> str:
    """A value as a message names it."""
    if isinstance(value, dict):
        return "`name: value` lines"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or value == "":
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    return clip(str(value), _SHOWN_VALUE) if isinstance(value, int | float) else f'"{clip(str(value), _SHOWN_VALUE)}"'
