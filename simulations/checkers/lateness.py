"""How late is too late: times of one kind, measured in one run, against a share and a limit."""

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class Lateness:
    """So large a share of all is to come within `limit_s`, and all of them within `last_s`.

    A run gives few times of a kind: of fewer than a hundred, one that is late is more than a
    hundredth and says nothing about the hundredth. So one may be, but no later than `last_s`.
    """

    what: str
    share: float
    limit_s: float
    last_s: float
    times_s: list[float] = field(default_factory=list)
    slowest: str = ""

    def took(self, seconds: float, of: str) -> None:
        """One more, and whose it is; infinite for what never came."""
        if seconds > max(self.times_s, default=-1.0):
            self.slowest = of
        self.times_s.append(seconds)

    def complaint(self) -> str | None:
        """What is wrong with the times, if anything is."""
        late = [one for one in self.times_s if one > self.limit_s]
        may_be = max(1, math.floor((1 - self.share) * len(self.times_s) + 1e-9))
        if len(late) <= may_be and max(late, default=0.0) <= self.last_s:
            return None
        worst = "never" if math.isinf(max(late)) else f"{max(late):.1f} s"
        return (
            f"{self.what}: {len(late)} of {len(self.times_s)} took more than"
            f" {self.limit_s:g} s, the slowest {worst} ({self.slowest})"
        )
