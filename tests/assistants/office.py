"""A project in which real assistant programs work, all of them for one model on loopback."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from assistants import pointing
from assistants.endpoint.server import Endpoint
from conftest import ROOT
from driver import Relay, playbook
from eventually import WAIT_S

BIN = ROOT / ".assistants" / "node_modules" / ".bin"
#: Longest run; one takes from 5 to 40 s on an idle machine with two cores.
RUN_S = 2 * WAIT_S


class Office:
    """One project. Its programs look for the model at `url`."""

    def __init__(self, relay: Relay, model: Endpoint) -> None:
        self.relay = relay
        self.model = model
        self.url = model.url
        pointing.log_in(Path.home())

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{BIN}:{os.environ['PATH']}", **pointing.environment(self.url)}

    def configure(self, **config: Any) -> None:
        """Writes `.project/config.yaml`."""
        file = self.relay.root / ".project" / "config.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump({"assistants": pointing.settings(self.url), **config}))

    def start(self, assistant: str, requirement: str) -> None:
        """Begins a run without gates."""
        self.relay("trust")
        self.relay.begin(assistant, requirement, "--yes", env=self.environment)

    def start_parts(
        self, assistant: str, parts: Mapping[str, str | None], verify: str | None = None, **config: Any
    ) -> None:
        """Begins a run whose design is given: by part, an assistant of its own or none."""
        components = [
            {"id": part, "title": f"Part {part}", "verify": verify, **({"assistant": own} if own else {})}
            for part, own in parts.items()
        ]
        design = {"summary": "parts", "components": components}
        architect = {"say": "Parts.", "design": design}
        book = playbook(self.relay.root.parent / "book", {part: [] for part in parts}, architect=architect)
        self.configure(roles={"architect": book}, **config)
        self.start(assistant, "parts")

    def ends(self, part: str) -> list[tuple[str, str]]:
        """The ends of a builder's turns: the assistant, and the code, empty for a good end. Oldest first."""
        turns = {
            event["job"]["id"]: event["job"]["spec"]["assistant"]
            for event in self.relay.events("job_started")
            if event["job"]["spec"]["step"] == part and event["job"]["spec"]["name"] == "build"
        }
        results = {event["job"]: event["result"]["code"] for event in self.relay.events("job_ended")}
        return [(turns[job], results[job]) for job in turns if job in results]

    def landed(self) -> dict[str, Any]:
        """The end of the run; the model understood all that it was asked."""
        state = self.relay.over(timeout_s=RUN_S)
        assert self.model.mistakes == []
        return state

    def asked(self) -> dict[str, Any]:
        """state.json once ci is asked to mend something."""
        state = self.relay.asked("fix_failure", timeout_s=RUN_S)
        assert self.model.mistakes == []
        return state

    def builder(self, name: str) -> dict[str, Any]:
        """The record of one builder in state.json."""
        found: dict[str, Any] = next(each for each in self.relay.state()["builders"] if each["id"] == name)
        return found
