"""The commits that a checkpoint keeps, and those of them that need a ref of their own. Pure."""

from __future__ import annotations

import pytest
from world import World, new_run, ok

from lib.model import Owner
from lib.store.rundb import Checkpoint
from orchestrator.persistence.checkpoints import checkpoint_of

BASE = "0" * 40


def made(world: World) -> Checkpoint:
    """The checkpoint of the last decision."""
    assert world.last is not None
    checkpoint = checkpoint_of(world.run, world.last.checkpoint, "{}", world.now())
    assert checkpoint is not None
    return checkpoint


def gated(**settings: object) -> World:
    return World(new_run(gates={"design": "none"}, **settings))


def test_a_cancelled_run_stands_for_what_is_built_and_for_its_base() -> None:
    world = gated()
    world.answers["build"] = lambda job: ok() if job.spec.step == "one" else None
    world.settle()
    world.edit(action_needed="cancel")
    cancelled = made(world)
    assert (cancelled.label, cancelled.design) == ("cancelled", "{}")
    assert cancelled.commits == {"one": "c-one", "_base": BASE}
    assert cancelled.pinned == {"one", "_base"}


@pytest.mark.parametrize(("setting", "label"), [("ask", "asked: approve_landing"), ("auto", "landed")])
def test_what_is_merged_is_held_by_the_merged_branch(setting: str, label: str) -> None:
    world = gated(land=setting)
    world.settle()
    checkpoint = made(world)
    assert checkpoint.label == label
    assert checkpoint.commits == {"one": "c-one", "two": "c-two", "merged": "h", "_base": BASE}
    assert checkpoint.pinned == {"merged", "_base"}


def test_work_that_is_not_in_the_merged_branch_is_held_beside_it() -> None:
    world = gated(conflicts="person")
    sides = {"branch": "b", "head": "h", "theirs": "c-two"}
    conflict = {"builder": "two", **sides, "paths": [{"path": "a.py", "kind": "content"}]}
    world.answers["merge"] = ok(head="h", merged=["one"], conflict=conflict)
    world.settle()
    checkpoint = made(world)
    assert checkpoint.label == "asked: resolve_conflict"
    assert checkpoint.commits["two"] == "c-two"
    assert checkpoint.pinned == {"two", "merged", "_base"}


def test_the_newest_merge_counts() -> None:
    world = gated(land="ask")
    heads = iter(["h1", "h2"])
    world.answers["merge"] = lambda job: ok(head=next(heads), merged=[tip.id for tip in job.spec.args.tips])
    world.settle()
    world.edit(action_needed="merge_build", action_owner=Owner.CODE)
    assert made(world).commits["merged"] == "h2"


def test_nothing_is_made_where_nothing_is_to_be() -> None:
    world = gated()
    assert checkpoint_of(world.run, None, None, world.now()) is None
