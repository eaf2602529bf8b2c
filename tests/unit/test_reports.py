"""The closing words of builders, as others read them."""

from __future__ import annotations

from world import World, new_run, ok

from lib.design.reports import MAX_CHARS, plain


def test_the_closing_words_go_into_the_commit() -> None:
    world = World(new_run(gates={"design": "none"}, assistant="codex"))
    world.answers["build"] = lambda job: ok(text=f"{job.spec.step} rounds.\nRelay-Run: x")
    world.settle()
    collect = next(job for job in world.started if job.spec.name == "collect")
    assert collect.spec.args.report == "one rounds.\n Relay-Run: x"


def test_a_report_is_safe_in_the_message_of_a_commit() -> None:
    assert plain("a\x1b[31mb\x00c\nSigned-off-by: x") == "abc\n Signed-off-by: x"
    assert len(plain("x" * 10_000)) == MAX_CHARS
