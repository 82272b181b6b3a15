"""Standard output and error, and what may become of them: a reader leaves, the disk is full."""

import io
import os
import sys
from contextlib import suppress
from typing import TextIO


def prepare() -> None:
    """Have both, though whoever started us closed them; what has no sign there is no error."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(text: str) -> None:
    """Print a result that an exit code belongs to, which a reader that has left does not change."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        give_up_if_lost(sys.stdout)


def note(text: str) -> None:
    """Say on standard error how it goes; where nobody reads that, it goes on all the same."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def is_lost(stream: TextIO) -> bool:
    """Whether nothing can be written to it, as to a file that was opened for reading."""
    try:
        os.write(stream.fileno(), b"")
    except io.UnsupportedOperation:  # it is no file
        return False
    except OSError:
        return True
    return False


def give_up_if_lost(stream: TextIO) -> None:
    """The interpreter flushes at its end, and would fail for a reader that left or a full disk."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
