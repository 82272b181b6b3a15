"""Wall clocks that follow trio's clock, so that virtual time moves both."""

import trio

START_NS = 1_790_000_000 * 10**9


class VirtualClock:
    """Unix time: START_NS when trio's clock reads zero; `step_ns` sets it wrong."""

    def __init__(self) -> None:
        self.step_ns = 0
        self._read_at, self._unset_ns = -1.0, 0

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, exact to the microsecond."""
        now = trio.current_time()
        if now != self._read_at:  # it is read several times for each message
            self._read_at, self._unset_ns = now, START_NS + round(now * 10**6) * 1000
        return self._unset_ns + self.step_ns
