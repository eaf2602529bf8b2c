"""Finds plug-ins: one new file with one named object in it is enough to add a phase handler or an assistant.

The file's name is the plug-in's name, so that names are known without importing anything. Files whose name begins
with an underscore, and folders, are not plug-ins.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from lib.errors import RelayError
from lib.files.safe_read import NotPlainError, read_own
from lib.names import quote

MAX_SOURCE_BYTES = 10_000_000

T = TypeVar("T")

#: Where plug-ins may be: a package, a folder of `.py` files, or the name of a group of entry points.
Place = ModuleType | Path | str


@dataclass(frozen=True, slots=True)
class Source:
    """A plug-in that is known by name only; `load` imports it and gives a module or the object itself.

    `package` is the installed one that brings it as an entry point, if any.
    """

    name: str
    where: str
    load: Callable[[], object]
    package: str = ""

    def remedy(self, file: str) -> str:
        """The remedy for it: to edit `file` if it is a file of its own, else what removes its package."""
        return f"{quote(sys.executable)} -m pip uninstall {quote(self.package)}" if self.package else file


def sources(*places: Place) -> dict[str, Source]:
    """The plug-ins of all places by name, nothing of them imported.

    Raises `RelayError` (`plugin_duplicate`) where two have the same name.
    """
    found: dict[str, Source] = {}
    for place in places:
        for source in _sources_of(place):
            if first := found.get(source.name):
                message = f"{source.name} is defined twice: in {first.where} and in {source.where}"
                aside = f"mv {quote(source.where)} {quote(f'{source.where}.aside')}"
                raise RelayError(message, remedy=source.remedy(aside), code="plugin_duplicate")
            found[source.name] = source
    return found


def discover(places: Place | Sequence[Place], protocol: Callable[..., T], attribute: str) -> dict[str, T]:
    """Every plug-in of the places by name, imported and checked.

    `protocol` is the Protocol that each satisfies, `attribute` the name of the object in its file. Raises `RelayError`
    (`plugin_broken`, `plugin_duplicate`) that names file, missing member and fix.
    """
    several = [places] if isinstance(places, Path | str | ModuleType) else places
    return {name: load(source, protocol, attribute) for name, source in sources(*several).items()}


def load(source: Source, protocol: Callable[..., T], attribute: str) -> T:
    """One plug-in, imported and checked against `protocol`. Raises `RelayError` (`plugin_broken`)."""
    try:
        plugin = source.load()
    except RelayError:
        raise
    except (Exception, SystemExit) as error:
        raise _broken(source, f"can't be imported: {_last_line(error, source.where)}") from error
    if isinstance(plugin, ModuleType):
        if not hasattr(plugin, attribute):
            raise _broken(source, f"has no `{attribute}`; add a line: {attribute} = YourClass()")
        plugin = getattr(plugin, attribute)
    if problem := _mismatch(plugin, source.name, protocol, attribute):
        raise _broken(source, problem)
    return plugin  # type: ignore[return-value]  # just checked, member by member


def executables(folder: Path) -> dict[str, Path]:
    """The programs in a folder by name without suffix: files with the executable bit, in any language but Python."""
    if not folder.is_dir():
        return {}
    files = [file for file in sorted(folder.iterdir()) if _is_plugin_name(file.name) and file.suffix != ".py"]
    return {file.stem: file for file in files if file.is_file() and os.access(file, os.X_OK)}


def _sources_of(place: Place) -> Iterator[Source]:
    if isinstance(place, ModuleType):
        for module in pkgutil.iter_modules(place.__path__):
            if _is_plugin_name(module.name) and not module.ispkg:
                full = f"{place.__name__}.{module.name}"
                where = str(Path(place.__path__[0]) / f"{module.name}.py")
                yield Source(module.name, where, partial(importlib.import_module, full))
    elif isinstance(place, Path):
        files = sorted(place.glob("*.py")) if place.is_dir() else []
        for file in files:
            if _is_plugin_name(file.name):
                yield Source(file.stem, str(file), partial(_module_of, file))
    else:
        from importlib.metadata import entry_points

        for entry in entry_points(group=place):
            package = entry.dist.name if entry.dist else ""
            yield Source(entry.name, f"entry point {place}: {entry.value}", entry.load, package)


def _is_plugin_name(name: str) -> bool:
    return not name.startswith(("_", "."))


def _source_of(file: Path) -> bytes:
    try:
        return read_own(file, limit=MAX_SOURCE_BYTES) or b""
    except NotPlainError as error:
        raise RelayError(f"{file} is {error.what}", remedy=f"ls -ld {quote(file)}", code="plugin_broken") from error


def _module_of(file: Path) -> ModuleType:
    """The module in a file that is on no import path.

    Compiled from its source each time: nothing is written beside it, and bytecode that lies there, perhaps of another
    file than the one a person trusted, is not run.
    """
    name = f"relay_plugin_{file.stem}_{hashlib.sha256(os.fsencode(file)).hexdigest()[:12]}"
    module = ModuleType(name)
    module.__file__ = str(file)
    code = compile(_source_of(file), str(file), "exec", dont_inherit=True)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        exec(code, module.__dict__)  # noqa: S102 - what importing a module is
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _mismatch(plugin: object, name: str, protocol: Callable[..., object], attribute: str) -> str | None:
    """The reason why the object does not satisfy the protocol, with the fix, or None."""
    for member, is_method in _members(protocol).items():
        if not hasattr(plugin, member):
            kind = f"def {member}(self, …)" if is_method else f"{member} = …"
            return f"`{attribute}` has no `{member}`; add `{kind}` to it"
        if is_method and not callable(getattr(plugin, member)):
            return f"`{attribute}.{member}` can't be called; make it a method"
    if isinstance(plugin, type):
        return f"`{attribute}` is a class; make it an object: {attribute} = {plugin.__name__}()"
    if (own := getattr(plugin, "name", name)) != name:
        return f"`{attribute}.name` is {own!r}, but the file is called {name}; make them the same"
    return None


def _members(protocol: Callable[..., object]) -> dict[str, bool]:
    """The members that a Protocol asks for, and whether each is a method."""
    members: dict[str, bool] = {}
    for base in getattr(protocol, "__mro__", ()):
        if getattr(base, "_is_protocol", False) and base.__module__ != "typing":
            members |= dict.fromkeys(base.__annotations__, False)
            members |= {key: True for key, value in vars(base).items() if callable(value) and key[0] != "_"}
    return members


def _last_line(error: BaseException, where: str) -> str:
    """The error and the line of the plug-in's file that it came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == where]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return f"{type(error).__name__}: {error}" + (f" (line {line})" if line else "")


def _broken(source: Source, problem: str) -> RelayError:
    remedy = source.remedy(f"$EDITOR {quote(source.where)}")
    return RelayError(f"{source.where}: {problem}", remedy=remedy, code="plugin_broken")
