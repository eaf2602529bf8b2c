"""Messages to a builder about files that a power cut emptied in its worktree."""

from __future__ import annotations

from world import World, bad, new_run, ok

from lib.jobs import Job, JobResult


def told(world: World) -> list[str]:
    builds = [job for job in world.started if job.spec.name == "build" and job.spec.step == "one"]
    return [job.spec.prompt["feedback"] for job in builds]


def cut_in_the_first_turn(**settings: object) -> World:
    def prepare(job: Job) -> JobResult:
        again = job.attempt > 1 or any(earlier.spec.name == "build" for earlier in world.started)
        emptied = ["a.py", "b.py"] if job.spec.step == "one" and again else []
        return ok(base=job.spec.args.base, made=bool(emptied), emptied=emptied)

    def build(_job: Job) -> JobResult:
        first = sum(each.spec.name == "build" for each in world.started) == 1
        return bad("rebooted") if first else ok(text="done")

    world = World(new_run(**settings))
    world.answers = {"prepare": prepare, "build": build}
    world.settle()
    world.edit(action_owner="code")
    return world


def test_the_next_turn_is_told_of_the_files() -> None:
    first, second = told(cut_in_the_first_turn())
    assert first == ""
    assert second.endswith("as before it, or gone: a.py, b.py")


def test_it_is_told_also_where_the_worktree_is_set_up_again() -> None:
    world = cut_in_the_first_turn(setup="make deps")
    assert [name for name in world.names() if name.startswith("one:s")] == ["one:setup", "one:setup"]
    assert told(world)[1].endswith("as before it, or gone: a.py, b.py")
