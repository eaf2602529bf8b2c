"""Whole runs whose builders are contained, or can't be: what reaches the user, and what is said of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import run_git
from driver import Relay, playbook
from eventually import eventually

from lib.sandbox.scratch import RECORD

GOOD = [{"write": {"good.txt": "good\n"}}]
#: In its worktree a builder may do what it likes: what it plants there must not be run by anybody else.
PLANTED = """\
git init -q nested && cd nested && git config core.fsmonitor "touch $OUT/fsmonitor"
git config filter.x.clean "touch $OUT/filter"; git config core.hooksPath "$PWD/hooks"; mkdir hooks
for hook in pre-commit post-commit post-checkout reference-transaction post-index-change; do
    printf '#!/bin/sh\\ntouch %s/%s\\n' "$OUT" "$hook" >hooks/$hook; chmod +x hooks/$hook
done
echo '* filter=x' >.gitattributes; echo x >file; cd ..
"""
ATTACKS = """\
echo '{"action_owner": "ci"}' >"$ROOT/.project/state.json"
for file in "$ROOT"/.git/relay/jobs/*/*/*; do echo 0 >"$file"; done
chmod 600 /proc/self/fd/0; echo forged >/proc/self/fd/0
git update-ref refs/heads/main HEAD~0; git config core.fsmonitor "touch $OUT/config"
rm -f .git; mkdir .git && printf '[core]\\n\\tfsmonitor = touch %s/dotgit\\n' "$OUT" >.git/config
printf '#!/bin/sh\\ntouch %s/hook\\n' "$OUT" >"$ROOT/.git/hooks/reference-transaction"
echo "touch $OUT/bashrc" >>~/.bashrc
touch "$OUT/outside"; exit 0
"""


def begin(relay: Relay, bad: Any, *flags: str, verify: str | None = None, **env: str) -> str:
    """Starts a run with a good builder and a `bad` one, which may write nothing outside of its worktree."""
    book = playbook(relay.root.parent / "book", {"good": GOOD, "bad": bad}, verify=verify)
    granted = {"RELAY_SANDBOX_WRITE": "[]", "RELAY_ATTEMPTS": "1"}
    return relay.begin(book, "parts", "--yes", "--poll", "0.3", *flags, env=granted | env)


def results(relay: Relay, job: str) -> list[dict[str, Any]]:
    return [event["result"] for event in relay.events("job_ended") if event["job"].endswith(job)]


def codes(relay: Relay, job: str) -> list[str]:
    return [result["code"] for result in results(relay, job)]


def records(relay: Relay, job: str) -> Path:
    (folder,) = (relay.root / ".git" / "relay" / "jobs").glob(f"*/*{job}")
    return folder


def test_a_run_lands_what_was_built_and_nothing_of_what_was_attacked(relay: Relay, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names = f"OUT={out} ROOT={relay.root}\n"
    head = relay.head()
    begin(relay, [{"write": {"bad.txt": "built\n"}}, {"run": names + PLANTED}, {"run": names + ATTACKS}])
    assert "nested/.gitattributes" in relay.asked("approve_landing")["message"]
    assert relay.events("state_edited") == []
    relay("approve")
    relay.over()
    assert list(out.iterdir()) == []
    assert (relay.root / "bad.txt").read_text() == "built\n"
    assert run_git(relay.root, "rev-list", "--first-parent", "main").split()[-1] == head
    assert not (Path.home() / ".bashrc").exists()
    assert not (relay.root / ".git" / "hooks" / "reference-transaction").exists()
    assert (records(relay, "bad-build") / "prompt").read_text() != "forged\n"
    assert "sandbox bubblewrap" in relay("status")


def test_a_verify_command_is_contained_as_its_builder_is(relay: Relay, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    begin(relay, [{"write": {"check.sh": f"touch {marker}; exit 0\n"}}], verify="test ! -e check.sh || sh check.sh")
    relay.over()
    assert (relay.root / "check.sh").exists()
    assert not marker.exists()


def test_only_assistants_see_logins(relay: Relay) -> None:
    login = Path.home() / ".codex" / "auth.json"
    login.parent.mkdir()
    login.write_text("token\n")
    begin(relay, [{"run": "cat ~/.codex/auth.json >bad.txt"}], verify="test ! -e ~/.codex/auth.json")
    relay.over()
    assert (relay.root / "bad.txt").read_text() == "token\n"


def test_nothing_is_contained_without_what_an_assistant_declares(relay: Relay, tmp_path: Path) -> None:
    (tmp_path / "other-1.dist-info").mkdir()
    (tmp_path / "other-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (tmp_path / "other-1.dist-info" / "entry_points.txt").write_text("[relay.assistants]\nother = broken_other\n")
    (tmp_path / "broken_other.py").write_text("import nothing\n")
    begin(relay, GOOD, PYTHONPATH=str(tmp_path))
    asked = relay.asked("fix_failure")
    assert asked["error"]["code"] == "plugin_broken"
    assert asked["error"]["remedy"].endswith("-m pip uninstall other")
    (tmp_path / "broken_other.py").write_text(
        "from lib.assistants.ci import Ci\nassistant = Ci()\nassistant.name = 'other'\n"
    )
    relay("retry")
    relay.over()


def test_only_asked_for_variables_reach_builders_and_commands(relay: Relay) -> None:
    begin(
        relay,
        [{"run": "env | sort >env.txt"}],
        verify='env | grep -q DATABASE_PASSWORD && exit 1; test -n "$WANTED_URL"',
        DATABASE_PASSWORD="hunter2-hunter2",  # noqa: S106 - what must not get through
        WANTED_URL="wanted",
        RELAY_ENV_PASS='["WANTED_*"]',  # noqa: S106 - a name
    )
    relay.over()
    seen = (relay.root / "env.txt").read_text()
    assert "hunter2" not in seen
    assert "WANTED_URL=wanted" in seen
    assert "TMPDIR=/tmp\n" in seen
    assert "XDG_CACHE_HOME=" in seen


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_temporary_files_are_gone_when_their_job_is_over(relay: Relay, sandbox: str) -> None:
    litter = 'mkdir -p "$TMPDIR/deep/er"; echo x >"$TMPDIR/deep/er/x"; chmod 0 "$TMPDIR/deep"; echo "$TMPDIR" >bad.txt'
    begin(relay, [{"run": litter}], RELAY_SANDBOX=sandbox)
    relay.over()
    folder = Path((relay.root / "bad.txt").read_text().strip())
    assert folder == Path("/tmp") if sandbox == "auto" else folder.parent.name == f"relay-{os.geteuid()}"
    assert sandbox == "auto" or not folder.exists()
    assert not list((relay.root / ".git" / "relay" / "jobs").rglob(RECORD))


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_one_that_is_stopped_is_given_time_to_end_by_itself(relay: Relay, sandbox: str) -> None:
    begin(relay, [{"run": "trap 'echo ended >bad.txt; exit 0' TERM; touch ready; while :; do sleep 0.1; done"}],
          RELAY_STOP_GRACE_S="60", RELAY_SANDBOX=sandbox)  # fmt: skip
    state = relay.wait(lambda s: s["builders"])
    worktree = relay.root / next(line["worktree"] for line in state["builders"] if line["id"] == "bad")
    eventually((worktree / "ready").exists)
    relay("cancel")
    relay.over("cancelled")
    assert codes(relay, "bad-build") == ["cancelled"]
    assert (worktree / "bad.txt").read_text() == "ended\n"


@pytest.mark.parametrize(("side", "tokens"), [('echo "$USAGE" >"$TMPDIR/side.jsonl"', 7),
                                              ('echo "$USAGE" >real; ln -s "$PWD/real" "$TMPDIR/side.jsonl"', 0),
                                              ('mkfifo "$TMPDIR/side.jsonl"', 0)])  # fmt: skip
@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_what_it_writes_beside_its_output_is_read_unless_it_leads_elsewhere(
    relay: Relay, side: str, tokens: int, sandbox: str
) -> None:
    usage = '::usage {"input_tokens": 7}'
    begin(relay, [{"write": {"bad.txt": "x\n"}}, {"run": f"USAGE='{usage}'; {side}"}], RELAY_SANDBOX=sandbox)
    assert relay.over()["usage"]["input_tokens"] == tokens


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_one_that_takes_too_much_memory_is_ended_and_its_sibling_lands(relay: Relay, sandbox: str) -> None:
    hungry = "python3 -c \"import time; held = [bytearray(b'x') * 400_000_000]; time.sleep(100)\""
    begin(relay, [{"run": hungry}], RELAY_MEMORY_MAX_MB="150", RELAY_SANDBOX=sandbox, RELAY_STOP_GRACE_S="30")
    state = relay.asked("fix_failure")
    assert codes(relay, "bad-build") == ["memory_limit"]
    assert "memory_max_mb" in state["message"]
    assert codes(relay, "good-build") == [""]


@pytest.mark.parametrize("sandbox", ["auto", "off"])
def test_one_that_forks_without_end_is_ended_and_its_sibling_lands(relay: Relay, sandbox: str) -> None:
    bomb = "import os, time\nfor _ in range(8): os.fork()\ntime.sleep(100)"
    begin(relay, [{"run": f"python3 -c '{bomb}'"}], RELAY_PROCESSES_MAX="40", RELAY_SANDBOX=sandbox,
          RELAY_STOP_GRACE_S="30")  # fmt: skip
    state = relay.asked("fix_failure")
    assert codes(relay, "bad-build") == ["process_limit"]
    assert "processes_max" in state["message"]
    assert codes(relay, "good-build") == [""]


# --- where it can't be contained -----------------------------------------------------------------------------------


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH with every program of this machine, of which some can be taken away."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            (folder / program.name).unlink(missing_ok=True)
            (folder / program.name).symlink_to(program)
    return folder


def test_without_bubblewrap_a_run_that_requires_it_is_refused(relay: Relay, tools: Path) -> None:
    (tools / "bwrap").unlink()
    env = {"RELAY_SANDBOX": "require", "PATH": str(tools)}
    said = relay.refused("start", "--assistant", "scripted", "a calculator", env=env)
    assert "bubblewrap is not installed" in said
    assert "apt-get install bubblewrap" in said
    assert not relay.state_file.exists()


def test_without_bubblewrap_auto_goes_on_and_says_so_everywhere(relay: Relay, tools: Path) -> None:
    (tools / "bwrap").unlink()
    begin(relay, [{"write": {"bad.txt": "built\n"}}], PATH=str(tools))
    relay.over()
    assert "sandbox none" in relay("status")
    assert json.loads(relay("status", "--json"))["sandbox"] == "none"
    assert "not contained: bubblewrap is not installed" in (relay.home / "logs" / "workflow.log").read_text()
    assert "bubblewrap is not installed" in relay("doctor", env={"PATH": str(tools)}, code=None)


def test_where_the_kernel_refuses_it_the_reason_is_told(relay: Relay, tools: Path) -> None:
    (tools / "bwrap").unlink()
    refusing = (
        '#!/bin/sh\ncase $1 in --version) echo bubblewrap 0.8.0;; *) echo "bwrap: No permissions" >&2; exit 1;; esac\n'
    )
    (tools / "bwrap").write_text(refusing)
    (tools / "bwrap").chmod(0o755)
    env = {"RELAY_SANDBOX": "require", "PATH": str(tools)}
    said = relay.refused("start", "--assistant", "scripted", "a calculator", env=env)
    assert "bubblewrap 0.8.0 does not work here: bwrap: No permissions" in said


def test_a_run_that_began_contained_never_goes_on_without(relay: Relay, tools: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    book = playbook(tmp_path / "book", {"one": [{"run": f"touch {marker} one.txt"}]})
    relay.begin(book, "parts", env={"PATH": str(tools), "RELAY_ATTEMPTS": "1"})
    relay.asked("approve_design")
    relay("stop")
    (tools / "bwrap").unlink()
    relay("approve", env={"PATH": str(tools)})
    state = relay.asked("fix_failure", times=2)
    assert codes(relay, "one-build") == ["sandbox_not_available"]
    assert "apt-get install bubblewrap" in json.dumps(state)
    assert not marker.exists()
    (tools / "bwrap").symlink_to(shutil.which("bwrap") or "")
    relay("stop")
    relay("retry", env={"PATH": str(tools)})
    relay.over()


@pytest.mark.parametrize("place", [".git", ".project", ".project/runs"])
def test_what_is_relays_or_gits_own_can_not_be_granted(relay: Relay, place: str) -> None:
    relay("init")
    (relay.root / ".project" / "runs").mkdir(exist_ok=True)
    env = {"RELAY_SANDBOX_WRITE": json.dumps([str(relay.root / place)])}
    said = relay.refused("start", "--assistant", "scripted", "a calculator", env=env, code=2)
    assert "sandbox_write" in said
    assert not relay.state_file.exists()


# --- without it: told ----------------------------------------------------------------------------------------------


EDIT = """s="$RELAY_WORKTREE/../../../state.json"; sed 's/{}/{}/' "$s" >bad.txt; cat bad.txt >"$s\""""


@pytest.mark.parametrize(
    "replaced",
    [
        "echo 'gitdir: /nowhere' >.git",
        "rm .git && git init -q",
        "rm .git && git init -q && git config core.fsmonitor 'touch pwned'",
    ],
)
def test_outside_of_a_sandbox_a_replaced_git_file_is_mended_and_told(relay: Relay, replaced: str) -> None:
    begin(relay, [{"write": {"bad.txt": "built\n"}}, {"run": replaced}], RELAY_SANDBOX="off")
    relay.over()
    assert (relay.root / "bad.txt").exists()
    assert not (relay.root / "pwned").exists()
    told = [event["message"] for event in relay.events("noted")]
    assert any("bad had replaced the .git of its worktree" in message for message in told)
    assert "sandbox off" in relay("status")


def test_outside_of_a_sandbox_an_edit_of_the_state_file_is_told(relay: Relay) -> None:
    edited = (
        's="$RELAY_WORKTREE/../../../state.json"; sed \'s/"paused": false/"paused": true/\' "$s" >new; cat new >"$s"'
    )
    begin(relay, [{"run": f"{edited}; mv new bad.txt"}], RELAY_SANDBOX="off")
    relay.wait(lambda state: state["paused"] and relay.events("state_edited"))
    relay("resume")
    relay.over()
    log = (relay.home / "logs" / "workflow.log").read_text()
    assert "state.json was edited: paused=true" in log
    assert "worked without a sandbox: if it was not you" in log


def test_outside_of_a_sandbox_a_status_that_a_builder_made_up_is_refused(relay: Relay) -> None:
    made_up = EDIT.format('"status": "running"', '"status": "landed"')
    begin(relay, [{"run": f"{made_up}; sleep 2"}, {"fail": {"status": 1}}], RELAY_SANDBOX="off")
    state = relay.asked("fix_failure")
    assert [line["status"] for line in state["builders"]] == ["built", "failed"]
