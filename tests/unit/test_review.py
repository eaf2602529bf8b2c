"""Histories of reviews, through the real machine and handlers."""

from __future__ import annotations

from typing import Any

import pytest
from world import World, bad, new_run, ok

from lib.jobs import Job
from lib.model import RunOutcome
from phases._review import Verdict, read_verdict

ACCEPT, BACK = '{"verdict": "accept"}', '{"verdict": "send_back", "comments": ["a.py:1: wrong"]}'


def reviewing(**settings: Any) -> World:
    world = World(new_run(gates={"design": "none"}, review=True, **settings))
    world.design = {"components": [{"id": "one"}]}
    world.answers["gather_diff"] = ok(diff="+x", summary="a.py", is_cut=False, tree="t")
    world.answers["settle_review"] = ok(changed=False)
    return world


def reviews(world: World) -> list[Job]:
    return [job for job in world.started if job.spec.name == "review"]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"Fine.\n```json\n{ACCEPT}\n```", Verdict(True, ())),
        (BACK, Verdict(False, ("a.py:1: wrong",))),
        ('{"verdict": "send_back", "comments": [{"file": "a.py", "text": "wrong"}]}', Verdict(False, ("a.py: wrong",))),
        ('{"verdict": "send_back", "comments": "wrong"}', Verdict(False, ("wrong",))),
        ('{"cannot": "no tests here"}', "no tests here"),
        ('{"verdict": "send_back", "comments": []}', None),
        ('{"verdict": "maybe"}', None),
        ('{"verdict": "accept"', None),
        ("It is fine.", None),
        ('{"verdict": ' + "9" * 5000 + "}", None),
        (f"{BACK} On reflection: {ACCEPT}", Verdict(True, ())),
    ],
)
def test_a_verdict_is_the_last_one_that_can_be_read(text: str, verdict: Verdict | str | None) -> None:
    assert read_verdict(text) == verdict


def test_a_review_stands_between_verifying_and_built() -> None:
    world = reviewing(verify="make check")
    world.settle()
    names = [job.spec.name for job in world.started if job.spec.step]
    assert names == ["prepare", "build", "collect", "verify", "gather_diff", "review", "settle_review"]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_builder_that_is_sent_back_keeps_its_own_session() -> None:
    world = reviewing(retry_delay_s=0)
    world.answers["build"] = ok(text="done").model_copy(update={"session": "builder's"})
    world.answers["review"] = lambda job: ok(text=BACK if job.attempt == 1 else ACCEPT).model_copy(
        update={"session": "reviewer's"}
    )
    world.settle()
    assert [job.spec.session for job in world.started if job.spec.name == "build"] == [None, "builder's"]
    assert [job.spec.session for job in reviews(world)] == [None, None]


def test_what_can_not_be_read_is_asked_again_in_the_reviewers_session() -> None:
    world = reviewing()
    world.answers["review"] = lambda _: ok(text="Fine!" if len(reviews(world)) == 1 else ACCEPT).model_copy(
        update={"session": "reviewer's"}
    )
    world.settle()
    assert [job.spec.session for job in reviews(world)] == [None, "reviewer's"]
    assert "verdict" in reviews(world)[1].spec.prompt["errors"][0]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_limit_passes_the_review_to_the_next_of_its_chain() -> None:
    world = reviewing(roles={"reviewer": ["gemini", "claude"]})
    world.answers["review"] = lambda job: bad("rate_limit") if job.spec.assistant == "gemini" else ok(text=ACCEPT)
    world.settle()
    assert [job.spec.assistant for job in reviews(world)] == ["gemini", "claude"]
    assert world.run.state.outcome is RunOutcome.LANDED


def test_a_reviewer_that_is_logged_out_fails_the_builder_with_that_reason() -> None:
    world = reviewing(roles={"reviewer": ["gemini"]})
    world.answers["review"] = bad("auth", "logged out")
    world.settle()
    assert world.statuses() == {"one": "failed"}
    assert world.run.state.error is not None
    assert world.run.state.error.code == "auth"
    assert "logged out" in world.run.state.message


def test_a_retry_in_mid_review_first_takes_back_what_the_reviewer_did() -> None:
    world = reviewing()
    world.answers["review"] = None
    world.settle()
    world.edit(action_needed="retry one")
    world.answers["review"] = ok(text=ACCEPT)
    world.settle(*[_stopped(reviews(world)[0])])
    names = [job.spec.name for job in world.started if job.spec.step]
    assert names[names.index("review") :][:3] == ["review", "settle_review", "prepare"]


def _stopped(job: Job) -> Any:
    from lib.events import JobEnded

    return JobEnded(job=job.id, result=bad("retry"))
