"""Phase handlers: the built-in ones, those of installed packages, and a trusted project's own."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import phases
from lib.contracts import Advance, AskCi, Fail, Outcome, PhaseHandler, PhaseView, Proceed, Wait
from lib.jobs import Command
from lib.model import Problem
from lib.names import to_json
from lib.project.paths import Project
from lib.project.plugins import discover, executables
from lib.project.trust import require
from lib.question import answers_of

GROUP = "relay.phases"
ATTRIBUTE = "handler"


def phase_handlers(project: Project) -> dict[str, PhaseHandler]:
    """Every handler by name; a project's own replaces a built-in one of the same name.

    Raises `RelayError` (`untrusted`, `plugin_broken`).
    """
    handlers: dict[str, PhaseHandler] = discover(phases, PhaseHandler, ATTRIBUTE)
    handlers |= discover(GROUP, PhaseHandler, ATTRIBUTE)
    own = project.dot / "phases"
    if own.is_dir():
        require(project)
        handlers |= discover(own, PhaseHandler, ATTRIBUTE)
        handlers |= {name: ProgramHandler(name, file, project) for name, file in executables(own).items()}
    return handlers


class ProgramHandler:
    """A handler in any language: a program that is run once a dispatch, and answers on standard output with JSON.

    The answer is one object: `{"advance": {"phase": …, "action": …}}`, `{"ask": {"action": …, "message": …,
    "next_action": …, "answers": [{"command": …, "does": …}]}}` or `{"fail": {"message": …, "remedy": …}}`. Without an
    answer it must have edited state.json. It finds RELAY_STATE (the state as JSON), RELAY_STATE_FILE, RELAY_PROJECT,
    RELAY_RUN_DIR and RELAY_FILES_DIR, where it may write, in its environment.
    """

    phases: tuple[str, ...] = ("init", "design", "execution", "merge_build")

    def __init__(self, name: str, file: Path, project: Project) -> None:
        self.name = name
        self._file = file
        self._project = project

    def step(self, view: PhaseView) -> Outcome:
        job = view.last(self.name)
        if job is None:
            return Proceed(jobs=(self._job(view),))
        if job.result is None:
            return Wait()
        if not job.result.ok:
            return self._fail(f"{self.name} failed: {job.result.message}", "relay retry")
        text = job.result.text.strip()
        return self._answer(text) if text else Wait()

    def _job(self, view: PhaseView) -> Command:
        env = {
            "RELAY_STATE": to_json(view.state, exclude={"builders", "steps"}),
            "RELAY_STATE_FILE": str(self._project.state_file),
            "RELAY_PROJECT": str(self._project.root),
            "RELAY_RUN_DIR": str(self._project.run_dir(view.state.run)),
        }
        return Command(name=self.name, command=shlex.quote(str(self._file)), env=env,
                       timeout_s=view.config.timeout_s)  # fmt: skip

    def _answer(self, text: str) -> Outcome:
        try:
            answer: dict[str, Any] = json.loads(text)
            if advance := answer.get("advance"):
                return Advance(advance["phase"], advance["action"], advance.get("message", ""))
            if ask := answer.get("ask"):
                return AskCi(ask["action"], ask["message"], ask.get("next_action", self.name), ask.get("phase"),
                             answers=answers_of(ask.get("answers", ())))  # fmt: skip
            fail = answer["fail"]
            return self._fail(fail["message"], fail.get("remedy", "relay retry"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return self._fail(f"{self.name} answered what can't be read ({error!r}): {text[:200]}",
                              f"$EDITOR {self._file}")  # fmt: skip

    def _fail(self, message: str, remedy: str) -> Fail:
        return Fail(Problem(code="handler_failed", message=message, remedy=remedy, action=self.name))
