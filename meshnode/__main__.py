"""The command `meshnode`: one exit code for everything that can happen."""

import sys
from collections.abc import Sequence

from meshnode.errors import INTERRUPTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0 done, 1 failed, 2 usage, 3 peer unreachable.

    130 after Ctrl-C. What is not the project's own error is a bug and keeps its traceback.
    """
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # while the command loads, or as it ends
        return INTERRUPTED


def _run(arguments: Sequence[str]) -> int:
    # Here, as this takes a moment in which somebody may press Ctrl-C.
    from meshnode.cli.app import answer
    from meshnode.cli.failures import report
    from meshnode.cli.output import give_up_if_lost, prepare

    prepare()
    try:
        code = answer(arguments)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 -- the edge to the shell; bugs are raised again
        code = report(error, as_json="--json" in arguments)
    for stream in (sys.stdout, sys.stderr):
        give_up_if_lost(stream)
    return code


if __name__ == "__main__":
    sys.exit(main())
