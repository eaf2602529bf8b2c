"""What a repository looks like, in a page: for the architect's prompt. The only user of GitPython."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from lib.git.run import Repo

README_CHARS: Final = 3_000
_FOLDERS: Final = 40
_SUFFIXES: Final = 12
_COMMITS: Final = 15


@dataclass(frozen=True, slots=True)
class Survey:
    """`tree` has a line a folder with its count of files, then the files themselves as far as they are few enough."""

    files_total: int
    tree: str
    suffixes: dict[str, int]
    subjects: list[str]
    readme: str

    def __str__(self) -> str:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in self.suffixes.items())
        parts = [f"{self.files_total} files ({kinds})", self.tree, "Recent commits:", *self.subjects]
        return "\n".join([*parts, "README:", self.readme] if self.readme else parts)


def survey(repo: Repo, commit: str, max_files: int = 400) -> Survey:
    """Reads `commit`, and no file of the work tree. Raises `git.exc.GitCommandError`."""
    import git as gitpython

    with gitpython.Repo(repo.root) as handle:
        # GitPython hands the whole environment on; what chooses another repository is overruled.
        handle.git.update_environment(GIT_DIR=str(repo.git_dir), GIT_OPTIONAL_LOCKS="0", LC_ALL="C")
        names = handle.git.ls_tree("-r", "-z", "--name-only", "--full-tree", commit).split("\0")
        paths = [name.encode(errors="replace").decode() for name in names if name]
        subjects = handle.git.log(f"-{_COMMITS}", "--format=%s", "--no-show-signature", commit).splitlines()
        readme = next((name for name in paths if PurePath(name).stem.lower() == "readme" and "/" not in name), None)
        text = handle.git.cat_file("blob", f"{commit}:{readme}") if readme else ""
    suffixes = Counter(PurePath(path).suffix or PurePath(path).name for path in paths)
    excerpt = text.encode(errors="replace").decode()[:README_CHARS]
    return Survey(len(paths), _tree(paths, max_files), dict(suffixes.most_common(_SUFFIXES)), subjects, excerpt)


def _tree(paths: list[str], max_files: int) -> str:
    folders = Counter(path.partition("/")[0] + "/" for path in paths if "/" in path)
    lines = [f"{folder} ({count} files)" for folder, count in folders.most_common(_FOLDERS)]
    if len(folders) > _FOLDERS:
        lines.append(f"… and {len(folders) - _FOLDERS} more folders")
    shown = sorted(paths, key=lambda path: (path.count("/"), path))[:max_files]
    lines += sorted(shown)
    if len(paths) > max_files:
        lines.append(f"… and {len(paths) - max_files} more files, deeper down")
    return "\n".join(lines)
