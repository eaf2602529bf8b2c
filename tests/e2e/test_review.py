"""A reviewer reads what a builder made before it counts as built; nothing that it does itself reaches the branch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conftest import run_git
from driver import Relay, playbook

BAD, GOOD = [{"write": {"one.txt": "wrong\n"}}], [{"write": {"one.txt": "right\n"}}]
ACCEPT = {"say": 'Fine.\n```json\n{"verdict": "accept", "comments": []}\n```'}
SEND_BACK = {"say": '{"verdict": "send_back", "comments": ["one.txt:1: it must say right", "no test"]}'}
REVIEW = {"RELAY_REVIEW": "true"}


def jobs(relay: Relay, name: str) -> list[dict[str, Any]]:
    return [event["job"] for event in relay.events("job_started") if event["job"]["spec"]["name"] == name]


def begin(
    relay: Relay, folder: Path, reviewer: Any, builder: Any = GOOD, *, sandbox: str = "auto", **more: Any
) -> None:
    roles = {"reviewer": reviewer} if reviewer else {}
    book = playbook(folder / "book", {"one": builder}, **more, **roles)
    relay.begin(book, "parts", "--yes", env={**REVIEW, "RELAY_SANDBOX": sandbox})


def test_the_reviewer_is_shown_the_diff_and_what_it_accepts_lands(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [ACCEPT], verify="test -e one.txt")
    relay.over()
    [review] = jobs(relay, "review")
    prompt = review["spec"]["prompt"]
    assert "+right" in prompt["diff"]
    assert "one.txt" in prompt["summary"]
    assert review["spec"]["role"] == "reviewer"
    names = [event["job"]["spec"]["name"] for event in relay.events("job_started")]
    assert names.index("verify") < names.index("review") < names.index("merge")


def test_what_is_sent_back_is_tried_again_with_the_comments(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, {"attempts": {1: [SEND_BACK], 2: [ACCEPT]}}, {"attempts": {1: BAD, 2: GOOD}})
    relay.over()
    assert (relay.root / "one.txt").read_text() == "right\n"
    second = jobs(relay, "build")[1]
    assert second["attempt"] == 2
    for words in ("one.txt:1: it must say right", "- no test"):
        assert words in second["spec"]["prompt"]["feedback"]


def test_what_is_sent_back_each_time_ends_with_ci(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [SEND_BACK])
    state = relay.asked("fix_failure")
    assert state["error"]["code"] == "review"
    assert "it must say right" in state["message"]
    assert len(jobs(relay, "build")) == 3
    assert relay.head() == state["base"]["commit"]


def test_an_answer_that_cannot_be_read_is_asked_again_and_then_ends_with_ci(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"say": "Looks good to me!"}])
    state = relay.asked("fix_failure")
    assert state["error"]["code"] == "review_unreadable"
    reviews = jobs(relay, "review")
    assert len(reviews) == 3
    assert '"verdict"' in reviews[1]["spec"]["prompt"]["errors"][0]
    assert len(jobs(relay, "build")) == 1


def test_sending_back_without_a_word_of_why_is_no_answer(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"say": '{"verdict": "send_back", "comments": []}'}])
    assert relay.asked("fix_failure")["error"]["code"] == "review_unreadable"


def test_one_that_cannot_judge_ends_with_ci_and_its_words(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"say": '{"cannot": "the protocol is not in the repository"}'}])
    assert "the protocol is not in the repository" in relay.asked("fix_failure")["message"]
    assert len(jobs(relay, "review")) == 1


def test_without_a_reviewer_in_the_playbook_ci_is_asked_at_once(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, None)
    state = relay.asked("fix_failure")
    assert "no steps for the role reviewer" in state["message"]
    assert len(jobs(relay, "review")) == 1


def test_what_the_reviewer_changed_is_taken_back_and_kept(relay: Relay, tmp_path: Path) -> None:
    meddling = [
        {"write": {"one.txt": "mine\n", "extra.txt": "mine\n"}},
        {"run": "git commit -qam meddled; git branch -f other; rm README.md"},
    ]
    second = {"run": "test $(cat one.txt) = wrong && test -e README.md && test ! -e extra.txt"}
    builder = {"attempts": {1: BAD, 2: [second, *GOOD]}}
    begin(relay, tmp_path, {"attempts": {1: [*meddling, SEND_BACK], 2: [*meddling, ACCEPT]}}, builder, sandbox="off")
    relay.over()
    assert len(jobs(relay, "build")) == 2
    assert (relay.root / "one.txt").read_text() == "right\n"
    assert not (relay.root / "extra.txt").exists()
    assert (relay.root / "README.md").exists()
    assert "meddled" not in run_git(relay.root, "log", "--format=%s", "main")
    assert "one" in relay("recover")


def test_a_rehearsal_with_review_lands(relay: Relay) -> None:
    relay.begin("scripted:calculator", "a calculator", "--yes", env=REVIEW)
    relay.over()
    assert len(jobs(relay, "review")) == 5
