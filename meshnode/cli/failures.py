"""What went wrong, as one or two lines on stderr and an exit code.

With `--json` the error is a JSON document, on stderr as well: what a pipe reads from stdout is an
answer or nothing.
"""

import errno
import json
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import CycloptsError

from meshnode.cli.output import is_lost
from meshnode.core.safe_text import shown
from meshnode.errors import INTERRUPTED, ConfigError, MeshnodeError, QueryRefused
from protocols.errors import ProtocolError

DONE, FAILED, USAGE = 0, MeshnodeError.exit_code, ConfigError.exit_code

# Of a file that was open already; what cannot be opened is named where it is opened.
_UNWRITTEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Of a file that cannot be written at all; of another file or socket it would be a bug of ours.
_UNWRITABLE = frozenset({errno.EBADF, errno.EIO})
_INSTALL = (
    "install what it needs, then meshnode again; on Debian: "
    "apt-get install build-essential python3-dev python3-venv libgmp-dev"
)


def report(error: BaseException, *, as_json: bool) -> int:
    """Say on stderr what happened and return the exit code; raises `error` again if it is a bug."""
    causes = _leaves(error)
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return INTERRUPTED
    for cause in causes:
        if isinstance(cause, SystemExit):
            if isinstance(cause.__context__, BrokenPipeError):
                return DONE  # so ends the printing of help whose reader had enough
            return cause.code if isinstance(cause.code, int) else FAILED
    if all(isinstance(cause, BrokenPipeError) for cause in causes):
        return DONE  # the reader had enough
    findings = [_finding(cause) for cause in causes]
    told = [finding for finding in findings if finding is not None]
    if len(told) < len(findings):
        raise error
    code, message, exit_code = told[0]
    with suppress(OSError):  # where nobody reads it the exit code tells all the same
        _print(code, message, as_json=as_json)
    return exit_code


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _finding(error: BaseException) -> tuple[str, str, int] | None:
    """The error's code, message and exit code; None for a bug."""
    match error:
        case CycloptsError():
            return "usage", f"{error}\n{_help_on(error.command_chain)}", USAGE
        case QueryRefused():
            return error.code, str(error), error.exit_code
        case MeshnodeError():
            return _snake_case(type(error).__name__), str(error), error.exit_code
        case ProtocolError():
            return "bad_reply", f"the peer's answer breaks the protocol: {error}", FAILED
        case ImportError() if not (error.name or "").startswith(("meshnode", "protocols")):
            return "missing_library", f"cannot load {error.name}: {error}\n{_INSTALL}", FAILED
        case OSError() if error.filename is None and (
            error.errno in _UNWRITTEN or (error.errno in _UNWRITABLE and is_lost(sys.stdout))
        ):
            return "output_lost", f"cannot write the output: {error.strerror}", FAILED
        case _:
            return None


def _help_on(command: Sequence[str] | None) -> str:
    if not command:
        return "meshnode --help lists the commands"
    return f"meshnode {' '.join(command)} --help lists its options"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _print(code: str, message: str, *, as_json: bool) -> None:
    lines = [shown(line.strip()) for line in message.splitlines() if line.strip()]
    if as_json:
        document = {"error": {"code": shown(code), "message": "\n".join(lines)}}
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
        return
    print(f"error: {lines[0] if lines else shown(code)}", file=sys.stderr)
    for line in lines[1:]:
        print(f"       {line}", file=sys.stderr)
