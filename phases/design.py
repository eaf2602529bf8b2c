"""`design`: an assistant turns the requirement into components; a person approves them before anything is built."""

from __future__ import annotations

from lib.config.model import Gate
from lib.contracts import Advance, AskCi, Fail, Outcome, PhaseView, Proceed, Wait
from lib.design.document import DESIGN_INVALID, as_json, as_markdown, check, parse_design
from lib.design.failures import problem_of
from lib.design.final_json import questions_of
from lib.design.verification import warning
from lib.display import counted
from lib.effects import Survey, SurveyResult, WriteFiles
from lib.errors import RelayError
from lib.jobs import AssistantTurn, Job, JobResult, JobSpec, effect
from lib.model import Design, Problem
from lib.project.paths import MERGED_WORKTREE
from lib.question import HINT, REDESIGN, Answer
from lib.scheduling.assistant_choice import ANSWER, choose, nobody, to_answer
from phases._again import again, left_failed
from phases._base import beside, is_known, red

ARCHITECT = "architect"
DESIGN_FILE = "design.json"
DESIGN_PAGE = "design.md"
_BUILD = Answer("relay approve", "builds it")


class DesignHandler:
    """Prepares the architect's worktree, asks it, repairs what is invalid, writes the design, opens the gate."""

    name = "design"
    phases = ("init", "design")

    def step(self, view: PhaseView) -> Outcome:
        return beside(view, self._designing(view))

    def _designing(self, view: PhaseView) -> Outcome:
        unwritten = left_failed(view, WriteFiles.effect)
        if unwritten and (files := unwritten.args(WriteFiles)):
            return _write(view, parse_design(files.files[DESIGN_FILE]), unwritten.spec)
        prepared = view.last("survey")
        if prepared is None:
            return Proceed(jobs=(_survey(view),))
        if prepared.result is None:
            return Wait()
        if not prepared.result.ok:
            return _failed(prepared.result)
        turns = view.current("design")
        if not turns:
            return _ask(view, prepared, last=None)
        result = turns[-1].result
        if result is None:
            return Wait()
        if result.ok:
            return _designed(view, prepared, turns, result.text)
        if sum(turn.result is not None and not turn.result.ok for turn in turns) < view.config.attempts:
            return _ask(view, prepared, turns[-1])
        return _failed(result, "The architect failed: ")


def _failed(result: JobResult, what: str = "") -> Fail:
    return Fail(problem_of(result, what + result.message, HINT), (HINT,))


def _designed(view: PhaseView, prepared: Job, turns: list[Job], text: str) -> Outcome:
    """The architect has answered: a valid design is written and shown, an invalid one goes back, questions go to ci."""
    if questions := questions_of(text):
        return to_answer({"The architect": questions}, "design")
    try:
        design = parse_design(text)
        errors, warnings = check(design)
    except RelayError as error:
        errors = [error.message]
    if errors:
        what = "; ".join(errors)
        if len(turns) <= view.config.design_repairs:
            return _ask(view, prepared, turns[-1], tuple(errors), f"The design is invalid and goes back: {what}")
        return Fail(Problem.of(DESIGN_INVALID, f"The design is still invalid: {what}", REDESIGN), (HINT,))
    files = {DESIGN_FILE: as_json(design), DESIGN_PAGE: as_markdown(design, view.state.requirement)}
    spec = effect(WriteFiles(files=files))
    return _write(view, design, spec, tuple(warnings))


def _write(view: PhaseView, design: Design, spec: JobSpec, notes: tuple[str, ...] = ()) -> Outcome:
    """Writes the design, and shows it."""
    written = view.last(spec.name)
    if written is None:
        return Proceed(jobs=(spec,), notes=notes)
    if written.result is None:
        return Wait()
    if not written.result.ok:
        return again(view, written) or _failed(written.result)
    return _gate(view, design)


def _gate(view: PhaseView, design: Design) -> Outcome:
    if not is_known(view):
        return Wait()
    names = [component.id for component in design.components]
    doubts = [doubt for doubt in (warning(view.config, design.components), red(view)) if doubt]
    what = "; ".join([f"{counted(len(names), 'component')}: {', '.join(names)}", *doubts])
    if view.config.gates.design is Gate.NONE:
        return Advance("design", "design_build", what)
    folder = f".project/runs/{view.state.run}"
    message = f"The design has {what}. Read {folder}/{DESIGN_PAGE} (edit {DESIGN_FILE} if you like)"
    return AskCi("approve_design", message, "design_build", phase="design", answers=(_BUILD, REDESIGN))


def _asked_before(view: PhaseView) -> Job | None:
    """The turn whose questions a person has just answered."""
    turns = [job for job in view.ledger.jobs_of(None) if job.spec.name == "design" and job.result and job.result.ok]
    return turns[-1] if turns and tuple(view.answered[-1:]) == (ANSWER,) else None


def _questions(turn: Job | None) -> list[str]:
    return list(questions_of(turn.result.text)) if turn and turn.result else []


def _survey(view: PhaseView) -> JobSpec:
    return effect(Survey(base=view.state.base.commit), worktree=MERGED_WORKTREE)


def _ask(view: PhaseView, prepared: Job, last: Job | None, errors: tuple[str, ...] = (), *notes: str) -> Outcome:
    """Another turn of the architect, in the conversation of the `last` one if that ended well."""
    choice = choose(view, view.config.chain(ARCHITECT), name="design")
    if choice.assistant is None:
        return nobody(choice, "design")
    survey = SurveyResult.of_job(prepared)
    asked = _asked_before(view) if last is None else None
    last = last or asked
    same = last is not None and last.assistant == choice.assistant
    session = last.result.session if same and last and last.result and last.result.ok else None
    spec = AssistantTurn(
        name="design",
        role=ARCHITECT,
        worktree=prepared.spec.worktree,
        assistant=choice.assistant,
        session=session,
        prompt={
            "survey": survey.survey if survey else "",
            "feedback": view.feedback,
            "errors": list(errors),
            "goes_on": bool(session and (errors or asked)),
            "questions": _questions(asked),
            "previous": view.read(DESIGN_FILE) or "",
            "verify": view.config.verify or "",
            "setup": view.config.setup or "",
            "parallel": view.config.parallel,
        },
        timeout_s=view.config.timeout_s,
        idle_timeout_s=view.config.idle_timeout_s,
    )
    return Proceed(jobs=(spec,), notes=notes)


handler = DesignHandler()
