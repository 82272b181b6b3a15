"""The progress line of a simulation."""

import shutil
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

from simulations.report import violations_told
from simulations.runner import Progress

PROGRESS_EVERY_S = 0.5


class Ticker:
    """Overwritten on a terminal, and gone in the end; else a line now and then."""

    def __init__(self, stream: TextIO, *, is_terminal: bool) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._told_real_s = 0.0
        self._every_s = PROGRESS_EVERY_S if is_terminal else 20 * PROGRESS_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            self._write("\r\x1b[K")

    def tell(self, progress: Progress) -> None:
        """Say how far it is, not too often."""
        if progress.real_s - self._told_real_s < self._every_s:
            return
        self._told_real_s = progress.real_s
        line = (
            f"{progress.virtual_s / 60:5.1f} of {progress.total_s / 60:.1f} virtual minutes"
            f" in {progress.real_s:.0f} s, {progress.accepted} messages accepted"
            f", {violations_told(progress.violations)}"
        )
        if self._is_terminal:
            # A line that wraps could not be overwritten.
            line = line[: shutil.get_terminal_size().columns - 1]
            self._write(f"\r\x1b[K{line}")
        else:
            self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        with suppress(OSError):  # where nobody reads it, the run goes on all the same
            self._stream.write(text)
            self._stream.flush()
