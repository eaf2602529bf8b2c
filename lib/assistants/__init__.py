"""Assistants: one adapter a file, each an object called `assistant` that satisfies `lib.contracts.Assistant`.

Other packages add theirs as entry points of the group `relay.assistants`.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lib.assistants._outcome import Tally as Tally
from lib.assistants._outcome import asks as asks
from lib.assistants._outcome import ended_by_force as ended_by_force
from lib.assistants._outcome import last_line as last_line
from lib.assistants._stream import LineReader as LineReader
from lib.assistants._stream import side_lines as side_lines
from lib.contracts import Assistant, Safety
from lib.errors import RelayError, UsageError
from lib.project.plugins import Source, load, sources

if TYPE_CHECKING:
    from lib.assistants._program import Probe

GROUP = "relay.assistants"
ATTRIBUTE = "assistant"
AUTO = "auto"
#: The setting that makes an assistant of any name in the configuration.
COMMAND = "command"
#: What `auto` asks first; others follow by name. Not in their files: none but the one that it takes is imported.
PREFERRED = ("claude", "codex", "gemini", "opencode", "copilot", "qwen", "aider", "ci")
#: What `auto` never picks: a rehearsal is not the work that was asked for.
REHEARSED = "scripted"

Settings = Mapping[str, Mapping[str, Any]]


@runtime_checkable
class Pins(Protocol):
    """An assistant whose variant, when none is given, is chosen by the requirement."""

    def pinned(self, variant: str, requirement: str) -> str:
        """The variant that a whole run keeps to. Raises `RelayError` when none fits."""
        ...


@runtime_checkable
class Configurable(Protocol):
    """An assistant that reads its output by what the configuration says."""

    def configured(self, settings: Mapping[str, Any]) -> Assistant:
        """The same, with these settings. Raises `UsageError`."""
        ...


@runtime_checkable
class LoggingIn(Protocol):
    """An assistant that is used with a login."""

    def logged_in(self) -> bool | None:
        """True if a login is there; None where only the program itself could say. Takes no time."""
        ...


@runtime_checkable
class Probing(Protocol):
    """An assistant that is a program of its own, with a version, and a login that `login` is to be typed for."""

    @property
    def login(self) -> str: ...

    def probe(self) -> Probe:
        """Its version and login on this machine; takes up to 30 s."""
        ...


@runtime_checkable
class Declaring(Protocol):
    """An assistant that declares what must be known of it for safety; of any other nothing is."""

    @property
    def safety(self) -> Safety: ...


@runtime_checkable
class Counting(Protocol):
    """An assistant of which is known what it tells of a turn's usage."""

    def counts(self) -> frozenset[str]:
        """Names of `tokens` and `cost` that it reports, or that can be worked out."""
        ...


def split(spec: str) -> tuple[str, str]:
    """Name and variant of `NAME` or `NAME:VARIANT`."""
    name, _, variant = spec.partition(":")
    return name, variant


def names() -> list[str]:
    """The names of all assistants, none of them imported."""
    return sorted(_all())


def assistants() -> dict[str, Assistant]:
    """All assistants by name. Raises `RelayError` (`plugin_broken`)."""
    return {name: load(source, Assistant, ATTRIBUTE) for name, source in _all().items()}


@cache
def safety() -> Safety:
    """The declarations of all assistants together, whichever a run works with. Imports all of them, once a process.

    Raises `RelayError` (`plugin_broken`, `plugin_duplicate`): what can't be imported would go unprotected.
    """
    return Safety.together(each.safety for each in assistants().values() if isinstance(each, Declaring))


def resolve(spec: str, settings: Settings) -> Assistant:
    """The adapter of `NAME`, `NAME:VARIANT` or `auto`; `settings` are those of the configuration, by name.

    A name that is only in the configuration, with a `command`, is that command. Raises `RelayError`
    (`unknown_assistant`, `not_available`, `plugin_broken`, `config_invalid`).
    """
    name, _ = split(spec)
    found = _built_in()
    if name == AUTO:
        return _first_installed(found, settings)
    own = settings.get(name, {})
    if name not in found:
        if COMMAND in own:
            from lib.assistants.command import CommandAssistant

            return CommandAssistant(name).configured(own)
        found = _all()  # reading entry points takes longer than all else here
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(found))} and auto"
        remedy = f"relay start --assistant {near[0]} …" if near else "relay assistants"
        raise UsageError(f"there is no assistant called {name}; {hint}", remedy=remedy, code="unknown_assistant")
    return _loaded(found[name], own)


def chosen(spec: str, settings: Settings, requirement: str) -> str:
    """The assistant of a run from its start: `auto` and a variant left open are settled, and it can be launched here.

    Raises `RelayError` (`unknown_assistant`, `not_available`, `no_playbook` …).
    """
    adapter = resolve(spec, settings)
    if why_not := adapter.available(settings.get(adapter.name, {})):
        message = f"the assistant {adapter.name} can't be used: {why_not}"
        raise RelayError(message, remedy="relay start --assistant auto …", code="not_available")
    _, variant = split(spec)
    if isinstance(adapter, Pins):
        variant = adapter.pinned(variant, requirement)
    return f"{adapter.name}:{variant}" if variant else adapter.name


def chain_of(chain: Sequence[str], settings: Settings, requirement: str) -> tuple[str, ...]:
    """The part of a chain that a run keeps to: those that can be launched here, settled like `chosen`, each once.

    Raises `RelayError`: that of the first one if there are none, and that of any one which does not exist.
    """
    kept: dict[str, None] = {}
    refused: list[RelayError] = []
    for spec in chain:
        try:
            kept[chosen(spec, settings, requirement)] = None
        except RelayError as error:
            if error.code != "not_available":
                raise
            refused.append(error)
    if not kept:
        raise refused[0]
    return tuple(kept)


def uncounted(specs: Iterable[str], settings: Settings, what: str) -> list[str]:
    """Assistants of these, by name, that are known to tell nothing of `what`, which is `tokens` or `cost`."""
    adapters = [resolve(spec, settings) for spec in dict.fromkeys(specs)]
    return [each.name for each in adapters if isinstance(each, Counting) and what not in each.counts()]


def _built_in() -> dict[str, Source]:
    return sources(sys.modules[__name__])


def _all() -> dict[str, Source]:
    return sources(sys.modules[__name__], GROUP)


def _loaded(source: Source, settings: Mapping[str, Any]) -> Assistant:
    adapter = load(source, Assistant, ATTRIBUTE)
    return adapter.configured(settings) if isinstance(adapter, Configurable) else adapter


def _first_installed(found: Mapping[str, Source], settings: Settings) -> Assistant:
    """The first one that is not known to be logged out, else the first one."""
    missing: list[tuple[Assistant, str]] = []
    installed = []
    for name in _by_preference(found):
        own = settings.get(name, {})
        adapter = _loaded(found[name], own)
        why_not = adapter.available(own)
        if why_not is None:
            if not isinstance(adapter, LoggingIn) or adapter.logged_in() is not False:
                return adapter
            installed.append(adapter)
            continue
        missing.append((adapter, why_not))
    if installed:
        return installed[0]
    message = f"no assistant is installed ({'; '.join(f'{each.name}: {why_not}' for each, why_not in missing)})"
    remedy = f'{missing[0][0].install}, or rehearse: relay start --assistant scripted "a calculator"'
    raise RelayError(message, remedy=remedy, code="not_available")


def _by_preference(found: Mapping[str, Source]) -> Iterator[str]:
    yield from (name for name in PREFERRED if name in found)
    yield from (name for name in sorted(found) if name not in (*PREFERRED, REHEARSED))
