"""Real assistant programs, the model that answers them, and Relay between the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from assistants.endpoint.mind import Mind, Script
from assistants.endpoint.server import Endpoint
from assistants.office import BIN, Office
from assistants.pointing import PROGRAMS
from driver import Relay


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts first what takes longest: opencode, which starts slowly and tries again by itself for up to 80 s."""
    items.sort(key=lambda item: "opencode" not in item.name)


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    missing = [name for name in PROGRAMS if not (BIN / name).exists()]
    assert not missing, f"{', '.join(missing)} not found in {BIN}; type: make test-assistants"


@pytest.fixture
def model() -> Iterator[Callable[[Script], Endpoint]]:
    """Starts a model that follows a script."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(Endpoint(Mind(script)))


@pytest.fixture
def office(relay: Relay, model: Callable[[Script], Endpoint]) -> Callable[[Script], Office]:
    """Makes the project ready for a model that follows a script."""

    def opened(script: Script) -> Office:
        made = Office(relay, model(script))
        made.configure()
        return made

    return opened
