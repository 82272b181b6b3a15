"""The command `meshnode`: one exit code for everything that can happen."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from meshnode.cli.app import answer
from meshnode.cli.failures import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed, 2 usage, 3 peer unreachable.

    130 after Ctrl-C. What is not the project's own error is a bug and keeps its traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = answer(arguments)
        if sys.stdout is not None:  # closed by whoever started us
            sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 -- the edge to the shell; bugs are raised again
        code = report(error, as_json="--json" in arguments)
    for stream in (sys.stdout, sys.stderr):
        _give_up_if_lost(stream)
    return code


def _give_up_if_lost(stream: TextIO | None) -> None:
    """The interpreter flushes at its end, and would fail for a reader that left or a full disk."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    sys.exit(main())
