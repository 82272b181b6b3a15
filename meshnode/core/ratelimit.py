"""Limits on what peers may ask: each peer by count, the node by count and bytes.

Times are seconds of the node's clock.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from protocols.limits import (
    CURSOR_PAGES_MAX,
    REQUESTS_PER_NODE_MAX_PER_S,
    REQUESTS_PER_PEER_MAX,
    REQUESTS_PER_PEER_WINDOW_S,
)

PEERS_TRACKED_MAX = 1_000  # the one that asked longest ago makes room
REPLY_BYTES_PER_S = 8 * 1024 * 1024
REPLY_BYTES_BURST = 64 * 1024 * 1024  # a newcomer may take everything a few providers said


@dataclass(slots=True)
class _Asker:
    asked: deque[float] = field(default_factory=deque)
    pages_left: int = 0


class QueryLimiter:
    """Says whether a request may be answered now; what it refuses it counts."""

    def __init__(self) -> None:
        self._askers: OrderedDict[str, _Asker] = OrderedDict()
        self._node: deque[float] = deque()
        self._bytes_left = float(REPLY_BYTES_BURST)
        self._bytes_at = 0.0
        self.refused = 0

    def admit(self, peer_id: str, now: float, *, follows_cursor: bool = False) -> bool:
        """Whether a peer's request is within its budget and the node's; counts it if so.

        A page that follows a cursor is part of an answer already admitted: it costs the peer
        nothing for as many pages as an answer may have, and counts against the node.
        """
        self._refill(now)
        _forget(self._node, now - 1.0)
        asker = self._asker(peer_id)
        _forget(asker.asked, now - REQUESTS_PER_PEER_WINDOW_S)
        is_page = follows_cursor and asker.pages_left > 0
        over = (
            len(self._node) >= REQUESTS_PER_NODE_MAX_PER_S
            or (len(asker.asked) >= REQUESTS_PER_PEER_MAX and not is_page)
            or self._bytes_left <= 0
        )
        if over:
            self.refused += 1
            return False
        self._node.append(now)
        if is_page:
            asker.pages_left -= 1
        else:
            asker.asked.append(now)
            asker.pages_left = CURSOR_PAGES_MAX
        return True

    def replied(self, size: int, now: float) -> None:
        """So many bytes were sent."""
        self._refill(now)
        self._bytes_left -= size

    def _asker(self, peer_id: str) -> _Asker:
        asker = self._askers.get(peer_id)
        if asker is None:
            asker = self._askers[peer_id] = _Asker()
        self._askers.move_to_end(peer_id)
        if len(self._askers) > PEERS_TRACKED_MAX:
            self._askers.popitem(last=False)
        return asker

    def _refill(self, now: float) -> None:
        earned = (now - self._bytes_at) * REPLY_BYTES_PER_S
        self._bytes_left = min(REPLY_BYTES_BURST, self._bytes_left + earned)
        self._bytes_at = now


def _forget(times: deque[float], before: float) -> None:
    while times and times[0] <= before:
        times.popleft()
