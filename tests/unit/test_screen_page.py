"""The whole screen, as text: it keeps to its width and height, and hides nothing that needs an eye."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from situations import REQUIREMENT, RUN, SMALL, SPENT, builder, state, step, view_of, waiting

from lib.display import escaped, width
from lib.model import Problem
from lib.steps import BuilderStatus, StepKind, StepStatus
from orchestrator.status.page import page
from orchestrator.status.screen import Look
from orchestrator.status.view import View

WIDE = Look(columns=140)


def rows_of(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if line[3:].startswith(f"{name} ")]


def test_a_screen_says_what_is_wanted_where_it_stands_and_what_to_type() -> None:
    view = view_of(waiting("approve_design", "Read design.md", phase="design"))
    text = page(view, Look())
    assert REQUIREMENT.split()[0] in text
    assert "Design ✓ → Approve ◆ → Build → Merge → Land" in text
    assert "◆ Waiting for you: approve the design" in text
    assert "\n   relay approve " in text
    assert RUN in text


REPORT = ("$ make check", "exit status 2", *(f"\x1b[31mline {n} {'x' * 90}" for n in range(20)))


def failing() -> View:
    """A run of nine builders that asks about a failure."""
    error = Problem(code="exit_nonzero", message="b: it broke", remedy="relay logs b", report=REPORT)
    parts = [builder(f"part-{n}", BuilderStatus.BUILT) for n in range(8)]
    asked = waiting("fix_failure", "b: it broke", next_action="execution", error=error)
    return view_of(asked, [builder("b", BuilderStatus.FAILED), *parts])


def test_a_failure_shows_its_command_its_exit_and_its_last_lines_within_the_width() -> None:
    lines = page(failing(), Look()).splitlines()
    assert lines[lines.index("   $ make check") + 1] == "   exit status 2"
    assert len([line for line in lines if line.startswith("   \\x1b[31mline ")]) == 20
    assert max(map(width, lines)) <= 80


def test_a_live_screen_has_as_much_of_a_failure_as_there_is_room_for() -> None:
    text = page(failing(), Look(rows=30), live=True)
    assert len(text.splitlines()) < 30
    assert "line 19" in text
    assert "$ make check" not in text
    assert rows_of(text, "b")


@pytest.mark.parametrize("rows", [24, 30])
def test_fifty_builders_fit_a_screen_and_the_one_that_failed_is_on_it(rows: int) -> None:
    usual = [BuilderStatus.BUILT, BuilderStatus.RUNNING, BuilderStatus.PENDING]
    parts = [builder(f"part-{n:02}", BuilderStatus.FAILED if n == 40 else usual[n % 3]) for n in range(50)]
    text = page(view_of(state(), parts), Look(rows=rows))
    assert len(text.splitlines()) < rows
    assert rows_of(text, "part-40")
    assert "… and " in text
    assert "17 built" in text


def test_builders_that_all_fit_are_shown_in_their_order() -> None:
    parts = [builder(name, BuilderStatus.BUILT, verified=True) for name in ("zebra", "ape", "cat")]
    lines = page(view_of(state(), parts), Look()).splitlines()
    shown = [line.split()[1] for line in lines if line.startswith(" ✓ ")]
    assert shown == ["zebra", "ape", "cat"]


def test_a_builder_that_was_tried_again_shows_which_attempt_it_is() -> None:
    parts = [builder("a", BuilderStatus.RETRYING, attempt=2), builder("b")]
    text = page(view_of(state(), parts), Look())
    assert "retrying 2/3" in rows_of(text, "a")[0]
    assert "1/3" not in rows_of(text, "b")[0]


def test_assistants_and_costs_have_columns_where_they_differ_and_there_is_room() -> None:
    parts = [builder("a", usage=SPENT), builder("b", assistant="codex")]
    assert "claude" in rows_of(page(view_of(state(), parts), WIDE), "a")[0]
    assert "$0.42" in rows_of(page(view_of(state(), parts), WIDE), "a")[0]
    assert "$0.42" not in rows_of(page(view_of(state(), parts), Look()), "a")[0]
    assert "43.4k tokens, $0.42 in all" in page(view_of(state(), parts), Look())


def test_a_command_is_never_cut_short() -> None:
    error = Problem(
        code="conflict", message="?", remedy=f"cd .project/worktrees/{RUN}/merged && git status && git diff"
    )
    view = view_of(waiting("resolve_conflict", "?", error=error, next_action="merge_build"))
    assert f"   {error.remedy}\n" in page(view, Look())


def test_a_problem_is_told_with_its_remedy() -> None:
    broken = Problem(code="x", message="state.json, line 3: a comma is missing", remedy="$EDITOR state.json")
    text = page(view_of(state(), problem=broken), Look())
    assert broken.message in text
    assert "   $EDITOR state.json " in text


def test_a_live_screen_needs_no_hint_to_watch() -> None:
    assert "--watch" in page(view_of(state()), Look())
    assert "--watch" not in page(view_of(state()), Look(), live=True)


def test_a_narrow_terminal_is_told_how_far_the_run_is() -> None:
    text = page(view_of(state()), Look(columns=44))
    assert "\n Build ● (3 of 5)\n" in text


def test_the_sandbox_is_told_where_it_is_known() -> None:
    view = view_of(state())
    assert "sandbox" not in page(view, Look())
    assert "sandbox bubblewrap" in page(view._replace(sandbox="bubblewrap"), Look())


def test_without_colour_there_is_no_control_sequence_and_with_it_the_same_text() -> None:
    view = view_of(state(), [builder("a"), builder("b", BuilderStatus.FAILED)])
    plain, coloured = page(view, Look()), page(view, Look(colour=True))
    assert "\x1b" not in plain
    for code in ("0", "1", "2", "31", "32", "36", "1;36", "34", "33"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert [line.rstrip() for line in coloured.splitlines()] == plain.splitlines()


@given(st.text(min_size=1), st.integers(40, 120))
def test_foreign_words_neither_drive_the_terminal_nor_widen_the_screen(words: str, columns: int) -> None:
    part = builder("a").model_copy(update={"job": "j"})
    view = view_of(state(requirement=words or "x"), [part], lines={"j": words})
    for line in page(view, Look(columns=columns)).split("\n"):
        assert escaped(line) == line
        assert width(line) <= columns or "/" in line


def test_a_message_that_is_longer_than_a_screen_is_cut_and_the_commands_stay() -> None:
    text = page(view_of(waiting("approve_design", "word " * 2000, phase="design")), Look(rows=30))
    assert len(text.splitlines()) < 30
    assert "   …\n" in text
    assert "\n   relay approve " in text


def test_what_is_built_and_verified_by_nothing_does_not_look_verified() -> None:
    parts = [builder("a", BuilderStatus.BUILT, verified=True), builder("b", BuilderStatus.BUILT)]
    shown = page(view_of(state(), parts), Look())
    assert "2 built · 1 unverified" in shown
    assert rows_of(shown, "a")[0].startswith(" ✓ a  built  ")
    assert rows_of(shown, "b")[0].startswith(" ○ b  built, unverified")
    assert "unverified" not in page(view_of(state(), parts[:1]), Look())


def test_what_landed_unverified_is_not_green() -> None:
    landed = state(outcome="landed", message="Landed on main at 1a2b3c, not verified: set verify:")
    unverified, verified = (
        page(view_of(landed, [builder("a", BuilderStatus.LANDED, verified=proved)]), Look(colour=True))
        for proved in (False, True)
    )
    assert "\x1b[1;33m ✓ Landed on main at 1a2b3c, not verified" in unverified
    assert "\x1b[1;32m ✓ Landed" in verified


# --- workflows of steps ----------------------------------------------------------------------------------------------


def test_a_workflow_shows_its_own_way_and_its_steps_those_in_a_box_indented() -> None:
    lines = page(view_of(state(workflow="small"), SMALL), Look()).splitlines()
    assert " small: Steps ● → Merge → Land" in lines
    assert any(line.endswith("  2 done · 1 at work · 1 pending") for line in lines)
    shown = [re.split(r"  \d+m", line)[0].rstrip() for line in lines if line[1:2] in set("✓●·◆")]
    assert shown[1:] == [" ✓ list      done", " ● look      running, 1 of 2", " ✓   look:a  done",
                         " ●   look:b  running", " · ok        pending"]  # fmt: skip
    assert not any("_shared" in line or "builder" in line for line in lines)
    assert max(map(width, lines)) <= 80


def test_a_gate_that_asks_shows_what_is_asked_and_stays_where_there_is_little_room() -> None:
    gate = step("ok", StepKind.GATE, note="Ship it?")
    many = [step(f"look:{n}", StepKind.PROMPT, StepStatus.DONE) for n in range(60)]
    asked = waiting("answer_gate", "ok asks: Ship it?", workflow="small", next_action="execution")
    lines = page(view_of(asked, [*many, gate]), Look(rows=24)).splitlines()
    assert len(lines) < 24
    assert [line for line in lines if line.startswith(" ◆ ok ") and " asks " in line and line.endswith("Ship it?")]
    assert any("60 done · 1 asking" in line for line in lines)
    assert any(line.startswith("   … and ") and line.endswith(" done") for line in lines)


def test_a_workflow_that_is_over_shows_what_it_gave_one_a_line_and_clipped() -> None:
    over = state(workflow="small", outcome="done", action_needed="none", message="4 of 4 steps done")
    outputs = {"n": 3, "text": "two\nlines \x1b[2J", "looks": [{"ok": True}] * 30}
    lines = page(view_of(over, SMALL[1:], engine={"outputs": outputs}), Look()).splitlines()
    assert " small: Steps ✓" in lines
    at = lines.index("   n:      3")
    assert lines[at + 1] == r"   text:   two\nlines \x1b[2J"
    assert lines[at + 2].startswith('   looks:  [{"ok": true}, {"ok": true}')
    assert lines[at + 2].endswith("…")
    assert width(lines[at + 2]) <= 80
    assert "branches relay/" not in lines[-1]


@given(st.text(min_size=1), st.integers(40, 120))
def test_foreign_words_of_steps_neither_drive_the_terminal_nor_widen_the_screen(words: str, columns: int) -> None:
    shown = step("look:a", StepKind.PROMPT, note=words, assistant=words, parent="look")
    view = view_of(state(workflow="small"), [SMALL[2], shown], engine={"outputs": {words: words}})
    for line in page(view, Look(columns=columns)).split("\n"):
        assert escaped(line) == line
        assert width(line) <= columns or "/" in line
