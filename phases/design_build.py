"""`design_build`: the approved design becomes builders."""

from __future__ import annotations

import zlib

from lib.config.model import Config
from lib.contracts import Advance, Fail, Outcome, PhaseView, Proceed, Wait
from lib.design.document import DESIGN_INVALID, check, parse_design
from lib.effects import WriteFiles
from lib.errors import RelayError
from lib.model import Component, Problem, Step
from lib.question import REDESIGN, RETRY, Answer

LAST_PORT = 60_000


class DesignBuildHandler:
    """Validates the design again, since a person may have edited it, and adds one builder a component."""

    name = "design_build"
    phases = ("design",)

    def step(self, view: PhaseView) -> Outcome:
        if view.steps:
            return Advance("execution", "execution", f"{len(view.steps)} builders")
        file = f".project/runs/{view.state.run}/design.json"
        text = view.read("design.json")
        if text is None and (restoring := _restoring(view)):
            return restoring
        try:
            design = parse_design(text or "")
            errors, warnings = check(design)
        except RelayError as error:
            errors = [error.message]
        if errors:
            message = f"{file} can't be built as it is: {'; '.join(errors)}"
            way = Answer(f"$EDITOR {file} && relay retry", "opens it in your editor")
            return Fail(Problem.of(DESIGN_INVALID, message, way), (REDESIGN, RETRY))
        builders = tuple(_builder(view, index, part) for index, part in enumerate(design.components))
        return Proceed(added=builders, notes=tuple(warnings))


def _restoring(view: PhaseView) -> Outcome | None:
    """The outcome that restores a design deleted with its folder: it is written again as the architect's was."""
    if again := view.last(WriteFiles.effect):
        return Wait() if again.result is None else None
    written = [job.spec for job in view.ledger.jobs_of(None) if job.spec.name == WriteFiles.effect]
    return Proceed(jobs=(written[-1],), notes=("The design's files are missing: restored",)) if written else None


def _builder(view: PhaseView, index: int, component: Component) -> Step:
    run = view.state.run
    chain = component.assistant or view.config.chain("builder")
    return Step(
        id=component.id,
        component=component,
        needs=component.depends_on,
        branch=f"relay/{run}/{component.id}",
        worktree=f".project/worktrees/{run}/{component.id}",
        chain=chain,
        assistant=chain[0],
        attempts=view.config.attempts,
        port_base=port_base(view.config, run, index),
    )


def port_base(config: Config, run: str, index: int) -> int:
    """A block of ports that stays the same for a builder, and that another run is unlikely to have."""
    size = config.ports_per_builder
    blocks = (LAST_PORT - config.port_base) // size or 1
    return config.port_base + (zlib.crc32(run.encode()) + index) % blocks * size


handler = DesignBuildHandler()
