"""Rounds: how often each neighbour is asked what it knows, and when it is whose turn.

Each is asked once in a round. Of more than ASKED_A_ROUND rounds are longer: a node with many
neighbours asks hardly more often than others do. Times are seconds of the node's clock.
"""

ROUND_S, ROUND_MAX_S = 60.0, 300.0
ASKED_A_ROUND = 3
EXPIRY_ROUNDS = 2.5  # what was not said again by then is no longer so
# Whom we met together we ask again one by one, the first after this part of a round.
_FIRST_PART = 0.25
# Where many went, nobody waits for the turns that they had.
_LONGEST_PART = 1.25


def round_s(neighbours: int) -> float:
    """How long a round is with so many neighbours."""
    return min(ROUND_S * max(1.0, neighbours / ASKED_A_ROUND), ROUND_MAX_S)


class Turns:
    """Spreads the neighbours over a round, so that there is always one who told us just now."""

    def __init__(self) -> None:
        self._last_at = 0.0

    def next_at(self, neighbours: int, now: float) -> float:
        """When one of so many neighbours is asked again that was asked now: behind all others."""
        whole_s = round_s(neighbours)
        apart_s = whole_s / max(1, neighbours)
        first_at = now + _FIRST_PART * (whole_s - apart_s)
        last_at = now + _LONGEST_PART * whole_s
        self._last_at = min(max(self._last_at, first_at) + apart_s, last_at)
        return self._last_at
