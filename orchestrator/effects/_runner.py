"""The parts that all effects share: their shape, and how they say what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

from lib.effects import EffectArgs, EffectResult, Tip
from lib.jobs import JobResult
from orchestrator.work import Work

HEADS = "refs/heads/"
#: Where the merges are kept that dependent builders start from.
STARTS = "refs/relay/starts/"
#: Where a resolution is kept that was judged, and is being verified.
RESOLVED = "refs/relay/resolved/"

A = TypeVar("A", bound=EffectArgs)


@runtime_checkable
class Runs(Protocol):
    """The protocol of an effect's object."""

    def do(self, work: Work) -> JobResult:
        """Does the effect of a job. Raises what it meets."""
        ...


@dataclass(frozen=True, slots=True)
class Runner(Generic[A]):
    """An effect: the class of its arguments, and the function that does it."""

    args: type[A]
    run: Callable[[Work, A], JobResult]

    def do(self, work: Work) -> JobResult:
        args = work.job.args(self.args)
        if args is None:
            raise TypeError(f"{work.job.id} has no arguments of {self.args.__name__}")
        return self.run(work, args)


def done(result: EffectResult | None = None, warnings: Iterable[str] = ()) -> JobResult:
    """The result of an effect that ended well; `warnings` are shown."""
    data = result.model_dump(mode="json") if result is not None else {}
    return JobResult(ok=True, data=data, warnings=tuple(warnings))


def trailer(work: Work) -> str:
    """The last line of the message of every commit that Relay makes for a run."""
    return f"Relay-Run: {work.run}"


def triples(tips: Iterable[Tip]) -> list[tuple[str, str, str]]:
    """The builders to be merged: id, commit and title of each, in order."""
    return [(tip.id, tip.tip, tip.title) for tip in tips]
