"""Pings: whoever is connected is asked for a sign of life; who gives none is given up."""

import math
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
    """A connected peer: when its next ping is due, and how many it has left unanswered in a row."""

    due_at: float = math.inf
    missed: int = 0


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

    def begin(self, peer: str) -> None:
        """A peer connected."""
        if peer not in self._peers:
            self._peers[peer] = _Pinged()
            self._ping(peer, self._peers[peer])

    def end(self, peer: str) -> None:
        """Its connection ended; what becomes of a ping under way does not matter any more."""
        self._peers.pop(peer, None)

    def end_all(self) -> None:
        """We leave."""
        self._peers.clear()

    def look(self) -> None:
        """To be called at every beat: ping whose ping is due before the next."""
        until = trio.current_time() + BEAT_S
        for peer, pinged in self._peers.items():
            if pinged.due_at < until:
                self._ping(peer, pinged)

    def _ping(self, peer: str, pinged: _Pinged) -> None:
        pinged.due_at = math.inf  # not before this one is answered
        self._mesh.ping(peer, partial(self._came_of_it, peer, pinged))

    def _came_of_it(self, peer: str, pinged: _Pinged, rtt_s: float | None) -> None:
        if self._peers.get(peer) is not pinged:
            return
        if rtt_s is not None:
            pinged.missed, pinged.due_at = 0, trio.current_time() + PING_EVERY_S
            self._answered(peer)
            return
        pinged.missed += 1
        if pinged.missed < PINGS_MISSED_MAX:
            self._ping(peer, pinged)
        else:
            del self._peers[peer]
            self._silent(peer)
