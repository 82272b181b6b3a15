"""Wall clocks that follow trio's clock, so that virtual time moves both."""

import trio

START_NS = 1_790_000_000 * 10**9


class VirtualClock:
    """Unix time: START_NS when trio's clock reads zero; `step_ns` sets it wrong."""

    def __init__(self) -> None:
        self.step_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, exact to the microsecond."""
        return START_NS + self.step_ns + round(trio.current_time() * 10**6) * 1000
