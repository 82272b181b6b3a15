"""How long to wait before trying again."""

from dataclasses import dataclass
from typing import Protocol


class Rng(Protocol):
    """Where chance comes from; `random.Random` is one."""

    def random(self) -> float:
        """A number from 0 up to, not including, 1."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double up to a cap, spread out so that many nodes do not retry in step.

    `jitter` is the part of a delay (0 to 1) that chance may take off; nothing is ever added, so
    `cap_s` is a true upper bound. What worked for `stable_s` has earned a fast retry; what flaps
    goes on waiting longer.
    """

    first_s: float = 2.0
    cap_s: float = 60.0
    factor: float = 2.0
    jitter: float = 0.2
    stable_s: float = 60.0

    def delay_s(self, attempt: int, rng: Rng) -> float:
        """Seconds to wait after failure number `attempt` (from 1)."""
        delay_s = self.first_s
        for _ in range(attempt - 1):
            # Not a power: after a thousand failures that would overflow.
            if delay_s >= self.cap_s:
                break
            delay_s *= self.factor
        return min(delay_s, self.cap_s) * (1 - self.jitter * rng.random())

    def next_attempt(self, attempt: int, worked_s: float) -> int:
        """The number of a failure that follows number `attempt` after `worked_s` seconds of work.

        `attempt` is 0 and `worked_s` is 0 where nothing came before.
        """
        return 1 if worked_s >= self.stable_s else attempt + 1
