"""Names in Archon's texts (`$id.output.path`, `$INPUTS.x`, `$ARGUMENTS`) and conditions, in this language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lib.workflow.dialects._dialect import Conversion, Ids
from lib.workflow.located import Path

_NAME: Final = re.compile(
    r"\$(?:(?P<id>[A-Za-z_][\w-]*)\.(?P<what>output|status)(?P<path>(?:\.[A-Za-z_][\w-]*)*)"
    r"|INPUTS\.(?P<input>[A-Za-z_][\w-]*)|(?P<word>[A-Z][A-Z_]*[A-Z])\b)"
)
_ATOM: Final = re.compile(r"\s*(?P<left>\$\S+?)\s*(?P<mark>==|!=|<=|>=|<|>)\s*'(?P<value>[^']*)'\s*")
_OPENING: Final = re.compile(r"\{\{|\$\{vars\.")
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_REQUEST: Final = "inputs.arguments else run.requirement"
#: Variables of Archon by what they are here.
_WORDS: Final[Mapping[str, str]] = {
    "ARGUMENTS": _REQUEST, "USER_MESSAGE": _REQUEST, "BASE_BRANCH": "run.base", "WORKFLOW_ID": "run.id",
    "LOOP_PREV_OUTPUT": "loop.previous else ''",
}  # fmt: skip
#: Those that have no counterpart, each with a proposal.
_NONE: Final[Mapping[str, str]] = {
    "ARTIFACTS_DIR": "name the files in `artifacts`, below a folder of the worktree",
    "DOCS_DIR": "write the folder's name",
    "CONTEXT": "make it an input",
    "EXTERNAL_CONTEXT": "make it an input",
    "ISSUE_CONTEXT": "make it an input",
    "LOOP_USER_INPUT": "ask in a gate, and use steps.GATE.output.words",
    "REJECTION_REASON": "use steps.GATE.output.words",
}  # fmt: skip


class Names:
    """The ids of a document's nodes, and texts with them in them."""

    def __init__(self, conversion: Conversion, nodes: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        self._conversion = conversion
        self.ids = Ids()
        self.uses_arguments = False
        self._gates: set[str] = set()
        waiting = list(nodes)
        while waiting:
            at, node = waiting.pop(0)
            name = self.ids.add(node.get("id"), at)
            if "approval" in node:
                self._gates.add(name)
            group = node.get("loop_group")
            inner = group.get("nodes") if isinstance(group, dict) else None
            waiting += [(at, each) for at, each in enumerate(inner or []) if isinstance(each, dict)]

    def output(self, name: str) -> str:
        """The expression for the output of a node: of an approval, the words of the answer."""
        made = self.ids.get(name)
        return f"steps.{made}.output.words" if made in self._gates else f"steps.{made}.output"

    def text(self, text: str, path: Path, *, gate: str = "") -> str:
        """A text in this language. `gate` is the approval whose rejection it is about."""

        def by(match: re.Match[str]) -> str:
            made = self._named(match, path, gate)
            return f"{{{{ {made} }}}}" if made else match[0]

        return _NAME.sub(by, _OPENING.sub(lambda match: "\\" + match[0], text))

    def reference(self, text: str) -> str:
        """The expression for one `$id.output.path`; the text itself where it is none."""
        match = _NAME.fullmatch(text.strip())
        return (self._named(match, (), "") if match else "") or text.strip().lstrip("$")

    def condition(self, text: str, path: Path) -> str:
        """A condition in this language; remarked and kept as a comment's worth of nothing where it can't be read."""
        if not text:
            return ""
        either = []
        for clause in text.split("||"):
            atoms = [_ATOM.fullmatch(atom) for atom in clause.split("&&")]
            if not all(atoms):
                proposal = "write it as one expression, see docs/workflows.md"
                self._conversion.remark(path, f"the condition {text}", proposal)
                return "false"
            either.append(" and ".join(self._atom(atom) for atom in atoms if atom))
        return " or ".join(either)

    def _atom(self, match: re.Match[str]) -> str:
        value, mark = match["value"], match["mark"]
        left = self.reference(match["left"])
        if mark not in {"==", "!="} and _NUMBER.fullmatch(value):
            return f"{left} {mark} {value}"
        if value in {"true", "false"}:
            return f"{left} {'in' if mark == '==' else 'not in'} [{value}, '{value}']"
        escaped = value.replace("\\", "\\\\")
        return f"{left} {mark} '{escaped}'"

    def _named(self, match: re.Match[str], path: Path, gate: str) -> str:
        if match["id"] is not None:
            if match["id"] not in self.ids.names:
                return ""
            if match["what"] == "status":
                return f"steps.{self.ids.get(match['id'])}.status"
            return self.output(match["id"]) + match["path"]
        if match["input"] is not None:
            return f"inputs.{match['input']}"
        word = match["word"]
        if word == "REJECTION_REASON" and gate:
            return f"steps.{gate}.output.words"
        if word in _NONE:
            self._conversion.remark(path, f"${word}", _NONE[word])
        made = _WORDS.get(word, "")
        self.uses_arguments = self.uses_arguments or made == _REQUEST
        return made
