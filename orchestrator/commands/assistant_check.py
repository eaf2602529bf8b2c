"""Assistants that this machine has: their versions and logins, and one tiny real turn of each that is to be tried."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.assistants import LineReader, Probing, assistants, resolve, side_lines
from lib.config.model import Config, load_config
from lib.contracts import SIDE_OUTPUT, Assistant, AssistantEvent, Exit, Launch, Turn
from lib.errors import RelayError
from lib.jobs import JobResult
from lib.process import environment, sweep
from lib.project.paths import find_project
from lib.secrets.masking import Masker

PROMPT = "Answer with the single word ready.\n"
TRIAL_S = 180.0
#: Those that are no programs of their own, and so need no look at the machine.
ALWAYS_THERE = frozenset({"scripted"})


@dataclass(frozen=True, slots=True)
class Found:
    """One assistant on this machine. `supported` says that its version is among those that were tried; `remedy` is what
    to type if something is missing. None is for what is unknown.
    """

    name: str
    ready: bool
    version: str | None = None
    supported: bool | None = None
    logged_in: bool | None = None
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """The duration and result of the tiny turn of one assistant."""

    name: str
    seconds: float
    result: JobResult


def configuration(folder: Path) -> Config:
    """The configuration of the project which the folder is in, else the defaults. Raises `UsageError`."""
    try:
        file = find_project(folder, "default").dot / "config.yaml"
    except RelayError:
        file = Path(os.devnull)
    return load_config(file, {})


def survey(config: Config, only: Collection[str] = ()) -> list[Found]:
    """All assistants, or those named; programs are asked side by side. Raises `RelayError` for an unknown name."""
    from concurrent.futures import ThreadPoolExecutor

    known = {name: settings for name, settings in config.assistants.items() if "command" in settings}
    names = only or [*(name for name in assistants() if name not in ALWAYS_THERE), *(set(known) - set(assistants()))]
    adapters = [resolve(name, config.assistants) for name in names]
    with ThreadPoolExecutor(max_workers=4) as pool:
        return list(pool.map(lambda adapter: _look(adapter, config.assistants.get(adapter.name, {})), adapters))


def _look(adapter: Assistant, settings: Mapping[str, Any]) -> Found:
    if why_not := adapter.available(settings):
        return Found(adapter.name, ready=False, detail=why_not, remedy=adapter.install)
    if not isinstance(adapter, Probing):
        return Found(adapter.name, ready=True)
    probe = adapter.probe()
    ready = probe.logged_in is not False
    remedy = "" if ready else adapter.login
    return Found(adapter.name, ready, probe.version, probe.supported, probe.logged_in, probe.detail, remedy)


def try_out(name: str, config: Config, timeout_s: float = TRIAL_S) -> Trial:
    """One turn that changes nothing, in a repository made for it. Raises `RelayError`."""
    adapter = resolve(name, config.assistants)
    if why_not := adapter.available(config.assistants.get(name, {})):
        missing = JobResult(ok=False, code="not_available", message=why_not, remedy=adapter.install)
        return Trial(name, 0.0, missing)
    with tempfile.TemporaryDirectory(prefix="relay-check-") as temporary:
        worktree, scratch = Path(temporary) / "worktree", Path(temporary) / "scratch"
        for folder in (worktree, scratch):
            folder.mkdir()
        prompt_file = scratch / "prompt"
        prompt_file.write_text(PROMPT)
        bare = environment(os.environ, {})  # without what could lead git elsewhere
        subprocess.run(["git", "init", "--quiet"], cwd=worktree, env=bare, check=True, stdin=subprocess.DEVNULL)
        turn = Turn(
            role="builder",
            prompt=PROMPT,
            worktree=str(worktree),
            scratch=str(scratch),
            keep=str(scratch),
            job=f"check/{uuid.uuid4()}",
            prompt_file=str(prompt_file),
            settings=config.assistants.get(name, {}),
        )
        began = time.monotonic()
        end, events, stderr = _run(adapter, turn, config, timeout_s)
        seconds = time.monotonic() - began
    result = _with_reason(adapter.verdict(end, events, stderr), events)
    masker = Masker.from_environ(config.env)
    return Trial(name, seconds, JobResult.model_validate(masker.masked_data(result.model_dump())))


def _run(
    adapter: Assistant, turn: Turn, config: Config, timeout_s: float
) -> tuple[Exit, Sequence[AssistantEvent], str]:
    start: Launch = adapter.launch(turn)
    additions = {**config.env, **start.env, "TMPDIR": turn.scratch, "RELAY_JOB": turn.job, "RELAY_ROLE": turn.role}
    env = environment(os.environ, additions, passed=(*start.variables, *config.env_pass))
    try:
        process = subprocess.Popen(
            start.argv, cwd=turn.worktree, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Exit(127), (), f"{error.filename}: {error.strerror}"
    stopped = ""
    try:
        output, errors = process.communicate(start.stdin.encode(), timeout=timeout_s)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as late:
        stopped = "timeout" if isinstance(late, subprocess.TimeoutExpired) else "stopped"
        sweep([turn.job])
        output, errors = process.communicate()
    finally:
        sweep([turn.job])
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    reader = LineReader()
    lines = [*reader.feed(output), *reader.close()]
    with suppress(OSError):
        lines += side_lines((Path(turn.scratch) / SIDE_OUTPUT).read_bytes())
    return (
        Exit(status, stopped),
        [event for line in lines for event in adapter.read(line)],
        errors.decode(errors="replace"),
    )


def _with_reason(result: JobResult, events: Sequence[AssistantEvent]) -> JobResult:
    """For a turn that ran out of time: what it was trying all the while."""
    last = events[-1] if events else None
    if result.code != "timeout" or last is None or last.kind != "retrying":
        return result
    return result.model_copy(update={"code": last.error, "message": f"{result.message}: {last.text}"})
