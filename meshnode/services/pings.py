"""Pings: whoever is connected is asked for a sign of life; who gives none is given up."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import trio

from meshnode.ports import Mesh
from meshnode.services.beat import BEAT_S

# By a service, for every kind of mesh: the library's health monitor pings one peer after the other,
# and a frozen one holds up all checks.
PING_EVERY_S = 10.0
# One may be lost to a pause of our own process, in which every deadline passes at once.
PINGS_MISSED_MAX = 2


@dataclass(slots=True)
class _Pinged:
    """A connected peer, and how many pings it has left unanswered in a row."""

    peer: str
    missed: int = 0
    has_answered: bool = False


class Pings:
    """Pings each peer on its own: one that is frozen holds up no other.

    `answered` is told who gave a sign of life, `silent` who gives none any more.
    """

    def __init__(
        self, mesh: Mesh, answered: Callable[[str], None], silent: Callable[[str], None]
    ) -> None:
        self._mesh = mesh
        self._answered = answered
        self._silent = silent
        self._peers: dict[str, _Pinged] = {}
        # When the next ping of each who answered is due; as that is always so long after the
        # answer, the first stands first.
        self._due: dict[str, float] = {}

    def begin(self, peer: str) -> None:
        """A peer connected."""
        if peer not in self._peers:
            self._peers[peer] = _Pinged(peer)
            self._ping(self._peers[peer])

    def end(self, peer: str) -> None:
        """Its connection ended; what becomes of a ping under way does not matter any more."""
        self._peers.pop(peer, None)
        self._due.pop(peer, None)

    def has_answered(self, peer: str) -> bool:
        """Whether a connected peer ever answered one over this connection."""
        pinged = self._peers.get(peer)
        return pinged is not None and pinged.has_answered

    def end_all(self) -> None:
        """We leave."""
        self._peers.clear()
        self._due.clear()

    def look(self) -> None:
        """To be called at every beat: ping whose ping is due within BEAT_S.

        Between two quiet beats some come a second late, and others a second early.
        """
        until = trio.current_time() + BEAT_S
        while self._due and self._due[peer := next(iter(self._due))] < until:
            del self._due[peer]
            self._ping(self._peers[peer])

    def _ping(self, pinged: _Pinged) -> None:
        self._mesh.ping(pinged.peer, partial(self._came_of_it, pinged))

    def _came_of_it(self, pinged: _Pinged, rtt_s: float | None) -> None:
        if self._peers.get(pinged.peer) is not pinged:
            return  # its connection has ended, and there may be another
        if rtt_s is not None:
            pinged.missed, pinged.has_answered = 0, True
            self._due[pinged.peer] = trio.current_time() + PING_EVERY_S
            self._answered(pinged.peer)
            return
        pinged.missed += 1
        if pinged.missed < PINGS_MISSED_MAX:
            self._ping(pinged)
        else:
            del self._peers[pinged.peer]
            self._silent(pinged.peer)
