"""The machine's own clock."""

import time


class SystemClock:
    """A WallClock: Unix time as the operating system has it."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()
