"""`prompt`: a turn of an assistant, whose reply is read, and goes back where it does not fit. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lib.config.model import Role
from lib.contracts import PhaseView
from lib.design.final_json import final_value, questions_of
from lib.jobs import AssistantTurn, Job, JobResult
from lib.model import Step, StepChange
from lib.scheduling.assistant_choice import ANSWERING, choose, program
from lib.scheduling.retries import INTERRUPTED, QUESTION
from lib.scheduling.step_limits import own_limits
from lib.workflow.options import Access, Continue
from lib.workflow.plan import Node
from lib.workflow.schemas import misfits
from phases.steps import Moved, Moves
from phases.steps._failing import ended_badly
from phases.steps._names import names_for, variables
from phases.steps._nodes import node_of
from phases.steps._sending_back import found_near
from phases.steps._work import Worker, after_work, misfit, or_later, worktree_of

#: The template of the prompts, by whose name the digest of its text is known.
TEMPLATE: Final = "step.md.j2"
#: How often a reply goes back that does not fit its schema.
REPAIRS: Final = 2


def _work(step: Step, moves: Moves) -> Moved:
    return _turn(step, moves, ())


def _turn(step: Step, moves: Moves, errors: Sequence[str]) -> Moved:
    """A turn; without an assistant that could take it, a note on what it waits for."""
    view, node = moves.view, node_of(moves.view, step)
    names = names_for(view, step)
    begun = _continued(view, step, node)
    choice = choose(view, chain_of(view, begun, node, names), moves.jobs, name="turn", builder=step.id)
    if choice.assistant is None:
        return Moved({"note": choice.why})
    earlier = view.ledger.jobs_of(step.id)
    last = next((job for job in reversed(earlier) if job.turn is not None), None)
    session = begun.session if begun.assistant == choice.assistant else None
    prompt = {
        "task": node.templates["prompt"].rendered(names),
        "assigned_role": node.step.role or "",
        "goes_on": session is not None,
        "follows": session is not None and begun is not step,
        "interrupted": last is not None and last.result is not None and last.result.code in INTERRUPTED,
        "questions": list(_asked(last)),
        "feedback": step.feedback,
        "all_feedback": step.feedback,
        "errors": list(errors),
        "schema": json.dumps(node.step.output_schema, indent=2) if node.step.output_schema is not None else "",
        "skills": list(node.step.skills),
        "reads": node.step.access is Access.READ,
        "verified": "verify" in node.commands,
        "attempt": step.attempt,
        "minutes": max(1, round((node.step.timeout_s or view.config.timeout_s) / 60)),
    }
    turn = AssistantTurn(
        name="turn",
        step=step.id,
        worktree=worktree_of(node),
        role="step",
        assistant=choice.assistant,
        effort=_effort(node, names),
        prompt=prompt,
        session=session,
        read_only=node.step.access is Access.READ,
        env=variables(view, step, names),
        timeout_s=node.step.timeout_s or view.config.timeout_s,
        idle_timeout_s=node.step.idle_timeout_s or view.config.idle_timeout_s,
        limits=own_limits(node.step.limits),
    )
    return Moved({"note": "", "assistant": choice.assistant, "session": session}, turn)


def _about(step: Step, moves: Moves) -> dict[str, Any]:
    """The prompt in all its parts, and who may take it: of a chain, whoever it is."""
    view, node = moves.view, node_of(moves.view, step)
    names, aids = names_for(view, step), view.definition.aids if view.definition else {}
    chain = chain_of(view, step, node, names)
    return {
        "task": node.templates["prompt"].rendered(names),
        "role": node.step.role,
        "assistants": {name: view.config.assistants.get(program(name)) for name in chain},
        "chain": chain,
        "effort": _effort(node, names),
        "skills": [[name, aids.get(name)] for name in dict.fromkeys((*view.config.skills, *node.step.skills))],
        "template": aids.get(TEMPLATE),
        "env": variables(view, step, names),
    }


def _effort(node: Node, names: Mapping[str, Any]) -> str:
    return node.templates["effort"].rendered(names) if "effort" in node.templates else ""


def _continued(view: PhaseView, step: Step, node: Node) -> Step:
    """The step as it begins: in the conversation of the one that `session: continue` names, unless it has its own."""
    if not isinstance(node.step.session, Continue) or step.session is not None:
        return step
    before = found_near(view, step, node.step.session.step)
    return step.model_copy(update={"session": before.session, "assistant": before.assistant})


def chain_of(view: PhaseView, step: Step, node: Node, names: dict[str, Any]) -> list[str]:
    """The assistants of a step, first the one that has worked on it; else those of its role, or of the run."""
    own = [node.templates[f"assistant.{at}"].rendered(names) for at in range(len(node.step.assistant))]
    model = node.templates["model"].rendered(names) if "model" in node.templates else ""
    role = node.step.role or ""
    known = own or list(view.config.chain(Role(role) if role in set(Role) else Role.BUILDER))
    chain = [f"{name.partition(':')[0]}:{model}" if model else name for name in known]
    worked = [step.assistant] if step.session and step.assistant in chain else []
    return list(dict.fromkeys([*worked, *chain]))


def _worked(step: Step, moves: Moves, result: JobResult) -> Moved:
    view, schema = moves.view, node_of(moves.view, step).step.output_schema
    job, said = view.jobs[step.job or ""], result.text.strip()
    kept: StepChange = {"session": step.session if result.session is None else result.session or None,
                        "note": _last_words(said)}  # fmt: skip
    if questions := questions_of(said):
        asks = JobResult(ok=False, code=QUESTION, message=f"it asks: {' '.join(questions)}", remedy=ANSWERING.command,
                         does=ANSWERING.does)  # fmt: skip
        return Moved(kept | ended_badly(view, step, job, asks))
    output = final_value(said)
    wrong = misfits(schema, output) if schema is not None else []
    if not wrong:
        moved = after_work(view, step, output, said if schema is None else "")
        return moved._replace(fields=kept | moved.fields)
    if _repairs(view, step) < REPAIRS:
        again = or_later(step, _turn(step.model_copy(update=dict(kept)), moves, wrong))
        return again._replace(fields=kept | again.fields)
    return Moved(kept | misfit(step, moves, "reply", wrong))


def _last_words(said: str) -> str:
    """The last line of words, without the fence that closes a block."""
    return next((line for line in reversed(said.splitlines()) if any(map(str.isalnum, line))), "")[:200]


def _repairs(view: PhaseView, step: Step) -> int:
    """The number of replies that went back in this attempt."""
    return sum(bool(job.turn and job.turn.prompt.get("errors")) and job.attempt == step.attempt
               for job in view.ledger.jobs_of(step.id))  # fmt: skip


def _asked(last: Job | None) -> tuple[str, ...]:
    return questions_of(last.result.text) if last is not None and last.result is not None and last.result.ok else ()


mover = Worker(_work, _about, _worked)
