"""The runs of this machine: one small JSON file per project and instance, in a folder of the user's.

It is a convenience for `relay list`, and nothing depends on it: a home that can't be written costs a warning.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Self

from lib.errors import RelayError
from lib.files.replace import replace_file, sweep_temporaries
from lib.project.paths import user_state_dir

if TYPE_CHECKING:
    from pathlib import Path

    from lib.jobs import ProcessIdentity
    from lib.model import State
    from lib.project.paths import Project

_REQUIREMENT_CHARS: Final = 200
_MAX_BYTES: Final = 65_536
_PROCESS: Final = {"pid": int, "start_ticks": int, "boot_id": str}


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """The newest run of an instance. `process` is what `ProcessIdentity` dumps, None if no orchestrator is there."""

    project: str
    instance: str
    run: str
    requirement: str
    process: dict[str, Any] | None
    phase: str
    owner: str
    action: str
    outcome: str | None
    updated_at: str

    @classmethod
    def of(cls, project: Project, state: State, process: ProcessIdentity | None) -> Self:
        """The entry for a run and the process that drives it."""
        return cls(
            project=str(project.root),
            instance=project.instance,
            run=state.run,
            requirement=state.requirement[:_REQUIREMENT_CHARS],
            process=process.model_dump() if process else None,
            phase=state.phase,
            owner=state.action_owner.value,
            action=state.action_needed,
            outcome=state.outcome.value if state.outcome else None,
            updated_at=state.updated_at.isoformat(),
        )


def record(entry: RegistryEntry) -> str | None:
    """Registers the run in the place of the instance's earlier one. Returns a warning if that can't be done."""
    try:
        path = _path_of(entry)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, json.dumps(asdict(entry)).encode("ascii"))
    except (RelayError, OSError, RuntimeError) as error:  # a user without a home has no place for it
        return f"relay list can't show this run as it is now: {error}"
    return None


def entries() -> tuple[list[RegistryEntry], list[str]]:
    """All entries, the last updated first, and a note on each file that can't be read."""
    found, notes = [], []
    sweep_temporaries(_folder())
    for path in sorted(_folder().glob("*.json")):
        try:
            found.append(_read(path))
        except FileNotFoundError:
            continue  # forgotten meanwhile
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            notes.append(f"{path} is skipped: {error}")
    return sorted(found, key=lambda entry: entry.updated_at, reverse=True), notes


def forget(entry: RegistryEntry) -> None:
    """Takes the entry off the list. Raises `OSError`."""
    with suppress(FileNotFoundError):  # another process may have done it
        _path_of(entry).unlink()


def _folder() -> Path:
    return user_state_dir() / "runs"


def _path_of(entry: RegistryEntry) -> Path:
    key = hashlib.sha256(os.fsencode(f"{entry.project}\0{entry.instance}")).hexdigest()[:32]
    return _folder() / f"{key}.json"


def _read(path: Path) -> RegistryEntry:
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise ValueError("it is not a small plain file")
    stored = json.loads(path.read_bytes())
    if not isinstance(stored, dict):
        raise TypeError("it holds no entry")
    values: dict[str, Any] = {field.name: stored.get(field.name) for field in fields(RegistryEntry)}
    if not all(isinstance(values[field.name], str) for field in fields(RegistryEntry) if field.type == "str"):
        raise TypeError("it holds no entry")
    process = values["process"]
    if process is not None and {name: type(value) for name, value in process.items()} != _PROCESS:
        raise TypeError("it holds no process")
    return RegistryEntry(**values)
