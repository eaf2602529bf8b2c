"""Parts shared by the programs that tell their events. Each is a record of what differs, and a parser."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lib.assistants._outcome import NUMBER, check_settings
from lib.assistants._reading import Parser
from lib.assistants._verdict import streamed_verdict
from lib.contracts import AssistantEvent, Exit, Launch, Safety, Turn
from lib.errors import RelayError
from lib.jobs import JobResult

#: What every program takes: a model, further arguments, and what its tokens cost if it does not tell.
PRICES = ("usd_per_million_input", "usd_per_million_output")
SETTINGS: Mapping[str, type | tuple[type, ...]] = {"model": str, "args": list, **dict.fromkeys(PRICES, NUMBER)}
#: Variables of model providers, for programs that work with any of them.
PROVIDERS = (
    *(
        "ANTHROPIC_*",
        "AZURE_*",
        "CEREBRAS_*",
        "COHERE_*",
        "DASHSCOPE_*",
        "DEEPSEEK_*",
        "FIREWORKS_*",
        "GEMINI_*",
        "GROQ_*",
    ),
    *(
        "LITELLM_*",
        "LM_STUDIO_*",
        "MISTRAL_*",
        "MOONSHOT_*",
        "OLLAMA_*",
        "OPENAI_*",
        "OPENROUTER_*",
        "TOGETHERAI_*",
        "XAI_*",
    ),
)
PROBE_S = 30.0

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_EFFORT: Final = re.compile(r"[a-z]{1,20}")


@dataclass(frozen=True, slots=True)
class Probe:
    """Findings about a program on this machine. `logged_in` is None where only the program itself knows."""

    version: str | None
    supported: bool
    logged_in: bool | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An assistant program. `arguments` makes its command line, without the name, of a turn and its session's id.

    `login` is what to type when it is not logged in; `credentials` are variables and files (`~/…`) one of which is
    there when it is. `declared` is what must be known of it to protect them. `tested` are the first and last version
    that were tried. `env` is what makes it quiet and lets it run unasked, `env_as_root` what it needs beside as root.
    `folders` are those that it keeps, and `homes` too, each under the variable that moves it; `variables` what it needs
    of the environment, and `variables_if` what beside if another variable is set. `names_session` says that its caller
    chooses the id, `takes_effort` that `arguments` know one. `remedies` are commands by failure code, `exits` failure
    codes by exit status, for one that tells no more; `joint` goes between the pieces of a message. `tells_cost` says
    that it tells what a turn cost; `prices` are dollars for a million tokens in and out.
    """

    name: str
    install: str
    login: str
    tested: tuple[str, str]
    arguments: Callable[[Turn, str], Sequence[str]]
    parser: Parser
    credentials: tuple[str, ...]
    declared: Safety
    env: Mapping[str, str] = field(default_factory=dict)
    env_as_root: Mapping[str, str] = field(default_factory=dict)
    homes: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    variables_if: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)
    remedies: Mapping[str, str] = field(default_factory=dict)
    exits: Mapping[int, str] = field(default_factory=dict)
    names_session: bool = False
    takes_effort: bool = False
    joint: str = "\n"
    prices: tuple[float, float] | None = None
    tells_cost: bool = False

    def available(self, settings: Mapping[str, Any]) -> str | None:
        del settings
        return None if shutil.which(self.name) else f"no program called {self.name} is on the PATH"

    def configured(self, settings: Mapping[str, Any]) -> Program:
        """With the prices of the configuration."""
        if not any(name in settings for name in PRICES):
            return self
        check_settings(settings, self.name, {**SETTINGS, **self.settings})
        return replace(self, prices=prices_of(settings))

    def counts(self) -> frozenset[str]:
        """Names of `tokens` and `cost` that it reports of a turn, or that can be worked out."""
        return frozenset({"tokens", "cost"} if self.tells_cost or self.prices is not None else {"tokens"})

    def launch(self, turn: Turn) -> Launch:
        check_settings(turn.settings, self.name, {**SETTINGS, **self.settings})
        session = turn.session or (_session_of(turn) if self.names_session else None)
        return Launch(
            argv=(self.name, *self.arguments(turn, session or "")),
            env={**self.env, **(self.env_as_root if os.geteuid() == 0 else {})},
            stdin=turn.prompt,
            session=session,
            folders=(*self.folders, *(os.environ.get(name) or folder for name, folder in self.homes.items())),
            variables=(*self.variables, *self.homes, *self._conditional()),
        )

    def read(self, line: str) -> Sequence[AssistantEvent]:
        events = self.parser(line)
        return [priced(event, self.prices) for event in events] if self.prices else events

    def verdict(
        self, end: Exit, events: Sequence[AssistantEvent], stderr: str, *, now: datetime | None = None
    ) -> JobResult:
        remedies = {
            "not_available": self.install,
            "auth": self.login,
            "rate_limit": "relay retry",
            "credits": f"relay assistants --check {self.name}",
            "model": f"$EDITOR .project/config.yaml  # assistants.{self.name}.model",
            **self.remedies,
        }
        return streamed_verdict(end, events, stderr, remedies=remedies, exits=self.exits, joint=self.joint, now=now)

    def probe(self) -> Probe:
        """Asks the program for its version, and looks for a login. Takes up to `PROBE_S` seconds."""
        if why_not := self.available({}):
            return Probe(None, supported=False, logged_in=None, detail=why_not)
        version = _version_of(self.name)
        if version is None:
            return Probe(None, supported=True, logged_in=self.logged_in(), detail="its version is unknown")
        supported = parts(self.tested[0]) <= parts(version) <= parts(self.tested[1])
        detail = "" if supported else f"tried with {' to '.join(dict.fromkeys(self.tested))}"
        return Probe(version, supported, self.logged_in(), detail)

    def logged_in(self) -> bool | None:
        """True if a login is there, by its variables and files; None where only the program itself could say."""
        if any(
            Path(place).expanduser().exists() if place[0] in "~/" else os.environ.get(place) for place in self._places()
        ):
            return True
        # There a keychain may hold it; and others have models that need no login.
        return None if sys.platform == "darwin" or not self.login else False

    @property
    def safety(self) -> Safety:
        """The declarations of it; where a home was moved, for its login and what is made in it there, too."""
        logins = [place for place in self._places() if place.startswith("/")]
        starters = {self._moved(file): text for file, text in self.declared.starters.items()}
        return replace(
            self.declared,
            logins=(*self.declared.logins, *logins),
            starters={**self.declared.starters, **starters},
        )

    def _places(self) -> list[str]:
        return [self._moved(place) for place in self.credentials]

    def _moved(self, place: str) -> str:
        """The same file where its home was moved to, if that has an absolute path; any other place as it is."""
        for variable, home in self.homes.items():
            moved = os.environ.get(variable, "")
            if place.startswith(f"{home}/") and moved.startswith("/"):
                return "/" + os.path.normpath(f"{moved}{place.removeprefix(home)}").lstrip("/")
        return place

    def _conditional(self) -> list[str]:
        return [name for variable, names in self.variables_if.items() if os.environ.get(variable) for name in names]


def prices_of(settings: Mapping[str, Any]) -> tuple[float, float] | None:
    """Dollars for a million tokens in and out, if the configuration has them."""
    if not any(name in settings for name in PRICES):
        return None
    inward, outward = (float(settings.get(name, 0)) for name in PRICES)
    return inward, outward


def priced(event: AssistantEvent, prices: tuple[float, float]) -> AssistantEvent:
    """The event with a cost for its tokens; a cost that the program gave stays."""
    used = event.usage
    if used is None or used.cost_usd:
        return event
    cost = (used.input_tokens * prices[0] + used.output_tokens * prices[1]) / 1e6
    return replace(event, usage=used.model_copy(update={"cost_usd": round(cost, 6)}))


def _session_of(turn: Turn) -> str:
    """An id that no other turn has: one that is used twice is refused."""
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"relay:{turn.job or turn.scratch}"))


def model_of(turn: Turn, flag: str = "--model") -> tuple[str, ...]:
    """The model as arguments: the variant, else the setting, else none."""
    model = turn.variant or turn.settings.get("model")
    return (flag, model) if model else ()


def effort_of(turn: Turn, *flag: str) -> tuple[str, ...]:
    """The effort as arguments: the `flag`, with `{}` in its last part for the word.

    Raises `RelayError` (`effort_invalid`) if it is no word.
    """
    if not turn.effort:
        return ()
    if not _EFFORT.fullmatch(turn.effort):
        message = f"the effort {turn.effort[:50]!r} is no word of small letters, such as low or high"
        raise RelayError(message, remedy="relay workflows list", code="effort_invalid")
    return (*flag[:-1], flag[-1].format(turn.effort))


def further(turn: Turn) -> tuple[str, ...]:
    """The arguments that the configuration adds."""
    return tuple(str(arg) for arg in turn.settings.get("args", ()))


def resumed_or_named(turn: Turn, session: str) -> tuple[str, str]:
    """The arguments that resume a session, or give a new one its id."""
    return ("--resume" if turn.session else "--session-id", session)


def parts(version: str) -> tuple[int, ...]:
    """A version as numbers that compare."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _version_of(name: str) -> str | None:
    import subprocess

    try:
        done = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=PROBE_S, check=False,
                              stdin=subprocess.DEVNULL, errors="replace")  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout or done.stderr)
    return found[0] if found else None
