"""The closing words of builders, for the commit and for those who read their work next. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from lib.contracts import PhaseView
from lib.model import Step

MAX_CHARS: Final = 2000
_CONTROL: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
#: What git, or Relay, would take for a trailer of its own.
_TRAILER: Final = re.compile(r"^(Relay-|Signed-off-by:|Co-authored-by:)", re.IGNORECASE | re.MULTILINE)


def report_of(view: PhaseView, builder: Step) -> str:
    """The closing words of the newest turn of a builder that ended well."""
    turns = [job for job in view.ledger.jobs_of(builder.id) if job.spec.name == "build"]
    said = [job.result.text for job in turns if job.result and job.result.ok]
    return plain(said[-1]) if said else ""


def reports_of(view: PhaseView, names: Iterable[str]) -> list[dict[str, Any]]:
    """Reports of several builders, as a prompt has them; who said nothing is left out."""
    said = {name: report_of(view, view.steps[name]) for name in names if name in view.steps}
    return [{"id": name, "text": text} for name, text in said.items() if text]


def plain(text: str) -> str:
    """Text that is safe in the message of a commit."""
    return _TRAILER.sub(r" \1", _CONTROL.sub("", text)).strip()[:MAX_CHARS]
