"""`design`: an assistant turns the requirement into components; a person approves them before anything is built."""

from __future__ import annotations

from lib.design import as_json, as_markdown, check, parse_design

from lib.attempts import UNCOUNTED
from lib.config import Gate
from lib.contracts import Advance, AskCi, Fail, Outcome, PhaseView, Proceed, Wait
from lib.errors import RelayError
from lib.model import Job, JobKind, JobSpec, Problem

ARCHITECT = "architect"
DESIGN_FILE = "design.json"
DESIGN_PAGE = "design.md"


class DesignHandler:
    """Prepares the architect's worktree, asks it, repairs what is invalid, writes the design, opens the gate."""

    name = "design"
    phases = ("init", "design")

    def step(self, view: PhaseView) -> Outcome:
        prepared = view.last("survey")
        if prepared is None:
            return Proceed(jobs=(_survey(view),))
        if prepared.result is None:
            return Wait()
        if not prepared.result.ok:
            return Fail(Problem(code=prepared.result.code, message=prepared.result.message, remedy="relay retry"))
        turns = view.current("design")
        if not turns:
            return Proceed(jobs=(_turn(view, prepared, last=None, errors=()),))
        return self._judged(view, prepared, turns)

    def _judged(self, view: PhaseView, prepared: Job, turns: list[Job]) -> Outcome:
        last = turns[-1]
        result = last.result
        if result is None:
            return Wait()
        if not result.ok:
            if sum(_counts(turn) for turn in turns) < view.config.attempts:
                return Proceed(jobs=(_turn(view, prepared, last, errors=()),))
            return Fail(Problem(code=result.code, message=f"The architect failed: {result.message}",
                                remedy=result.remedy or "relay retry"))  # fmt: skip
        try:
            design = parse_design(str(result.data.get("text", "")))
            errors, warnings = check(design)
        except RelayError as error:
            errors = [error.message]
        if errors:
            if len(turns) <= view.config.design_repairs:
                return Proceed(jobs=(_turn(view, prepared, last, tuple(errors)),),
                               notes=("The design is invalid and goes back: " + "; ".join(errors),))  # fmt: skip
            return Fail(Problem(code="design_invalid", message="The design is still invalid: " + "; ".join(errors),
                                remedy='relay reject "what to do differently"'))  # fmt: skip
        written = view.last("write_files")
        if written is None:
            files = {DESIGN_FILE: as_json(design), DESIGN_PAGE: as_markdown(design, view.state.requirement)}
            spec = JobSpec(kind=JobKind.EFFECT, name="write_files", args={"files": files})
            return Proceed(jobs=(spec,), notes=tuple(warnings))
        if written.result is None:
            return Wait()
        if not written.result.ok:
            return Fail(Problem(code=written.result.code, message=written.result.message, remedy="relay retry"))
        names = ", ".join(component.id for component in design.components)
        if view.config.gates.design is Gate.NONE:
            return Advance("design", "design_build", f"{len(design.components)} components: {names}")
        message = (
            f"The design has {len(design.components)} components: {names}. Read .project/runs/{view.state.run}/{DESIGN_PAGE} "
            f'(edit {DESIGN_FILE} if you like), then: relay approve, or relay reject "what to do differently".'
        )
        return AskCi("approve_design", message, next_action="design_build", phase="design")


def _survey(view: PhaseView) -> JobSpec:
    return JobSpec(kind=JobKind.EFFECT, name="survey", worktree=ARCHITECT, args={"base": view.state.base.commit})


def _counts(turn: Job) -> bool:
    return turn.result is not None and not turn.result.ok and turn.result.code not in UNCOUNTED


def _turn(view: PhaseView, prepared: Job, last: Job | None, errors: tuple[str, ...]) -> JobSpec:
    survey = prepared.result.data.get("survey", "") if prepared.result else ""
    session = last.result.session if last and last.result and last.result.ok else None
    return JobSpec(
        kind=JobKind.ASSISTANT,
        name="design",
        role=ARCHITECT,
        worktree=ARCHITECT,
        assistant=view.config.assistant,
        session=session,
        prompt={
            "requirement": view.state.requirement,
            "survey": survey,
            "feedback": view.feedback,
            "errors": list(errors),
            "previous": view.read(DESIGN_FILE) or "",
        },
        timeout_s=view.config.timeout_s,
        idle_timeout_s=view.config.idle_timeout_s,
    )


handler = DesignHandler()
