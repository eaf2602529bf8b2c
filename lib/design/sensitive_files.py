"""Files that steer what later runs on the user's machine or in their name: a builder's changes of them are pointed out.

Hooks, automation, instructions to assistants, secrets: they are no code of the project, and decide what is run. A
component that names such a file among its own had it approved with the design. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from lib.design.globs import overlap

#: In `_KINDS` those of tools that Relay has no adapter for; an adapter declares its own.
_INSTRUCTIONS: Final = "instructions to assistants"
#: What each kind is called, and the patterns of it: a folder, whose files they are, ends in a slash; a path with a
#: slash within counts from the root, all else in any folder.
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "secrets": (".env", ".env.*", ".envrc", ".netrc", ".npmrc", ".pypirc"),
    "hooks": (
        *(".husky/", ".githooks/", ".git-hooks/", ".pre-commit-config.yaml", ".pre-commit-hooks.yaml"),
        *("lefthook.y*ml", ".lefthook.y*ml", ".overcommit.yml", ".gitattributes", ".gitmodules", ".lfsconfig"),
    ),
    "automation": (
        *(".github/workflows/", ".github/actions/", ".gitlab-ci.y*ml", ".circleci/", ".travis.yml", ".woodpecker/"),
        *("Jenkinsfile", "azure-pipelines.yml", "bitbucket-pipelines.yml", ".drone.yml", ".buildkite/", ".ci/"),
    ),
    _INSTRUCTIONS: (".cursor/", ".cursorrules", ".windsurf/", ".windsurfrules", ".clinerules*"),
    "what an editor runs": (".vscode/tasks.json", ".vscode/settings.json", ".vscode/launch.json", ".devcontainer/"),
    "what Relay does": (".worktreeinclude",),
}
#: Examples of secrets, which are meant to be shared.
_EXAMPLES: Final = (".env.example", ".env.sample", ".env.template", ".env.dist")
#: In this file only lines that make git run a program count (gitattributes(5)).
ATTRIBUTES: Final = ".gitattributes"
_RUNS: Final = re.compile(r"^[^#\n]*\s(filter|diff|merge)=", re.MULTILINE)


def kind_of(path: str, steering: Sequence[str]) -> str | None:
    """The kind of thing that a file of that path, or a pattern of paths, steers; None for ordinary ones.

    `steering` are patterns of files that assistants declare to take instructions from.
    """
    parts = path.casefold().strip("/").split("/")
    if parts[-1] in _EXAMPLES:
        return None
    kinds = {**_KINDS, _INSTRUCTIONS: (*_KINDS[_INSTRUCTIONS], *steering)}
    return next((kind for kind, patterns in kinds.items() if any(_fits(parts, each) for each in patterns)), None)


def flagged(paths: Iterable[str], owned: Sequence[str], steering: Sequence[str]) -> dict[str, str]:
    """Paths of `paths` that steer something, and what, by the rules of `kind_of`; not those that `owned`, a
    component's files, name as such.
    """
    named = [pattern for pattern in owned if kind_of(f"{pattern}x" if pattern.endswith("/") else pattern, steering)]
    found = {path: kind_of(path, steering) for path in paths}
    return {path: kind for path, kind in found.items() if kind and not any(overlap(pattern, path) for pattern in named)}


def runs_programs(attributes: str) -> bool:
    """True if a `.gitattributes` of that content can make git run something that is configured."""
    return bool(_RUNS.search(attributes))


def _fits(parts: Sequence[str], pattern: str) -> bool:
    wanted = pattern.casefold().rstrip("/").split("/")
    if len(wanted) > 1:  # from the root
        inside = len(parts) > len(wanted) if pattern.endswith("/") else len(parts) == len(wanted)
        return inside and all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=False))
    return any(fnmatchcase(part, wanted[0]) for part in (parts[:-1] if pattern.endswith("/") else parts[-1:]))
