"""The files that ship with Relay, and the prompts made from them.

Prompts are Jinja templates by role. A file of the same name in the project's own folder wins; there,
`{% extends "shipped/builder.md.j2" %}` builds on the shipped one. Values are data: what looks like a template in them
stays as it is.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, read_own
from lib.names import quote

if TYPE_CHECKING:
    from jinja2 import BytecodeCache

SUFFIX = ".md.j2"
MAX_PROMPT_BYTES = 1_000_000


def shipped(kind: str) -> Path:
    """The folder shipped under that name, as `prompts` or `playbooks`, in a checkout as in an installed wheel."""
    return Path(__file__).resolve().parents[2] / "templates" / kind


def render_prompt(role: str, values: Mapping[str, Any], override_dir: Path) -> str:
    """The prompt of a role, with every value that its template names. `override_dir` need not exist.

    Raises `RelayError` (`prompt_missing`, `prompt_invalid`) with file and line.
    """
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    ours = jinja2.FileSystemLoader(shipped("prompts"))
    own = jinja2.FunctionLoader(lambda name: _own_prompt(override_dir, name))
    loader = jinja2.ChoiceLoader([own, ours, jinja2.PrefixLoader({"shipped": ours})])
    environment = SandboxedEnvironment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_compiled(),
    )
    environment.filters["json"] = _json
    try:
        return environment.get_template(role + SUFFIX).render(values).strip() + "\n"
    except jinja2.TemplateSyntaxError as error:
        raise _invalid(error.filename or error.name or role, error.lineno, error) from error
    except jinja2.TemplateNotFound as error:
        file = override_dir / f"{error.name}"
        remedy = f"$EDITOR {quote(file)}"
        raise RelayError(f"there is no prompt {error.name}", remedy=remedy, code="prompt_missing") from error
    except (RelayError, OSError):
        raise
    except Exception as error:  # an expression in a template can raise anything
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(SUFFIX)]
        if not frames:
            raise
        raise _invalid(frames[-1].filename, frames[-1].lineno, error) from error


def prompt_texts(role: str, override_dir: Path) -> list[str]:
    """The texts of the templates of a role: the project's own, if it has one, and the shipped one.

    Raises `RelayError` (`prompt_invalid`).
    """
    own = _own_prompt(override_dir, role + SUFFIX)
    return [*([own[0]] if own else []), (shipped("prompts") / (role + SUFFIX)).read_text()]


@cache
def _compiled() -> BytecodeCache:
    """The templates that this process has compiled, which takes longer than all else; each is held by its text."""
    from jinja2 import BytecodeCache
    from jinja2.bccache import Bucket

    class Compiled(BytecodeCache):
        def __init__(self) -> None:
            self._code: dict[str, bytes] = {}

        def load_bytecode(self, bucket: Bucket) -> None:
            if (code := self._code.get(bucket.key)) is not None:
                bucket.bytecode_from_string(code)

        def dump_bytecode(self, bucket: Bucket) -> None:
            self._code[bucket.key] = bucket.bytecode_to_string()

    return Compiled()


def _own_prompt(folder: Path, name: str) -> tuple[str, str, None] | None:
    """A project's own template: its text, and the file for messages."""
    if ".." in name.split("/"):
        return None
    file = folder / name
    try:
        text = read_own(file, limit=MAX_PROMPT_BYTES)
    except NotPlainError as error:
        message = f"{file} is {error.what}, not a plain file of at most 1 MB"
        raise RelayError(message, remedy=f"ls -ld {quote(file)}", code="prompt_invalid") from error
    return None if text is None else (text.decode("utf-8"), str(file), None)


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _invalid(file: str, line: int | None, error: Exception) -> RelayError:
    return RelayError(f"{file}:{line}: {error}", remedy=f"$EDITOR {quote(file)}", code="prompt_invalid")
