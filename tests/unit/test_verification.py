"""The commands that a tree must bear, and the words for what no command verifies."""

from __future__ import annotations

import subprocess

import pytest
from world import World, new_run, ok

from lib.config.model import Config
from lib.design.verification import all_of, of_builder, of_merged, verdict, warning
from lib.model import Component

CHECKED = Config(verify="make check")
A, B = Component(id="a", verify="test a"), Component(id="b")


def test_the_configured_command_is_first_and_each_is_run_once() -> None:
    assert of_builder(CHECKED, A) == "(make check) && (test a)"
    assert of_builder(CHECKED, B) == "make check"
    assert of_builder(Config(), B) == ""
    assert of_merged(CHECKED, [A, B, A]) == "(make check) && (test a)"
    assert of_merged(CHECKED, [Component(id="c", verify="make check")]) == "make check"


@pytest.mark.parametrize(
    ("commands", "status"),
    [
        (["true", "true # (a comment"], 0),
        (["false; true", "exit 3", "true"], 3),
        (["true", "cat <<END\n)\nEND", "cd / && test -d usr"], 0),
        (["cd /", 'test "$PWD" != /'], 0),
    ],
)
def test_commands_of_any_kind_stay_apart(commands: list[str], status: int) -> None:
    done = subprocess.run(["/bin/sh", "-c", all_of(commands)], check=False, cwd="/usr", capture_output=True)
    assert done.returncode == status


def test_what_is_not_verified_is_called_that() -> None:
    assert (verdict(CHECKED, [A, B]), warning(CHECKED, [A, B])) == ("verified", "")
    assert verdict(Config(), [A, B]) == "verified in part"
    assert "nothing verifies b" in warning(Config(), [A, B])
    assert verdict(Config(), [B]) == "not verified"
    assert "nothing verifies this" in warning(Config(), [B])


def test_a_builder_whose_tests_looked_at_other_code_is_not_verified_and_that_is_asked_about() -> None:
    shadow = "x.pth makes Python import this project from your checkout"
    world = World(new_run(gates={"design": "none"}, verify="pytest"), answers={"verify": ok(shadow=shadow)})
    world.settle()
    assert [builder.verified for builder in world.run.steps.values()] == [False, False]
    assert world.run.steps["one"].note == shadow
    assert world.run.state.action_needed == "approve_landing"
    assert shadow in world.run.state.message
