"""The result of a job that has ended: judged from its exit, from all that it printed, and from who ended it."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from lib.assistants import LineReader, Tally, ended_by_force, last_line, side_lines
from lib.contracts import SIDE_OUTPUT, AssistantEvent, Exit
from lib.design.verification import runs_python
from lib.errors import GitError, RelayError
from lib.events import Event, JobEnded
from lib.files.disk_space import is_full
from lib.files.safe_read import NotPlainError, open_plain, read_plain
from lib.git.checkout import Checkout, head_of
from lib.git.damage import damage
from lib.git.look import look
from lib.git.run import Repo
from lib.git.whole import believed, settle
from lib.jobs import JobResult
from lib.model import Usage
from lib.process import await_written, ended_with, exit_status, reap, sweep
from lib.sandbox import scratch_of
from lib.scheduling.passing_failures import DISK_FULL, passing
from lib.scheduling.retries import LOST, REFUSED, SPENT
from orchestrator.jobs.given import given
from orchestrator.jobs.launch import adapter_of, turn_of
from orchestrator.jobs.shadowing import shadow
from orchestrator.work import Work

#: How much is kept of the beginning, which has the first error, and of the end of each stream of a failed job.
HEAD_BYTES = 2_000
END_BYTES = 4_000
READ_BYTES = 1 << 20
SIDE_MAX_BYTES = 20_000_000
#: So many of a turn's first and last events are judged; what it used is counted over all of them.
FIRST_EVENTS = 1_000
KEPT_EVENTS = 20_000
#: Of an output that is longer than both, only its first and its last part are read.
STREAM_HEAD_BYTES = 8 << 20
STREAM_END_BYTES = 16 << 20
#: Of lines that are short, so many of each part.
PART_LINES = 100_000
#: A shell's count of what ends a program by HUP, INT, KILL and TERM: somebody's doing (a machine that shuts down or is
#: out of memory), and no verdict on the work.
_KILLED = frozenset(128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM))
#: Ends by our clock. A turn that was busy with a failing service all the while ended by that, and not by itself.
_OUT_OF_TIME = frozenset({"idle", "timeout"})


def finish(work: Work) -> Event:
    """Ends what the job left running, and judges its exit and output."""
    process = work.job.process
    sweep({work.mark: process})
    try:
        result = _judged(work, ended_with(process.pid) if process else None)
    except (OSError, RelayError):  # it may be judged again, and needs its status then
        raise
    except BaseException:
        _reap(work)
        raise
    _reap(work)
    return JobEnded(job=work.job.id, result=_masked(work, result))


def _reap(work: Work) -> None:
    if work.job.process is not None:
        reap(work.job.process.pid)


def _judged(work: Work, waited: int | None) -> JobResult:
    recorded = exit_status(work.records)
    if recorded is None:  # its shim, which waits for that, was killed
        await_written(work.output)
    end = Exit(
        status=waited if recorded is None else recorded, stopped=work.job.stopping or _settled(work, waited is None)
    )
    is_command = bool(work.job.command)
    result = _command_result(work, end) if is_command else _assistant_result(work, end)
    if is_command and not work.is_own_work and work.job.spec.worktree and (told := _look(work)):
        result = result.model_copy(update={"warnings": (told,)})
    if result.ok:
        return _of_others(work, result) if is_command and work.job.spec.name == "verify" else result
    return result.model_copy(update=_printed(work, result))


def _of_others(work: Work, result: JobResult) -> JobResult:
    """The result of a verification, which has as `shadow` why it looked at other code than that of its worktree."""
    found = shadow(work.project, work.config) if runs_python([work.job.command]) else None
    return result.model_copy(update={"shadow": found.sentence()}) if found else result


def _settled(work: Work, recovered: bool) -> str:
    """Makes what the job left in its worktree durable, so that its end can be believed.

    Gives why it is not to be, if it was `recovered`: an exit may have outlived a power cut that emptied files.
    """
    if not work.job.spec.worktree:
        return ""
    repo = Repo.of(work.project)
    checkout = Checkout.at(repo, work.worktree)
    settle(checkout)
    doubted = recovered and checkout.complete and not believed(checkout)
    head = head_of(repo, checkout) if doubted else None
    return "rebooted" if head and damage(repo, checkout, head) else ""


def _look(work: Work) -> str:
    """Notes what a command left in its worktree; a sentence if that can't be read: no verdict on the command."""
    try:
        look(Repo.of(work.project), work.worktree)
    except GitError as error:
        if passing(error):
            raise
        return f"what {work.job.spec.name} left in {work.worktree} can't be read: {error.message}"
    return ""


def _masked(work: Work, result: JobResult) -> JobResult:
    """Without the secrets that the job had: what leaves here is logged, shown, and told to other assistants."""
    return JobResult.model_validate(work.masker.masked_data(result.model_dump()))


def _assistant_result(work: Work, end: Exit) -> JobResult:
    events, usage = _told(work)
    result = adapter_of(work).verdict(end, events, ends_of(work.output / "stderr.log"))
    # Some programs keep nothing of a conversation before its first tool has ended.
    kept = result.kept or result.ok or any(event.kind == "tool_end" for event in events)
    result = _of_session(work, result.model_copy(update={"usage": usage, "kept": kept, "warnings": _warnings(work)}))
    forced = ended_by_force(end)
    if forced is None:
        return result
    changes: dict[str, Any] = {"session": result.session, "usage": usage, "remedy": result.remedy, "does": result.does,
                               "kept": kept, "text": result.text}  # fmt: skip
    last = events[-1] if events else None
    if end.stopped in _OUT_OF_TIME and last is not None and last.kind == "retrying" and last.error:
        changes |= {"code": last.error, "message": last.text, "retry_at": last.retry_at}
    return forced.model_copy(update=changes)


def _warnings(work: Work) -> tuple[str, ...]:
    """A sentence if the turn was asked for an effort that its assistant can't be given."""
    turn, adapter = turn_of(work), adapter_of(work)
    if not turn.effort or getattr(adapter, "takes_effort", False):
        return ()
    return (f"{adapter.name} takes no effort, so {turn.step} went without {turn.effort}",)


def _of_session(work: Work, result: JobResult) -> JobResult:
    """A refusal of a conversation that went on is that conversation's, and not of the request itself."""
    if result.code != REFUSED or turn_of(work).session is None:
        return result
    return result.model_copy(update={"code": SPENT, "message": f"its conversation can't go on: {result.message}"})


def _told(work: Work) -> tuple[Sequence[AssistantEvent], Usage]:
    """The first and last events of all that the turn told, and what it used."""
    adapter, tally = adapter_of(work), Tally()
    first: list[AssistantEvent] = []
    last: deque[AssistantEvent] = deque(maxlen=KEPT_EVENTS)
    for line in chain(lines_of(work.output / "output.log"), _side_lines(work)):
        for event in adapter.read(line):
            tally.add(event)
            (first if len(first) < FIRST_EVENTS else last).append(event)
    return [*first, *last], _more(tally.usage, work.job.progress.usage)


def _more(read: Usage, live: Usage) -> Usage:
    """The greater of two counts: that of all that is judged, and that of all that was read while it ran."""
    return max(read, live, key=lambda usage: (usage.cost_usd, usage.input_tokens + usage.output_tokens))


def _command_result(work: Work, end: Exit) -> JobResult:
    if failure := ended_by_force(end):
        return failure
    if end.status == 0:
        done = JobResult(ok=True, exit_status=0, text=ends_of(work.output / "output.log"))
        return given(work, done)
    if is_full(work.worktree):
        message = f"exit status {end.status}, with no room left on the disk"
        return JobResult(ok=False, code=DISK_FULL, message=message, remedy="df -h; df -i",
                         does="shows the free space", exit_status=end.status)  # fmt: skip
    files = (work.output / "stderr.log", work.output / "output.log")
    last = next((line for file in files if (line := last_line(ends_of(file)))), "it printed nothing")
    message = f"exit status {end.status}: {last[:200]}"
    code = LOST if end.status in _KILLED else "exit_nonzero"
    return JobResult(ok=False, code=code, message=message, exit_status=end.status)


def _side_lines(work: Work) -> Iterator[str]:
    """Lines that the turn's program wrote into `SIDE_OUTPUT`, in place of which anything could have been put."""
    scratch = scratch_of(work.records)
    if scratch is None:
        return
    with suppress(OSError, NotPlainError):  # none was written, or it is a link, a pipe, or beyond all bounds
        data = read_plain(scratch / SIDE_OUTPUT, limit=SIDE_MAX_BYTES) or b""
        yield from side_lines(data)


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a file that an assistant wrote, torn, huge or not UTF-8 as they may be."""
    try:
        descriptor = open_plain(file)
    except (FileNotFoundError, NotPlainError):  # anything could have been put in its place
        return
    lines = LineReader()
    with os.fdopen(descriptor, "rb") as stream:
        rest = os.fstat(descriptor).st_size - STREAM_END_BYTES
        count = 0
        while data := stream.read(READ_BYTES):
            count += data.count(b"\n")
            yield from lines.feed(data)
            if stream.tell() < rest and (stream.tell() >= STREAM_HEAD_BYTES or count > PART_LINES):
                yield from lines.close()
                lines = LineReader()
                stream.seek(rest)
                stream.readline(READ_BYTES)
                yield from lines.feed(b"\n".join(stream.read().split(b"\n")[-PART_LINES:]))
    yield from lines.close()


def _printed(work: Work, result: JobResult) -> dict[str, Any]:
    """The report of a job that failed, as `tail`: its command, its exit, and both ends of its output.

    Of a turn, the words of its assistant stand for standard output, which may be a stream of events.
    """
    out, error = ends_of(work.output / "output.log").strip(), ends_of(work.output / "stderr.log").strip()
    command = work.job.command
    if not command:
        out = _ends_of_words(result.text.strip())
        return {"tail": "\n\n".join(part for part in (out, error) if part), "printed": bool(out or error)}
    how = result.message if result.exit_status is None else f"exit status {result.exit_status}"
    parts = [f"$ {command}\n{how}"]
    parts += [f"--- standard output\n{out}"] if out else []
    parts += [f"--- standard error\n{error}"] if error else []
    parts += [] if out or error else ["It printed nothing."]
    return {"tail": "\n\n".join(parts), "command": command, "printed": bool(out or error)}


def ends_of(file: Path) -> str:
    """A file that a job printed, of which the middle is left out if it is long; cut between lines if it has any."""
    try:
        descriptor = open_plain(file)
    except (FileNotFoundError, NotPlainError):
        return ""
    with os.fdopen(descriptor, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if size <= HEAD_BYTES + END_BYTES:
            return stream.read(HEAD_BYTES + END_BYTES).decode("utf-8", errors="replace")
        head = stream.read(HEAD_BYTES)
        stream.seek(size - END_BYTES)
        end = stream.read(END_BYTES)
    return _without_middle(head, end, size)


def _ends_of_words(text: str) -> str:
    """As `ends_of` a file."""
    data = text.encode("utf-8", errors="replace")
    if len(data) <= HEAD_BYTES + END_BYTES:
        return text
    return _without_middle(data[:HEAD_BYTES], data[-END_BYTES:], len(data))


def _without_middle(head: bytes, end: bytes, size: int) -> str:
    head = head[: head.rfind(b"\n") + 1] or head
    end = end[end.find(b"\n") + 1 :] or end
    left_out = f"\n[… {size - len(head) - len(end)} bytes left out …]\n"
    return head.decode("utf-8", errors="replace") + left_out + end.decode("utf-8", errors="replace")
