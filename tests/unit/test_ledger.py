"""The questions that a ledger answers are those that its steps and jobs answer, whatever was changed or undone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from situations import SMALL, job

from lib.jobs import Job, JobResult
from lib.ledger import Ledger
from lib.model import Component, Step, Usage
from lib.steps import TRANSITIONS, BuilderStatus, Stage, StepStatus

MANY = 100_000


def step(name: str, *needs: str, **fields: Any) -> Step:
    component = Component(id=name, depends_on=needs)
    return Step(id=name, component=component, branch=name, worktree=name, assistant="a", attempts=1, **fields)


def ready_by_looking(ledger: Ledger) -> list[str]:
    steps = ledger.steps
    return [each.id for each in steps.values() if each.status is StepStatus.PENDING
            and all(steps[need].status.satisfies for need in each.needs if need in steps)]  # fmt: skip


def check(ledger: Ledger) -> None:
    steps, jobs = ledger.steps.values(), ledger.jobs.values()
    assert [each.id for each in ledger.ready()] == ready_by_looking(ledger)
    assert ledger.counts() == Counter(each.shown.value for each in steps)
    assert ledger.within(*BuilderStatus) == list(steps)
    assert ledger.live() == [each for each in jobs if each.result is None]
    assert ledger.spent.input_tokens == sum(each.usage.input_tokens for each in steps)
    for name in {None, *ledger.steps}:
        assert ledger.jobs_of(name) == [each for each in jobs if each.spec.step == name]


def change(ledger: Ledger, data: st.DataObject) -> None:
    """One thing that can happen to a run."""
    names = list(ledger.steps)
    match data.draw(st.sampled_from(["add", "status", "facts", "use", "start", "end"])):
        case "status" if names:
            old = ledger.steps[data.draw(st.sampled_from(names))]
            if targets := sorted(TRANSITIONS[old.status]):
                ledger.put_step(old.model_copy(update={"status": data.draw(st.sampled_from(targets))}))
        case "facts" if names:
            old = ledger.steps[data.draw(st.sampled_from(names))]
            ledger.put_step(old.model_copy(update={"stage": data.draw(st.sampled_from(Stage)), "merged": True}))
        case "use" if names:
            old = ledger.steps[data.draw(st.sampled_from(names))]
            usage = Usage(input_tokens=data.draw(st.integers(0, 9)), cost_usd=0.1)
            ledger.put_step(old.model_copy(update={"usage": old.usage.plus(usage)}))
        case "start":
            made = job("build", data.draw(st.sampled_from([None, *names])))
            ledger.put_job(made.model_copy(update={"id": f"{len(ledger.jobs):04d}"}))
        case "end" if live := ledger.live():
            ledger.put_job(data.draw(st.sampled_from(live)).model_copy(update={"result": JobResult(ok=True)}))
        case _:
            needs = data.draw(st.lists(st.sampled_from([*names, "later-1"]), max_size=3, unique=True))
            ledger.put_step(step(f"{'later-' if len(names) == 1 else 's'}{len(names)}", *needs))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_answers_are_those_of_a_look_at_everything(data: st.DataObject) -> None:
    ledger = Ledger()
    for _ in range(data.draw(st.integers(0, 25))):
        change(ledger, data)
        check(ledger)
        if data.draw(st.booleans()):
            ledger.settle()
        elif data.draw(st.booleans()):
            ledger.undo()
            check(ledger)
    assert Ledger(ledger.steps.values(), ledger.jobs.values()) == ledger


@given(data=st.data())
def test_what_is_undone_leaves_no_trace(data: st.DataObject) -> None:
    ledger = Ledger()
    for _ in range(data.draw(st.integers(0, 10))):
        change(ledger, data)
    ledger.settle()
    before = ledger.copy()
    for _ in range(data.draw(st.integers(0, 10))):
        change(ledger, data)
    changed = {each.id for each in ledger.changed_steps()}
    assert changed == {name for name, each in ledger.steps.items() if before.steps.get(name) is not each}
    ledger.undo()
    assert ledger == before
    assert ledger.changed_steps() == ledger.changed_jobs() == []
    check(ledger)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_one_that_forgets_gives_the_same_answers(data: st.DataObject) -> None:
    rows: dict[str, Job] = {}
    complete = Ledger()
    forgetting = Ledger(recall=lambda step: [each for each in rows.values() if each.spec.step == step])
    for _ in range(data.draw(st.integers(0, 25))):
        change(complete, data)
        for each in complete.changed_steps():
            if forgetting.steps.get(each.id) is not each:
                forgetting.put_step(each)
        for made in complete.changed_jobs():
            if forgetting.jobs.get(made.id) is not made:
                forgetting.put_job(made)
        if data.draw(st.booleans()):
            rows |= {each.id: each for each in forgetting.changed_jobs()}
            complete.settle()
            forgetting.settle()
            held = [each for each in forgetting.jobs.values() if each.result and each.spec.step]
            assert all(complete.steps[each.spec.step or ""].status.is_unfinished for each in held)
        elif data.draw(st.booleans()):
            complete.undo()
            forgetting.undo()
        for ledger in (forgetting, forgetting.copy()):
            assert [each.id for each in ledger.ready()] == ready_by_looking(complete)
            assert ledger.steps == complete.steps
            assert ledger.live() == complete.live()
            for name in {None, *complete.steps}:
                assert ledger.jobs_of(name) == complete.jobs_of(name)


def test_a_hundred_thousand_steps_pass_through() -> None:
    width = MANY // 20
    ledger = Ledger(step(f"s{n}", *([f"s{n - width}"] if n >= width else [])) for n in range(MANY))
    done = 0
    while batch := list(ledger.ready()):
        for each in batch:
            ledger.put_step(each.model_copy(update={"status": StepStatus.RUNNING}))
            ledger.put_step(each.model_copy(update={"status": StepStatus.DONE}))
        ledger.settle()
        done += len(batch)
    assert done == MANY
    assert ledger.counts() == {"built": MANY}


def test_a_box_counts_by_its_members_once_it_is_at_work_and_a_workspace_never() -> None:
    ledger = Ledger(SMALL)
    assert ledger.counts() == {"pending": 1, "running": 1, "done": 2}
    ledger.settle()
    ledger.put_step(SMALL[2].model_copy(update={"status": StepStatus.FAILED}))
    assert ledger.counts()["failed"] == 1
    ledger.undo()
    assert ledger.counts() == {"pending": 1, "running": 1, "done": 2}
