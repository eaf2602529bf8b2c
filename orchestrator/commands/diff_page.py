"""A change as people read it: a patch with marks on what is outside a component, or a table of files. All escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lib.display import counted, escaped
from orchestrator.status.screen import Look, columns, paint

if TYPE_CHECKING:
    from orchestrator.commands.run_diff import ChangedFile, Comparison

_STYLES: Final = (("diff --git ", "bold"), ("+++ ", "bold"), ("--- ", "bold"), ("@@", "cyan"), ("+", "green"),
                  ("-", "red"))  # fmt: skip
_STATUS: Final = {"A": "green", "D": "red", "M": "", "T": "yellow"}


def head(comparison: Comparison) -> str:
    """The subject and size of a comparison, in a line that `git apply` passes over."""
    files = comparison.files
    outside = sum(file.outside for file in files)
    facts = [
        comparison.builder or ("merged so far" if comparison.partial else "all that is merged"),
        f"{comparison.old[:10]}..{comparison.new[:10]}",
        counted(len(files), "file"),
        f"+{sum(file.added or 0 for file in files)} -{sum(file.removed or 0 for file in files)}",
        *([f"{outside} outside their component"] if outside else []),
    ]
    return f"# {escaped(comparison.run)}: {' · '.join(facts)}"


def table(comparison: Comparison, look: Look) -> Iterator[str]:
    """A line a file: status, path, lines, builder, and whether it is outside."""
    files = comparison.files
    rows = [[file.status, _counts(file), ", ".join(file.builders) or "-", "outside" if file.outside else "", file.path]
            for file in files]  # fmt: skip
    if not rows:
        return
    for file, row in zip(files, columns(rows, look.columns), strict=True):
        letter, counts, builder, mark, path = row
        yield "  ".join([paint(letter, _STATUS.get(file.status, ""), colour=look.colour), counts, builder,
                         paint(mark, "bold yellow", colour=look.colour), path]).rstrip()  # fmt: skip


def patch(parts: Sequence[tuple[ChangedFile | None, str]], look: Look) -> Iterator[str]:
    """The lines of the patch; above a file that is outside a component, one that says of whose."""
    for file, text in parts:
        if file is not None and file.outside:
            mark = f"# outside: {file.path} is not of the files of {', '.join(file.builders)}"
            yield look.paint(escaped(mark), "bold yellow")
        yield from (_line(line, look) for line in text.removesuffix("\n").split("\n"))


def _line(line: str, look: Look) -> str:
    style = next((style for start, style in _STYLES if line.startswith(start)), "")
    return look.paint(escaped(line, keep_newlines=True), style)


def _counts(file: ChangedFile) -> str:
    return "binary" if file.added is None else f"+{file.added} -{file.removed}"
