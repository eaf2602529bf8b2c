"""The closing words of builders, for the commit and for those who read their work next. Pure."""

from __future__ import annotations

import re
from typing import Final

from lib.contracts import PhaseView
from lib.model import Step

#: The name of a builder's turn.
BUILD: Final = "build"
MAX_CHARS: Final = 2000
_CONTROL: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
#: What git, or Relay, would take for a trailer of its own.
_TRAILER: Final = re.compile(r"^(Relay-|Signed-off-by:|Co-authored-by:)", re.IGNORECASE | re.MULTILINE)


def report_of(view: PhaseView, builder: Step) -> str:
    """The closing words of the newest turn of a builder that ended well."""
    turns = [job for job in view.ledger.jobs_of(builder.id) if job.spec.name == BUILD]
    said = [job.result.text for job in turns if job.result and job.result.ok]
    return plain(said[-1]) if said else ""


def plain(text: str) -> str:
    """Text that is safe in the message of a commit."""
    return _TRAILER.sub(r" \1", _CONTROL.sub("", text)).strip()[:MAX_CHARS]
