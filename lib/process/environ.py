"""The environment of a job: of the user's own what programs ordinarily need, and what is asked for by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate
from pathlib import Path
from typing import Final

from lib.secrets.masking import SECRET_NAME

#: Of git's variables those that say how to reach another repository; all others can choose the wrong one.
GIT_TRANSPORT: Final = frozenset(
    f"GIT_{name}"
    for name in (
        "ALLOW_PROTOCOL",
        "ASKPASS",
        "HTTP_PROXY_AUTHMETHOD",
        "SSH",
        "SSH_COMMAND",
        "SSL_CAINFO",
        "SSL_NO_VERIFY",
    )
)
#: Who commits (git-commit(1)): no more than the configuration says as well.
GIT_IDENTITY: Final = frozenset(f"GIT_{role}_{kind}" for role in ("AUTHOR", "COMMITTER") for kind in ("NAME", "EMAIL"))
#: What programs need to find their way, and nothing that opens another door: patterns (fnmatch) of names.
ORDINARY: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "COLORTERM"),
    *(
        "NO_COLOR",
        "FORCE_COLOR",
        "CLICOLOR*",
        "CI",
        "EDITOR",
        "PAGER",
        "XDG_*_HOME",
        "XDG_*_DIRS",
        "*_proxy",
        "*_PROXY",
        "SSL_CERT_*",
    ),
    *("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "NIX_*", "LOCALE_ARCHIVE"),
    *("LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "*_INCLUDE_PATH", "PKG_CONFIG_PATH", "CC", "CXX", "*FLAGS"),
    *("CMAKE_*", "SOURCE_DATE_EPOCH", "OMP_NUM_THREADS", "CUDA_*", "PYTHON*", "VIRTUAL_ENV", "PYENV_*", "CONDA_*"),
    *("NODE_*", "NVM_*", "FNM_*", "VOLTA_HOME", "PNPM_HOME", "BUN_INSTALL", "DENO_*", "*_CACHE_DIR"),
    *("CARGO_HOME", "RUSTUP_*", "GOPATH", "GOROOT", "GOBIN", "GOTOOLCHAIN", "JAVA_HOME", "JDK_HOME", "MAVEN_HOME"),
    *("GRADLE_HOME", "SDKMAN_DIR", "ANDROID_HOME", "ANDROID_SDK_ROOT", "DOTNET_ROOT", "GEM_HOME", "GEM_PATH"),
    *("RBENV_*", "RUBYLIB", "ASDF_*", "MISE_*", "PERL5LIB", "PERL_*", "PHP_INI_SCAN_DIR", "COMPOSER_HOME"),
    *GIT_TRANSPORT,
    *GIT_IDENTITY,
)
#: What names folders in which programs or Python's modules are looked for.
_FOLDERS: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
#: Inherited from a make that runs Relay, they would connect a job's own make with it.
_NEVER: Final = frozenset({"MAKEFLAGS", "MFLAGS"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def environment(
    base: Mapping[str, str], additions: Mapping[str, str], *, passed: Iterable[str] = (), root: Path | None = None
) -> dict[str, str]:
    """Variables that a job's programs get: of `base` the ordinary ones and those that `passed` (fnmatch) names, then
    `additions`.

    Ordinary ones are `ORDINARY`, unless their name is that of a secret. Never passed are: `RELAY_*`; `GIT_*` but for
    the transport's and who commits; names that are no shell identifiers, which not every /bin/sh passes on; and, if
    Relay is a checkout (`root`) with a `.venv` of its own, both folders in PATH, PYTHONPATH, PYTHONHOME and
    VIRTUAL_ENV. Any other virtual environment is what the user works in, and is kept.
    """
    asked = _pattern(passed)
    kept = {name: value for name, value in base.items() if _is_users(name) and (_is_ordinary(name) or asked(name))}
    checkout = root or Path(__file__).resolve().parents[2]
    venv = checkout / ".venv"
    if venv.is_dir():
        own = {_folder(path) for path in (checkout, venv, venv / "bin")} - {None}
        for name in kept.keys() & set(_FOLDERS):
            left = [entry for entry in kept[name].split(os.pathsep) if _folder(entry) not in own]
            kept[name] = os.pathsep.join(left)
            if not left:
                del kept[name]
    return {**kept, **additions}


def _is_ordinary(name: str) -> bool:
    return _ORDINARY(name) is not None and (name in GIT_TRANSPORT or SECRET_NAME.search(name) is None)


def _is_users(name: str) -> bool:
    if name.startswith("GIT_"):
        return name in GIT_TRANSPORT | GIT_IDENTITY
    return not name.startswith("RELAY_") and name not in _NEVER and _NAME.fullmatch(name) is not None


def _folder(path: str | Path) -> tuple[int, int] | None:
    """The same for all names of a folder; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - an empty entry is not the current folder
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _pattern(patterns: Iterable[str]) -> Callable[[str], object]:
    return re.compile("|".join(map(translate, patterns)) or r"(?!)").match


_ORDINARY: Final = _pattern(ORDINARY)
