"""Skills reach builders, and those of a cloned repository only when they are trusted."""

from __future__ import annotations

from pathlib import Path

from driver import Relay, playbook


def skill(relay: Relay, text: str) -> None:
    folder = relay.root / ".project" / "skills"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "house-style.md").write_text(text)


def test_a_builder_is_given_the_projects_skill_once_it_is_trusted(relay: Relay, tmp_path: Path) -> None:
    skill(relay, "Name every file in lower case.")
    book = playbook(tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}]})
    env = {"RELAY_SKILLS": "[house-style, tests-first]"}
    said = relay.refused("start", "parts", "--assistant", book, "--yes", env=env)
    assert "house-style.md" in said
    assert "relay trust" in said
    relay("trust")
    run = relay.begin(book, "parts", "--yes", env=env)
    relay.over()
    jobs = relay.root / ".git" / "relay" / "jobs" / run
    [prompt] = [file.read_text() for file in jobs.glob("*-one-build/prompt")]
    assert "Name every file in lower case." in prompt
    assert "a test before the code" in prompt


def test_a_skill_that_is_missing_is_refused_before_anything_is_made(relay: Relay, tmp_path: Path) -> None:
    book = playbook(tmp_path / "book", {"one": [{"write": {"one.txt": "1\n"}}]})
    said = relay.refused("start", "parts", "--assistant", book, env={"RELAY_SKILLS": "[test-first]"}, code=2)
    assert "did you mean tests-first?" in said
    assert not relay.state_file.exists()


def test_a_builder_that_says_it_is_stuck_is_heard_when_its_attempts_are_used_up(relay: Relay, tmp_path: Path) -> None:
    steps = [{"say": "I looked everywhere.\nSTUCK: which currency? the shop's owner knows"}]
    relay.begin(playbook(tmp_path / "book", {"one": steps}), "parts", "--yes")
    state = relay.asked("fix_failure")
    assert "STUCK: which currency?" in state["message"]
    assert "STUCK: which currency?" in relay("status")
