"""The outline of a repository for the architect: its folders, the files that matter, how it checks itself. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from lib.display import counted

_DEPTH: Final = 3
_FOLDERS: Final = 60
_ROOT_FILES: Final = 60
_NAMED_FILES: Final = 200
_COMMANDS: Final = 15
_WORKFLOWS: Final = 6
_LEAST_WORD: Final = 3

_BADGE: Final = re.compile(
    r"^\s*(?:(?:\[?!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])\]?(?:\([^)]*\)|\[[^\]]*\])?"
    r"|</?(?:a|img|p|div|picture|source)\b[^>]*>)\s*)+$"
    r"|^\s*\.\. (?:image|figure|\|[^|]+\| image)::.*$|^\s*:(?:target|alt|width|height|align):.*$"
    r"|^\[[^\]]+\]: \S*(?:badge|shields)\S*$",
    re.IGNORECASE,
)
_TESTING: Final = re.compile(r"test|check|lint|spec|verify|ruff|mypy|eslint|tsc|clippy|vet", re.IGNORECASE)
_TARGET: Final = re.compile(r"^([A-Za-z][\w-]*)\s*:(?!=)", re.MULTILINE)
_RUN: Final = re.compile(
    r"^\s*-?\s*(?:run|script):\s*(?:\|\s*$)?(.*)$|^\s+- ((?:npm|make|python|pytest|go|cargo|tox|uv) .*)$", re.MULTILINE
)
#: What a file in the root says by being there.
_KNOWN: Final[Mapping[str, str]] = {
    "tox.ini": "tox",
    "noxfile.py": "nox",
    "Cargo.toml": "cargo test",
    "go.mod": "go test ./...",
    "pytest.ini": "pytest",
    "pom.xml": "mvn test",
    "build.gradle": "gradle test",
    "Gemfile": "bundle exec rake",
    "mix.exs": "mix test",
}


def tree(paths: Sequence[str], requirement: str, max_files: int) -> str:
    """All files of a small repository.

    Of a large one its largest folders, some levels deep with their counts, the files of its root, and those of the
    folders that the requirement names.
    """
    folders = _counted(paths)
    if len(paths) <= max_files:
        top = [_folder(folder, count) for folder, count in folders.items() if "/" not in folder]
        return "\n".join([*top[:_FOLDERS], *sorted(paths)])
    largest = sorted(folders, key=lambda folder: (-folders[folder], folder))[:_FOLDERS]
    lines = ["  " * folder.count("/") + _folder(folder, folders[folder]) for folder in sorted(largest)]
    if len(folders) > len(largest):
        lines.append(f"… and {len(folders) - len(largest)} smaller folders")
    shown = sorted(path for path in paths if "/" not in path)[: min(_ROOT_FILES, max_files)]
    named = _named(paths, requirement)[: min(_NAMED_FILES, max_files - len(shown))]
    lines += [*shown, *(["", "What the requirement names:", *named] if named else [])]
    return "\n".join([*lines, f"… and {len(paths) - len({*shown, *named})} more files, which you can list"])


def _counted(paths: Sequence[str]) -> Counter[str]:
    """Files below each folder, down to some depth."""
    folders: Counter[str] = Counter()
    for path in paths:
        above = path.split("/")[:-1][:_DEPTH]
        folders.update("/".join(above[: depth + 1]) for depth in range(len(above)))
    return folders


def _folder(name: str, count: int) -> str:
    return f"{name}/ ({counted(count, 'file')})"


def _named(paths: Sequence[str], requirement: str) -> list[str]:
    """The files, and those of the folders, that words of the requirement name.

    Those of the words that name fewest files come first: such a word says most about where the work is.
    """
    words = {word.strip(".") for word in re.findall(r"[\w./-]+", requirement.lower())}
    naming = {path: _names(path.lower()) & words for path in paths if "/" in path}
    weight = Counter(word for found in naming.values() for word in found)
    named = [path for path, found in naming.items() if found]
    return sorted(named, key=lambda path: (min(weight[word] for word in naming[path]), path.count("/"), path))


def _names(path: str) -> set[str]:
    """The words that name a file: its path and name, its folders, each also without its suffix or a plural's s."""
    parts = PurePosixPath(path)
    folders = parts.parts[:-1]
    names = {path, parts.name, parts.stem, *folders, *(str(folder) for folder in parts.parents)}
    names |= {name.removesuffix("s") for name in names} | {f"{name}s" for name in names}
    return {name for name in names if len(name) >= _LEAST_WORD}


def without_badges(readme: str) -> str:
    """A README without its pictures and badges."""
    return "\n".join(line for line in readme.splitlines() if not _BADGE.match(line)).strip()


def commands(paths: Sequence[str], read: Callable[[str], str]) -> list[str]:
    """Commands by which the repository checks itself, as its manifests and its continuous integration have them."""
    roots = {path for path in paths if "/" not in path}
    found = [f"{command} ({name})" for name, command in _KNOWN.items() if name in roots]
    if "package.json" in roots:
        found += [f"npm run {name} (package.json)" for name in _scripts(read("package.json")) if _TESTING.search(name)]
    if "pyproject.toml" in roots and "[tool.pytest" in read("pyproject.toml"):
        found.append("pytest (pyproject.toml)")
    if "Makefile" in roots:
        targets = dict.fromkeys(_TARGET.findall(read("Makefile")))
        found += [f"make {target} (Makefile)" for target in targets if _TESTING.search(target)]
    workflows = [
        path for path in paths if re.fullmatch(r"\.github/workflows/[A-Za-z0-9._-]+\.ya?ml|\.gitlab-ci\.yml", path)
    ]
    for path in workflows[:_WORKFLOWS]:
        lines = ["".join(each).strip() for each in _RUN.findall(read(path))]
        found += [f"{line[:200]} ({path})" for line in lines if line and _TESTING.search(line)]
    return list(dict.fromkeys(found))[:_COMMANDS]


def _scripts(package: str) -> list[str]:
    try:
        scripts = json.loads(package).get("scripts")
    except (ValueError, AttributeError, RecursionError):
        return []
    return list(map(str, scripts)) if isinstance(scripts, dict) else []
