"""The process that writes what a job prints, with secrets masked.

It ends with the job's shim, and not before the last byte is written. `lib.process.capture` starts it. There is one for
each job, so it imports little.
"""

from __future__ import annotations

import os
import select

from lib.secrets.stream import MaskStream

TYPE_CHECKING = False  # as in `lib.secrets.stream`
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

#: Its descriptors: both streams, what closes when the program has ended, what it answers on, both files, and where it
#: reads the secrets.
OUT, ERR, ENDED, ANSWER, OUT_FILE, ERR_FILE, SECRETS = range(3, 10)
#: Tells the shim that all is written.
WRITTEN: Final = b"written\n"
READ_BYTES: Final = 1 << 16
#: Most that a pipe can hold. What is printed once the program has ended need not be waited for.
PIPE_BYTES: Final = 1 << 20


def told(known: Mapping[bytes, str]) -> bytes:
    """Bytes that make these values known to a scribe, which reads them to their end; no value holds a NUL."""
    return b"".join(b"%s=%s\0" % (name.encode(), value) for value, name in known.items())


def main() -> None:
    """Writes until the program has ended. Without an answer, the shim counts the job as killed."""
    with os.fdopen(SECRETS, "rb") as stream:
        secrets = [each.partition(b"=") for each in stream.read().split(b"\0")[:-1]]
    known = {value: name.decode() for name, _, value in secrets}
    streams = {OUT: MaskStream(known), ERR: MaskStream(known)}
    files = {OUT: OUT_FILE, ERR: ERR_FILE}
    left = dict.fromkeys(streams, PIPE_BYTES)
    poll = select.poll()
    for descriptor in (*streams, ENDED):
        os.set_blocking(descriptor, False)
        poll.register(descriptor, select.POLLIN)
    complete, ended = True, False
    while streams:
        ready = {descriptor for descriptor, _ in poll.poll(0 if ended else None)}
        if ENDED in ready:
            ended = True
            poll.unregister(ENDED)
            continue  # what was printed before is looked for once more
        for descriptor in list(streams):
            data = os.read(descriptor, READ_BYTES) if descriptor in ready else b""
            left[descriptor] -= len(data) if ended else 0
            masked = streams[descriptor].feed(data)
            if (not data if descriptor in ready else ended) or left[descriptor] <= 0:
                poll.unregister(descriptor)
                masked += streams.pop(descriptor).close()
            complete = _write(files[descriptor], masked) and complete
    if complete:
        _write(ANSWER, WRITTEN)  # nobody reads it if the shim was killed


def _write(file: int, data: bytes) -> bool:
    """Writes all of it, or as much as can be written."""
    try:
        while data:
            data = data[os.write(file, data) :]
    except OSError:
        return False
    return True
