"""`relay assistants`: what it says of the real programs, and a tiny turn of each."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from assistants import parts
from assistants.endpoint.mind import Script
from assistants.office import RUN_S, Office
from assistants.pointing import PROGRAMS

pytestmark = pytest.mark.timeout(RUN_S)


def test_each_is_tried(office: Callable[[Script], Office]) -> None:
    at = office(parts.script({}))
    at.relay("trust")
    told = json.loads(at.relay("assistants", "--check", "--json", *PROGRAMS, env=at.environment))
    assert [(each["name"], each["ok"], each["text"]) for each in told] == [(name, True, "OK") for name in PROGRAMS]
    assert all(each["input_tokens"] > 0 for each in told)
    assert at.model.mistakes == []
