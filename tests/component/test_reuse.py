"""The effect `reuse` with a real repository and run database: what is taken, what is not, and what a kill leaves."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git

from lib.config.model import Config
from lib.effects import Reuse, ReuseResult
from lib.events import JobEnded
from lib.git.look import look
from lib.git.objects import move_ref
from lib.git.rescue import rescued
from lib.git.run import Repo
from lib.git.worktrees import prepare, snapshot
from lib.jobs import Job, effect
from lib.model import Step
from lib.names import to_json
from lib.project.paths import SHARED_WORKTREE, Project, find_project
from lib.steps import StepKind, StepStatus
from lib.store.rundb import RunDB, StepRow
from orchestrator.effects._registry import run_effect
from orchestrator.work import Work

AT = "2026-01-02T10:00:00+00:00"
NOW = datetime(2026, 1, 3, tzinfo=UTC)
HEADER = {
    "workflow": "flow", "requirement": "do it", "phase": "execution", "action_owner": "code",
    "action_needed": "execution", "paused": False, "outcome": None, "rev": 1, "created_at": AT, "updated_at": AT,
}  # fmt: skip


@dataclass
class Site:
    """A project with runs of a workflow, each with a worktree of its own; r2 is the one that looks."""

    root: Path
    project: Project
    base: str = ""
    tips: dict[str, str] = field(default_factory=dict)

    @property
    def repo(self) -> Repo:
        return Repo.of(self.project)

    def path(self, run: str) -> Path:
        return self.project.worktree(run, SHARED_WORKTREE)

    def begin(self, run: str, base: str = "") -> None:
        """A run whose worktree begins at `base`."""
        self.tips[run] = base or self.base
        prepare(self.repo, self.path(run), f"relay/{run}/{SHARED_WORKTREE}", self.tips[run])

    def work(self, run: str, files: Mapping[str, str]) -> str:
        """The commit of files that were written in a run's worktree."""
        for name, text in files.items():
            (self.path(run) / name).write_text(text)
        taken = snapshot(self.repo, self.path(run), f"relay/{run}/{SHARED_WORKTREE}", self.tips[run],
                         author_name="a (relay step)", message=f"Write it\n\nWell.\n\nRelay-Run: {run}\n")  # fmt: skip
        self.tips[run] = taken.commit
        return taken.commit

    def record(self, run: str, *steps: Step) -> None:
        with RunDB.open(self.project) as db:
            db.commit(run, header=HEADER, steps=[StepRow(step.id, to_json(step)) for step in steps])

    def done(self, run: str, files: Mapping[str, str], **told: Any) -> Step:
        """The step a of a run, which wrote files, and is recorded."""
        step = a_step(base_commit=self.tips[run], commit=self.work(run, files), **told)
        self.record(run, step)
        return step

    def look(self, head: str = "") -> ReuseResult:
        """The result of the look of the step a of r2."""
        args = Reuse(content="c1", head=head or self.tips["r2"], branch=f"relay/r2/{SHARED_WORKTREE}")
        return self.looked(args)

    def looked(self, args: Reuse, step: str = "a") -> ReuseResult:
        spec = effect(args, step=step, worktree=SHARED_WORKTREE if args.head else None)
        job = Job(id="0002-reuse", spec=spec, attempt=1, dispatch=1, started_at=NOW, started_mono_s=0.0)
        ended = run_effect(Work(self.project, "r2", "do it", Config(), job, None))
        assert isinstance(ended, JobEnded)
        assert ended.result.ok, ended.result.message
        return ReuseResult.of(ended.result)

    def files(self) -> dict[str, str]:
        """The files in the worktree of r2."""
        found = (file for file in self.path("r2").rglob("*") if file.is_file() and file.name != ".git")
        return {file.relative_to(self.path("r2")).as_posix(): file.read_text() for file in found}

    def git(self, *args: str, run: str = "r2") -> str:
        return run_git(self.path(run), *args)


def a_step(name: str = "a", **told: Any) -> Step:
    known = {"kind": StepKind.RUN, "status": StepStatus.DONE, "content": "c1", "output": {"n": 1},
             "ended_at": datetime.fromisoformat(AT)}  # fmt: skip
    return Step(id=name, **(known | told))


@pytest.fixture
def site(repo: Path) -> Site:
    (repo / ".git" / "info" / "exclude").write_text(".project/\n*.log\n")
    made = Site(repo, find_project(repo), run_git(repo, "rev-parse", "HEAD"))
    made.begin("r1")
    made.begin("r2")
    made.record("r2", a_step(status=StepStatus.RUNNING, content="c1", ended_at=None))
    return made


def test_nothing_is_taken_where_there_is_nothing(site: Site) -> None:
    assert site.look() == ReuseResult()


def test_output_and_change_are_taken_as_a_commit_of_this_run(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"}, verified=True, assistant="two")
    found = site.look()
    assert (found.run, found.output, found.verified, found.assistant) == ("r1", {"n": 1}, True, "two")
    assert site.files()["a.txt"] == "a\n"
    assert site.git("status", "--porcelain") == ""
    assert site.git("rev-parse", "HEAD", f"relay/r2/{SHARED_WORKTREE}", "HEAD^").split() == [
        found.commit, found.commit, site.base
    ]  # fmt: skip
    assert site.git("log", "-1", "--format=%an%n%B").split("\n") == [
        "a (relay step)", "Write it", "", "Well.", "", "Relay-Run: r2"
    ]  # fmt: skip
    assert rescued(site.repo) == []


def test_the_same_tree_is_enough_where_the_commit_is_another(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"})
    other = run_git(site.root, "commit-tree", f"{site.base}^{{tree}}", "-m", "the same")
    shutil.rmtree(site.path("r2"))
    move_ref(site.repo, f"refs/heads/relay/r2/{SHARED_WORKTREE}", other, site.base, "elsewhere")
    site.begin("r2", other)
    found = site.look()
    assert site.git("rev-parse", f"{found.commit}^", f"{found.commit}^{{tree}}").split() == [
        other, site.git("rev-parse", f"{site.tips['r1']}^{{tree}}")
    ]  # fmt: skip


def test_doing_it_again_gives_the_same(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"})
    first = site.look()
    assert site.look() == first
    assert site.git("rev-list", "--count", "HEAD") == "2"
    assert rescued(site.repo) == []


def test_a_kill_after_the_branch_has_moved_leaves_nothing_to_rescue(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n", "README.md": "new\n"})
    wanted = site.look()
    branch = f"refs/heads/relay/r2/{SHARED_WORKTREE}"
    for moved, written in ((site.base, ()), (wanted.commit, ()), (wanted.commit, ("a.txt",))):
        site.git("checkout", "-q", "--detach", site.base)
        run_git(site.root, "worktree", "remove", "--force", str(site.path("r2")))
        run_git(site.root, "update-ref", branch, site.base)
        shutil.rmtree(site.project.store / "indexes" / "r2")
        site.begin("r2")
        run_git(site.root, "update-ref", "-m", "relay: x", branch, moved)
        for name in written:
            (site.path("r2") / name).write_text("a\n")
        assert site.look(site.base) == wanted
        assert (site.files()["a.txt"], site.files()["README.md"]) == ("a\n", "new\n")
        assert site.git("status", "--porcelain") == ""
        assert rescued(site.repo) == []


def test_a_step_that_changed_nothing_gives_its_output_alone(site: Site) -> None:
    site.record("r1", a_step(base_commit=site.base, commit=site.base))
    (site.path("r2") / "half.txt").write_text("of another step\n")
    found = site.look()
    assert (found.run, found.commit, found.output) == ("r1", site.base, {"n": 1})
    assert site.files()["half.txt"] == "of another step\n"


def test_a_step_without_a_worktree_has_no_tree(site: Site) -> None:
    site.record("r1", a_step(output="x"))
    assert site.looked(Reuse(content="c1")).output == "x"
    assert site.look() == ReuseResult()


@pytest.mark.parametrize("told", [
    {"status": StepStatus.FAILED}, {"status": StepStatus.SKIPPED}, {"content": ""}, {"content": "c2"},
    {"ended_at": datetime(2026, 1, 4, tzinfo=UTC)}, {"needs": ("before",)},
])  # fmt: skip
def test_what_is_not_equal_is_not_taken(site: Site, told: dict[str, Any]) -> None:
    site.record("r1", a_step("before", content=""))
    site.done("r1", {"a.txt": "a\n"}, **told)
    assert site.look() == ReuseResult()
    assert "a.txt" not in site.files()


def test_another_tree_is_not_taken(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"})
    head = site.work("r2", {"b.txt": "b\n"})
    assert site.look(head) == ReuseResult()


def test_a_step_of_the_same_run_is_not_taken(site: Site) -> None:
    site.record("r2", a_step("b", base_commit=site.base, commit=site.base))
    assert site.look() == ReuseResult()


@pytest.mark.parametrize("what", ["commit", "file"])
def test_what_is_no_longer_in_the_repository_is_not_taken(site: Site, what: str) -> None:
    step = site.done("r1", {"a.txt": "a\n"})
    gone = step.commit if what == "commit" else site.git("rev-parse", f"{step.commit}:a.txt")
    run_git(site.root, "worktree", "remove", "--force", str(site.path("r1")))
    run_git(site.root, "update-ref", "-d", f"refs/heads/relay/r1/{SHARED_WORKTREE}")
    (site.root / ".git" / "objects" / gone[:2] / gone[2:]).unlink()
    assert site.look() == ReuseResult()


def test_a_worktree_that_is_gone_is_no_place_to_take_anything_to(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"})
    shutil.rmtree(site.path("r2"))
    assert site.look() == ReuseResult()


def test_outputs_before_it_must_be_there_and_others_may_be(site: Site) -> None:
    here = (a_step("x", output="one", content=""), a_step("y", output="two", content=""))
    site.record("r2", *here, a_step(status=StepStatus.RUNNING, needs=("x", "y"), ended_at=None))
    for output, taken in (("one", True), ("three", False)):
        box = a_step("box", kind=StepKind.GROUP, needs=("p",), content="")
        site.record("r1", a_step("p", output=output, content=""), box)
        site.done("r1", {"a.txt": "a\n"}, parent="box")
        assert bool(site.look(site.base).run) is taken


def test_a_gate_before_it_counts_by_its_decision(site: Site) -> None:
    def gate(**output: Any) -> Step:
        return a_step("ok", kind=StepKind.GATE, content="", output={"decision": "approve", "form": {}} | output)

    site.record("r2", gate(by="ann"), a_step(status=StepStatus.RUNNING, needs=("ok",), ended_at=None))
    site.record("r1", gate(by="--yes", words="fine"))
    site.done("r1", {"a.txt": "a\n"}, needs=("ok",))
    assert site.look().run == "r1"
    site.record("r1", gate(decision="reject"))
    assert site.look(site.base) == ReuseResult()


def test_of_several_equal_ones_the_same_id_counts_most_and_then_the_newest(site: Site) -> None:
    later = datetime(2026, 1, 2, 11, tzinfo=UTC)
    site.record("r1", a_step("b", base_commit=site.base, output="b", ended_at=later))
    assert site.look().output == "b"
    site.record("r3", a_step(base_commit=site.base, output="old"))
    assert site.look().output == "old"
    site.record("r4", a_step(base_commit=site.base, output="new", ended_at=later, reused="r0"))
    found = site.look()
    assert (found.output, found.run) == ("new", "r0")


def test_what_setup_left_stays_and_what_a_step_left_is_rescued(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"})
    (site.path("r2") / "made.txt").write_text("by setup\n")
    (site.path("r2") / "trace.log").write_text("ignored\n")
    look(site.repo, site.path("r2"))
    found = site.look()
    assert site.files().items() >= {"a.txt": "a\n", "made.txt": "by setup\n", "trace.log": "ignored\n"}.items()
    assert rescued(site.repo) == []
    site.done("r1", {"c.txt": "c\n"})
    site.tips["r2"] = found.commit
    (site.path("r2") / "half.txt").write_text("of a step that failed\n")
    again = site.look()
    assert again.commit != found.commit
    assert "half.txt" not in site.files()
    [kept] = rescued(site.repo)
    assert run_git(site.root, "show", f"{kept.commit}:half.txt") == "of a step that failed"


def test_a_branch_that_somebody_moved_is_put_right_and_what_it_held_is_rescued(site: Site) -> None:
    site.done("r1", {"a.txt": "a\n"})
    stray = run_git(site.root, "commit-tree", f"{site.base}^{{tree}}", "-p", site.base, "-m", "stray")
    run_git(site.root, "update-ref", f"refs/heads/relay/r2/{SHARED_WORKTREE}", stray)
    found = site.look()
    assert site.git("rev-parse", f"relay/r2/{SHARED_WORKTREE}") == found.commit
    assert [each.commit for each in rescued(site.repo)] == [stray]
