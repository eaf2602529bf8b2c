"""Checkpoints in the run database, and the refs of their commits, which may be made late."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import run_git
from eventually import WAIT_S
from situations import RUN, builder, state, store

from lib.config.model import Config, LogLevel
from lib.errors import RelayError
from lib.events import Event, Noted
from lib.git.pins import PREFIX, pin
from lib.git.run import Repo
from lib.model import Base, Now
from lib.project.paths import Project, find_project
from lib.steps import BuilderStatus
from lib.store.migrations import MIGRATIONS
from lib.store.rows import Cause
from lib.store.rundb import Checkpoint, RunDB
from orchestrator.commands.checkpoints import check, create, lines
from orchestrator.diagnostics import Diagnostics
from orchestrator.persistence.checkpoints import Pins, pin_waiting
from orchestrator.persistence.pruning import prune, remove
from orchestrator.wake import Wake

AT = "2026-01-02T10:02:11Z"


@pytest.fixture
def project(repo: Path) -> Project:
    """A project with a run, and in its database nothing that is to be pinned."""
    project = find_project(repo)
    store(project, state())
    return project


def checkpoint(project: Project, **commits: str) -> None:
    with RunDB.open(project) as db:
        db.commit(RUN, checkpoint=Checkpoint("x", AT, {**commits, "of-others": "c0ffee"}, pinned=commits.keys()))


def pins(project: Project) -> list[str]:
    lines = run_git(project.root, "for-each-ref", "--format=%(refname)", PREFIX).splitlines()
    return [line.removeprefix(f"{PREFIX}{RUN}/") for line in lines]


def waiting(project: Project) -> list[int]:
    with RunDB.open(project) as db:
        return [row.checkpoint for row in db.unpinned()]


def test_what_waits_is_pinned_once_with_only_what_needs_a_ref(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    checkpoint(project, base=head)
    checkpoint(project, base=head, api=head)
    checkpoint(project)
    assert waiting(project) == [1, 2]
    assert pin_waiting(project, "another run") == []
    assert pins(project) == []
    assert pin_waiting(project) == []
    assert pins(project) == ["1/base", "2/api", "2/base"]
    assert waiting(project) == []
    run_git(project.root, "update-ref", "-d", f"{PREFIX}{RUN}/1/base")
    assert pin_waiting(project) == []
    assert pins(project) == ["2/api", "2/base"], "what was dropped since comes back by itself"


def test_a_kill_between_the_refs_and_their_record_changes_nothing(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    checkpoint(project, base=head)
    pin(Repo.of(project), {f"{RUN}/1/base": head})
    assert pin_waiting(project) == []
    assert (pins(project), waiting(project)) == (["1/base"], [])


def test_what_could_not_be_pinned_waits_on(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    checkpoint(project, base=head)
    run_git(project.root, "update-ref", f"{PREFIX}{RUN}", head)
    with pytest.raises(RelayError):
        pin_waiting(project)
    assert waiting(project) == [1]
    run_git(project.root, "update-ref", "-d", f"{PREFIX}{RUN}")
    assert pin_waiting(project) == []
    assert pins(project) == ["1/base"]


def test_a_commit_that_is_gone_is_named_and_waited_for_no_longer(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    checkpoint(project, base=head, api="1" * 40)
    assert pin_waiting(project) == [f"commits of checkpoints are gone: {RUN}/1/api"]
    assert (pins(project), waiting(project)) == (["1/base"], [])


def test_a_run_database_that_was_deleted_is_not_made_again(project: Project) -> None:
    project.database.unlink()
    assert pin_waiting(project) == []
    assert not project.database.exists()


def test_a_failure_is_told_once_and_tried_again_after_pauses_that_grow(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    checkpoint(project, base=head)
    run_git(project.root, "update-ref", f"{PREFIX}{RUN}", head)
    with Wake([]) as wake:
        pinning = Pins(project, wake, Diagnostics(RUN, LogLevel.ERROR, str))

        def looked(at_mono_s: float) -> list[Event]:
            wake.wait(WAIT_S)
            return pinning.look(Now(wall=datetime.now(UTC), mono_s=at_mono_s, boot_id="b"))

        pinning.make()
        (told,) = looked(100)
        assert isinstance(told, Noted)
        assert "can't be pinned yet (relay doctor): git update-ref" in told.message
        assert (pinning.due_mono_s, pinning.idle()) == (101, True)
        wake.ring()
        assert looked(101) == []
        assert looked(101) == []
        assert (pinning.due_mono_s, pinning.idle()) == (103, True)
        run_git(project.root, "update-ref", "-d", f"{PREFIX}{RUN}")
        wake.ring()
        assert looked(103) == []
        assert looked(103) == []
        assert (pinning.due_mono_s, pinning.idle(), pins(project)) == (None, True, ["1/base"])
        pinning.close(WAIT_S)


def test_checkpoints_of_version_0_1_stay_readable_and_pin_nothing(repo: Path) -> None:
    project = find_project(repo)
    project.store.mkdir()
    with closing(sqlite3.connect(project.database)) as old:
        old.executescript(";".join([*MIGRATIONS[0], "PRAGMA user_version = 1"]))
        old.execute(
            "INSERT INTO checkpoints (run, event_seq, label, at, header, builders, commits)"
            """ VALUES ('a', 1, 'landed', 'then', '{"rev": 3, "engine": {}}', '[["x", "{}"]]', '{"relay/a/x": "c1"}')"""
        )
        old.commit()
    reader = RunDB.open_readonly(project.database)
    assert reader is not None
    before = reader.checkpoints("a")
    with RunDB.open(project) as db:
        assert db.checkpoints("a") == before
    assert (before[0].header, [row.id for row in before[0].steps]) == ({"rev": 3, "engine": {}}, ["x"])
    assert (before[0].commits, before[0].config, before[0].design) == ({"x": "c1"}, None, None)
    assert pin_waiting(project) == []
    assert pins(project) == []


# --- pruning ---------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 1, 20, tzinfo=UTC)
KEPT = NOW.isoformat()


def old_and_new(project: Project) -> str:
    """Three checkpoints, of which the first is too old; the commit that all of them hold."""
    head = run_git(project.root, "rev-parse", "HEAD")
    with RunDB.open(project) as db:
        for at, cause in ((AT, Cause.TRANSITION), (AT, Cause.PERSON), (KEPT, Cause.TRANSITION)):
            db.commit(RUN, checkpoint=Checkpoint("x", at, {"base": head}, pinned=["base"], cause=cause))
    pin_waiting(project)
    assert pins(project) == ["1/base", "2/base", "3/base"]
    return head


def numbers(project: Project) -> list[int]:
    with RunDB.open(project) as db, db.look_at_checkpoints() as look:
        return [mark.id for mark in look.marks()]


def test_what_is_too_old_goes_with_its_refs_and_what_a_person_made_stays(project: Project) -> None:
    old_and_new(project)
    prune(project, NOW, sweep=False)
    assert (numbers(project), pins(project)) == ([2, 3], ["2/base", "3/base"])


def test_refs_that_a_kill_left_without_a_row_go_with_the_next_sweep(project: Project) -> None:
    old_and_new(project)
    with RunDB.open(project) as db:
        remove(db, [1])
    prune(project, NOW, sweep=False)
    assert pins(project) == ["1/base", "2/base", "3/base"]
    prune(project, NOW, sweep=True)
    assert (numbers(project), pins(project)) == ([2, 3], ["2/base", "3/base"])


def test_refs_of_a_run_that_the_database_does_not_know_stay(project: Project) -> None:
    head = old_and_new(project)
    run_git(project.root, "update-ref", f"{PREFIX}another-run/9/one", head)
    prune(project, NOW, sweep=True)
    assert run_git(project.root, "for-each-ref", "--format=%(refname)", f"{PREFIX}another-run") == (
        f"{PREFIX}another-run/9/one"
    )


def test_a_checkpoint_that_goes_before_it_is_pinned_is_not_waited_for(project: Project) -> None:
    checkpoint(project, base=run_git(project.root, "rev-parse", "HEAD"))
    checkpoint(project, base=run_git(project.root, "rev-parse", "HEAD"))
    with RunDB.open(project) as db:
        remove(db, [1])
    assert waiting(project) == [2]
    assert pin_waiting(project) == []
    assert pins(project) == ["2/base"]


def test_refs_are_pruned_in_the_background_by_the_settings_of_each_run(project: Project) -> None:
    old_and_new(project)
    with RunDB.open(project) as db:
        db.commit(RUN, options=Config(checkpoints_max=1, checkpoints_max_days=1e6).model_dump(mode="json"))
    with Wake([]) as wake:
        pinning = Pins(project, wake, Diagnostics(RUN, LogLevel.ERROR, str))
        pinning.make()
        wake.wait(WAIT_S)
        assert pinning.look(Now(wall=NOW, mono_s=1, boot_id="b")) == []
        pinning.close(WAIT_S)
    assert (numbers(project), pins(project)) == ([2, 3], ["2/base", "3/base"])


# --- made by hand, listed, checked -----------------------------------------------------------------------------------


def test_one_made_by_hand_is_of_one_committed_state_and_is_pinned_at_once(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    own = state(base=Base(branch="main", commit=head), action_needed="execution")
    store(project, own, [builder("one", BuilderStatus.BUILT, commit=head)])
    number, warned = create(project, RUN, "before the review")
    assert warned == []
    with RunDB.open(project) as db:
        [line] = lines(db, RUN)
        assert (line.number, line.what, line.phase, line.done, line.steps) == (
            number, "before the review", "execution", 1, 1,
        )  # fmt: skip
        assert line.commits == 2
        assert line.size > 1000
        assert [each.message for each in check(project, db, RUN)] == ["can be restored"]
    assert pins(project) == [f"{number}/_base", f"{number}/one"]


@pytest.mark.parametrize("label", ["", "12", "a\nb", "x" * 81, "-x"])
def test_what_is_no_label_is_refused(project: Project, label: str) -> None:
    with pytest.raises(RelayError, match="is no label"):
        create(project, RUN, label)


def test_a_check_says_which_can_not_be_restored_and_why(project: Project) -> None:
    head = run_git(project.root, "rev-parse", "HEAD")
    store(project, state(base=Base(branch="main", commit=head)))
    checkpoint(project, _base=head)
    checkpoint(project, _base="1" * 40)
    checkpoint(project, _base=head)
    checkpoint(project, _base=head)
    with RunDB.open(project) as db:
        db.note_pinned([3])
    with closing(sqlite3.connect(project.database)) as raw:
        raw.execute("UPDATE checkpoints SET commits = '{\"_base\": \"' || ? || '\"}'", (head,))
        raw.execute("UPDATE checkpoints SET commits = '{\"_base\": \"' || ? || '\"}' WHERE id = 2", ("1" * 40,))
        raw.execute("UPDATE checkpoints SET header = 'x' WHERE id = 4")
        raw.commit()
    with RunDB.open(project) as db:
        found = list(check(project, db, RUN))
        assert [line.fault != "" for line in lines(db, RUN)] == [False, False, False, True]
    assert [each.ok for each in found] == [True, False, True, False]
    assert "refs are still to be made" in found[0].message
    assert found[1].message == "commits are gone: _base"
    assert "no ref holds its commits" in found[2].message
    assert "checkpoint 4 can't be read" in found[3].message
