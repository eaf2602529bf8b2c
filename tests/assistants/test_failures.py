"""Failures of a model's service, and how a run with real programs comes through them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence

import pytest
from assistants import parts
from assistants.endpoint.mind import Script, Step, Task, Write
from assistants.endpoint.talk import Hang, Refuse, Say
from assistants.office import RUN_S, Office
from assistants.pointing import PROGRAMS
from eventually import eventually

pytestmark = pytest.mark.timeout(RUN_S + 60)
#: The protocol by which each one that takes over is known.
WIRES = {"claude": "anthropic", "codex": "responses", "gemini": "gemini", "opencode": "chat"}
#: A person would wait longer, but for opencode, which is silent for up to 80 s while it tries again by itself.
IMPATIENT = {"stuck_timeout_s": 3, "limit_delay_s": 1, "idle_timeout_s": 200, "attempts": 1}


def other(program: str) -> str:
    return "codex" if program == "claude" else "claude"


def refused_to(program: str, refusal: Step) -> Script:
    """The program gets an answer of another kind when it has written half of its work."""

    def steps(task: Task) -> Sequence[Step]:
        half = Write("half.txt", f"by {task.wire}\n")
        return (half, refusal, *parts.built(task)) if task.wire == WIRES[program] else parts.built(task)

    return parts.script({"one": steps})


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_limit_that_is_soon_lifted(program: str, office: Callable[[Script], Office]) -> None:
    at = office(refused_to(program, Refuse(429, times=1, retry_after_s=1)))
    at.start_parts(program, {"one": None})
    at.landed()
    assert at.builder("one")["attempt"] == 1
    assert (at.relay.root / "half.txt").read_text() == f"by {WIRES[program]}\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_at_a_limit_for_ever_the_next_one_goes_on_in_the_same_worktree(
    program: str, office: Callable[[Script], Office]
) -> None:
    at = office(refused_to(program, Refuse(429)))
    at.start_parts(f"{program},{other(program)}", {"one": None}, **IMPATIENT | {"limit_delay_s": 600})
    eventually(lambda: f"{program}: rate limited" in at.relay("status"), RUN_S)
    at.landed()
    builder = at.builder("one")
    assert (builder["assistant"], builder["attempt"]) == (other(program), 1)
    assert at.ends("one") == [(program, "rate_limit"), (other(program), "")]
    assert (at.relay.root / "half.txt").read_text() == f"by {WIRES[program]}\n"
    assert (at.relay.root / "one.txt").read_text() == "one is built\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_one_that_is_logged_out(program: str, office: Callable[[Script], Office]) -> None:
    at = office(refused_to(program, Refuse(401)))
    at.start_parts(program, {"one": None}, **IMPATIENT)
    state = at.asked()
    assert f"{program}: logged out" in state["message"]
    assert state["error"]["code"] == "auth"
    assert state["error"]["remedy"]
    eventually(lambda: at.builder("one")["attempt"] == 0)  # state.json follows the database


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_model_that_can_not_be_had_is_asked_for_once_and_the_next_one_goes_on(
    program: str, office: Callable[[Script], Office]
) -> None:
    words = "The model 'm' is not supported with this account."
    at = office(refused_to(program, Refuse(400, words=words)))
    at.start_parts(f"{program},{other(program)}", {"one": None}, **IMPATIENT)
    at.landed()
    assert at.ends("one") == [(program, "model"), (other(program), "")]
    assert at.builder("one")["attempt"] == 1


def test_a_turn_of_claude_that_goes_on_and_gets_no_answer_costs_nothing(office: Callable[[Script], Office]) -> None:
    def steps(task: Task) -> Sequence[Step]:
        return (Refuse(500), Say("")) if task.has_feedback else (Write("one.txt", "wrong\n"), Say("one is built."))

    at = office(parts.script({"one": steps}))
    at.start_parts("claude", {"one": None}, verify="grep right one.txt", **IMPATIENT | {"attempts": 3})
    eventually(lambda: ("claude", "server") in at.ends("one"), RUN_S)
    first, second, *_ = (e["result"]["usage"] for e in at.relay.events("job_ended") if e["job"].endswith("-one-build"))
    assert first["cost_usd"] > 0
    assert second == {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0}
    at.relay("cancel")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_service_that_fails_for_ever(program: str, office: Callable[[Script], Office]) -> None:
    at = office(refused_to(program, Refuse(500)))
    at.start_parts(f"{program},{other(program)}", {"one": None}, **IMPATIENT)
    at.landed()
    assert at.ends("one")[0] == (program, "server")
    assert at.builder("one")["attempt"] == 1
    assert (at.relay.root / "half.txt").read_text() == f"by {WIRES[program]}\n"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of ours on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_network_that_is_down(program: str, office: Callable[[Script], Office], closed_port: int) -> None:
    at = office(parts.script({}))
    at.url = f"http://127.0.0.1:{closed_port}"
    at.start_parts(program, {"one": None}, **IMPATIENT)
    eventually(lambda: at.ends("one"), RUN_S)
    assert at.ends("one") == [(program, "network")]
    eventually(lambda: at.builder("one")["attempt"] == 0)  # state.json follows the database
    at.relay("cancel")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_hang_ends_by_our_clock_and_its_sibling_is_done_meanwhile(
    program: str, office: Callable[[Script], Office]
) -> None:
    at = office(parts.script({"one": lambda _: (Hang(), Say("never said"))}))
    at.start_parts(program, {"one": None, "two": other(program)}, **IMPATIENT | {"idle_timeout_s": 15})
    at.asked()
    assert at.ends("one") == [(program, "idle")]
    assert at.ends("two") == [(other(program), "")]
    assert at.builder("two")["status"] == "built"
