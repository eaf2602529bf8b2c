"""Conflicts in an assistant's hands: what it leaves is judged by the files, and nothing else of it is believed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook

README = "# Project\n"
LEFT, RIGHT = "from the left", "from the right"
BOTH = f"{README}\n{LEFT}\n{RIGHT}\n"
NOTHING = {"say": '{"removed": [], "added": []}'}
HAS_BOTH = f"! test -e README.md || ! grep -q left README.md || ! test -e right.txt || grep -q '{RIGHT}' README.md"


def readme(line: str) -> list[dict[str, Any]]:
    return [{"write": {"README.md": f"{README}\n{line}\n"}}]


#: Where nothing keeps a resolver from doing what it must not.
UNCONTAINED = {"RELAY_SANDBOX": "off"}


def begin(
    relay: Relay, folder: Path, resolver: Any, *, verify: str | None = None, env: dict[str, str] | None = None
) -> str:
    builders = {"left": readme(LEFT), "right": [*readme(RIGHT), {"write": {"right.txt": "r\n"}}]}
    book = playbook(folder / "book", builders, verify=verify, **({"resolver": resolver} if resolver else {}))
    return relay.begin(book, "parts", "--yes", env=env)


def account(**lists: Any) -> dict[str, str]:
    return {"say": "Done.\n" + json.dumps({"removed": [], "added": []} | lists)}


def landed_with_both(relay: Relay) -> None:
    relay.over()
    assert (relay.root / "README.md").read_text() == BOTH
    assert (relay.root / "right.txt").exists()
    assert run_git(relay.root, "for-each-ref", "refs/heads/relay", "refs/relay/resolved") == ""
    assert run_git(relay.root, "status", "--porcelain") == ""


def resolutions(relay: Relay) -> list[dict[str, Any]]:
    return [event["job"] for event in relay.events("job_started") if event["job"]["spec"]["name"] == "resolve"]


def test_what_keeps_both_sides_lands_without_a_person(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"write": {"README.md": BOTH}}, NOTHING], verify=HAS_BOTH)
    landed_with_both(relay)
    assert relay.events("asked") == []
    message = run_git(relay.root, "log", "--format=%B", "--grep=conflicts resolved by scripted", "main")
    assert "Merge right" in message


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([{"run": "git commit -qam resolved"}, NOTHING], "conflict marker"),
        ([{"write": {"README.md": f"{README}\n{LEFT}\n"}}, NOTHING], "lines of right are missing"),
        ([{"write": {"README.md": f"{README}\n{RIGHT}\n"}}, NOTHING], "lines of what was merged before are missing"),
        ([{"write": {"README.md": f"Here is the file:\n{BOTH}"}}, NOTHING], "neither side has these lines"),
        ([{"write": {"README.md": BOTH, "src/app.py": "pass\n"}}, NOTHING], "src/app.py is not in conflict"),
        ([{"write": {"README.md": BOTH, "NOTES.md": "done\n"}}, NOTHING], "NOTES.md is not in conflict"),
        ([{"run": "git merge --abort"}, NOTHING], "right.txt is not in conflict"),
        ([{"delete": "README.md"}, NOTHING], "README.md is gone"),
        ([{"say": "All conflicts are resolved."}], "conflict marker"),
        ([{"write": {"README.md": BOTH}}, {"run": "chmod +x README.md"}, NOTHING], "its permission was changed"),
        ([{"write": {"README.md": f"{LEFT}\n{README}\n{RIGHT}\n"}}, NOTHING], "not in the order"),
    ],
    ids=["markers committed", "dropped theirs", "dropped ours", "chatter", "another file", "a new file", "aborted",
         "deleted", "only said", "mode", "another order"],
)  # fmt: skip
def test_what_is_refused_goes_back_with_the_reason(
    relay: Relay, tmp_path: Path, steps: list[dict[str, Any]], why: str
) -> None:
    good = [{"write": {"README.md": BOTH}}, {"run": "chmod -x README.md"}, NOTHING]
    begin(relay, tmp_path, {"attempts": {1: steps, 2: good}}, env=UNCONTAINED)
    landed_with_both(relay)
    first, second = resolutions(relay)
    assert first["spec"]["prompt"]["reasons"] == []
    assert why in "\n".join(second["spec"]["prompt"]["reasons"])
    assert (relay.root / "src" / "app.py").read_text() == "print('hello')\n"
    assert not (relay.root / "NOTES.md").exists()


def test_one_that_never_manages_leaves_the_conflict_as_git_did(relay: Relay, tmp_path: Path) -> None:
    run = begin(relay, tmp_path, [{"write": {"README.md": f"{README}\n{LEFT}\n"}}, NOTHING])
    state = relay.asked("resolve_conflict")
    assert len(resolutions(relay)) == 3
    for words in ("tried 3 times", "lines of right are missing", "README.md", "relay approve"):
        assert words in state["message"]
    torn = relay.root / f".project/worktrees/{run}/merged/README.md"
    assert "<<<<<<<" in torn.read_text()
    assert "UU README.md" in run_git(torn.parent, "status", "--porcelain") + run_git(torn.parent, "status", "-s")
    assert relay.head() == state["base"]["commit"]
    relay("approve")  # what the resolver left is not taken for a person's
    assert "README.md" in relay.asked("resolve_conflict", times=2)["message"]
    torn.write_text(BOTH)
    relay("approve")
    landed_with_both(relay)


def test_one_that_says_it_cannot_is_believed_at_once(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"say": '{"cannot": "left and right want different titles"}'}])
    state = relay.asked("resolve_conflict")
    assert len(resolutions(relay)) == 1
    assert "left and right want different titles" in state["message"]


JOINED = "from the left and the right"


def test_lines_that_became_one_are_told_with_the_reason_before_they_land(relay: Relay, tmp_path: Path) -> None:
    removed = [{"file": "README.md", "text": line, "why": "said together"} for line in (LEFT, RIGHT)]
    added = [{"file": "README.md", "text": JOINED, "why": "the two as one"}]
    resolver = [{"write": {"README.md": f"{README}\n{JOINED}\n"}}, account(removed=removed, added=added)]
    begin(relay, tmp_path, resolver)
    state = relay.asked("approve_landing")
    assert relay.head() == state["base"]["commit"]
    log = (relay.root / ".project/logs/workflow.log").read_text()
    for line in (LEFT, RIGHT, JOINED):
        assert f'"{line}"' in state["message"]
        assert f'"{line}"' in log
    assert "the two as one" in state["message"]
    relay("approve")
    relay.over()
    assert JOINED in (relay.root / "README.md").read_text()
    assert LEFT in run_git(relay.root, "log", "--format=%B", "main")


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        (LEFT, {"removed": [RIGHT]}),
        (f"{LEFT}\n{RIGHT}\nI merged the two lines above.", {"added": ["I merged the two lines above."]}),
        ("from neither", {"removed": [LEFT, RIGHT], "added": ["from neither"]}),
    ],
    ids=["a side dropped", "chatter", "both dropped"],
)
def test_what_an_assistant_left_out_or_put_in_for_any_reason_is_for_a_person(
    relay: Relay, tmp_path: Path, text: str, lists: dict[str, list[str]]
) -> None:
    said = {
        key: [{"file": "README.md", "text": line, "why": "not needed"} for line in lines]
        for key, lines in lists.items()
    }
    run = begin(relay, tmp_path, [{"write": {"README.md": f"{README}\n{text}\n"}}, account(**said)])
    state = relay.asked("resolve_conflict")
    assert len(resolutions(relay)) == 1
    for line in (line for lines in lists.values() for line in lines):
        assert f'"{line}"' in state["message"]
    assert '"not needed"' in state["message"]
    assert len(state["message"]) < 2000
    torn = relay.root / f".project/worktrees/{run}/merged/README.md"
    assert "<<<<<<<" in torn.read_text()
    relay("approve")  # without a resolution
    relay.asked("resolve_conflict", times=2)
    assert relay.head() == state["base"]["commit"]


def test_the_version_of_the_assistant_is_taken_with_the_command_that_is_told(relay: Relay, tmp_path: Path) -> None:
    removed = [{"file": "README.md", "text": RIGHT, "why": "not needed"}]
    begin(relay, tmp_path, [{"write": {"README.md": f"{README}\n{LEFT}\n"}}, account(removed=removed)])
    message = relay.asked("resolve_conflict")["message"]
    command = re.search(r"git -C (\S+) (read-tree .*) && relay approve", message)
    assert command is not None
    run_git(relay.root / command[1], *command[2].split())
    relay("approve")
    relay.over()
    assert (relay.root / "README.md").read_text() == f"{README}\n{LEFT}\n"
    assert (relay.root / "right.txt").exists()


def test_a_resolution_that_breaks_a_builders_verification_goes_back(relay: Relay, tmp_path: Path) -> None:
    good = {"write": {"README.md": BOTH}}
    swapped = {"write": {"README.md": f"{README}\n{RIGHT}\n{LEFT}\n"}}
    verify = f"echo made > artefact; ! grep -A1 '{RIGHT}' README.md | grep -q '{LEFT}'"
    begin(relay, tmp_path, {"attempts": {1: [swapped, NOTHING], 2: [good, NOTHING]}}, verify=verify)
    relay.over()
    assert "verify: exit status 1" in resolutions(relay)[1]["spec"]["prompt"]["reasons"][0]
    assert (relay.root / "README.md").read_text() == BOTH


def test_a_playbook_without_a_resolver_asks_a_person_at_once(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, None)
    relay.asked("resolve_conflict")
    assert len(resolutions(relay)) == 1
    assert json.loads(relay("recover", "--format", "json")) == []


def test_with_conflicts_for_a_person_no_resolver_is_asked(relay: Relay, tmp_path: Path) -> None:
    begin(relay, tmp_path, [{"write": {"README.md": BOTH}}, NOTHING], env={"RELAY_CONFLICTS": "person"})
    relay.asked("resolve_conflict")
    assert resolutions(relay) == []


def gone(*names: str) -> dict[str, str]:
    return account(removed=[{"file": name, "text": "", "why": "its other name is kept"} for name in names])


RENAMED = {
    "add/add": (
        {"write": {"new.txt": "l\n"}}, {"write": {"new.txt": "r\n"}}, [{"write": {"new.txt": "l\nr\n"}}, NOTHING],
    ),
    "rename/rename": (
        {"run": "mv README.md l.md"}, {"run": "mv README.md r.md"}, [{"run": "rm -f r.md README.md"}, gone("r.md")],
    ),
    "rename/delete": ({"run": "mv README.md l.md"}, {"delete": "README.md"}, [{"delete": "l.md"}, gone("l.md")]),
}  # fmt: skip


@pytest.mark.parametrize("kind", RENAMED)
def test_other_kinds_with_lines_are_resolved_too(relay: Relay, tmp_path: Path, kind: str) -> None:
    left, right, resolver = RENAMED[kind]
    relay.begin(playbook(tmp_path / "book", {"left": [left], "right": [right]}, resolver=resolver), "parts", "--yes")
    if resolver[1] is not NOTHING:
        assert "its other name is kept" in relay.asked("approve_landing")["message"]
        relay("approve")
    relay.over()
    assert kind in {path["kind"] for path in resolutions(relay)[0]["spec"]["prompt"]["paths"]}
    tree = run_git(relay.root, "ls-tree", "--name-only", "main").split()
    assert tree == {"add/add": ["README.md", "new.txt", "src"], "rename/rename": ["l.md", "src"]}.get(kind, ["src"])


MOVED = account(removed=[{"file": "README.md", "text": "", "why": "right moved it to right.txt"}])


@pytest.mark.parametrize("resolver", [[NOTHING], [{"delete": "README.md"}, MOVED]], ids=["kept", "deleted"])
def test_a_file_that_one_side_deleted_and_the_other_changed_goes_only_by_a_person(
    relay: Relay, tmp_path: Path, resolver: Any
) -> None:
    builders = {"left": readme(LEFT), "right": [{"delete": "README.md"}, {"write": {"right.txt": "r\n"}}]}
    relay.begin(playbook(tmp_path / "book", builders, resolver=resolver), "parts", "--yes")
    if resolver == [NOTHING]:
        relay.over()
        assert LEFT in (relay.root / "README.md").read_text()
    else:
        message = relay.asked("resolve_conflict")["message"]
        assert "right moved it to right.txt" in message
        assert LEFT in message


def test_a_binary_conflict_is_for_a_person(relay: Relay, tmp_path: Path) -> None:
    def blob(text: str) -> list[dict[str, Any]]:
        return [{"run": f"printf '\\000{text}' > data.bin"}]

    resolver = [{"run": "git checkout --ours data.bin; git add data.bin"}, NOTHING]
    relay.begin(
        playbook(tmp_path / "book", {"left": blob("l"), "right": blob("r")}, resolver=resolver), "parts", "--yes"
    )
    assert "binary" in relay.asked("resolve_conflict")["message"]
    assert resolutions(relay) == []


def test_words_for_the_resolver_ask_it_again(relay: Relay, tmp_path: Path) -> None:
    unless = {"run": f"test -e {tmp_path}/told || {{ echo '{{\"cannot\": \"which first?\"}}'; exit 0; }}; "
                     f"printf '%s' '{BOTH}' > README.md"}  # fmt: skip
    begin(relay, tmp_path, [unless], env=UNCONTAINED)
    relay.asked("resolve_conflict")
    (tmp_path / "told").touch()
    relay("retry", "left first, and keep both lines")
    landed_with_both(relay)
    assert resolutions(relay)[-1]["spec"]["prompt"]["feedback"] == "left first, and keep both lines"
