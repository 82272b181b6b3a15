"""Did the network split? Told by how many of those we knew fell silent together."""

from dataclasses import dataclass

from meshnode.core.consumers import CONSUMER_INTERVAL_MIN_S, consumer_interval_s

# By now a consumer of a small network has spoken, if only it is on our side.
COUNTED_AFTER_S = 1.5 * CONSUMER_INTERVAL_MIN_S
KNOWN_MIN = 3  # of fewer, most going at once is no sign of a split
_SILENT_PART = 0.5


@dataclass(frozen=True, slots=True)
class Headcount:
    """Who was known when the last provider gave its last sign of life, at `since`.

    `providers` were live until then; all of them have been silent since, or there would be no
    outage. `consumers` speak at their common pace.
    """

    since: float
    providers: int
    consumers: int

    def is_split(self, heard: int, now: float) -> bool:
        """Whether most of them are silent; `heard` of these consumers have spoken since.

        Who is heard for the first time says nothing: of a node that has not run for long, most of
        its own side are new to it.
        """
        elapsed_s = now - self.since
        known = self.providers + self.consumers
        if known < KNOWN_MIN or elapsed_s < COUNTED_AFTER_S:
            return False
        # A large network's consumers speak seldom: only so many can have spoken yet.
        pace_s = COUNTED_AFTER_S / CONSUMER_INTERVAL_MIN_S * consumer_interval_s(known)
        expected = self.consumers * min(1.0, elapsed_s / pace_s)
        # Providers alone may all have died; that consumers fall silent with them tells.
        return heard <= expected - 1 and heard < (1 - _SILENT_PART) * (expected + self.providers)
