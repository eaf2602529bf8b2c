"""The configuration as it is shown and changed by hand: each setting with its value, its place and what it does."""

from __future__ import annotations

import json
from textwrap import indent
from typing import Any, NamedTuple, get_origin

from lib.config.edit import NotEditableError, with_value
from lib.config.model import TYPED, Config, Gates, Settings, document_of, from_text, settings_of
from lib.config.origins import editing, nearest
from lib.config.words import Document, NotYamlError
from lib.errors import UsageError
from lib.files.replace import Changed, exchange
from lib.model import listed
from lib.project.paths import Project
from lib.project.templates import shipped
from lib.project.trust import is_trusted, trust_file
from lib.secrets.masking import Masker
from orchestrator.persistence.project_folders import make_home


class SettingEntry(NamedTuple):
    """A setting, or a part of one. `origin` is `default`, or a place: `config.yaml, line 7`, `RELAY_PARALLEL`."""

    key: str
    value: Any
    origin: str
    default: Any
    description: str


def entries(settings: Settings) -> list[SettingEntry]:
    return [entry(settings, key) for key in Config.model_fields]


def entry(settings: Settings, key: str) -> SettingEntry:
    """Raises `UsageError` (`unknown_setting`)."""
    path = _path(key)
    values = settings.config.model_dump(mode="json")
    masker = Masker.from_environ(settings.config.env)
    return SettingEntry(
        key=key,
        value=masker.masked_data(_at(values, path)),
        origin=settings.origins.of(path).where,
        default=_at(Config().model_dump(mode="json"), path),
        description=Config.model_fields[path[0]].description or "",
    )


def shown(value: Any) -> str:  # noqa: ANN401 - any setting's
    """A value in one line: text as it is, the rest as JSON, nothing for none."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def change(project: Project, key: str, text: str) -> None:
    """Sets `key` in the project's config.yaml, which is made if need be; the file stays trusted if it was.

    Raises `RelayError`: `unknown_setting`, `config_invalid`, `config_not_editable`, or what kept it from being written.
    """
    path, file = _path(key), project.config_file
    template = project.named((shipped("project") / "config.yaml").read_text())
    trusted = is_trusted(project, file)
    while True:
        raw = file.read_bytes() if file.exists() else None
        before = template if raw is None else raw.decode("utf-8", errors="replace")
        document_of(before, file)
        try:
            after = with_value(before, path, _value(path, text), offered=template.splitlines(), typed=TYPED)
        except NotEditableError as error:
            message = f"{key} can't be set in {file.name} as it is written"
            raise UsageError(message, remedy=editing(file), code="config_not_editable") from error
        try:
            settings_of(document_of(after, file), file, {}, {})
        except UsageError as error:
            remedy = f"relay config explain {path[0]}"
            raise UsageError(f"not saved: {error.message}", remedy=remedy, code=error.code) from error
        make_home(project)
        try:
            exchange(file, after.encode(), raw)
        except Changed:
            continue
        break
    if trusted:
        trust_file(project, file)


def _path(key: str) -> list[str]:
    path = key.split(".")
    if path[0] not in Config.model_fields or (path[0] == "gates" and path[1:2] and path[1] not in Gates.model_fields):
        near = nearest(key, Config.model_fields)
        message = f"there is no setting {key}" + (f"; did you mean {near}?" if near else "")
        raise UsageError(message, remedy="relay config explain", code="unknown_setting")
    return path


def _at(values: Any, path: list[str]) -> Any:  # noqa: ANN401 - JSON
    for part in path:
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _value(path: list[str], text: str) -> Any:  # noqa: ANN401 - of the setting's type
    """The value as YAML would have it; None for a blank one."""
    value = from_text(path[0], text, path[0]) if len(path) == 1 else _part(path, text)
    if len(path) == 1 and get_origin(Config.model_fields[path[0]].annotation) is tuple:
        return list(listed(value))
    return (value or None) if isinstance(value, str) else value


def _part(path: list[str], text: str) -> Any:  # noqa: ANN401 - only an assistant knows its settings
    if path[0] != "assistants":
        return text
    try:
        value = Document(f"value:\n{indent(text, ' ')}", typed=("value",)).values["value"]
    except NotYamlError:
        return text
    return text if isinstance(value, dict) and not text.lstrip().startswith("{") else value
