"""Skills reach builders, and those of a cloned repository only when they are trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
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


def test_what_others_do_next_waits_for_no_answer_not_even_across_a_kill(relay: Relay, tmp_path: Path) -> None:
    asks = {"attempts": {1: [{"say": "STUCK: which currency?"}], 2: [{"write": {"one.txt": "euro\n"}}]}}
    works = {"attempts": {1: [{"run": "until test -e ../../../../go; do sleep 0.1; done"}, {"fail": {}}],
                          2: [{"write": {"two.txt": "2\n"}}]}}  # fmt: skip
    after = [{"write": {"three.txt": "3\n"}}]
    book = playbook(tmp_path / "book", {"one": asks, "two": works, "three": after}, depends={"three": ["two"]},
                    verify="ls *.txt")  # fmt: skip
    relay.begin(book, "parts", "--yes", env={"RELAY_SANDBOX": "off"})
    relay.asked("answer_questions")
    assert "1 builder goes on meanwhile" in relay("status")
    relay.kill()
    (relay.root / "go").write_text("")
    relay("resume")
    state = relay.wait(lambda state: "built" in {line["status"] for line in state["builders"] if line["id"] == "three"})
    assert (state["action_owner"], state["action_needed"]) == ("ci", "answer_questions")
    assert [line["verified"] for line in state["builders"]] == [False, True, True]
    assert len(relay.events("asked")) == 1
    relay("answer", "the euro")
    relay.over()


@pytest.mark.parametrize(
    "said", ["I looked.\nSTUCK: which currency? the owner knows", 'I looked.\n{"questions": ["which currency?"]}']
)
def test_a_builder_that_asks_is_heard_at_once_while_its_sibling_works_and_goes_on_with_the_answer(
    relay: Relay, tmp_path: Path, said: str
) -> None:
    asks = {"attempts": {1: [{"say": said}], 2: [{"write": {"one.txt": "euro\n"}}]}}
    waits = [{"write": {"two.txt": "2\n"}}, {"run": "until test -e ../../../../go; do sleep 0.1; done"}]
    relay.begin(
        playbook(tmp_path / "book", {"one": asks, "two": waits}), "parts", "--yes", env={"RELAY_SANDBOX": "off"}
    )
    state = relay.asked("answer_questions")
    assert "one asks: which currency?" in state["message"]
    assert 'relay answer "words"' in relay("status")
    relay("answer", "the euro")
    run = state["run"]
    (relay.root / "go").write_text("")
    assert "landed" in {line["status"] for line in relay.over()["builders"]}
    *_, prompt = sorted((relay.root / ".git" / "relay" / "jobs" / run).glob("*-one-build/prompt"))
    assert "A person answers: the euro" in prompt.read_text()
